/**
 * Watches the event loop of this thread: the most processor time, in milliseconds, that one round of it took. Processor time
 * and not the clock's, so that other programs do not count; in steps of 4 ms on some machines.
 */
export const watchStretches = (): { stop(): number } => {
  const cpuMs = (): number => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1_000;
  };
  let most = 0;
  let last = cpuMs();
  let timer: NodeJS.Immediate;
  const look = (): void => {
    const now = cpuMs();
    most = Math.max(most, now - last);
    last = now;
    timer = setImmediate(look);
  };
  timer = setImmediate(look);
  return {
    stop: () => {
      clearImmediate(timer);
      return most;
    },
  };
};

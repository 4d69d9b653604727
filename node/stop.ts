/** How long a program whose launcher is gone may take to stop in order. */
const ORPHAN_MS = 10_000;

const asked = new AbortController();
/** Aborts once this process is asked to stop; long starts watch it. */
export const stopping: AbortSignal = asked.signal;

/**
 * Resolves when the process is asked to stop: by SIGINT, SIGTERM or SIGHUP, by output that nobody takes, or because the
 * program that started it with a channel is gone. A second signal ends the process at once, and whoever has children ends
 * them in its "exit" listener.
 */
export const stopSignal = (): Promise<void> => {
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(name, () => {
      if (stopping.aborted) process.exit(130);
      asked.abort();
    });
  // A terminal that was closed, or a reader like `head` that has enough. Later lines fail too, and are not missed.
  for (const stream of [process.stdout, process.stderr])
    stream.removeAllListeners("error").on("error", () => asked.abort());
  if (process.channel) {
    process.on("disconnect", () => {
      asked.abort();
      setTimeout(() => process.exit(1), ORPHAN_MS).unref();
    });
    process.channel.unref();
  }
  return new Promise((resolve) => stopping.addEventListener("abort", () => resolve(), { once: true }));
};

/** Waits for a start. A stop that is asked for meanwhile ends the process at once: there is nothing to finish yet. */
export const started = async <T>(start: Promise<T>): Promise<T> => {
  const quit = () => process.exit(0);
  stopping.addEventListener("abort", quit, { once: true });
  try {
    return await start;
  } finally {
    stopping.removeEventListener("abort", quit);
  }
};

import { Session } from "node:inspector/promises";

/** Counts how often named functions of a source file are called while some work is done, as V8 counts them. */
export const callsIn = async <Name extends string>(
  file: string,
  names: readonly Name[],
  work: () => Promise<unknown>,
): Promise<Record<Name, number>> => {
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false });
  try {
    await work();
    const { result } = await session.post("Profiler.takePreciseCoverage");
    const functions = result.filter(({ url }) => url.endsWith(file)).flatMap((script) => script.functions);
    const countOf = (name: Name): number =>
      functions
        .filter(({ functionName }) => functionName === name)
        .reduce((sum, { ranges }) => sum + ranges[0]!.count, 0);
    return Object.fromEntries(names.map((name) => [name, countOf(name)])) as Record<Name, number>;
  } finally {
    await session.post("Profiler.stopPreciseCoverage");
    session.disconnect();
  }
};

import { createServer } from "node:net";

/** Tells whether a TCP port of a host can be bound. */
const isFree = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });

/** Finds `count` free ports of a host, from `first` upwards. Throws when 1,000 ports have been tried. */
export const freePorts = async (count: number, first: number, host = "127.0.0.1"): Promise<number[]> => {
  const ports: number[] = [];
  const end = Math.min(first + 1_000, 65_536);
  for (let port = first; ports.length < count; port++) {
    if (port >= end) throw new Error(`no ${count} free ports of ${host} from ${first} on`);
    if (await isFree(host, port)) ports.push(port);
  }
  return ports;
};

import { createServer } from "node:net";

/** Tells whether a TCP port on the loopback address can be bound. */
const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });

/** Finds `count` free loopback ports, from `first` upwards. Throws when 1,000 ports have been tried. */
export const freePorts = async (count: number, first: number): Promise<number[]> => {
  const ports: number[] = [];
  for (let port = first; ports.length < count; port++) {
    if (port >= first + 1000) throw new Error(`no ${count} free ports from ${first} on`);
    if (await isFree(port)) ports.push(port);
  }
  return ports;
};

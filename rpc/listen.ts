import { once } from "node:events";
import type { AddressInfo, Server } from "node:net";

/** Has a server listen. Resolves with its port, rejects where it cannot. */
export const listen = async (server: Server, port: number, host: string): Promise<number> => {
  server.listen(port, host);
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
};

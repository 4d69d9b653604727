import { createServer } from "node:net";
import { listen } from "../rpc/listen.ts";

/** Where something listens, and which options say so. */
export interface Place {
  readonly host: string;
  readonly port: number;
  readonly hostOption: string;
  readonly portOption: string;
}

/** Says in the words of the options why nothing can listen at a place; any other error stays as it is. */
const refusal = ({ host, port, hostOption, portOption }: Place, error: NodeJS.ErrnoException): Error => {
  const [atHost, atPort] = [`${hostOption} ${host}`, `${portOption} ${port}`];
  const words: Readonly<Record<string, string>> = {
    EADDRINUSE: `${atPort}: this port of ${host} is taken by another program; ${portOption} chooses one`,
    EACCES: `${atPort}: this program may not listen at this port of ${host}; ${portOption} chooses one`,
    EADDRNOTAVAIL: `${atHost}: this machine has no such address`,
    EINVAL: `${atHost}: nothing can listen at such an address`,
    EAFNOSUPPORT: `${atHost}: this machine has no addresses of this kind`,
    ENOTFOUND: `${atHost}: no address is known by this name`,
    EAI_AGAIN: `${atHost}: nobody could be asked for the address of this name`,
  };
  const said = words[error.code ?? ""];
  return said === undefined ? error : new Error(said, { cause: error });
};

/** Starts what listens at a place. Rejects with a sentence that names option and value where it cannot. */
export const listening = <T>(place: Place, start: () => Promise<T>): Promise<T> =>
  start().catch((error: Error) => Promise.reject(refusal(place, error)));

const bind = async (host: string, port: number): Promise<void> => {
  const server = createServer();
  await listen(server, port, host);
  await new Promise((resolve) => server.close(resolve));
};

/** Checks that something can listen at a place: libraries say less of why they cannot. */
export const checkPlace = (place: Place): Promise<void> => listening(place, () => bind(place.host, place.port));

/** Finds `count` free ports of a host, from that of the place upwards. Rejects when 1,000 have been tried, or where nothing can listen there. */
export const freePorts = async (count: number, place: Place): Promise<number[]> => {
  const ports: number[] = [];
  const end = Math.min(place.port + 1_000, 65_536);
  for (let port = place.port; ports.length < count; port++) {
    if (port >= end) throw new Error(`no ${count} free ports of ${place.host} from ${place.port} on`);
    try {
      await bind(place.host, port);
      ports.push(port);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "EADDRINUSE" && code !== "EACCES") throw refusal({ ...place, port }, error as Error);
    }
  }
  return ports;
};

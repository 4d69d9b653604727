import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ConflictError } from "../consensus/conflict.ts";
import { type Hash, isHex, toHex } from "../lib/bytes.ts";
import { writeSecret } from "./folder.ts";

const NAME = /^conflict-[0-9a-f]{8}\.json$/;
const HELP =
  'another chain became final that excludes the one of this node. Ask the other operators which one the network follows. To stay here, set "settled" to true in this file and start the node. To follow the other chain, do so too and remove the folder "chain" beside it. Never remove the folder "slashing-protection".';

const KEEP = 'It has to be as the node wrote it, but for "settled": true (without quotes about true)';

/** Writes the proof of a conflict into a node's folder, where it keeps the node from starting. */
export const writeConflict = (datadir: string, { message, branch, proofs }: ConflictError): string => {
  const file = join(datadir, `conflict-${branch.slice(2, 10)}.json`);
  const document = { settled: false, message, help: HELP, seen: new Date().toISOString(), branch, proofs };
  const hex = (_: string, value: unknown): unknown => (value instanceof Uint8Array ? toHex(value) : value);
  writeSecret(file, `${JSON.stringify(document, hex, 2)}\n`);
  return file;
};

/** Gives the branches that the operator has settled. Throws where there is a conflict that he has not. */
export const settledConflicts = (datadir: string): Hash[] => {
  if (!existsSync(datadir)) return [];
  return readdirSync(datadir)
    .filter((name) => NAME.test(name))
    .map((name) => {
      const file = join(datadir, name);
      let document: { settled?: unknown; branch?: unknown } | null;
      try {
        document = JSON.parse(readFileSync(file, "utf8"));
      } catch (error) {
        throw new Error(`${file} is not read as JSON: ${(error as Error).message}. ${KEEP}`);
      }
      const branch = document?.branch;
      if (!isHex(branch, 32)) throw new Error(`${file} does not say which "branch" it is about. ${KEEP}`);
      if (document?.settled !== true) throw new Error(`${file}: ${HELP}`);
      return branch;
    });
};

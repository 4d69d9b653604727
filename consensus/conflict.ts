import type { Block, Certificate } from "../chain/block.ts";
import type { Store } from "../chain/store.ts";

/** Two checkpoints that exclude each other are final: a third of the power signed both, and these certificates prove it. */
export class ConflictError extends Error {
  override readonly name = "ConflictError";
  readonly proofs: { readonly one: readonly Certificate[]; readonly other: readonly Certificate[] };

  constructor(message: string, one: readonly Certificate[], other: readonly Certificate[]) {
    super(message);
    this.proofs = { one, other };
  }
}

/** A final block, and a later one of its chain. */
interface Final {
  readonly final: Block;
  readonly tip: Block;
}

/** The certificates on the chain of a tip that link a final block to what follows: the proof that it is final. */
const linksFrom = (store: Pick<Store, "block">, { final, tip }: Final): Certificate[] => {
  const links: Certificate[] = [];
  for (let at = tip; at.header.number > final.header.number; ) {
    links.unshift(...at.body.certificates.filter((each) => each.sourceHash === final.hash));
    const parent = store.block(at.header.parentHash);
    if (!parent) break;
    at = parent;
  }
  return links;
};

/** Makes the error of two conflicting final blocks, with the proofs of both. O(distance to the tips). */
export const conflictOf = (store: Pick<Store, "block">, one: Final, other: Final): ConflictError =>
  new ConflictError(
    `two conflicting final checkpoints: ${one.final.hash} and ${other.final.hash}`,
    linksFrom(store, one),
    linksFrom(store, other),
  );

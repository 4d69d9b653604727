import { fromHex, type Hash, toHex } from "../../lib/bytes.ts";
import { type Branch, type Extension, hashReference, type Leaf, type Node } from "./node.ts";
import { EMPTY_ROOT, type NodeStore } from "./trie.ts";

/** A node, of whose path the first `skip` nibbles are passed. */
interface Place {
  readonly node: Node;
  readonly skip: number;
}

const isSame = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  a !== undefined && b !== undefined && Buffer.compare(a, b) === 0;

/**
 * Tells `onKey` each key whose value differs between two tries of one store. Reads what differs alone: O(keys that differ *
 * depth), however large the tries are.
 */
export const differences = (store: NodeStore, before: Hash, after: Hash, onKey: (key: Hash) => void): void => {
  const rootOf = (root: Hash): Place | undefined => {
    if (root === EMPTY_ROOT) return undefined;
    const hash = fromHex(root);
    return { node: { kind: "stored", hash, reference: hashReference(hash) }, skip: 0 };
  };
  const load = ({ node }: Place): Leaf | Extension | Branch => (node.kind === "stored" ? store.read(node.hash) : node);
  /** What lies one nibble further; an extension that ends there is its child. */
  const step = (node: Leaf | Extension | Branch, skip: number, nibble: number): Place | undefined => {
    if (node.kind === "branch") {
      const child = node.children[nibble];
      return child && { node: child, skip: 0 };
    }
    if (node.path[skip] !== nibble) return undefined;
    return node.kind === "extension" && skip + 1 === node.path.length
      ? { node: node.child, skip: 0 }
      : { node, skip: skip + 1 };
  };
  const path: number[] = [];
  const tell = (leaf: Leaf, skip: number): void => {
    const nibbles = [...path, ...leaf.path.subarray(skip)];
    const key = new Uint8Array(nibbles.length / 2);
    for (let i = 0; i < key.length; i++) key[i] = (nibbles[2 * i]! << 4) | nibbles[2 * i + 1]!;
    onKey(toHex(key));
  };
  const compare = (a: Place | undefined, b: Place | undefined): void => {
    if (a && b && a.skip === b.skip && isSame(a.node.reference, b.node.reference)) return;
    const [x, y] = [a && load(a), b && load(b)];
    const [skipX, skipY] = [a?.skip ?? 0, b?.skip ?? 0];
    const isLeaf = (node: typeof x): node is Leaf | undefined => node === undefined || node.kind === "leaf";
    if (isLeaf(x) && isLeaf(y)) {
      const isOne = x && y && isSame(x.path.subarray(skipX), y.path.subarray(skipY));
      if (isOne && isSame(x.value, y.value)) return;
      if (x) tell(x, skipX);
      if (y && !isOne) tell(y, skipY);
      return;
    }
    for (let nibble = 0; nibble < 16; nibble++) {
      path.push(nibble);
      compare(x && step(x, skipX, nibble), y && step(y, skipY, nibble));
      path.pop();
    }
  };
  compare(rootOf(before), rootOf(after));
};

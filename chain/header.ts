import { fromHex, type Hash, type Hex } from "../lib/bytes.ts";
import { address, big, bytes, type Coder, decodeWith, encodeWith, hash, hexOf, record, uint } from "../lib/codec.ts";
import { keccak256 } from "../lib/keccak.ts";
import { asBytes, type Item } from "../lib/rlp.ts";
import { failChain } from "./rules.ts";

/** keccak256 of the RLP of an empty list: rolec has no ommers. */
export const EMPTY_OMMERS: Hash = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347";
export const NO_REVEAL: Hex = `0x${"00".repeat(96)}`;

const exact = (size: number): Coder<Uint8Array> => ({
  encode: (value) => value,
  decode: (item) => {
    const value = asBytes(item);
    return value.length === size ? value : failChain("block-format", { got: value.length, expected: size });
  },
});

/** The nonce holds the number of upgrades in force, as 8 bytes. */
const upgrades: Coder<number> = {
  encode: (value) => fromHex(`0x${value.toString(16).padStart(16, "0")}`),
  decode: (item) => {
    const value = BigInt(hexOf(8).decode(item as Item));
    return value > 0xffffn ? failChain("block-format", "absurd number of upgrades") : Number(value);
  },
};

/** The fields of a header in the order of spec section 5. */
const header = record({
  parentHash: hash,
  ommersHash: hash,
  beneficiary: address,
  stateRoot: hash,
  transactionsRoot: hash,
  receiptsRoot: hash,
  logsBloom: exact(256),
  difficulty: big,
  number: uint,
  gasLimit: uint,
  gasUsed: uint,
  timestamp: uint,
  extraData: bytes(32),
  mixHash: hash,
  nonce: upgrades,
  baseFeePerGas: big,
  validatorsRoot: hash,
  consensusRoot: hash,
  historyRoot: hash,
  randaoReveal: hexOf(96),
});

export type Header = Readonly<typeof header extends Coder<infer T> ? T : never>;

/** The coder of headers, for lists that hold them. */
export const headerCoder: Coder<Header> = header;
/** Encodes a header as RLP. */
export const encodeHeader = (value: Header): Uint8Array => encodeWith(header, value);
/** Decodes a header strictly. Throws RuleError "rlp", "codec" or "block-format". */
export const decodeHeader = (input: Uint8Array): Header => decodeWith(header, input, { maxBytes: 2048, maxDepth: 1 });
/** Computes a block's hash: the keccak256 of its header. */
export const hashHeader = (value: Header): Hash => keccak256(encodeHeader(value));

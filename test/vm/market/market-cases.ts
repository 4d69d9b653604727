import { type Address, EMPTY, fromHex, type Hash, utf8, word, ZERO_ADDRESS, ZERO_HASH } from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import { signCompact } from "../../../lib/secp256k1.ts";
import { RLC } from "../../../lib/units.ts";
import type { AbiValue } from "../../../vm/abi.ts";
import { HUB, MARKET, TOKEN } from "../../../vm/addresses.ts";
import { functionsOf, GROUP_ABI, TOKEN_ABI } from "../../../vm/market/abi.ts";
import { resultHashOf, resultSealOf } from "../../../vm/market/contribution.ts";
import { joinHash } from "../../../vm/market/membership.ts";
import { digestOf, merkleProof } from "../../../vm/wasm/receipt.ts";
import type { Case } from "./refusal-cases.ts";
import type { Scene } from "./scene.ts";
import { addressBy, keyOf, lotReceipt, market, receiptFor } from "./world.ts";

const stranger = addressBy("stranger");
const MOST = (1n << 256n) - 1n;
const NO_ID = keccak256(utf8("no such thing"));
const NO_SEAT = "no seat of yours asks for this";
const NO_LOT = "no such lot, or not yet drawn";
const OWNER = "Ownable: caller is not the owner";
const token = functionsOf(TOKEN_ABI);
const group = functionsOf(GROUP_ABI);

type Made = ReturnType<Case["setUp"]>;
/** The places of the sender and of the value among a case's arguments. */
const SENDER = -1;
const VALUE = -2;

/** A call of 0x…1006. */
const at1006 = (name: string, setUp: (scene: Scene) => Omit<Made, "to" | "fn">): Case => ({
  name: `market.${name}`,
  setUp: (scene) => ({ to: MARKET, fn: market(name), ...setUp(scene) }),
});

/** A lot of w0's two slots, and what they find. */
const drawnLot = (scene: Scene, receipts = [receiptFor(1_000_000)]) => {
  const id = scene.lotIdOf(scene.submit({ volume: receipts.length }));
  scene.advance(2);
  const receipt = lotReceipt(receipts);
  const worker = addressBy("w0");
  const digest = keccak256(receipt);
  const commitment = [resultHashOf(id, digest), resultSealOf(worker, id, digest), ZERO_HASH];
  const { contribute, reveal, finalize } = scene.world;
  return {
    ...{ id, worker, receipt, commitment },
    commit: () => contribute(worker, id, receipt),
    complete: () => {
      contribute(worker, id, receipt);
      reveal(worker, id, receipt);
      finalize(id);
    },
    show: () => reveal(worker, id, receipt),
  };
};

/** The fields of a job, and for each what is wrong in its place. */
const wrongJobs = (scene: Scene): [field: number, value: AbiValue, reason: string][] => [
  [0, 2n, "unknown version 2 of a job"],
  [1, stranger, "no drawn pool"],
  [1, scene.pool, "no drawn pool"],
  [1, ZERO_ADDRESS, "no drawn pool"],
  [2, stranger, "iExecV5-matchOrders-0x20"],
  [2, scene.dataset, "iExecV5-matchOrders-0x20"],
  [3, stranger, "iExecV5-matchOrders-0x30"],
  [3, scene.dataset, "the dataset has no open offer"],
  [4, "x".repeat(65_537), "params are at most 65536 bytes"],
  [5, 99n, "iExecV5-matchOrders-0x01"],
  [5, MOST, "iExecV5-matchOrders-0x01"],
  [6, 0n, "gasLimit must be from 30000000 to 2000000000"],
  [6, MOST, "gasLimit must be from 30000000 to 2000000000"],
  [7, 101n, "trust is at most 100"],
  [7, MOST, "trust is at most 100"],
  [8, 0n, "iExecV5-matchOrders-0x60"],
  [8, (1n << 32n) + 1n, "volume is at most 4294967296"],
  [8, MOST, "volume is at most 4294967296"],
  [8, 100n, "the value does not cover the cost of 4000010000000000000 wei"],
  [9, word(1), "iExecV5-matchOrders-0x06"],
  [12, utf8("x"), "extensions of a job are not supported"],
];

const STAKE = 10n * RLC;
const joining = (scene: Scene, signature?: (nonce: number, key?: Hash) => Uint8Array): Omit<Made, "to" | "fn"> => {
  const { genesisPool, validators, staker } = scene;
  const worker = addressBy("newcomer");
  const at = signature ? 1 : 0;
  const args: AbiValue[] = [genesisPool, ...(signature ? [worker] : []), validators[0]!, 2n];
  const forged = "not the worker's signature";
  const signatures: Made["wrong"] = signature
    ? [
        [SENDER, scene.requester, forged],
        [1, stranger, forged],
        [2, validators[1]!, forged],
        [4, signature(0, keyOf("stranger")), forged],
        [4, signature(1), forged],
        [4, signature(0).subarray(1), forged],
        [4, signature(0).with(64, 29), forged],
        [4, EMPTY, forged],
      ]
    : [];
  return {
    ...{ from: staker, args: signature ? [...args, signature(0)] : args, value: 2n * STAKE },
    wrong: [
      [0, stranger, "no drawn pool"],
      [0, scene.pool, "no drawn pool"],
      [1 + at, stranger, "unknown validator"],
      [2 + at, 0n, "a join takes 1 to 4096 slots"],
      [2 + at, 4_097n, "a join takes 1 to 4096 slots"],
      [2 + at, MOST, "a join takes 1 to 4096 slots"],
      [2 + at, 3n, `the value must be ${3n * STAKE} wei`],
      [VALUE, 0n, `the value must be ${2n * STAKE} wei`],
      [VALUE, 2n * STAKE + 1n, `the value must be ${2n * STAKE} wei`],
      ...signatures,
    ],
  };
};

const grouped = (name: string, argOf: (scene: Scene) => AbiValue, wrong: Made["wrong"] = []): Case => ({
  name: `group.${name}`,
  setUp: (scene) => {
    const [to] = scene.call(scene.requester, MARKET, market("createGroup"), [[scene.staker]]).values as [Address];
    return {
      ...{ from: scene.requester, to, fn: group(name), args: [argOf(scene)] },
      wrong: [[SENDER, scene.staker, OWNER], ...wrong],
    };
  },
});

const paying = (name: string, args: AbiValue[], wrong: Made["wrong"]): Case => ({
  name: `token.${name}`,
  setUp: ({ requester }) => ({ from: requester, to: TOKEN, fn: token(name), args, wrong }),
});
const EXCEEDS = "ERC20: transfer amount exceeds balance";

/** Writes of 0x…1006, of groups and of the token, which iExec's contracts do not have; w0 has two slots in the genesis pool. */
export const MARKET_CASES: readonly Case[] = [
  at1006("submit", (scene) => {
    const job = scene.jobArgs({});
    return {
      ...{ from: scene.requester, args: [job], value: RLC },
      wrong: [
        [VALUE, 0n, "the value does not cover the cost of 80000100000000000 wei"],
        [VALUE, 80_000_100_000_000_000n - 1n, "the value does not cover the cost of 80000100000000000 wei"],
        ...wrongJobs(scene).map(([field, value, reason]) => [0, job.with(field, value), reason] as const),
      ],
    };
  }),
  at1006("join", (scene) => joining(scene)),
  at1006("joinFor", (scene) => {
    const { genesisPool: pool, validators, staker } = scene;
    const join = { pool, worker: addressBy("newcomer"), staker, validator: validators[0]!, count: 2n };
    return joining(scene, (nonce, key = keyOf("newcomer")) =>
      fromHex(signCompact(joinHash(ZERO_HASH, join, nonce), key)),
    );
  }),
  at1006("leave", () => ({
    ...{ from: addressBy("w0"), args: [[0n, 1n]] },
    wrong: [
      [SENDER, stranger, "not your slot"],
      [0, [0n, 2n], "no such slot"],
      [0, [MOST], "no such slot"],
      [0, [0n, 0n], "the slot leaves already"],
      [0, Array<bigint>(257).fill(0n), "a leave takes at most 256 slots"],
    ],
  })),
  at1006("pause", () => ({
    ...{ from: addressBy("w0"), args: [0n, [1n]] },
    wrong: [
      [SENDER, stranger, "not your slot"],
      [0, 2n, "no such slot"],
      [1, [0n, MOST], "no such slot"],
      [1, Array<bigint>(32).fill(0n), "a message names at most 32 slots"],
    ],
  })),
  at1006("resume", (scene) => {
    scene.call(addressBy("w0"), MARKET, market("pause"), [0n, []]);
    return {
      ...{ from: addressBy("w0"), args: [0n, [1n]] },
      wrong: [
        [SENDER, stranger, "not your slot"],
        [0, MOST, "no such slot"],
        [1, [2n], "no such slot"],
        [1, Array<bigint>(32).fill(0n), "a message names at most 32 slots"],
      ],
    };
  }),
  at1006("openPool", ({ scheduler, pool, genesisPool, app }) => ({
    ...{ from: scheduler, args: [pool, stranger, stranger] },
    wrong: [
      [SENDER, stranger, "not the pool's owner"],
      [0, stranger, "not the pool's owner"],
      [0, app, "not the pool's owner"],
      [0, genesisPool, "not the pool's owner"],
    ],
  })),
  at1006("offer", ({ developer, app, pool }) => ({
    ...{ from: developer, args: [app, 7n, ZERO_HASH, true] },
    wrong: [
      [SENDER, stranger, "not the entry's owner"],
      [0, stranger, "not the entry's owner"],
      [0, pool, "not the entry's owner"],
      [1, MOST, "the price is more than all RLC"],
    ],
  })),
  at1006("createGroup", () => ({ from: stranger, args: [[stranger]], wrong: [] })),
  at1006("cancel", (scene) => ({
    ...{ from: scene.requester, args: [scene.submit()] },
    wrong: [
      [SENDER, stranger, "not the sponsor"],
      [0, NO_ID, "no such deal"],
      [0, scene.match(), "not a drawn deal"],
    ],
  })),
  at1006("contribute", (scene) => {
    const { id, worker, commitment } = drawnLot(scene);
    return {
      ...{ from: worker, args: [id, ...commitment] },
      wrong: [
        [SENDER, stranger, NO_SEAT],
        [0, NO_ID, NO_LOT],
        [1, ZERO_HASH, "the result hash is zero"],
      ],
    };
  }),
  at1006("decline", (scene) => {
    const { id, worker } = drawnLot(scene);
    return {
      ...{ from: worker, args: [id] },
      wrong: [
        [SENDER, stranger, NO_SEAT],
        [0, NO_ID, NO_LOT],
      ],
    };
  }),
  at1006("reveal", (scene) => {
    const { id, worker, receipt, commit } = drawnLot(scene);
    commit();
    return {
      ...{ from: worker, args: [id, receipt] },
      wrong: [
        [SENDER, stranger, NO_SEAT],
        [0, NO_ID, NO_LOT],
        [1, receiptFor(1_000_001), "not the result agreed on"],
        [1, receipt.subarray(1), "not the result agreed on"],
        [1, EMPTY, "not the result agreed on"],
      ],
    };
  }),
  at1006("finalize", (scene) => {
    const { id, commit, show } = drawnLot(scene);
    commit();
    show();
    return { from: stranger, args: [id], wrong: [[0, NO_ID, NO_LOT]] };
  }),
  at1006("claim", (scene) => {
    const { id } = drawnLot(scene);
    scene.advance(100);
    return { from: stranger, args: [id], wrong: [[0, NO_ID, NO_LOT]] };
  }),
  at1006("settle", (scene) => {
    const receipts = [receiptFor(1), receiptFor(2)];
    const { id, complete } = drawnLot(scene, receipts);
    complete();
    const proof = merkleProof(receipts.map(digestOf), 1);
    const foreign = "not a receipt of this lot";
    return {
      ...{ from: stranger, args: [id, 1n, receipts[1]!, proof] },
      wrong: [
        [0, NO_ID, NO_LOT],
        [1, 0n, foreign],
        [1, 2n, "no such task"],
        [1, MOST, "no such task"],
        [2, receipts[0]!, foreign],
        [2, EMPTY, foreign],
        [3, [], foreign],
        [3, [NO_ID], foreign],
        [3, [...proof, NO_ID], foreign],
      ],
    };
  }),
  grouped("addMembers", () => [stranger]),
  grouped("removeMembers", ({ staker }) => [staker]),
  grouped("transferOwnership", () => stranger, [[0, ZERO_ADDRESS, "Ownable: new owner is the zero address"]]),
  paying(
    "transfer",
    [stranger, 5n],
    [
      [SENDER, stranger, EXCEEDS],
      [0, ZERO_ADDRESS, "ERC20: transfer to the zero address"],
      [0, MARKET, "ERC20: a contract cannot hold RLC"],
      [1, MOST, EXCEEDS],
    ],
  ),
  paying("approve", [stranger, MOST], [[0, ZERO_ADDRESS, "ERC20: approve to the zero address"]]),
  paying(
    "approveAndCall",
    [HUB, 5n, EMPTY],
    [
      [SENDER, stranger, EXCEEDS],
      [0, ZERO_ADDRESS, "ERC20: approve to the zero address"],
      [0, MARKET, "ERC20: the spender does not answer receiveApproval"],
      [1, MOST, EXCEEDS],
      [2, utf8("other"), "UnsupportedOperation(0x6f746865)"],
    ],
  ),
];

import { type Address, EMPTY, utf8, word, ZERO_ADDRESS, ZERO_HASH } from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import type { AbiFunction, AbiValue } from "../../../vm/abi.ts";
import { APP_REGISTRY, HUB, MARKET, TOKEN } from "../../../vm/addresses.ts";
import { functionsOf, TOKEN_ABI, WORKERPOOL_ABI } from "../../../vm/market/abi.ts";
import { APP_ORDER, typedDataHash } from "../../../vm/market/order.ts";
import { signedMessageHash } from "../../../vm/market/signature.ts";
import { resultOf, type Scene, signAs } from "./scene.ts";
import { addressBy, hub, registry } from "./world.ts";

const token = functionsOf(TOKEN_ABI);
const poolEntry = functionsOf(WORKERPOOL_ABI);
export const stranger = addressBy("stranger");
const MOST = (1n << 256n) - 1n;
const NO_ID = keccak256(utf8("no such thing"));
const OWNER = "Ownable: caller is not the owner";
const NOTHING = "reverted";

/** A write that succeeds, and what each of its arguments wrong in turn reverts with; -1 is who sends it, -2 its value. */
export interface Case {
  readonly name: string;
  setUp(scene: Scene): {
    readonly from: Address;
    readonly to: Address;
    readonly fn: AbiFunction;
    readonly args: AbiValue[];
    /** Wei. */
    readonly value?: bigint;
    readonly wrong: readonly (readonly [argument: number, value: AbiValue, reason: string])[];
  };
}

/** A task of a deal that asks for an enclave and has a callback, and what its worker may send. */
const enclaveTask = (scene: Scene, trust = 1n) => {
  const tag = word(1);
  const callback = addressBy("consumer");
  const task = scene.initialize(scene.match({ app: { tag }, workerpool: { tag }, request: { trust, callback } }));
  const data = utf8("right");
  const enclave = addressBy("enclave");
  const [hash, seal] = scene.commitmentOf("w0", task, "right");
  return {
    ...{ task, data, enclave, hash, seal },
    proof: signAs("enclave", signedMessageHash(hash, seal)),
    authorization: scene.authorize("w0", task, enclave),
    forged: scene.authorize("w0", task, enclave, "stranger"),
  };
};
const allowed = (scene: Scene): void => {
  scene.call(scene.requester, TOKEN, token("approve"), [HUB, 10n]);
};
const owned = (name: string, args: AbiValue[]): Case => ({
  name,
  setUp: () => ({ from: addressBy("owner"), to: HUB, fn: hub(name), args, wrong: [[-1, stranger, OWNER]] }),
});

export const CASES: readonly Case[] = [
  {
    name: "withdrawTo",
    setUp: ({ requester }) => ({
      ...{ from: requester, to: HUB, fn: hub("withdrawTo"), args: [1_000_000n, stranger] },
      wrong: [
        [-1, stranger, NOTHING],
        [0, 1_000_001n, NOTHING],
        [1, MARKET, "native-transfer-failed"],
      ],
    }),
  },
  {
    name: "depositFor",
    setUp: (scene) => {
      allowed(scene);
      return {
        ...{ from: scene.requester, to: HUB, fn: hub("depositFor(uint256,address)"), args: [10n, stranger] },
        wrong: [
          [-1, stranger, "ERC20: insufficient allowance"],
          [0, 11n, "ERC20: insufficient allowance"],
          [1, ZERO_ADDRESS, "ERC20: mint to the zero address"],
        ],
      };
    },
  },
  {
    name: "depositForArray",
    setUp: (scene) => {
      allowed(scene);
      return {
        ...{
          from: scene.requester,
          to: HUB,
          fn: hub("depositForArray"),
          args: [
            [4n, 6n],
            [stranger, scene.staker],
          ],
        },
        wrong: [
          [0, [4n, 7n], "ERC20: insufficient allowance"],
          [0, [10n], "invalid-array-length"],
          [1, [stranger, ZERO_ADDRESS], "ERC20: mint to the zero address"],
        ],
      };
    },
  },
  {
    name: "receiveApproval",
    setUp: (scene) => {
      allowed(scene);
      const args = [scene.requester, 10n, TOKEN, hub("matchOrders").encode(...scene.orders())];
      return {
        ...{ from: stranger, to: HUB, fn: hub("receiveApproval"), args },
        wrong: [
          [0, stranger, "ERC20: insufficient allowance"],
          [1, 11n, "ERC20: insufficient allowance"],
          [2, HUB, "wrong-token"],
          [3, hub("claim").encode(NO_ID), "UnsupportedOperation(0xbd66528a)"],
          [3, hub("matchOrders").encode(...scene.orders({ request: { by: "stranger" } })), "iExecV5-matchOrders-0x50"],
        ],
      };
    },
  },
  {
    name: "transferFrom",
    setUp: ({ call, requester, staker }) => {
      call(requester, HUB, hub("approve"), [staker, 5n]);
      return {
        ...{ from: staker, to: HUB, fn: hub("transferFrom"), args: [requester, stranger, 5n] },
        wrong: [
          [-1, stranger, NOTHING],
          [0, ZERO_ADDRESS, "ERC20: transfer from the zero address"],
          [0, stranger, NOTHING],
          [1, ZERO_ADDRESS, "ERC20: transfer to the zero address"],
          [2, 6n, NOTHING],
        ],
      };
    },
  },
  {
    name: "transfer",
    setUp: ({ requester }) => ({
      ...{ from: requester, to: HUB, fn: hub("transfer"), args: [stranger, 5n] },
      wrong: [
        [0, ZERO_ADDRESS, "ERC20: transfer to the zero address"],
        [1, 1_000_001n, NOTHING],
      ],
    }),
  },
  {
    name: "increaseAllowance",
    setUp: ({ call, requester, staker }) => {
      call(requester, HUB, hub("approve"), [staker, 5n]);
      return {
        ...{ from: requester, to: HUB, fn: hub("increaseAllowance"), args: [staker, 1n] },
        wrong: [
          [0, ZERO_ADDRESS, "ERC20: approve to the zero address"],
          [1, MOST, "arithmetic overflow"],
        ],
      };
    },
  },
  {
    name: "decreaseAllowance",
    setUp: ({ call, requester, staker }) => {
      call(requester, HUB, hub("approve"), [staker, 5n]);
      return {
        ...{ from: requester, to: HUB, fn: hub("decreaseAllowance"), args: [staker, 5n] },
        wrong: [
          [0, stranger, NOTHING],
          [1, 6n, NOTHING],
        ],
      };
    },
  },
  {
    name: "manageAppOrder",
    setUp: (scene) => {
      const order = scene.appOrder();
      const operation = typedDataHash(scene.genesis.chainId, APP_ORDER.operationHash(order, 0n));
      const values = APP_ORDER.values(order);
      const sign = signAs("developer", operation);
      const unsigned = "invalid-sender-or-signature";
      return {
        ...{ from: stranger, to: HUB, fn: hub("manageAppOrder"), args: [[values, 0n, sign]] },
        wrong: [
          [0, [APP_ORDER.values({ ...order, volume: 1n }), 0n, sign], unsigned],
          [0, [APP_ORDER.values({ ...order, app: stranger }), 0n, sign], NOTHING],
          [0, [values, 1n, sign], unsigned],
          [0, [values, 2n, sign], NOTHING],
          [0, [values, 0n, signAs("stranger", operation)], unsigned],
          [0, [values, 0n, EMPTY], "invalid-signature-format"],
        ],
      };
    },
  },
  {
    name: "initialize",
    setUp: (scene) => ({
      ...{ from: stranger, to: HUB, fn: hub("initialize"), args: [scene.match(), 0n] },
      wrong: [
        [0, NO_ID, NOTHING],
        [1, 1n, NOTHING],
        [1, MOST, NOTHING],
      ],
    }),
  },
  {
    name: "initializeArray",
    setUp: (scene) => {
      const dealid = scene.match({ request: { volume: 2n } });
      return {
        ...{
          from: stranger,
          to: HUB,
          fn: hub("initializeArray"),
          args: [
            [dealid, dealid],
            [0n, 1n],
          ],
        },
        wrong: [
          [0, [dealid, NO_ID], NOTHING],
          [0, [dealid], NOTHING],
          [1, [0n, 2n], NOTHING],
          [1, [0n, 0n], NOTHING],
        ],
      };
    },
  },
  {
    name: "contribute",
    setUp: (scene) => {
      const { task, enclave, hash, seal, proof, authorization, forged } = enclaveTask(scene);
      return {
        ...{ from: addressBy("w0"), to: HUB, fn: hub("contribute") },
        args: [task, hash, seal, enclave, proof, authorization],
        wrong: [
          [-1, addressBy("w1"), NOTHING],
          [0, NO_ID, NOTHING],
          [1, NO_ID, NOTHING],
          [2, NO_ID, NOTHING],
          [3, ZERO_ADDRESS, NOTHING],
          [3, stranger, NOTHING],
          [4, authorization, NOTHING],
          [4, EMPTY, "invalid-signature-format"],
          [5, forged, NOTHING],
          [5, EMPTY, "invalid-signature-format"],
        ],
      };
    },
  },
  {
    name: "contributeAndFinalize",
    setUp: (scene) => {
      const { task, data, enclave, proof, authorization, forged } = enclaveTask(scene);
      return {
        ...{ from: addressBy("w0"), to: HUB, fn: hub("contributeAndFinalize") },
        args: [task, resultOf("right"), utf8("any"), data, enclave, proof, authorization],
        wrong: [
          [-1, addressBy("w1"), NOTHING],
          [0, NO_ID, NOTHING],
          [1, NO_ID, NOTHING],
          [3, EMPTY, NOTHING],
          [4, ZERO_ADDRESS, NOTHING],
          [5, authorization, NOTHING],
          [6, forged, NOTHING],
          [6, EMPTY, "invalid-signature-format"],
        ],
      };
    },
  },
  {
    name: "reveal",
    setUp: (scene) => {
      const task = scene.initialize(scene.match({ request: { trust: 1n } }));
      scene.contribute("w0", task, "right");
      return {
        ...{ from: addressBy("w0"), to: HUB, fn: hub("reveal"), args: [task, resultOf("right")] },
        wrong: [
          [-1, addressBy("w1"), NOTHING],
          [0, NO_ID, NOTHING],
          [1, NO_ID, NOTHING],
        ],
      };
    },
  },
  {
    name: "reopen",
    setUp: (scene) => {
      const task = scene.initialize(scene.match({ request: { trust: 1n } }));
      scene.contribute("w0", task, "right");
      scene.advance(20);
      return {
        ...{ from: scene.scheduler, to: HUB, fn: hub("reopen"), args: [task] },
        wrong: [
          [-1, stranger, NOTHING],
          [0, NO_ID, NOTHING],
        ],
      };
    },
  },
  {
    name: "finalize",
    setUp: (scene) => {
      const callback = addressBy("consumer");
      const task = scene.initialize(scene.match({ request: { trust: 1n, callback } }));
      scene.contribute("w0", task, "right");
      scene.reveal("w0", task, "right");
      return {
        ...{ from: scene.scheduler, to: HUB, fn: hub("finalize"), args: [task, utf8("any"), utf8("right")] },
        wrong: [
          [-1, stranger, NOTHING],
          [0, NO_ID, NOTHING],
          [2, EMPTY, NOTHING],
        ],
      };
    },
  },
  {
    name: "claimArray",
    setUp: (scene) => {
      const task = scene.initialize(scene.match());
      scene.advance(100);
      return {
        ...{ from: stranger, to: HUB, fn: hub("claimArray"), args: [[task]] },
        wrong: [
          [0, [task, NO_ID], NOTHING],
          [0, [task, task], NOTHING],
        ],
      };
    },
  },
  {
    name: "initializeAndClaimArray",
    setUp: (scene) => {
      const dealid = scene.match();
      scene.advance(100);
      return {
        ...{ from: stranger, to: HUB, fn: hub("initializeAndClaimArray"), args: [[dealid], [0n]] },
        wrong: [
          [0, [NO_ID], NOTHING],
          [0, [], NOTHING],
          [1, [1n], NOTHING],
        ],
      };
    },
  },
  owned("createCategory", ["a", "b", 5n]),
  owned("setTeeBroker", [stranger]),
  owned("setCallbackGas", [1n]),
  owned("recover", []),
  owned("transferOwnership", [stranger]),
  owned("renounceOwnership", []),
  {
    name: "createApp",
    setUp: ({ developer, call }) => {
      const entry: AbiValue[] = [developer, "x", "DOCKER", EMPTY, ZERO_HASH, EMPTY];
      call(stranger, APP_REGISTRY, registry("createApp"), entry);
      return {
        ...{ from: stranger, to: APP_REGISTRY, fn: registry("createApp"), args: entry.with(1, "y") },
        wrong: [
          [0, ZERO_ADDRESS, `ERC721InvalidReceiver(${ZERO_ADDRESS})`],
          [1, "x", "Create2: Failed on deploy"],
        ],
      };
    },
  },
  {
    name: "registry.transferFrom",
    setUp: ({ app, developer }) => ({
      ...{ from: developer, to: APP_REGISTRY, fn: registry("transferFrom"), args: [developer, stranger, BigInt(app)] },
      wrong: [
        [-1, stranger, `ERC721InsufficientApproval(${stranger}, ${BigInt(app)})`],
        [0, stranger, `ERC721IncorrectOwner(${stranger}, ${BigInt(app)}, ${developer})`],
        [1, ZERO_ADDRESS, `ERC721InvalidReceiver(${ZERO_ADDRESS})`],
        [2, 1n, "ERC721NonexistentToken(1)"],
        [2, MOST, `ERC721NonexistentToken(${MOST})`],
      ],
    }),
  },
  {
    name: "registry.approve",
    setUp: ({ app, developer }) => ({
      ...{ from: developer, to: APP_REGISTRY, fn: registry("approve"), args: [stranger, BigInt(app)] },
      wrong: [
        [-1, stranger, `ERC721InvalidApprover(${stranger})`],
        [1, 1n, "ERC721NonexistentToken(1)"],
      ],
    }),
  },
  {
    name: "registry.setApprovalForAll",
    setUp: ({ developer }) => ({
      ...{ from: developer, to: APP_REGISTRY, fn: registry("setApprovalForAll"), args: [stranger, true] },
      wrong: [[0, ZERO_ADDRESS, `ERC721InvalidOperator(${ZERO_ADDRESS})`]],
    }),
  },
  {
    name: "registry.setBaseURI",
    setUp: () => ({
      ...{ from: addressBy("owner"), to: APP_REGISTRY, fn: registry("setBaseURI"), args: ["https://x/"] },
      wrong: [[-1, stranger, OWNER]],
    }),
  },
  {
    name: "registry.transferOwnership",
    setUp: () => ({
      ...{ from: addressBy("owner"), to: APP_REGISTRY, fn: registry("transferOwnership"), args: [stranger] },
      wrong: [
        [-1, stranger, OWNER],
        [0, ZERO_ADDRESS, `OwnableInvalidOwner(${ZERO_ADDRESS})`],
      ],
    }),
  },
  {
    name: "changePolicy",
    setUp: ({ pool, scheduler }) => ({
      ...{ from: scheduler, to: pool, fn: poolEntry("changePolicy"), args: [MOST, 100n] },
      wrong: [
        [-1, stranger, "caller is not the owner"],
        [1, 101n, NOTHING],
      ],
    }),
  },
  {
    name: "token.transferFrom",
    setUp: ({ call, requester, staker }) => {
      call(requester, TOKEN, token("approve"), [staker, 5n]);
      return {
        ...{ from: staker, to: TOKEN, fn: token("transferFrom"), args: [requester, stranger, 5n] },
        wrong: [
          [-1, stranger, "ERC20: insufficient allowance"],
          [0, stranger, "ERC20: insufficient allowance"],
          [1, MARKET, "ERC20: a contract cannot hold RLC"],
          [1, ZERO_ADDRESS, "ERC20: transfer to the zero address"],
          [2, 6n, "ERC20: insufficient allowance"],
        ],
      };
    },
  },
];

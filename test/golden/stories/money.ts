import type { TransactionFields } from "../../../chain/transaction.ts";
import { word, ZERO_ADDRESS } from "../../../lib/bytes.ts";
import { HUB, TOKEN } from "../../../vm/addresses.ts";
import { type Ask, actor, CAST, GWEI, NRLC, type Stage, type Story } from "../stage.ts";

const RLC = 10n ** 18n;

/** The first validator, who has all RLC that is left, funds the cast by transactions of each type. */
export async function* funding(stage: Stage): Story {
  const [rich] = stage.validator;
  const treasury = { key: rich!.secp, address: rich!.address };
  const accessList = [{ address: HUB, storageKeys: [word(1)] }];
  const price = { maxPriorityFeePerGas: 2n * GWEI, maxFeePerGas: 2n * GWEI };
  const types: readonly Partial<TransactionFields>[] = [
    { type: 0, ...price },
    { type: 1, ...price, accessList },
    { type: 2, accessList },
  ];
  yield CAST.map((name, i): Ask => {
    const fields = { gasLimit: 30_000, ...types[i % types.length] };
    return { from: treasury, to: actor(name).address, data: "0x", value: 100_000n * RLC, fails: false, fields };
  });
}

/** Stake in the hub and RLC as a token: both ways to deposit, to pay out, and all that an ERC-20 does. */
export async function* stakes(stage: Stage): Story {
  const { ask } = stage;
  const [staker, stranger, developer] = ["staker", "stranger", "developer"].map(actor) as [never, never, never];
  const [me, other, third] = [actor("staker").address, actor("stranger").address, actor("developer").address];
  yield [
    ask(staker, "hub", "deposit()", [], { value: 5_000_000n * NRLC + 7n }),
    ask(staker, "hub", "depositFor(address)", [other], { value: 3_000n * NRLC }),
    ask(
      staker,
      "hub",
      "depositForArray",
      [
        [4n, 6n],
        [other, third],
      ],
      { value: 12n * NRLC },
    ),
    ask(
      staker,
      "hub",
      "depositForArray",
      [
        [4n, 6n],
        [other, third],
      ],
      { value: 3n * NRLC, fails: true },
    ),
    ask(staker, "hub", "depositForArray", [[4n], [other, third]], { value: 30n * NRLC, fails: true }),
    ask(staker, "token", "approve", [HUB, 100n]),
    ask(staker, "hub", "deposit(uint256)", [10n]),
    ask(staker, "hub", "depositFor(address)", [ZERO_ADDRESS], { value: NRLC, fails: true }),
    ask(staker, "hub", "depositFor(uint256,address)", [10n, ZERO_ADDRESS], { fails: true }),
    ask(staker, "hub", "depositFor(uint256,address)", [10n, other]),
    ask(staker, "hub", "depositForArray", [
      [4n, 6n],
      [other, third],
    ]),
    ask(stranger, "hub", "receiveApproval", [me, 10n, TOKEN, "0x"]),
    ask(stranger, "hub", "receiveApproval", [me, 10n, HUB, "0x"], { fails: true }),
    ask(staker, "hub", "receiveApproval", [me, 10n, TOKEN, "0x"]),
    ask(staker, "hub", "deposit(uint256)", [1_000n], { fails: true }),
    { from: staker, to: HUB, data: "0x", value: 9n * NRLC, fails: false, fields: {} },
    { from: staker, to: HUB, data: "0x12345678", value: 0n, fails: true, fields: {} },
  ];
  yield [
    ask(staker, "hub", "withdraw", [1_000n]),
    ask(staker, "hub", "withdrawTo", [1_000n, other]),
    ask(staker, "hub", "withdrawTo", [1_000n, TOKEN], { fails: true }),
    ask(staker, "hub", "withdraw", [2n ** 255n], { fails: true }),
    ask(staker, "hub", "transfer", [other, 9n]),
    ask(staker, "hub", "transfer", [other, 2n ** 200n], { fails: true }),
    ask(staker, "hub", "approve", [other, 60n]),
    ask(staker, "hub", "approve", [ZERO_ADDRESS, 60n], { fails: true }),
    ask(staker, "hub", "increaseAllowance", [other, 9n]),
    ask(staker, "hub", "increaseAllowance", [other, 2n ** 256n - 1n], { fails: true }),
    ask(staker, "hub", "decreaseAllowance", [other, 10n]),
    ask(staker, "hub", "decreaseAllowance", [other, 1_000n], { fails: true }),
    ask(staker, "hub", "approveAndCall", [HUB, 9n, "0x"], { fails: true }),
    ask(stranger, "hub", "transferFrom", [me, third, 50n]),
    ask(stranger, "hub", "transferFrom", [me, third, 50n], { fails: true }),
  ];
  yield [
    ask(staker, "token", "transfer", [other, 9n]),
    ask(staker, "token", "transfer", [HUB, 11n]),
    ask(staker, "token", "transfer", [TOKEN, 11n], { fails: true }),
    ask(staker, "token", "approve", [other, 70n]),
    ask(stranger, "token", "transferFrom", [me, third, 60n]),
    ask(stranger, "token", "transferFrom", [me, third, 60n], { fails: true }),
    ask(staker, "token", "approveAndCall", [HUB, 10n, "0x"]),
    ask(staker, "token", "approveAndCall", [other, 10n, "0x"], { fails: true }),
    ask(developer, "hub", "deposit()", [], { value: 1_000n * NRLC }),
    // Too little gas: what a call costs is known before it.
    ask(staker, "hub", "withdraw", [1n], { fails: true, fields: { gasLimit: 60_000 } }),
  ];
}

/** What the hub's owner sets, and what nobody may. */
export async function* settings(stage: Stage): Story {
  const { ask } = stage;
  const [owner, heir] = [actor("owner"), actor("heir")];
  const eight = [TOKEN, "", "", 9, HUB, HUB, HUB, HUB];
  yield [
    ask(owner, "hub", "createCategory", ["golden", "seven seconds", 7n]),
    ask(owner, "hub", "createCategory", ["golden", "too long", 2n ** 60n], { fails: true }),
    ask(owner, "hub", "setCallbackGas", [123_456n]),
    ask(owner, "hub", "configure", eight, { fails: true }),
    ask(owner, "hub", "changeRegistries", [HUB, HUB, HUB], { fails: true }),
    ask(owner, "hub", "importScore", [heir.address], { fails: true }),
    ask(owner, "hub", "diamondCut", [[], heir.address, "0x"], { fails: true }),
    ask(heir, "hub", "updateDomainSeparator"),
    ask(owner, "hub", "recover"),
    ask(heir, "hub", "recover", [], { fails: true }),
    ask(heir, "hub", "setCallbackGas", [1n], { fails: true }),
    ask(heir, "hub", "transferOwnership", [heir.address], { fails: true }),
  ];
}

/** At the end: contracts change hands, and have no owner then. */
export async function* heritage(stage: Stage): Story {
  const { ask } = stage;
  const [owner, heir] = [actor("owner"), actor("heir")];
  for (const registry of ["hub", "apps", "datasets", "workerpools"] as const) {
    yield [
      ask(owner, registry, "transferOwnership", [heir.address]),
      ask(owner, registry, "renounceOwnership", [], { fails: true }),
      ask(heir, registry, "renounceOwnership"),
    ];
  }
}

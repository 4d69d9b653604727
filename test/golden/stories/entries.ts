import { type Address, ZERO_ADDRESS, ZERO_HASH } from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import { eventIn } from "../contracts.ts";
import { type Actor, actor, type Done, lower, type Stage, type Story } from "../stage.ts";

const CHECKSUM = keccak256(new Uint8Array([1]));
const KINDS = [
  ["apps", "app", "createApp", ["DOCKER", "0x2f697066732f61", CHECKSUM, "0x34"]],
  ["datasets", "dataset", "createDataset", ["0x2f697066732f64", CHECKSUM]],
  ["workerpools", "workerpool", "createWorkerpool", []],
] as const;
const INITIALIZE = {
  app: ["", "", "0x", ZERO_HASH, "0x"],
  dataset: ["", "0x", ZERO_HASH],
  workerpool: [""],
} as const;
const entryIn = (done: Done | undefined, registry: (typeof KINDS)[number][0]): Address => {
  const { tokenId } = eventIn<{ tokenId: bigint }>(done!.logs, registry, "Transfer");
  return `0x${tokenId.toString(16).padStart(40, "0")}`;
};

/** Registers apps, datasets and pools; entries change hands in each way that an ERC-721 has. */
export async function* entries(stage: Stage): Story {
  const { ask, known } = stage;
  const [developer, scheduler, owner, stranger] = ["developer", "scheduler", "owner", "stranger"].map(actor) as [
    Actor,
    Actor,
    Actor,
    Actor,
  ];
  for (const [registry, kind, create, fields] of KINDS) {
    const of = kind === "workerpool" ? scheduler : developer;
    const [first, second] = yield [
      ask(of, registry, create, [of.address, `${kind} one`, ...fields]),
      ask(stranger, registry, create, [of.address, `${kind} two`, ...fields]),
      ask(stranger, registry, create, [of.address, `${kind} two`, ...fields], { fails: true }),
      ask(stranger, registry, create, [ZERO_ADDRESS, `${kind}`, ...fields], { fails: true }),
    ];
    const entry = entryIn(first, registry);
    const other = entryIn(second, registry);
    known.entries.push(entry, other);
    if (kind === "workerpool") known.pool = entry;
    else known[kind] = entry;
    const id = BigInt(other);
    const move = (from: Actor, fn: string, by: Actor, to: Actor, more: unknown[] = [], fails = false) =>
      ask(by, registry, fn, [from.address, to.address, id, ...more], { fails });
    yield [
      ask(of, registry, "approve", [stranger.address, id]),
      ask(stranger, registry, "approve", [stranger.address, BigInt(entry)], { fails: true }),
      ask(of, registry, "setApprovalForAll", [stranger.address, true]),
      ask(of, registry, "setApprovalForAll", [ZERO_ADDRESS, true], { fails: true }),
      move(of, "transferFrom", stranger, owner),
      move(of, "transferFrom", stranger, owner, [], true),
      move(owner, "safeTransferFrom(address,address,uint256)", owner, stranger),
      move(stranger, "safeTransferFrom(address,address,uint256,bytes)", stranger, of, ["0x12"]),
      move(stranger, "safeTransferFrom(address,address,uint256)", owner, of, [], true),
      move(stranger, "safeTransferFrom(address,address,uint256,bytes)", owner, of, ["0x12"], true),
      ask(of, registry, "setApprovalForAll", [stranger.address, false]),
      ask(owner, registry, "setBaseURI", [`https://${kind}/`]),
      ask(stranger, registry, "setBaseURI", ["https://other/"], { fails: true }),
      ask(owner, registry, "setName", [ZERO_ADDRESS, "x"], { fails: true }),
      ask(owner, registry, "initialize", [ZERO_ADDRESS], { fails: true }),
      ask(owner, registry, "transferOwnership", [ZERO_ADDRESS], { fails: true }),
      ask(of, [kind, entry], "initialize", INITIALIZE[kind], { fails: true }),
      ask(of, [kind, entry], "setName", [ZERO_ADDRESS, "x"], { fails: true }),
    ];
  }
  yield [
    ask(scheduler, ["workerpool", known.pool!], "changePolicy", [35n, 5n]),
    ask(scheduler, ["workerpool", known.pool!], "changePolicy", [35n, 101n], { fails: true }),
    ask(developer, "market", "offer", [known.app!, 100n, ZERO_HASH, true]),
    ask(developer, "market", "offer", [known.dataset!, 7n, ZERO_HASH, true]),
    ask(developer, "market", "offer", [known.dataset!, 2n ** 255n, ZERO_HASH, true], { fails: true }),
  ];
}

/** A group of accounts that restrictions name. */
export async function* groups(stage: Stage): Story {
  const { ask, known } = stage;
  const [requester, developer, heir] = [actor("requester"), actor("developer"), actor("heir")];
  const members = ["p0", "p1", "p2"].map((name) => actor(name).address);
  const [made] = yield [
    ask(developer, "market", "createGroup", [[...members, heir.address]]),
    ask(developer, "market", "createGroup", [[]]),
  ];
  const { group } = eventIn<{ group: Address }>(made!.logs, "market", "GroupCreated");
  known.group = lower(group);
  const at = ["group", known.group] as const;
  yield [
    ask(developer, at, "addMembers", [[requester.address, heir.address]]),
    ask(developer, at, "removeMembers", [[heir.address]]),
    ask(heir, at, "addMembers", [[heir.address]], { fails: true }),
    ask(heir, at, "removeMembers", [[heir.address]], { fails: true }),
    ask(developer, at, "transferOwnership", [ZERO_ADDRESS], { fails: true }),
    ask(developer, at, "transferOwnership", [requester.address]),
    ask(developer, at, "addMembers", [[heir.address]], { fails: true }),
  ];
}

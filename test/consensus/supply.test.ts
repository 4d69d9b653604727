import fc from "fast-check";
import t from "tap";
import { hashHeader } from "../../chain/header.ts";
import { ONLY } from "../../chain/records.ts";
import type { State } from "../../chain/state.ts";
import { signTransaction } from "../../chain/transaction.ts";
import { proposalEvidence } from "../../consensus/evidence.ts";
import { bondsBurned, reserve } from "../../consensus/records.ts";
import type { Address } from "../../lib/bytes.ts";
import { signCompact } from "../../lib/secp256k1.ts";
import { abiFunction } from "../../vm/abi.ts";
import {
  APP_REGISTRY,
  DATASET_REGISTRY,
  HUB,
  MARKET,
  TOKEN,
  VALIDATORS,
  WORKERPOOL_REGISTRY,
} from "../../vm/addresses.ts";
import { burnedTotal } from "../../vm/market/burned.ts";
import { VALIDATORS_ABI, validators } from "../../vm/validators.ts";
import { accountOf, createTestNetwork } from "../helpers/chain.ts";
import { EASY_WORK, mineShare } from "../helpers/mining.ts";

t.setTimeout(240_000);

const users = ["alice", "bob", "carol"].map(accountOf);
const SYSTEM: readonly Address[] = [
  VALIDATORS,
  HUB,
  APP_REGISTRY,
  DATASET_REGISTRY,
  WORKERPOOL_REGISTRY,
  TOKEN,
  MARKET,
];
const bond = abiFunction(VALIDATORS_ABI[1]);

/** What may happen in a slot. */
const action = fc.oneof(
  fc.record({
    kind: fc.constant("transfer" as const),
    from: fc.nat(2),
    to: fc.nat(2),
    milli: fc.nat(5_000),
    tip: fc.nat(5),
  }),
  fc.record({ kind: fc.constant("bond" as const), from: fc.nat(2), milli: fc.integer({ min: 1, max: 5_000 }) }),
  fc.record({ kind: fc.constant("mine" as const), by: fc.nat(3) }),
  fc.record({ kind: fc.constant("silence" as const), who: fc.nat(3), slots: fc.integer({ min: 1, max: 24 }) }),
  fc.record({ kind: fc.constant("twin" as const) }),
  fc.record({ kind: fc.constant("wait" as const), slots: fc.integer({ min: 1, max: 12 }) }),
);

t.test("whatever happens, what exists is what was, with what was issued and without what was burned", async (t) => {
  const check = await fc.check(
    fc.asyncProperty(fc.array(action, { minLength: 6, maxLength: 14 }), async (actions) => {
      const network = await createTestNetwork(
        4,
        users.map((user) => user.address),
        EASY_WORK,
      );
      const { nodes, keys, genesis, run } = network;
      const { engine } = nodes[0]!;
      const everyone = [...SYSTEM, ...users.map((user) => user.address), ...keys.map((each) => each.address)];
      const supply = (state: State) => everyone.reduce((sum, address) => sum + state.balance(address), 0n);
      const state = () => engine.stateOf(engine.head());
      const before = supply(engine.stateOf(engine.store.block(engine.genesisHash)!));
      const nonces = users.map(() => 0);
      const send = (from: number, to: Address, value: bigint, data: Uint8Array, tip = 1n) => {
        const tx = signTransaction(
          {
            type: 2,
            chainId: genesis.chainId,
            nonce: nonces[from]!,
            maxPriorityFeePerGas: tip * 10n ** 9n,
            maxFeePerGas: 10n ** 11n,
            gasLimit: 300_000,
            to,
            value,
            data,
            accessList: [],
          },
          users[from]!.key,
        );
        for (const node of nodes) node.engine.addTransaction(tx.raw);
        nonces[from]! += 1;
      };
      await run(4);
      for (const each of actions) {
        let offline = new Set<number>();
        let slots = 1;
        if (each.kind === "transfer")
          send(
            each.from,
            users[each.to]!.address,
            BigInt(each.milli) * 10n ** 15n,
            new Uint8Array(0),
            BigInt(each.tip),
          );
        else if (each.kind === "bond")
          send(each.from, VALIDATORS, BigInt(each.milli) * 10n ** 15n, bond.encode(keys[0]!.address));
        else if (each.kind === "mine") {
          const share = mineShare(engine, { beneficiary: keys[each.by]!.address });
          for (const node of nodes) await node.engine.addShare(share).catch(() => undefined);
        } else if (each.kind === "silence") {
          offline = new Set([each.who, (each.who + 1) % 4]);
          slots = each.slots;
        } else if (each.kind === "twin") {
          const { header, signature } = engine.head();
          const twin = { ...header, extraData: Uint8Array.of(1) };
          const key = keys.find(({ address }) => address === header.beneficiary)!;
          const evidence = proposalEvidence(
            { header, signature },
            { header: twin, signature: signCompact(hashHeader(twin), key.secp) },
          );
          for (const node of nodes)
            try {
              node.engine.addEvidence(evidence);
            } catch {
              // Jailed already.
            }
        } else slots = each.slots;
        await run(slots, offline);
      }
      await run(8);
      const baseFees = Array.from({ length: engine.head().header.number }, (_, i) => {
        const { header } = engine.store.block(engine.store.canonical(i + 1)!)!;
        return header.baseFeePerGas * BigInt(header.gasUsed);
      }).reduce((sum, fee) => sum + fee, 0n);
      const now = state();
      const burned = baseFees + (bondsBurned.get(now, ONLY) ?? 0n) + burnedTotal(now);
      const bonds = validators.all(now).reduce((sum, validator) => sum + validator.bond, 0n);
      for (const node of nodes) await node.engine.stop();
      // The reserve and the bonds lie in one account: what leaves the reserve is issued, and nothing else is in it.
      return supply(now) === before - burned && now.balance(VALIDATORS) === bonds + reserve.get(now, ONLY)!;
    }),
    { numRuns: Number(process.env.ROLEC_RUNS ?? 8), seed: 20_261_126 },
  );
  t.notOk(check.failed, fc.defaultReportMessage(check) ?? "holds");
});

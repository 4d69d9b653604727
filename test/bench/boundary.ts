/**
 * Measures what an epoch's and an era's boundary cost with many validators, and a certificate of all of them:
 * `node test/bench/boundary.ts [validators=1024] [rounds=9]`. Prints medians in milliseconds.
 */
import { memoryDb } from "../../chain/db.ts";
import { timestampOf } from "../../chain/params.ts";
import { openState } from "../../chain/state.ts";
import { crossBoundaries } from "../../consensus/epochs.ts";
import { bitmapOf, includeCertificate, voteMessage } from "../../consensus/finality.ts";
import { buildGenesis } from "../../consensus/genesis-state.ts";
import { checkpoints, tallies } from "../../consensus/records.ts";
import { blsAggregate, blsSign } from "../../lib/bls.ts";
import { ZERO_ADDRESS } from "../../lib/bytes.ts";
import { validators } from "../../vm/validator-store.ts";
import { testGenesis } from "../helpers/chain.ts";

const count = Number(process.argv[2] ?? 1_024);
const rounds = Number(process.argv[3] ?? 9);
const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1]!;

const { genesis, keys } = testGenesis(count);
const db = memoryDb();
const first = buildGenesis(genesis, openState(db));
await db.batch([...first.ops], false);
const { header, hash } = first.block;

/** Everybody has voted in every epoch, and has earned and burned something of each resource. */
const everybody = new Uint8Array(Math.ceil(count / 8)).fill(255);
const busy = openState(db, header.stateRoot);
for (const validator of validators.all(busy))
  validators.set(busy, {
    ...validator,
    workCredit: 10n ** 12n + BigInt(validator.index),
    contributionCredit: 10n ** 19n + BigInt(validator.index),
    pendingContribution: 10n ** 17n,
  });
for (let epoch = 0; epoch < genesis.params.epochsPerEra; epoch++)
  tallies.set(busy, epoch, { held: true, inclusions: [{ includer: ZERO_ADDRESS, bits: everybody }] });
const { root, ops } = busy.commit();
await db.batch([...ops], false);

const timed = (slot: number, parent = header, from = root): number[] => {
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const state = openState(db, from);
    const start = performance.now();
    crossBoundaries(state, genesis, parent, hash, slot);
    const crossed = performance.now();
    state.commit();
    times.push(crossed - start);
    written.push(performance.now() - crossed);
  }
  return times;
};
const written: number[] = [];
const { slotsPerEpoch, epochsPerEra } = genesis.params;
const none = median(timed(1));
written.length = 0;
const epoch = median(timed((genesis.params.inclusionEpochs + 1) * slotsPerEpoch));
// The last block of the era, as the chain comes to it: every epoch that is not open is closed.
const lastSlot = epochsPerEra * slotsPerEpoch - 1;
const late = openState(db, root);
crossBoundaries(late, genesis, header, hash, lastSlot);
const { root: lateRoot, ops: lateOps } = late.commit();
await db.batch([...lateOps], false);
written.length = 0;
const last = { ...header, number: 1, timestamp: timestampOf(genesis, lastSlot) };
const era = median(timed(lastSlot + 1, last, lateRoot));
console.log(`${count} validators: no boundary ${none.toFixed(1)} ms`);
console.log(`an epoch closed ${epoch.toFixed(1)} ms; an era's boundary, with its epoch closed ${era.toFixed(1)} ms`);
console.log(`hashing what they changed ${median(written).toFixed(1)} ms`);

const state = openState(db, header.stateRoot);
crossBoundaries(state, genesis, header, hash, slotsPerEpoch + 1);
const { sourceEpoch, sourceHash, hash: targetHash } = checkpoints.get(state, 1)!;
const link = { sourceEpoch, sourceHash, targetEpoch: 1, targetHash };
const message = voteMessage(hash, link);
const signature = blsAggregate(keys.map((key) => blsSign(key.bls, message)));
const bitmap = bitmapOf(keys.keys(), count);
const times: number[] = [];
for (let i = 0; i < rounds; i++) {
  const before = state.snapshot();
  const start = performance.now();
  includeCertificate(state, hash, 0, ZERO_ADDRESS, { ...link, bitmap, signature });
  times.push(performance.now() - start);
  state.revert(before);
}
console.log(`a certificate of all: first ${times[0]!.toFixed(1)} ms, then ${median(times.slice(1)).toFixed(1)} ms`);

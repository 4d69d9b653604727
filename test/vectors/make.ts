/**
 * Makes the consensus vectors: `node test/vectors/make.ts` writes consensus.json beside it. Another implementation that starts
 * from `genesis` and imports `blocks` in order, whenever their slots have come, has to come to the same states.
 */
import { RLC } from "../../lib/units.ts";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ONLY } from "../../chain/records.ts";
import { bondsBurned, finality, reserve } from "../../consensus/records.ts";
import { type Block, encodeBlock } from "../../chain/block.ts";
import { hashHeader } from "../../chain/header.ts";
import { epochOf, slotOf } from "../../chain/params.ts";
import { signTransaction } from "../../chain/transaction.ts";
import { encodeEvidence } from "../../consensus/evidence.ts";
import { voteMessage } from "../../consensus/finality.ts";
import { epochSeed, randaoMessage } from "../../consensus/proposer.ts";
import { sealHash } from "../../consensus/shares.ts";
import { toHex } from "../../lib/bytes.ts";
import { signCompact } from "../../lib/secp256k1.ts";
import { validators } from "../../vm/validator-store.ts";
import { accountOf, createTestNetwork, testGenesis } from "../helpers/chain.ts";
import { EASY_WORK, mineShare } from "../helpers/mining.ts";

const alice = accountOf("alice");
const bob = accountOf("bob");
const SLOTS = 40;
/** Slots in which a validator's second block is shown, and in which a share is mined. */
const TWIN_SLOT = 21;
const isMined = (slot: number): boolean => slot % 5 === 1 && slot < 30;

/** Runs a chain in which each rule has something to do, and writes down what comes of it. */
export const makeVectors = async () => {
  const params = { ...EASY_WORK, workFloorHashes: "64" };
  const { nodes, run, keys, genesis } = await createTestNetwork(4, [alice.address], params);
  const { document } = testGenesis(4, [alice.address], params);
  const { engine } = nodes[0]!;
  const transfer = (nonce: number) =>
    signTransaction(
      {
        type: 2,
        chainId: genesis.chainId,
        nonce,
        maxPriorityFeePerGas: 10n ** 9n,
        maxFeePerGas: 10n ** 10n,
        gasLimit: 21_000,
        to: bob.address,
        value: RLC,
        data: new Uint8Array(0),
        accessList: [],
      },
      alice.key,
    );
  let sent = 0;
  let evidence: string | undefined;
  for (let slot = 1; slot <= SLOTS; slot++) {
    if (isMined(slot)) {
      const state = engine.stateOf(engine.head());
      const inTurn = keys.map((_, i) => keys[(slot + i) % 4]!.address);
      const beneficiary = inTurn.find((address) => validators.find(state, address)?.slashedEpoch === undefined)!;
      const share = mineShare(engine, { beneficiary });
      for (const node of nodes) await node.engine.addShare(share);
    }
    if (slot % 7 === 2) for (const node of nodes) node.engine.addTransaction(transfer(sent).raw);
    if (slot % 7 === 2) sent += 1;
    await run(1, slot > 30 && slot < 34 ? new Set([1]) : new Set());
    if (slot === TWIN_SLOT) {
      await engine.importBlock(twinOf(engine.head(), keys));
      evidence = toHex(encodeEvidence(engine.evidence()[0]!));
    }
  }
  const blocks = Array.from({ length: engine.head().header.number }, (_, i) => {
    const block = engine.store.block(engine.store.canonical(i + 1)!)!;
    return describe(block);
  });
  const [vote] = engine.votes.all();
  const share = mineShare(engine, { beneficiary: keys[0]!.address });
  const made = {
    description: "A chain of four validators: transfers, work shares, votes, a double proposal and its slashing, an era's end",
    genesis: document,
    genesisHash: engine.genesisHash,
    messages: {
      vote: { link: vote!.link, bytes: toHex(voteMessage(engine.genesisHash, vote!.link)) },
      reveal: { slot: 7, bytes: toHex(randaoMessage(engine.genesisHash, 7)) },
      seed: { epoch: 3, anchorMix: engine.chain.genesisMix, seed: epochSeed(3, engine.chain.genesisMix) },
      seal: { anchorHash: share.anchorHash, beneficiary: share.beneficiary, extraNonce: share.extraNonce, seal: sealHash(engine.genesisHash, share) },
      evidence,
    },
    blocks,
  };
  for (const node of nodes) await node.engine.stop();
  return made;

  function describe(block: Block) {
    const state = engine.stateOf(block);
    const slot = slotOf(genesis, block.header.timestamp);
    const { justifiedEpoch, finalizedEpoch } = finality.get(state, ONLY)!;
    return {
      number: block.header.number,
      slot,
      epoch: epochOf(genesis, slot),
      hash: block.hash,
      stateRoot: block.header.stateRoot,
      validatorsRoot: block.header.validatorsRoot,
      difficulty: block.header.difficulty.toString(),
      justifiedEpoch,
      finalizedEpoch,
      reserve: reserve.get(state, ONLY)!.toString(),
      bondsBurned: (bondsBurned.get(state, ONLY) ?? 0n).toString(),
      set: validators.activeSet(state).map(({ index, power, votePower }) => ({
        index,
        power: power.toString(),
        votePower: votePower.toString(),
      })),
      validators: validators.all(state).map((each) => ({
        bond: each.bond.toString(),
        workCredit: each.workCredit.toString(),
        inactivityScore: each.inactivityScore,
        slashedEpoch: each.slashedEpoch ?? null,
      })),
      encoded: toHex(encodeBlock(block)),
    };
  }
};

/** Another block of a slot by its proposer. */
const twinOf = (block: Block, keys: readonly { address: string; secp: `0x${string}` }[]): Block => {
  const header = { ...block.header, extraData: Uint8Array.of(1) };
  const hash = hashHeader(header);
  const key = keys.find((each) => each.address === header.beneficiary)!;
  return { ...block, header, hash, signature: signCompact(hash, key.secp) };
};

if (import.meta.main) {
  const path = join(import.meta.dirname, "consensus.json");
  writeFileSync(path, `${JSON.stringify(await makeVectors(), null, 1)}\n`);
  console.log(path);
}

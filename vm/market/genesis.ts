import type { Genesis } from "../../chain/params.ts";
import type { State } from "../../chain/state.ts";
import { ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import { NRLC } from "../../lib/units.ts";
import { APP_REGISTRY, DATASET_REGISTRY, HUB, MARKET, SYSTEM_CODE, TOKEN, WORKERPOOL_REGISTRY } from "../addresses.ts";
import type { BlockContext } from "../natives.ts";
import { addCategory } from "./category.ts";
import type { Env } from "./env.ts";
import { mint } from "./escrow.ts";
import { setGenesisOwner } from "./owner.ts";
import { setGenesisPool, setPool } from "./pool.ts";
import { workerpools } from "./registry.ts";
import { addSlot } from "./slot.ts";

/** The block that genesis' records are written in. */
const genesisBlock = (genesis: Genesis): BlockContext => ({
  number: 0,
  timestamp: genesis.genesisTime,
  slot: 0,
  epoch: 0,
  era: 0,
  mixHash: genesis.extraData,
  beneficiary: ZERO_ADDRESS,
  baseFee: genesis.params.initialBaseFeeWei,
  gasLimit: genesis.params.gasLimit,
  chainId: genesis.chainId,
  genesisHash: ZERO_HASH,
  params: genesis.params,
  finalizedEpoch: 0,
});

/**
 * Writes the market of genesis: codes of the system accounts, the hub's owner, categories, the public pool with its slots,
 * and the hub stake of 0x…1006, which iExec's SDK asks of a pool's owner and nobody can withdraw.
 */
export const marketGenesis = (state: State, genesis: Genesis): void => {
  for (const address of [HUB, APP_REGISTRY, DATASET_REGISTRY, WORKERPOOL_REGISTRY, TOKEN, MARKET])
    state.setCode(address, SYSTEM_CODE);
  setGenesisOwner(state, genesis.hubOwner);
  for (const category of genesis.categories) addCategory(state, category);

  const env: Env = { state, block: genesisBlock(genesis), log: () => {} };
  if (genesis.marketHubStakeNrlc > 0n) {
    state.credit(HUB, genesis.marketHubStakeNrlc * NRLC);
    mint(env, MARKET, genesis.marketHubStakeNrlc);
  }
  // The chain is no scheduler: nothing of what workers earn goes to the pool's owner.
  const pool = workerpools.create(env, MARKET, {
    description: genesis.poolDescription,
    workerStakeRatio: genesis.params.poolStakeRatioPercent,
    schedulerRewardRatio: 0n,
  });
  setPool(state, pool, {
    length: 0,
    drawable: 0,
    isGenesis: true,
    workerRestrict: ZERO_ADDRESS,
    requesterRestrict: ZERO_ADDRESS,
  });
  setGenesisPool(state, pool);
  const stake = genesis.params.slotStakeNrlc * NRLC;
  for (const { worker, validator, count } of genesis.slots)
    for (let i = 0; i < count; i++) {
      state.credit(MARKET, stake);
      addSlot(env, { pool, worker, staker: worker, validator, stake });
    }
};

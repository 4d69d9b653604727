import type { Block } from "../chain/block.ts";
import { epochOf, eraOf, slotOf } from "../chain/params.ts";
import type { Address } from "../lib/bytes.ts";
import { isJailed, type Validator, validators } from "../vm/validators.ts";
import { auditEra, FUND_BLOCKS } from "./audit.ts";
import type { ChainView } from "./chain-view.ts";
import { type Methods, method } from "./dispatch.ts";
import { CLIENT_VERSION, type NetworkPort } from "./net.ts";
import { address, blockId, count, LATEST, optional } from "./values.ts";

/** Writes what has bigints in it: an amount is a decimal string, in the unit its name says. */
const plain = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_, item) => (typeof item === "bigint" ? item.toString() : item)));

/** What a validator takes in an answer, about. */
const VALIDATOR_BYTES = 1_024;
/** Validators that are read and written in one turn. */
const PER_TURN = 32;

const atLatest = optional(blockId, LATEST);

/** Methods of rolec's own: numbers are numbers, amounts are decimal strings. */
export const rolecMethods = (view: ChainView, network: NetworkPort | undefined): Methods => {
  const { engine } = view;
  const { genesis } = engine.chain;
  const placeOf = ({ hash, header }: Block) => {
    const slot = slotOf(genesis, header.timestamp);
    const epoch = epochOf(genesis, slot);
    return { number: header.number, hash, timestamp: header.timestamp, slot, epoch, era: eraOf(genesis, epoch) };
  };
  const validatorJson = (validator: Validator, block: Block, powers: ReturnType<typeof powersOf>) => {
    const { bond, workCredit, contributionCredit, pendingContribution, ...rest } = validator;
    const member = powers.get(validator.index);
    const context = view.context(block);
    return {
      ...rest,
      exitEpoch: rest.exitEpoch ?? null,
      unbondingEpoch: rest.unbondingEpoch ?? null,
      slashedEpoch: rest.slashedEpoch ?? null,
      isActive: member !== undefined,
      isJailed: isJailed(validator, context.epoch, context.params.evidenceEpochs),
      power: member?.power ?? 0n,
      votePower: member?.votePower ?? 0n,
      bondWei: bond,
      workCreditHashes: workCredit,
      contributionCreditWei: contributionCredit,
      pendingContributionWei: pendingContribution,
    };
  };
  const powersOf = (block: Block) =>
    new Map(validators.activeSet(view.state(block)).map((member) => [member.index, member]));

  return {
    rolec_validators: method([atLatest], async ([id], { turn, hold }) => {
      const block = view.blockOrFail(id);
      const state = view.state(block);
      hold(VALIDATOR_BYTES * validators.count(state));
      const powers = powersOf(block);
      const written: unknown[] = [];
      for (let index = 0; index < validators.count(state); index++) {
        if (index % PER_TURN === 0) await turn();
        written.push(plain(validatorJson(validators.get(state, index)!, block, powers)));
      }
      return written;
    }),
    // The active set's power, beside the credits as they stand now: work in hashes, contribution and stake in wei.
    rolec_power: method([atLatest], async ([id], { turn, hold }) => {
      const block = view.blockOrFail(id);
      const state = view.state(block);
      hold(VALIDATOR_BYTES * validators.count(state));
      const written: unknown[] = [];
      for (const { index, power, votePower } of validators.activeSet(state)) {
        if (written.length % PER_TURN === 0) await turn();
        const validator = validators.get(state, index)!;
        const contribution = validator.contributionCredit + validator.pendingContribution;
        const { address: of, workCredit: work, bond: stake } = validator;
        written.push(plain({ validator: of, work, contribution, stake, power, votePower }));
      }
      return written;
    }),
    rolec_finality: method([], () => ({
      head: placeOf(view.head()),
      justified: engine.justified(),
      finalized: engine.finalized(),
    })),
    rolec_network: method([], () => ({
      chainId: genesis.chainId,
      genesisHash: engine.genesisHash,
      clientVersion: CLIENT_VERSION,
      multiaddrs: network?.multiaddrs() ?? [],
      peers: plain(network?.peers() ?? []),
    })),
    rolec_audit: method([optional(count, undefined), optional(count, FUND_BLOCKS)], ([era, fundBlocks], call) =>
      auditEra(view, era, fundBlocks, call),
    ),
    rolec_genesis: method([], () => plain(genesis)),
    rolec_account: method([address, atLatest], ([of, id]) => {
      const block = view.blockOrFail(id);
      const state = view.state(block);
      const validator = validators.find(state, of as Address);
      return plain({
        address: of,
        nonce: state.nonce(of),
        balanceWei: state.balance(of),
        isContract: state.code(of).length > 0,
        validator: validator ? validatorJson(validator, block, powersOf(block)) : null,
      });
    }),
  };
};

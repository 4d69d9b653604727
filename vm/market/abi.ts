import type { Hex } from "../../lib/bytes.ts";
import { type AbiEvent, type AbiFunction, type AbiValue, abiEvent, abiFunction } from "../abi.ts";
import type { CallContext, NativeMethod } from "../natives.ts";
import { customError } from "../revert.ts";
import { APP_ORDER, DATASET_ORDER, REQUEST_ORDER, WORKERPOOL_ORDER } from "./order.ts";

/** Fields of a deal as PoCo shows it. */
const RESOURCE = "(address pointer, address owner, uint256 price)";
const DEAL = `(${RESOURCE} app, ${RESOURCE} dataset, ${RESOURCE} workerpool, uint256 trust, uint256 category, bytes32 tag, address requester, address beneficiary, address callback, string params, uint256 startTime, uint256 botFirst, uint256 botSize, uint256 workerStake, uint256 schedulerRewardRatio, address sponsor)`;
const TASK =
  "(uint8 status, bytes32 dealid, uint256 idx, uint256 timeref, uint256 contributionDeadline, uint256 revealDeadline, uint256 finalDeadline, bytes32 consensusValue, uint256 revealCounter, uint256 winnerCounter, address[] contributors, bytes32 resultDigest, bytes results, uint256 resultsTimestamp, bytes resultsCallback)";
/** A one-call job (spec section 10). */
export const JOB =
  "(uint8 version, address pool, address app, address dataset, string params, uint256 category, uint256 gasLimit, uint256 trust, uint256 volume, bytes32 tag, address beneficiary, address callback, bytes ext)";
const SEAT =
  "(uint256 slot, address worker, address validator, uint8 status, uint8 round, bytes32 resultHash, bytes32 resultSeal, bytes32 itemsRoot)";
/** A lot; statuses as in lot.ts, times in seconds, `id` is the task id of its first task. */
export const LOT = `(bytes32 id, bytes32 dealid, uint256 index, uint256 first, uint256 count, address pool, uint8 status, uint8 round, uint256 drawTime, uint256 roundEnd, uint256 revealDeadline, uint256 finalDeadline, uint256 declines, bytes32 consensus, bytes32 digest, uint256 gasUsed, bytes receipt, ${SEAT}[] seats)`;

const ORDERS = `${APP_ORDER.tuple} appOrder, ${DATASET_ORDER.tuple} datasetOrder, ${WORKERPOOL_ORDER.tuple} workerpoolOrder, ${REQUEST_ORDER.tuple} requestOrder`;

/** 0x…1001: iExec PoCo's hub, in token mode and in native mode. Amounts in nRLC. */
export const HUB_ABI = [
  // stake, as an ERC-20
  "function deposit() payable returns (bool)",
  "function deposit(uint256 amount) returns (bool)",
  "function depositFor(address target) payable returns (bool)",
  "function depositFor(uint256 amount, address target) returns (bool)",
  "function depositForArray(uint256[] amounts, address[] targets) payable returns (bool)",
  "function withdraw(uint256 amount) returns (bool)",
  "function withdrawTo(uint256 amount, address target) returns (bool)",
  "function recover() returns (uint256)",
  "function receiveApproval(address sender, uint256 amount, address token, bytes data) returns (bool)",
  "function transfer(address recipient, uint256 amount) returns (bool)",
  "function transferFrom(address sender, address recipient, uint256 amount) returns (bool)",
  "function approve(address spender, uint256 value) returns (bool)",
  "function approveAndCall(address spender, uint256 value, bytes extraData) returns (bool)",
  "function increaseAllowance(address spender, uint256 addedValue) returns (bool)",
  "function decreaseAllowance(address spender, uint256 subtractedValue) returns (bool)",
  "function allowance(address account, address spender) view returns (uint256)",
  "function balanceOf(address account) view returns (uint256)",
  "function frozenOf(address account) view returns (uint256)",
  "function totalSupply() view returns (uint256)",
  "function name() view returns (string)",
  "function symbol() view returns (string)",
  "function decimals() view returns (uint8)",
  "function token() view returns (address)",
  "function viewAccount(address account) view returns ((uint256 stake, uint256 locked))",
  // orders
  `function manageAppOrder(${APP_ORDER.operationTuple} operation)`,
  `function manageDatasetOrder(${DATASET_ORDER.operationTuple} operation)`,
  `function manageWorkerpoolOrder(${WORKERPOOL_ORDER.operationTuple} operation)`,
  `function manageRequestOrder(${REQUEST_ORDER.operationTuple} operation)`,
  `function broadcastAppOrder(${APP_ORDER.tuple} order)`,
  `function broadcastDatasetOrder(${DATASET_ORDER.tuple} order)`,
  `function broadcastWorkerpoolOrder(${WORKERPOOL_ORDER.tuple} order)`,
  `function broadcastRequestOrder(${REQUEST_ORDER.tuple} order)`,
  "function verifySignature(address identity, bytes32 hash, bytes signature) view returns (bool)",
  "function verifyPresignature(address identity, bytes32 hash) view returns (bool)",
  "function verifyPresignatureOrSignature(address identity, bytes32 hash, bytes signature) view returns (bool)",
  "function viewConsumed(bytes32 id) view returns (uint256 consumed)",
  "function viewPresigned(bytes32 id) view returns (address signer)",
  "function domain() view returns ((string name, string version, uint256 chainId, address verifyingContract))",
  "function eip712domain_separator() view returns (bytes32)",
  "function updateDomainSeparator()",
  // deals
  `function matchOrders(${ORDERS}) returns (bytes32)`,
  `function sponsorMatchOrders(${ORDERS}) returns (bytes32)`,
  `function computeDealVolume(${ORDERS}) view returns (uint256)`,
  `function assertDatasetDealCompatibility(${DATASET_ORDER.tuple} datasetOrder, bytes32 dealId) view`,
  `function viewDeal(bytes32 id) view returns (${DEAL})`,
  // tasks
  "function initialize(bytes32 dealId, uint256 index) returns (bytes32)",
  "function initializeArray(bytes32[] dealIds, uint256[] indexes) returns (bool)",
  "function contribute(bytes32 taskId, bytes32 resultHash, bytes32 resultSeal, address enclaveChallenge, bytes enclaveSign, bytes authorizationSign)",
  "function contributeAndFinalize(bytes32 taskId, bytes32 resultDigest, bytes results, bytes resultsCallback, address enclaveChallenge, bytes enclaveSign, bytes authorizationSign)",
  "function reveal(bytes32 taskId, bytes32 resultDigest)",
  "function reopen(bytes32 taskId)",
  "function finalize(bytes32 taskId, bytes results, bytes resultsCallback)",
  "function claim(bytes32 taskId)",
  "function claimArray(bytes32[] taskIds) returns (bool)",
  "function initializeAndClaimArray(bytes32[] dealIds, uint256[] indexes) returns (bool)",
  `function viewTask(bytes32 id) view returns (${TASK})`,
  "function viewContribution(bytes32 taskid, address worker) view returns ((uint8 status, bytes32 resultHash, bytes32 resultSeal, address enclaveChallenge, uint256 weight))",
  "function viewScore(address worker) view returns (uint256)",
  "function resultFor(bytes32 id) view returns (bytes)",
  // entries, categories and settings
  "function viewApp(address app) view returns ((address owner, string m_appName, string m_appType, bytes m_appMultiaddr, bytes32 m_appChecksum, bytes m_appMREnclave))",
  "function viewDataset(address dataset) view returns ((address owner, string m_datasetName, bytes m_datasetMultiaddr, bytes32 m_datasetChecksum))",
  "function viewWorkerpool(address workerpool) view returns ((address owner, string m_workerpoolDescription, uint256 m_workerStakeRatioPolicy, uint256 m_schedulerRewardRatioPolicy))",
  "function createCategory(string name, string description, uint256 workClockTimeRef) returns (uint256)",
  "function countCategory() view returns (uint256)",
  "function viewCategory(uint256 catid) view returns ((string name, string description, uint256 workClockTimeRef))",
  "function appregistry() view returns (address)",
  "function datasetregistry() view returns (address)",
  "function workerpoolregistry() view returns (address)",
  "function contribution_deadline_ratio() view returns (uint256)",
  "function reveal_deadline_ratio() view returns (uint256)",
  "function final_deadline_ratio() view returns (uint256)",
  "function workerpool_stake_ratio() view returns (uint256)",
  "function kitty_ratio() view returns (uint256)",
  "function kitty_min() view returns (uint256)",
  "function kitty_address() view returns (address)",
  "function groupmember_purpose() view returns (uint256)",
  "function teebroker() view returns (address)",
  "function callbackgas() view returns (uint256)",
  "function setTeeBroker(address broker)",
  "function setCallbackGas(uint256 gas)",
  "function importScore(address worker)",
  "function configure(address token, string name, string symbol, uint8 decimal, address appregistry, address datasetregistry, address workerpoolregistry, address v3_iexecHub)",
  "function changeRegistries(address appregistry, address datasetregistry, address workerpoolregistry)",
  "function owner() view returns (address)",
  "function transferOwnership(address newOwner)",
  "function renounceOwnership()",
  // views of old middleware
  "function viewAccountABILegacy(address user) view returns (uint256, uint256)",
  "function viewCategoryABILegacy(uint256 catid) view returns (string, string, uint256)",
  "function viewConfigABILegacy(bytes32 id) view returns (uint256, uint256, uint256, uint256, uint256, uint256)",
  "function viewContributionABILegacy(bytes32 taskid, address worker) view returns (uint8, bytes32, bytes32, address)",
  "function viewDealABILegacy_pt1(bytes32 id) view returns (address, address, uint256, address, address, uint256, address, address, uint256)",
  "function viewDealABILegacy_pt2(bytes32 id) view returns (uint256, bytes32, address, address, address, string)",
  "function viewTaskABILegacy(bytes32 taskid) view returns (uint8, bytes32, uint256, uint256, uint256, uint256, uint256, bytes32, uint256, uint256, address[], bytes)",
  // the diamond that the hub looks like
  "function diamondCut((address facetAddress, uint8 action, bytes4[] functionSelectors)[] cut, address init, bytes data)",
  "function facets() view returns ((address facetAddress, bytes4[] functionSelectors)[])",
  "function facetFunctionSelectors(address facet) view returns (bytes4[])",
  "function facetAddresses() view returns (address[])",
  "function facetAddress(bytes4 selector) view returns (address)",
  "function supportsInterface(bytes4 interfaceId) view returns (bool)",
  "event Transfer(address indexed from, address indexed to, uint256 value)",
  "event Approval(address indexed owner, address indexed spender, uint256 value)",
  "event Lock(address owner, uint256 amount)",
  "event Unlock(address owner, uint256 amount)",
  "event Reward(address owner, uint256 amount, bytes32 ref)",
  "event Seize(address owner, uint256 amount, bytes32 ref)",
  "event CreateCategory(uint256 catid, string name, string description, uint256 workClockTimeRef)",
  "event OwnershipTransferred(address indexed previousOwner, address indexed newOwner)",
  `event BroadcastAppOrder(${APP_ORDER.tuple} apporder)`,
  `event BroadcastDatasetOrder(${DATASET_ORDER.tuple} datasetorder)`,
  `event BroadcastWorkerpoolOrder(${WORKERPOOL_ORDER.tuple} workerpoolorder)`,
  `event BroadcastRequestOrder(${REQUEST_ORDER.tuple} requestorder)`,
  "event SignedAppOrder(bytes32 appHash)",
  "event SignedDatasetOrder(bytes32 datasetHash)",
  "event SignedWorkerpoolOrder(bytes32 workerpoolHash)",
  "event SignedRequestOrder(bytes32 requestHash)",
  "event ClosedAppOrder(bytes32 appHash)",
  "event ClosedDatasetOrder(bytes32 datasetHash)",
  "event ClosedWorkerpoolOrder(bytes32 workerpoolHash)",
  "event ClosedRequestOrder(bytes32 requestHash)",
  "event SchedulerNotice(address indexed workerpool, bytes32 dealid)",
  "event OrdersMatched(bytes32 dealid, bytes32 appHash, bytes32 datasetHash, bytes32 workerpoolHash, bytes32 requestHash, uint256 volume)",
  "event DealSponsored(bytes32 dealId, address sponsor)",
  "event TaskInitialize(bytes32 indexed taskid, address indexed workerpool)",
  "event TaskContribute(bytes32 indexed taskid, address indexed worker, bytes32 hash)",
  "event TaskConsensus(bytes32 indexed taskid, bytes32 consensus)",
  "event TaskReveal(bytes32 indexed taskid, address indexed worker, bytes32 digest)",
  "event TaskReopen(bytes32 indexed taskid)",
  "event TaskFinalize(bytes32 indexed taskid, bytes results)",
  "event TaskClaimed(bytes32 indexed taskid)",
  "event AccurateContribution(address indexed worker, bytes32 indexed taskid)",
  "event FaultyContribution(address indexed worker, bytes32 indexed taskid)",
  "error CallerIsNotTheRequester()",
  "error IncompatibleDatasetOrder(string reason)",
  "error OperationFailed()",
  "error UnsupportedOperation(bytes4 selector)",
] as const;

/** 0x…1006: what PoCo does not have. Amounts in nRLC unless the name says wei. */
export const MARKET_ABI = [
  "function join(address pool, address validator, uint256 count) payable",
  "function joinFor(address pool, address worker, address validator, uint256 count, bytes workerSignature) payable",
  "function leave(uint256[] slots)",
  "function pause(uint256 slot, uint256[] more)",
  "function resume(uint256 slot, uint256[] more)",
  "function openPool(address pool, address workerRestrict, address requesterRestrict)",
  "function offer(address entry, uint256 price, bytes32 tag, bool open)",
  `function submit(${JOB} job) payable returns (bytes32 dealid)`,
  "function createGroup(address[] members) returns (address group)",
  "function cancel(bytes32 dealid)",
  "function contribute(bytes32 lot, bytes32 resultHash, bytes32 resultSeal, bytes32 itemsRoot)",
  "function reveal(bytes32 lot, bytes receipt)",
  "function decline(bytes32 lot)",
  "function finalize(bytes32 lot)",
  "function claim(bytes32 lot)",
  "function settle(bytes32 lot, uint256 i, bytes receipt, bytes32[] proof)",
  `function quote(${JOB} job) view returns (uint256 price, uint256 appPrice, uint256 datasetPrice, uint256 totalWei)`,
  "function genesisPool() view returns (address)",
  "function isValidSignature(bytes32 hash, bytes signature) view returns (bytes4)",
  "function viewPool(address pool) view returns ((bool isDrawn, bool isGenesis, uint256 length, uint256 drawable, address workerRestrict, address requesterRestrict, uint256 slotStake))",
  "function slotAt(address pool, uint256 index) view returns (uint256)",
  "function viewSlot(uint256 slot) view returns ((uint256 id, address pool, uint256 index, address worker, address staker, address validator, uint256 stakeWei, bytes32 lot, bool drawable, bool leaving, uint8 pause, uint256 absences, uint256 restEnd))",
  "function slotsOf(address worker, uint256 from) view returns (uint256[] slots, uint256 next)",
  "function seatsOf(address worker, uint256 from) view returns (uint256[] slots, bytes32[] lots, uint256 next)",
  "function joinNonce(address worker) view returns (uint256)",
  "function viewOffer(address entry) view returns (uint256 price, bytes32 tag, bool open)",
  "function viewJob(bytes32 dealid) view returns ((address pool, address requester, uint256 gasLimit, uint256 cap, uint256 lotSize, uint256 lots, uint256 drawn, uint256 completed, uint256 failed, bool cancelled, uint256 readySlot, uint256 timeref, uint256 committee, uint256 vmVersion, uint256 volume))",
  `function viewLot(bytes32 dealid, uint256 lot) view returns (${LOT})`,
  `function viewLotById(bytes32 lot) view returns (${LOT})`,
  "function lotsOf(bytes32 dealid, uint256 from) view returns (bytes32[] ids, uint8[] statuses, uint256 next)",
  "function vmVersionOf(bytes32 dealid) view returns (uint256)",
  "function jobCount() view returns (uint256)",
  "function burnedOfEra(uint256 era) view returns (uint256)",
  "function burnedTotalWei() view returns (uint256)",
  "event GroupCreated(address indexed group, address indexed owner)",
  "event PoolOpened(address indexed pool, address workerRestrict, address requesterRestrict)",
  "event JoinRequested(address indexed pool, address indexed worker, address indexed validator, address staker, uint256 count, uint256 epoch)",
  "event LeaveRequested(uint256 indexed slot, address indexed worker, uint256 epoch)",
  "event PauseRequested(uint256 indexed slot, address indexed worker, uint256 epoch)",
  "event ResumeRequested(uint256 indexed slot, address indexed worker, uint256 epoch)",
  "event Offered(address indexed entry, address indexed owner, uint256 price, bytes32 tag, bool open)",
  "event JobSubmitted(bytes32 indexed dealid, address indexed requester, address indexed app, address pool, uint256 volume, uint256 price, uint256 lotSize)",
  "event JobCancelled(bytes32 indexed dealid, uint256 tasks)",
  "event LotDrawn(bytes32 indexed lot, bytes32 indexed dealid, uint256 round, uint256[] slots, address[] workers)",
  "event LotContributed(bytes32 indexed lot, address indexed worker, bytes32 resultHash, bytes32 itemsRoot)",
  "event LotDeclined(bytes32 indexed lot, address indexed worker)",
  "event LotAgreed(bytes32 indexed lot, bytes32 resultHash)",
  "event LotRevealed(bytes32 indexed lot, address indexed worker, bytes32 digest)",
  "event LotFinalized(bytes32 indexed lot, bytes32 indexed dealid, uint256 gasUsed, uint256 gasExecuted, uint256 burned, uint256 paid, uint256 creditWei)",
  "event LotFailed(bytes32 indexed lot, bytes32 indexed dealid, uint256 refund)",
  "event TaskSettled(bytes32 indexed lot, bytes32 indexed taskid, uint256 idx, uint8 status)",
  "event SlotFault(uint256 indexed slot, bytes32 indexed lot, address indexed worker, uint8 status, uint256 lostWei)",
] as const;

/** A group of accounts, that restrictions may name. */
export const GROUP_ABI = [
  "function owner() view returns (address)",
  "function memberCount() view returns (uint256)",
  "function keyHasPurpose(bytes32 key, uint256 purpose) view returns (bool)",
  "function addMembers(address[] members)",
  "function removeMembers(address[] members)",
  "function transferOwnership(address newOwner)",
  "event MembersAdded(address[] members)",
  "event MembersRemoved(address[] members)",
  "event OwnershipTransferred(address indexed previousOwner, address indexed newOwner)",
] as const;

/** 0x…1005: RLC as ERC-20 with 9 decimals over native balances. */
export const TOKEN_ABI = [
  "function name() view returns (string)",
  "function symbol() view returns (string)",
  "function decimals() view returns (uint8)",
  "function totalSupply() view returns (uint256)",
  "function balanceOf(address account) view returns (uint256)",
  "function allowance(address owner, address spender) view returns (uint256)",
  "function transfer(address to, uint256 amount) returns (bool)",
  "function approve(address spender, uint256 amount) returns (bool)",
  "function transferFrom(address from, address to, uint256 amount) returns (bool)",
  "function approveAndCall(address spender, uint256 amount, bytes data) returns (bool)",
  "event Transfer(address indexed from, address indexed to, uint256 value)",
  "event Approval(address indexed owner, address indexed spender, uint256 value)",
] as const;

/** What the three registries have in common; a token id is the entry's address. */
export const REGISTRY_ABI = [
  "function isRegistered(address entry) view returns (bool)",
  "function ownerOf(uint256 tokenId) view returns (address)",
  "function balanceOf(address owner) view returns (uint256)",
  "function tokenOfOwnerByIndex(address owner, uint256 index) view returns (uint256)",
  "function tokenByIndex(uint256 index) view returns (uint256)",
  "function totalSupply() view returns (uint256)",
  "function approve(address to, uint256 tokenId)",
  "function getApproved(uint256 tokenId) view returns (address)",
  "function setApprovalForAll(address operator, bool approved)",
  "function isApprovedForAll(address owner, address operator) view returns (bool)",
  "function transferFrom(address from, address to, uint256 tokenId)",
  "function safeTransferFrom(address from, address to, uint256 tokenId)",
  "function safeTransferFrom(address from, address to, uint256 tokenId, bytes data)",
  "function name() view returns (string)",
  "function symbol() view returns (string)",
  "function baseURI() view returns (string)",
  "function tokenURI(uint256 tokenId) view returns (string)",
  "function setBaseURI(string baseUri)",
  "function setName(address ens, string name)",
  "function initialize(address previous)",
  "function owner() view returns (address)",
  "function transferOwnership(address newOwner)",
  "function renounceOwnership()",
  "function previous() view returns (address)",
  "function master() view returns (address)",
  "function initialized() view returns (bool)",
  "function proxyCode() view returns (bytes)",
  "function proxyCodeHash() view returns (bytes32)",
  "function supportsInterface(bytes4 interfaceId) view returns (bool)",
  "event Transfer(address indexed from, address indexed to, uint256 indexed tokenId)",
  "event Approval(address indexed owner, address indexed approved, uint256 indexed tokenId)",
  "event ApprovalForAll(address indexed owner, address indexed operator, bool approved)",
  "event OwnershipTransferred(address indexed previousOwner, address indexed newOwner)",
  "error ERC721IncorrectOwner(address sender, uint256 tokenId, address owner)",
  "error ERC721InsufficientApproval(address operator, uint256 tokenId)",
  "error ERC721InvalidApprover(address approver)",
  "error ERC721InvalidOperator(address operator)",
  "error ERC721InvalidOwner(address owner)",
  "error ERC721InvalidReceiver(address receiver)",
  "error ERC721NonexistentToken(uint256 tokenId)",
  "error ERC721OutOfBoundsIndex(address owner, uint256 index)",
  "error OwnableInvalidOwner(address owner)",
] as const;

const APP_ARGS = "(address owner, string name, string appType, bytes multiaddr, bytes32 checksum, bytes mrenclave)";
const DATASET_ARGS = "(address owner, string name, bytes multiaddr, bytes32 checksum)";
const POOL_ARGS = "(address owner, string description)";
/** 0x…1002, beyond REGISTRY_ABI. */
export const APP_REGISTRY_ABI = [
  `function createApp${APP_ARGS} returns (address)`,
  `function predictApp${APP_ARGS} view returns (address)`,
] as const;
/** 0x…1003, beyond REGISTRY_ABI. */
export const DATASET_REGISTRY_ABI = [
  `function createDataset${DATASET_ARGS} returns (address)`,
  `function predictDataset${DATASET_ARGS} view returns (address)`,
] as const;
/** 0x…1004, beyond REGISTRY_ABI. */
export const WORKERPOOL_REGISTRY_ABI = [
  `function createWorkerpool${POOL_ARGS} returns (address)`,
  `function predictWorkerpool${POOL_ARGS} view returns (address)`,
] as const;

/** Entries of the registries. */
export const APP_ABI = [
  "function owner() view returns (address)",
  "function registry() view returns (address)",
  "function initialize(string appName, string appType, bytes appMultiaddr, bytes32 appChecksum, bytes appMREnclave)",
  "function setName(address ens, string name)",
  "function m_appName() view returns (string)",
  "function m_appType() view returns (string)",
  "function m_appMultiaddr() view returns (bytes)",
  "function m_appChecksum() view returns (bytes32)",
  "function m_appMREnclave() view returns (bytes)",
] as const;
export const DATASET_ABI = [
  "function owner() view returns (address)",
  "function registry() view returns (address)",
  "function initialize(string datasetName, bytes datasetMultiaddr, bytes32 datasetChecksum)",
  "function setName(address ens, string name)",
  "function m_datasetName() view returns (string)",
  "function m_datasetMultiaddr() view returns (bytes)",
  "function m_datasetChecksum() view returns (bytes32)",
] as const;
export const WORKERPOOL_ABI = [
  "function owner() view returns (address)",
  "function registry() view returns (address)",
  "function initialize(string workerpoolDescription)",
  "function setName(address ens, string name)",
  "function m_workerpoolDescription() view returns (string)",
  "function m_workerStakeRatioPolicy() view returns (uint256)",
  "function m_schedulerRewardRatioPolicy() view returns (uint256)",
  "function changePolicy(uint256 newWorkerStakeRatioPolicy, uint256 newSchedulerRewardRatioPolicy)",
  "event PolicyUpdate(uint256 oldWorkerStakeRatioPolicy, uint256 newWorkerStakeRatioPolicy, uint256 oldSchedulerRewardRatioPolicy, uint256 newSchedulerRewardRatioPolicy)",
] as const;

/** Parses the functions of a human-readable ABI, by name or by canonical signature. Throws on a name that is not there. */
export const functionsOf = (abi: readonly string[]) => {
  const all = abi.filter((line) => line.startsWith("function ")).map(abiFunction);
  return (name: string): AbiFunction => {
    const found = all.find((each) => each.signature === name) ?? all.find((each) => each.name === name);
    if (!found) throw new Error(`no function ${name}`);
    return found;
  };
};

/** Lists the selectors of a human-readable ABI's functions. */
export const selectorsOf = (abi: readonly string[]): Hex[] =>
  abi.filter((line) => line.startsWith("function ")).map((line) => abiFunction(line).selector);

/** Parses the events of a human-readable ABI, by name. */
export const eventsOf = (abi: readonly string[]): Readonly<Record<string, AbiEvent>> =>
  Object.fromEntries(
    abi
      .filter((line) => line.startsWith("event "))
      .map(abiEvent)
      .map((event) => [event.name, event]),
  );

/** Parses the custom errors of a human-readable ABI, by name: each reverts with its arguments. */
export const errorsOf = (abi: readonly string[]): Readonly<Record<string, ReturnType<typeof customError>>> =>
  Object.fromEntries(
    abi
      .filter((line) => line.startsWith("error "))
      .map((line) => line.slice("error ".length))
      .map((source) => [source.slice(0, source.indexOf("(")), customError(source)]),
  );

export const HUB_EVENTS = eventsOf(HUB_ABI);
export const HUB_ERRORS = errorsOf(HUB_ABI);
export const MARKET_EVENTS = eventsOf(MARKET_ABI);

/** What a function of a document does, and its gas beyond calldata. */
export interface Handler {
  readonly gas: number;
  /** Gas for each word of calldata, where work grows with it. */
  readonly perWord?: number;
  run(ctx: CallContext, args: AbiValue[]): readonly AbiValue[];
}

/**
 * Makes methods of a document's functions. Handlers go by name, or by canonical signature where a name stands twice.
 * Throws where a function has no handler or a handler no function.
 */
export const methodsFor = (abi: readonly string[], handlers: Readonly<Record<string, Handler>>): NativeMethod[] => {
  const used = new Set<string>();
  const methods = abi
    .filter((line) => line.startsWith("function "))
    .map((line): NativeMethod => {
      const parsed = abiFunction(line);
      const key = parsed.signature in handlers ? parsed.signature : parsed.name;
      const handler = handlers[key];
      if (!handler) throw new Error(`no handler of ${parsed.signature}`);
      used.add(key);
      return { abi: parsed, payable: / payable( |$)/.test(line), ...handler };
    });
  for (const key of Object.keys(handlers)) if (!used.has(key)) throw new Error(`no function of handler ${key}`);
  return methods;
};

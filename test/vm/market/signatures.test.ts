import t from "tap";
import {
  type Address,
  concat,
  EMPTY,
  fromHex,
  type Hash,
  toHex,
  utf8,
  word,
  ZERO_ADDRESS,
  ZERO_HASH,
} from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import { addressOf, sign, signCompact } from "../../../lib/secp256k1.ts";
import { encodeAbi } from "../../../vm/abi.ts";
import { resultHashOf, resultSealOf } from "../../../vm/market/contribution.ts";
import { taskId } from "../../../vm/market/deal.ts";
import {
  APP_ORDER,
  DATASET_ORDER,
  domainSeparator,
  orderHash,
  REQUEST_ORDER,
  typedDataHash,
  WORKERPOOL_ORDER,
} from "../../../vm/market/order.ts";
import { recoverSigner, signedMessageHash } from "../../../vm/market/signature.ts";
import { keyOf } from "./world.ts";

const CHAIN = 77_777;
const salt: Hash = `0x${"ab".repeat(32)}`;
const requester: Address = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";
const anyone = { requesterrestrict: ZERO_ADDRESS };
const open = {
  tag: ZERO_HASH,
  salt,
  sign: EMPTY,
};
const app = {
  ...open,
  ...anyone,
  datasetrestrict: ZERO_ADDRESS,
  workerpoolrestrict: ZERO_ADDRESS,
  app: `0x${"11".repeat(20)}` as Address,
  appprice: 50n,
  volume: 100n,
};
const dataset = {
  ...open,
  ...anyone,
  apprestrict: ZERO_ADDRESS,
  workerpoolrestrict: ZERO_ADDRESS,
  dataset: `0x${"22".repeat(20)}` as Address,
  datasetprice: 5n,
  volume: 100n,
};
const pool = {
  ...open,
  ...anyone,
  apprestrict: ZERO_ADDRESS,
  datasetrestrict: ZERO_ADDRESS,
  workerpool: `0x${"33".repeat(20)}` as Address,
  workerpoolprice: 1000n,
  volume: 10n,
  category: 0n,
  trust: 3n,
};
const request = {
  ...open,
  app: app.app,
  appmaxprice: 50n,
  dataset: ZERO_ADDRESS,
  datasetmaxprice: 0n,
  workerpool: pool.workerpool,
  workerpoolmaxprice: 1000n,
  requester,
  volume: 3n,
  category: 0n,
  trust: 3n,
  beneficiary: requester,
  callback: ZERO_ADDRESS,
  params: '{"iexec_args":"hi"}',
};

t.test("type hashes, the domain and orders hash as iExec's tools compute them", (t) => {
  t.equal(APP_ORDER.typeHash, "0x60815a0eeec47dddf1615fe53b31d016c31444e01b9d796db365443a6445d008");
  t.equal(DATASET_ORDER.typeHash, "0x6cfc932a5a3d22c4359295b9f433edff52b60703fa47690a04a83e40933dd47c");
  t.equal(WORKERPOOL_ORDER.typeHash, "0xaa3429fb281b34691803133d3d978a75bb77c617ed6bc9aa162b9b30920022bb");
  t.equal(REQUEST_ORDER.typeHash, "0xf24e853034a3a450aba845a82914fbb564ad85accca6cf62be112a154520fae0");
  const operations = [APP_ORDER, DATASET_ORDER, WORKERPOOL_ORDER, REQUEST_ORDER].map(({ operationTypeHash }) => [
    operationTypeHash.slice(0, 10),
    operationTypeHash.slice(-4),
  ]);
  t.strictSame(operations, [
    ["0x0638bb07", "6ee0"],
    ["0x075eb6f7", "65ec"],
    ["0x322d980b", "4388"],
    ["0x0ded7b52", "77c7"],
  ]);
  t.equal(domainSeparator(CHAIN), "0x896defba6c23876a999f99699f40dff4cba216887de99399d4beadd6abd105da");
  t.equal(orderHash(CHAIN, APP_ORDER, app), "0xfe5d7cff35572ac5b0688ba6dbd9d00989cc83d8e758235e7fe75bc11fbcc3c7");
  t.equal(
    orderHash(CHAIN, DATASET_ORDER, dataset),
    "0x925908ce09942591db4b42e73b7fe3376d9ff26fe7d7f8eedcdd7d6890d816c7",
  );
  t.equal(
    orderHash(CHAIN, WORKERPOOL_ORDER, pool),
    "0xa7ce3a4c8de0fc6ba9eba8e240878eddb937963c9d27616c28d34fbabfd8b0f8",
  );
  const requestHash = orderHash(CHAIN, REQUEST_ORDER, request);
  t.equal(requestHash, "0xb032048ce59e1f794c19d3c866390671b93458f74a7287f560874a6e132ec08b");
  const dealid = keccak256(encodeAbi("bytes32,uint256", [requestHash, 0n]));
  t.equal(dealid, "0xaacea3f361a99771d5b2d4138c078d332871dde2155080c6a2b4a6f90960ab3d");
  const task = taskId(dealid, 0);
  t.equal(task, "0xf1ae7397daf716d3adfb42273256e84e9fd0111991592114b9dca115ac02c2ea");
  const digest = keccak256(utf8("result"));
  const worker: Address = `0x${"44".repeat(20)}`;
  t.equal(resultHashOf(task, digest), "0xbe86e59fa657fd752768d11a3c4a7e1eb98eec9c2fb5516135aa30dceacbb6a6");
  t.equal(resultSealOf(worker, task, digest), "0xa175b4535f3f25a3721c0b2cf6a3c3766bd583b9d6b3fd851129b6a8d3e34ed9");
  t.equal(
    signedMessageHash(worker, task, ZERO_ADDRESS),
    "0xc6bb184255e625097fead66ab5777a9fe1ae87a773e7a33adfe40ad3eac27fc4",
  );
  t.end();
});

t.test("an operation hashes its order, not the order's own signature", (t) => {
  const signed = { ...app, sign: utf8("anything") };
  t.equal(APP_ORDER.operationHash(signed, 1n), APP_ORDER.operationHash(app, 1n));
  t.not(APP_ORDER.operationHash(app, 0n), APP_ORDER.operationHash(app, 1n));
  t.not(typedDataHash(1, APP_ORDER.structHash(app)), typedDataHash(2, APP_ORDER.structHash(app)));
  t.same(APP_ORDER.read(APP_ORDER.values(signed)), signed);
  t.end();
});

const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
/** Signs in 65 bytes with v 27 or 28, and in the 64 of EIP-2098. */
const both = (hash: Hash) => {
  const { r, s, yParity } = sign(hash, keyOf("signer"));
  const bytes = (value: bigint) => fromHex(word(value));
  return {
    long: concat(bytes(r), bytes(s), Uint8Array.of(27 + yParity)),
    short: concat(bytes(r), bytes(s | (BigInt(yParity) << 255n))),
    high: concat(bytes(r), bytes(ORDER - s), Uint8Array.of(28 - yParity)),
    zeroBased: fromHex(signCompact(hash, keyOf("signer"))),
  };
};

t.test("a signature has 65 or 64 bytes, a low s, and v 27 or 28", (t) => {
  const signer = addressOf(keyOf("signer"));
  for (let i = 0; i < 8; i++) {
    const hash = keccak256(utf8(`message ${i}`));
    const { long, short, high, zeroBased } = both(hash);
    t.equal(recoverSigner(hash, long), signer);
    t.equal(recoverSigner(hash, short), signer);
    t.equal(recoverSigner(hash, high), ZERO_ADDRESS, "s is high");
    t.equal(recoverSigner(hash, zeroBased), ZERO_ADDRESS, "v is 0 or 1");
    t.not(recoverSigner(keccak256(utf8("other")), long), signer);
  }
  const hash = keccak256(utf8("message"));
  const { long } = both(hash);
  for (const length of [0, 1, 63, 66, 96])
    t.throws(() => recoverSigner(hash, new Uint8Array(length)), /invalid-signature-format/, `${length} bytes`);
  t.equal(recoverSigner(hash, new Uint8Array(65)), ZERO_ADDRESS, "r and s are zero");
  t.equal(recoverSigner(hash, concat(fromHex(word(ORDER)), long.subarray(32))), ZERO_ADDRESS, "r is the order");
  t.equal(toHex(long).length, 132);
  t.end();
});

import t from "tap";
import { toRlp, keccak256 as viemKeccak } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import {
  decodeTransaction,
  intrinsicGas,
  senderOf,
  signTransaction,
  type TransactionFields,
} from "../../chain/transaction.ts";
import { fromHex, type Hex, toHex } from "../../lib/bytes.ts";

const key: Hex = `0x${"11".repeat(32)}`;
const account = privateKeyToAccount(key);
const to: Hex = `0x${"22".repeat(20)}`;
const fields: TransactionFields = {
  type: 2,
  chainId: 77216,
  nonce: 7,
  maxPriorityFeePerGas: 10n,
  maxFeePerGas: 1000n,
  gasLimit: 50_000,
  to,
  value: 10n ** 18n,
  data: Uint8Array.of(0, 1, 2),
  accessList: [{ address: to, storageKeys: [`0x${"33".repeat(32)}`] }],
};

t.test("each type has the bytes, hash and sender that viem gives it", async (t) => {
  const base = { chainId: 77216, nonce: 7, gas: 50_000n, to, value: 10n ** 18n, data: "0x000102" as Hex };
  const accessList = [{ address: to, storageKeys: [`0x${"33".repeat(32)}` as Hex] }];
  const theirs = await Promise.all([
    account.signTransaction({ ...base, type: "legacy", gasPrice: 1000n }),
    account.signTransaction({ ...base, type: "eip2930", gasPrice: 1000n, accessList }),
    account.signTransaction({ ...base, type: "eip1559", maxFeePerGas: 1000n, maxPriorityFeePerGas: 10n, accessList }),
  ]);
  for (const [type, raw] of theirs.entries()) {
    const tip = type === 2 ? 10n : 1000n;
    const list = type === 0 ? [] : fields.accessList;
    const ours = signTransaction(
      { ...fields, type: type as 0 | 1 | 2, maxPriorityFeePerGas: tip, accessList: list },
      key,
    );
    t.equal(toHex(ours.raw), raw);
    const decoded = decodeTransaction(fromHex(raw));
    t.equal(decoded.hash, viemKeccak(raw));
    t.equal(senderOf(decoded), account.address.toLowerCase());
    t.same({ ...decoded, sender: undefined }, { ...ours, sender: undefined });
  }
});

t.test("malformed bytes are refused with the rule that they break", async (t) => {
  const raw = signTransaction(fields, key).raw;
  const bad = (bytes: Uint8Array, code: string) => t.throws(() => decodeTransaction(bytes), { code }, code);
  bad(new Uint8Array(0), "tx-format");
  for (const type of [0, 3, 4, 0x50, 0xbf]) bad(Uint8Array.of(type, ...raw.subarray(1)), "tx-type");
  bad(new Uint8Array(200_000).fill(3), "tx-type");
  bad(raw.subarray(0, -1), "tx-format");
  bad(Uint8Array.of(...raw, 0), "tx-format");
  bad(new Uint8Array(200_000).fill(2), "tx-size");
  bad(new Uint8Array(24_000).fill(0xc1), "tx-format");
  bad(signTransaction({ ...fields, maxPriorityFeePerGas: 2000n }, key).raw, "tx-fee-order");
  const without = fromHex(toRlp(["0x07", "0x03e8", "0xc350", to, "0x01", "0x", "0x1b", "0x01", "0x01"]));
  bad(without, "tx-chain-id");
});

t.test("a high s has no sender", async (t) => {
  const tx = signTransaction(fields, key);
  const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
  t.throws(() => senderOf({ ...tx, s: order - tx.s, yParity: tx.yParity === 0 ? 1 : 0 }), { code: "tx-signature" });
});

t.test("gas before execution counts zero and other bytes and the access list", async (t) => {
  t.equal(intrinsicGas(fields), 21_000 + 4 + 2 * 16 + 2_400 + 1_900);
});

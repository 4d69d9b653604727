import t from "tap";
import {
  blsAggregate,
  blsKeygen,
  blsProve,
  blsPublicKey,
  blsSign,
  blsSignReference,
  blsVerify,
  blsVerifyAggregate,
  blsVerifyProof,
  blsVerifyReference,
} from "../../lib/bls.ts";
import { toHex, utf8 } from "../../lib/bytes.ts";
import { keccak256, keccak256Bytes, keccak256Reference } from "../../lib/keccak.ts";
import { addressOf, recover, recoverCompact, recoverReference, sign, signCompact } from "../../lib/secp256k1.ts";

t.test("keccak in WebAssembly and in JavaScript agree", async (t) => {
  t.equal(keccak256(), "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
  for (const size of [1, 31, 135, 136, 137, 1000]) {
    const data = new Uint8Array(size).fill(size);
    t.same(keccak256Bytes(data, data), keccak256Reference(data, data));
  }
});

t.test("secp256k1 recovers the signer natively as in the reference, and refuses a high s", async (t) => {
  const key = keccak256(utf8("key"));
  const address = addressOf("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
  t.equal(address, "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266");
  for (let i = 0; i < 16; i++) {
    const hash = keccak256(Uint8Array.of(i));
    const signature = sign(hash, key);
    t.equal(recover(hash, signature), addressOf(key));
    t.equal(recoverReference(hash, signature), addressOf(key));
    t.equal(recoverCompact(hash, signCompact(hash, key)), addressOf(key));
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
    t.equal(
      recover(hash, { ...signature, s: order - signature.s, yParity: signature.yParity === 0 ? 1 : 0 }),
      undefined,
    );
  }
  t.equal(recoverCompact(keccak256(), "0x12"), undefined);
});

t.test("bls signs, aggregates and proves possession alike in both implementations", async (t) => {
  const secrets = [1, 2, 3].map((i) => blsKeygen(new Uint8Array(32).fill(i)));
  const pubs = secrets.map(blsPublicKey);
  const message = utf8("message");
  const signatures = secrets.map((secret) => blsSign(secret, message));
  t.equal(signatures[0], blsSignReference(secrets[0]!, message));
  t.ok(blsVerify(pubs[0]!, message, signatures[0]!));
  t.notOk(blsVerify(pubs[1]!, message, signatures[0]!));
  const sum = blsAggregate(signatures);
  t.ok(blsVerifyAggregate(pubs, message, sum));
  t.ok(blsVerifyReference(pubs, message, sum));
  t.notOk(blsVerifyAggregate(pubs.slice(1), message, sum));
  t.notOk(blsVerifyAggregate([], message, sum));
  t.notOk(blsVerify(pubs[0]!, message, toHex(new Uint8Array(96))), "malformed points are false, not errors");
  const proof = blsProve(secrets[0]!);
  t.ok(blsVerifyProof(pubs[0]!, proof));
  t.notOk(blsVerifyProof(pubs[1]!, proof));
  t.notOk(blsVerifyProof(pubs[0]!, signatures[0]!), "a signature of the key under the signing domain is no proof");
});

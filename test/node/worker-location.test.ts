import { multiaddr } from "@multiformats/multiaddr";
import t from "tap";
import { utf8 } from "../../lib/bytes.ts";
import { referencesOf } from "../../node/worker/location.ts";
import { WasmRefused } from "../../vm/wasm/refusal.ts";

const V0 = "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n";
const DAG_PB = "bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
const RAW = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";

t.test("an entry's place is read as text, and in the form that iExec's SDK writes", async (t) => {
  t.match(referencesOf(utf8(`/ipfs/${RAW}`)), [{ kind: "ipfs", cid: RAW }]);
  t.match(referencesOf(utf8(`https://a.example/x.bin#sha256=${"ab".repeat(32)}`)), [{ kind: "url", name: "x.bin" }]);
  const cids = (text: string) =>
    referencesOf(multiaddr(text).bytes).map((each) => (each.kind === "ipfs" ? each.cid : each.url));
  t.same(cids(`/ipfs/${V0}`), [DAG_PB, RAW], "the kind is lost in it: either may be meant");
});

t.test("an entry that names no data is refused", async (t) => {
  for (const bytes of [
    utf8("wasm://x"),
    new Uint8Array(0),
    Uint8Array.of(0xa5, 0x03),
    Uint8Array.of(0xa5, 0x03, 2, 1, 1),
  ])
    t.throws(() => referencesOf(bytes), WasmRefused);
});

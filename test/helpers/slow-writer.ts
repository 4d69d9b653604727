/** Keeps one rewritten module after another in a folder, to be killed while it does: node slow-writer.ts <folder>. */
import { openRewritten } from "../../node/worker/rewritten.ts";

const store = openRewritten({ folder: process.argv[2]!, secret: "0x01" });
const bytes = new Uint8Array(64 * 1024 * 1024).fill(7);
const facts = { originalBytes: 1, compileGas: 2, initialPages: 3, hasMemory: true, hasStart: false };
console.log("ready");
for (let i = 0; ; i++) await store.put(`module-${i % 3}`, { bytes, ...facts });

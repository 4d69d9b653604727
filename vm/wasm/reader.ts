import { WasmRefused } from "./refusal.ts";

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A cursor over a module's bytes that refuses, with the place, whatever is malformed. */
export class Reader {
  readonly bytes: Uint8Array;
  at: number;
  end: number;
  section = "header";
  functionIndex: number | undefined;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  /** Throws WasmRefused for a rule broken at `offset` (default: here). */
  refuse(rule: string, offset = this.at): never {
    throw new WasmRefused(rule, { section: this.section, functionIndex: this.functionIndex, offset });
  }

  byte(): number {
    if (this.at >= this.end) this.refuse("unexpected end");
    return this.bytes[this.at++]!;
  }

  /** Reads an unsigned LEB128 of 32 bits. */
  u32(): number {
    const start = this.at;
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      if (shift === 28 && byte > 0x0f) this.refuse("integer too large", start);
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }

  /** Reads a signed LEB128 of 32 bits. */
  s32(): number {
    const start = this.at;
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      if (shift === 28) {
        const top = byte & 0x78;
        if (byte >= 0x80 || (top !== 0 && top !== 0x78)) this.refuse("integer too large", start);
      }
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return shift < 25 && byte & 0x40 ? value | (-1 << (shift + 7)) : value;
    }
  }

  /** Reads a block type: a signed LEB128 of 33 bits. */
  s33(): number {
    const start = this.at;
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      if (shift === 28) {
        const top = byte & 0x70;
        if (byte >= 0x80 || (top !== 0 && top !== 0x70)) this.refuse("integer too large", start);
      }
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return byte & 0x40 ? value - 2 ** (shift + 7) : value;
    }
  }

  /** Skips a signed LEB128 of 64 bits. */
  skipS64(): void {
    const start = this.at;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      if (shift === 63 && byte !== 0x00 && byte !== 0x7f) this.refuse("integer too large", start);
      if (byte < 0x80) return;
    }
  }

  skip(count: number): void {
    if (count > this.end - this.at) this.refuse("unexpected end");
    this.at += count;
  }

  /** Reads a count of items of at least one byte each, at most `max`. */
  count(max: number, what: string): number {
    const start = this.at;
    const count = this.u32();
    if (count > max) this.refuse(`${count} ${what}, at most ${max}`, start);
    if (count > this.end - this.at) this.refuse("unexpected end", start);
    return count;
  }

  /** Reads a name: bytes that must be UTF-8. */
  name(): string {
    const length = this.u32();
    const start = this.at;
    this.skip(length);
    try {
      return strictUtf8.decode(this.bytes.subarray(start, this.at));
    } catch {
      return this.refuse("malformed UTF-8", start);
    }
  }
}

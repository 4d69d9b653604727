/** Counts the bytes of an unsigned LEB128. */
export const unsignedBytes = (value: number): number => (value > 0x7f ? 1 + unsignedBytes(value >>> 7) : 1);

/** A growing buffer with the encodings of the binary format. */
export class Writer {
  private buffer: Uint8Array;
  private size = 0;

  constructor(capacity = 1024) {
    this.buffer = new Uint8Array(capacity);
  }

  get length(): number {
    return this.size;
  }

  private room(count: number): void {
    if (this.size + count <= this.buffer.length) return;
    const larger = new Uint8Array(Math.max(this.buffer.length * 2, this.size + count));
    larger.set(this.buffer.subarray(0, this.size));
    this.buffer = larger;
  }

  byte(value: number): void {
    this.room(1);
    this.buffer[this.size++] = value;
  }

  bytes(value: Uint8Array): void {
    this.room(value.length);
    this.buffer.set(value, this.size);
    this.size += value.length;
  }

  /** Copies the range [from, to) of `source`. */
  range(source: Uint8Array, from: number, to: number): void {
    this.room(to - from);
    // Most ranges are one operation of a few bytes: a loop is cheaper than a view.
    if (to - from < 16) for (let i = from; i < to; i++) this.buffer[this.size++] = source[i]!;
    else {
      this.buffer.set(source.subarray(from, to), this.size);
      this.size += to - from;
    }
  }

  /** Writes an unsigned LEB128. */
  u32(value: number): void {
    this.room(5);
    let left = value;
    while (left > 0x7f) {
      this.buffer[this.size++] = (left & 0x7f) | 0x80;
      left >>>= 7;
    }
    this.buffer[this.size++] = left;
  }

  /** Writes a signed LEB128 of a safe integer. */
  signed(value: number): void {
    this.room(10);
    let left = value;
    for (;;) {
      const byte = ((left % 128) + 128) % 128;
      left = Math.floor(left / 128);
      if ((left === 0 && byte < 0x40) || (left === -1 && byte >= 0x40)) {
        this.buffer[this.size++] = byte;
        return;
      }
      this.buffer[this.size++] = byte | 0x80;
    }
  }

  /** Writes an operation with one index. */
  local(op: number, index: number): void {
    this.byte(op);
    this.u32(index);
  }

  /** Writes an i64.const. */
  i64Const(value: number): void {
    this.byte(0x42);
    this.signed(value);
  }

  /** Writes an i32.const. */
  i32Const(value: number): void {
    this.byte(0x41);
    this.signed(value);
  }

  name(text: string): void {
    const bytes = Buffer.from(text, "utf8");
    this.u32(bytes.length);
    this.bytes(bytes);
  }

  /** Writes what `other` holds, with its length first. */
  sized(other: Writer): void {
    this.u32(other.size);
    this.range(other.buffer, 0, other.size);
  }

  /** Writes what `other` holds. */
  append(other: Writer): void {
    this.range(other.buffer, 0, other.size);
  }

  section(id: number, content: Writer): void {
    this.byte(id);
    this.sized(content);
  }

  clear(): void {
    this.size = 0;
  }

  finish(): Uint8Array {
    return this.buffer.slice(0, this.size);
  }
}

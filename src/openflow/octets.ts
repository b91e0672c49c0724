/** Octets in network order: a buffer that grows, and a reader that cannot run over its end. */

const FIRST_CAPACITY_OCTETS = 1024;

/** Appends numbers and octets; lengths that are known later are patched in. */
export class OctetWriter {
  #bytes = new Uint8Array(FIRST_CAPACITY_OCTETS);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  u8(value: number): void {
    const at = this.#grow(1);
    this.#view.setUint8(at, value);
  }

  u16(value: number): void {
    const at = this.#grow(2);
    this.#view.setUint16(at, value);
  }

  u32(value: number): void {
    const at = this.#grow(4);
    this.#view.setUint32(at, value);
  }

  u64(value: bigint): void {
    const at = this.#grow(8);
    this.#view.setBigUint64(at, value);
  }

  bytes(bytes: Uint8Array): void {
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
  }

  zeros(count: number): void {
    this.#grow(count);
  }

  /** Zeros up to a multiple of 8 octets after `start`. */
  padFrom(start: number): void {
    this.zeros((8 - ((this.#length - start) % 8)) % 8);
  }

  /** Writes the count of octets since `start` at `at`, which were left for it. */
  patchLength(at: number, start: number): void {
    this.#view.setUint16(at, this.#length - start);
  }

  /** What was written; shares memory with the writer, which is not to be used any more. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /**
   * Makes room for `count` octets, which are zero, and says where they start. The buffer may be
   * another one afterwards.
   */
  #grow(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}

/**
 * Takes numbers and octets from the front. Beyond the end it gives zeros and is `overrun` for good:
 * the caller looks once, after it has read all it wants, instead of before each field.
 */
export class OctetReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  #overrun = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  get overrun(): boolean {
    return this.#overrun;
  }

  u8(): number {
    return this.#take(1) ? this.#view.getUint8(this.#at - 1) : 0;
  }

  u16(): number {
    return this.#take(2) ? this.#view.getUint16(this.#at - 2) : 0;
  }

  u32(): number {
    return this.#take(4) ? this.#view.getUint32(this.#at - 4) : 0;
  }

  u64(): bigint {
    return this.#take(8) ? this.#view.getBigUint64(this.#at - 8) : 0n;
  }

  /** The next `count` octets; shares memory. Fewer than asked for is an overrun. */
  bytes(count: number): Uint8Array {
    return this.#take(count) ? this.#bytes.subarray(this.#at - count, this.#at) : new Uint8Array(0);
  }

  skip(count: number): void {
    this.#take(count);
  }

  /** All that is left. */
  rest(): Uint8Array {
    return this.bytes(this.remaining);
  }

  #take(count: number): boolean {
    if (count < 0 || count > this.remaining) {
      this.#at = this.#bytes.length;
      this.#overrun = true;
      return false;
    }
    this.#at += count;
    return true;
  }
}

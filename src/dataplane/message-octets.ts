/** Writing and reading the integers, octets and lists of data-plane messages, big-endian. */

const COUNT_MAX = 65_535;
const FIRST_CAPACITY_BYTES = 256;

/** A growing buffer. Every method throws RangeError for a value that its octets cannot hold. */
export class FieldWriter {
  #octets = new Uint8Array(FIRST_CAPACITY_BYTES);
  #view = new DataView(this.#octets.buffer);
  #length = 0;

  u8(value: number): void {
    const number = checked(value, 8);
    const at = this.#claim(1);
    this.#view.setUint8(at, number);
  }

  u16(value: number): void {
    const number = checked(value, 16);
    const at = this.#claim(2);
    this.#view.setUint16(at, number);
  }

  u32(value: number): void {
    const number = checked(value, 32);
    const at = this.#claim(4);
    this.#view.setUint32(at, number);
  }

  u64(value: bigint): void {
    if (BigInt.asUintN(64, value) !== value) {
      throw new RangeError(`not an unsigned integer of 64 bits: ${value}`);
    }
    const at = this.#claim(8);
    this.#view.setBigUint64(at, value);
  }

  octets(octets: Uint8Array): void {
    const at = this.#claim(octets.length);
    this.#octets.set(octets, at);
  }

  /** With a u16 count before them. */
  countedOctets(octets: Uint8Array): void {
    this.#count(octets.length);
    this.octets(octets);
  }

  list<Value>(values: readonly Value[], write: (value: Value) => void): void {
    this.#count(values.length);
    for (const value of values) {
      write(value);
    }
  }

  /** What was written; the caller owns it. */
  finish(): Uint8Array {
    return this.#octets.slice(0, this.#length);
  }

  #count(count: number): void {
    if (count > COUNT_MAX) {
      throw new RangeError(`at most ${COUNT_MAX} fit into a message: ${count}`);
    }
    this.u16(count);
  }

  /** Makes room for `bytes` more octets and returns where they begin; #view may be another one. */
  #claim(bytes: number): number {
    const at = this.#length;
    const needed = at + bytes;
    if (needed > this.#octets.length) {
      const larger = new Uint8Array(Math.max(needed, 2 * this.#octets.length));
      larger.set(this.#octets);
      this.#octets = larger;
      this.#view = new DataView(larger.buffer);
    }
    this.#length = needed;
    return at;
  }
}

/** Takes the fields of a message's body. Every method throws RangeError past the end. */
export class FieldReader {
  readonly #octets: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(octets: Uint8Array) {
    this.#octets = octets;
    this.#view = new DataView(octets.buffer, octets.byteOffset, octets.length);
  }

  u8(): number {
    return this.#view.getUint8(this.#claim(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#claim(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#claim(4));
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#claim(8));
  }

  /** Shares memory with the body. */
  octets(length: number): Uint8Array {
    const at = this.#claim(length);
    return this.#octets.subarray(at, at + length);
  }

  /** With a u16 count before them. Shares memory with the body. */
  countedOctets(): Uint8Array {
    return this.octets(this.u16());
  }

  list<Value>(read: () => Value): Value[] {
    const count = this.u16();
    const values: Value[] = [];
    while (values.length < count) {
      values.push(read());
    }
    return values;
  }

  /** @throws RangeError when something is left over */
  finish(): void {
    const leftBytes = this.#octets.length - this.#at;
    if (leftBytes !== 0) {
      throw new RangeError(`${leftBytes} octets too many`);
    }
  }

  #claim(bytes: number): number {
    const at = this.#at;
    if (bytes > this.#octets.length - at) {
      throw new RangeError(`${bytes} octets expected at ${at}, ${this.#octets.length - at} left`);
    }
    this.#at = at + bytes;
    return at;
  }
}

function checked(value: number, bits: number): number {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** bits) {
    throw new RangeError(`not an unsigned integer of ${bits} bits: ${value}`);
  }
  return value;
}

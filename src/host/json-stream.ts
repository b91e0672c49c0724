/**
 * Cuts a stream of JSON objects that follow each other without a separator (RFC 7047 §4, JSON-RPC
 * 1.0): an object ends where as many braces have closed as were opened, not counting those in
 * strings. Octets of UTF-8 beyond ASCII are never mistaken for one of those characters.
 */
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const SPACE = 0x20;

export class JsonStreamSplitter {
  readonly #bytesMax: number;
  /** Of the object that has begun; owned, because the socket may use its buffers again. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;

  /** @param bytesMax how much of one object is held at most */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /**
   * The texts of the objects that `bytes` complete. Null when there is something else between them
   * than white space, or one is too long: nothing after it can be made out.
   */
  split(bytes: Buffer): readonly string[] | null {
    const texts: string[] = [];
    let start = 0;
    for (let at = 0; at < bytes.length; at += 1) {
      const octet = bytes[at] ?? 0;
      if (this.#depth === 0) {
        if (octet === OPEN_BRACE) {
          start = at;
        } else if (octet > SPACE) {
          return null;
        }
      }
      if (this.#closes(octet)) {
        texts.push(this.#take(bytes.subarray(start, at + 1)));
      }
    }
    if (this.#depth > 0) {
      this.#held.push(Buffer.from(bytes.subarray(start)));
      this.#heldBytes += bytes.length - start;
    }
    return this.#heldBytes > this.#bytesMax ? null : texts;
  }

  /** Whether this octet ends an object. */
  #closes(octet: number): boolean {
    if (this.#inString) {
      this.#inString = octet !== QUOTE || this.#escaped;
      this.#escaped = octet === BACKSLASH && !this.#escaped;
    } else if (octet === QUOTE) {
      this.#inString = true;
    } else if (octet === OPEN_BRACE) {
      this.#depth += 1;
    } else if (octet === CLOSE_BRACE) {
      this.#depth -= 1;
      return this.#depth === 0;
    }
    return false;
  }

  #take(last: Buffer): string {
    const text = Buffer.concat([...this.#held, last]).toString("utf8");
    this.#held = [];
    this.#heldBytes = 0;
    return text;
  }
}

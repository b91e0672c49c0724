/**
 * xenstored's messages (xenstore.txt and io/xs_wire.h of Xen): a header of four 32-bit numbers in
 * the byte order of the machine, which is little-endian wherever Xen runs, and a body.
 *
 *      0          4            8                12             16
 *     | type     | request id | transaction id | body length  | body, up to 4096 octets
 *
 * An answer has the type and the request id of its request, or the type of an error.
 */
export const XENSTORE_BODY_OCTETS_MAX = 4096;
const HEADER_OCTETS = 16;

export const XENSTORE_TYPES = {
  directory: 1,
  read: 2,
  getPermissions: 3,
  watch: 4,
  unwatch: 5,
  transactionStart: 6,
  transactionEnd: 7,
  write: 11,
  remove: 13,
  watchEvent: 15,
  error: 16,
  directoryPart: 22,
} as const;

export type XenstoreMessage = {
  readonly type: number;
  readonly requestId: number;
  /** 0: none */
  readonly transactionId: number;
  readonly body: Buffer;
};

/** @throws RangeError when the body is longer than xenstored takes: it would end the connection */
export function encodeXenstoreMessage({
  type,
  requestId,
  transactionId,
  body,
}: XenstoreMessage): Buffer {
  if (body.length > XENSTORE_BODY_OCTETS_MAX) {
    throw new RangeError(`${body.length} octets in a message of xenstore`);
  }
  const header = Buffer.alloc(HEADER_OCTETS);
  for (const [index, field] of [type, requestId, transactionId, body.length].entries()) {
    header.writeUInt32LE(field, index * 4);
  }
  return Buffer.concat([header, body]);
}

/** Parts of a body, each with the NUL that ends it. The texts must have none in them. */
export function terminated(...texts: readonly string[]): Buffer {
  return Buffer.from(texts.map((text) => `${text}\0`).join(""));
}

/** The texts in a body of such parts; the last one may lack its NUL. */
export function splitTerminated(body: Buffer): readonly string[] {
  const text = body.toString("utf8");
  const parts = text.split("\0");
  if (text.endsWith("\0") || text === "") {
    parts.pop();
  }
  return parts;
}

/** Cuts a stream into messages. Holds at most one incomplete message. */
export class XenstoreSplitter {
  #held: Buffer = Buffer.alloc(0);

  /** Null when a message is longer than there may be: nothing after it can be made out. */
  split(bytes: Buffer): readonly XenstoreMessage[] | null {
    // A copy: bodies may be kept, and the socket may use its buffer again.
    const all = Buffer.concat([this.#held, bytes]);
    const messages: XenstoreMessage[] = [];
    let at = 0;
    while (all.length - at >= HEADER_OCTETS) {
      const length = all.readUInt32LE(at + 12);
      if (length > XENSTORE_BODY_OCTETS_MAX) {
        return null;
      }
      const end = at + HEADER_OCTETS + length;
      if (all.length < end) {
        break;
      }
      messages.push({
        type: all.readUInt32LE(at),
        requestId: all.readUInt32LE(at + 4),
        transactionId: all.readUInt32LE(at + 8),
        body: all.subarray(at + HEADER_OCTETS, end),
      });
      at = end;
    }
    this.#held = all.subarray(at);
    return messages;
  }
}

/**
 * What vnetd writes into the context of an SA, so that after a restart it can name the SA again
 * without ever reading keys back. 56 octets, big-endian:
 *
 *     0 u8 version 1 | 1 u8 flags: 1 announced for later, 2 checksums partial | 2 u16 key id
 *     4 u32 epoch | 8 sender id 16 | 24 boot nonce 16 | 40 u64 boot counter | 48 u64 hello sequence
 */
import { BOOT_NONCE_BYTES, SENDER_ID_BYTES } from "../encap/key-schedule.ts";

export type SaContext = {
  readonly keyId: number;
  readonly epoch: number;
  readonly senderId: Uint8Array;
  readonly bootNonce: Uint8Array;
  /** The highest boot counter and hello sequence that were heard of the sender by then. */
  readonly bootCounter: bigint;
  readonly helloSequence: bigint;
  readonly isNext: boolean;
  readonly checksumPartial: boolean;
};

const CONTEXT_BYTES = 56;
const VERSION = 1;
const FLAG_NEXT = 1;
const FLAG_CHECKSUM_PARTIAL = 2;
const SENDER_ID_AT = 8;
const BOOT_NONCE_AT = 24;

export function encodeSaContext(context: SaContext): Uint8Array {
  const bytes = new Uint8Array(CONTEXT_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, VERSION);
  const next = context.isNext ? FLAG_NEXT : 0;
  view.setUint8(1, next | (context.checksumPartial ? FLAG_CHECKSUM_PARTIAL : 0));
  view.setUint16(2, context.keyId);
  view.setUint32(4, context.epoch);
  bytes.set(context.senderId, SENDER_ID_AT);
  bytes.set(context.bootNonce, BOOT_NONCE_AT);
  view.setBigUint64(40, context.bootCounter);
  view.setBigUint64(48, context.helloSequence);
  return bytes;
}

/** Null: another version of vnetd wrote it. */
export function decodeSaContext(bytes: Uint8Array): SaContext | null {
  if (bytes.length !== CONTEXT_BYTES || bytes[0] !== VERSION) {
    return null;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const flags = view.getUint8(1);
  return {
    keyId: view.getUint16(2),
    epoch: view.getUint32(4),
    senderId: bytes.slice(SENDER_ID_AT, SENDER_ID_AT + SENDER_ID_BYTES),
    bootNonce: bytes.slice(BOOT_NONCE_AT, BOOT_NONCE_AT + BOOT_NONCE_BYTES),
    bootCounter: view.getBigUint64(40),
    helloSequence: view.getBigUint64(48),
    isNext: (flags & FLAG_NEXT) !== 0,
    checksumPartial: (flags & FLAG_CHECKSUM_PARTIAL) !== 0,
  };
}

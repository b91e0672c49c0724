/**
 * ESP by other means than ours: AES, GCM and HMAC-SHA-256 of @stablelib (in JavaScript, no line of
 * them shared with libcrypto), CBC spelt out over single AES blocks, HMAC-SHA-1 of node:crypto. It
 * seals whatever it is given, wrong things too; it makes test/vectors/esp.tsv.
 */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { AES } from "@stablelib/aes";
import { GCM } from "@stablelib/gcm";
import { hmac } from "@stablelib/hmac";
import { SHA256 } from "@stablelib/sha256";

export const ORACLE_SUITES = {
  1: { keyBytes: 20, alignBytes: 4, icvBytes: 16 },
  2: { keyBytes: 36, alignBytes: 4, icvBytes: 16 },
  3: { keyBytes: 32, alignBytes: 4, icvBytes: 16 },
  4: { keyBytes: 20, alignBytes: 4, icvBytes: 12 },
  5: { keyBytes: 52, alignBytes: 16, icvBytes: 12 },
} as const;

export type OracleSuite = keyof typeof ORACLE_SUITES;

export type OraclePacket = {
  readonly suite: OracleSuite;
  /** The suite's whole key material, in the layout of native/crypto/suite.h. */
  readonly key: Uint8Array;
  readonly spi: number;
  readonly counter: bigint;
  /** Instead of the counter's low 32 bits. */
  readonly sequence?: number;
  /** Payload, padding, pad length, next header: `fill` makes them. */
  readonly text: Uint8Array;
};

/** The UDP payload. */
export function sealByOracle(packet: OraclePacket): Uint8Array {
  const { suite, key, text } = packet;
  const head = new Uint8Array(8);
  const view = new DataView(head.buffer);
  view.setUint32(0, packet.spi);
  view.setUint32(4, packet.sequence ?? Number(packet.counter & 0xffff_ffffn));
  switch (suite) {
    case 1:
    case 2: {
      const iv = u64(packet.counter);
      const cipher = new GCM(new AES(key.subarray(0, -4)));
      return join(head, iv, cipher.seal(join(key.subarray(-4), iv), text, head));
    }
    case 3:
    case 4:
      return withIcv(suite, key, join(head, text));
    case 5: {
      const iv = encryptBlock(key.subarray(16, 32), join(new Uint8Array(8), u64(packet.counter)));
      const sealed = encryptCbc(key.subarray(0, 16), iv, text);
      return withIcv(suite, key.subarray(32), join(head, iv, sealed));
    }
  }
}

/** `payload` with padding 1, 2, 3 … up to the suite's alignment and `extraBytes` more. */
export function fill(
  suite: OracleSuite,
  payload: Uint8Array,
  nextHeader: number,
  extraBytes = 0,
): Uint8Array {
  const { alignBytes } = ORACLE_SUITES[suite];
  const padBytes =
    extraBytes + ((2 * alignBytes - ((payload.length + 2) % alignBytes)) % alignBytes);
  const padding = Uint8Array.from({ length: padBytes }, (_, index) => index + 1);
  return join(payload, padding, Uint8Array.of(padBytes, nextHeader));
}

/** The suite's ICV over `covered`; suites with a MAC of their own. */
export function icvOf(suite: 3 | 4 | 5, macKey: Uint8Array, covered: Uint8Array): Uint8Array {
  const whole =
    suite === 3
      ? hmac(SHA256, macKey, covered)
      : new Uint8Array(createHmac("sha1", macKey).update(covered).digest());
  return whole.subarray(0, ORACLE_SUITES[suite].icvBytes);
}

/** RFC 3602: whole blocks, no padding of its own. */
export function encryptCbc(key: Uint8Array, iv: Uint8Array, text: Uint8Array): Uint8Array {
  assert.equal(text.length % 16, 0);
  const sealed = new Uint8Array(text.length);
  let chain = iv;
  for (let at = 0; at < text.length; at += 16) {
    const before = chain;
    chain = encryptBlock(
      key,
      text.subarray(at, at + 16).map((octet, index) => octet ^ (before[index] ?? 0)),
    );
    sealed.set(chain, at);
  }
  return sealed;
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function withIcv(suite: 3 | 4 | 5, macKey: Uint8Array, covered: Uint8Array): Uint8Array {
  return join(covered, icvOf(suite, macKey, covered));
}

function encryptBlock(key: Uint8Array, block: Uint8Array): Uint8Array {
  const out = new Uint8Array(16);
  new AES(key).encryptBlock(block, out);
  return out;
}

function u64(value: bigint): Uint8Array {
  const octets = new Uint8Array(8);
  new DataView(octets.buffer).setBigUint64(0, value);
  return octets;
}

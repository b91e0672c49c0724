/**
 * Every key of a secure vnet comes out of its pre-shared key (PSK) by HKDF (RFC 5869) with SHA-256:
 *
 *     OKM = HKDF(salt = "vnetd v1", IKM = PSK, info, length)
 *
 *     what                  info                                                        length
 *     key id                "id"                                                             2
 *     vnet-tag key          "tag" ‖ vnet 16 ‖ key id 2                                       32
 *     control key           "ctl" ‖ vnet 16 ‖ key id 2                                       32
 *     traffic keys of an SA "grp" ‖ vnet 16 ‖ key id 2 ‖ suite 1 ‖ sender id 16 ‖
 *                           boot nonce 16 ‖ epoch 4                          SUITES[…].keyBytes
 *     SPI of an SA          "spi" ‖ the same                                                 4
 *
 * Every label but the first has three octets and what follows has a fixed length, so no two of
 * them can be the same octets. The boot nonce is drawn anew for every SA: a packet counter that
 * starts at 1 again never meets the same traffic key.
 *
 * The functions that compute are handed in: this folder touches no machine.
 */
import { encodeVnetId, type VnetId } from "../net/vnet-id.ts";

/** HKDF with SHA-256, extract and expand in one (RFC 5869 §2): `length` octets, 1 … 8160. */
export type HkdfSha256 = (
  inputKey: Uint8Array,
  salt: Uint8Array,
  info: Uint8Array,
  length: number,
) => Uint8Array;

/** HMAC with SHA-256 (RFC 2104): 32 octets. */
export type HmacSha256 = (key: Uint8Array, message: Uint8Array) => Uint8Array;

/** What the edge computes for the core. `node:crypto` has all four. */
export type SecureCrypto = {
  readonly hkdfSha256: HkdfSha256;
  readonly hmacSha256: HmacSha256;
  /** Octets nobody can predict. */
  readonly randomBytes: (count: number) => Uint8Array;
  /** Compares in a time that does not depend on where they differ; both have the same length. */
  readonly equalSecrets: (one: Uint8Array, other: Uint8Array) => boolean;
};

/** The number stands in messages to the data plane and in key derivation: it never changes. */
export type SuiteId = 1 | 2 | 3 | 4 | 5;

export type SuiteName =
  | "aes128-gcm"
  | "aes256-gcm"
  | "hmac-sha256-128"
  | "hmac96"
  | "aes128-hmac96";

export type SecurityLevel = "auth" | "conf";

export type Suite = {
  readonly id: SuiteId;
  readonly name: SuiteName;
  readonly level: SecurityLevel;
  /** Length of an SA's keys: GCM key ‖ salt 4; HMAC key; AES key 16 ‖ IV key 16 ‖ HMAC key 20. */
  readonly keyBytes: number;
  /** The explicit IV in front of the sealed octets. */
  readonly ivBytes: number;
  readonly icvBytes: number;
  /** The packet counter that the replay window works on has 64 bits, otherwise 32. */
  readonly hasCounterIv: boolean;
};

export const SUITES: readonly Suite[] = [
  suite(1, "aes128-gcm", { level: "conf", keyBytes: 20, ivBytes: 8, icvBytes: 16 }),
  suite(2, "aes256-gcm", { level: "conf", keyBytes: 36, ivBytes: 8, icvBytes: 16 }),
  suite(3, "hmac-sha256-128", { level: "auth", keyBytes: 32, ivBytes: 0, icvBytes: 16 }),
  suite(4, "hmac96", { level: "auth", keyBytes: 20, ivBytes: 0, icvBytes: 12 }),
  suite(5, "aes128-hmac96", { level: "conf", keyBytes: 52, ivBytes: 16, icvBytes: 12 }),
];

export const SENDER_ID_BYTES = 16;
export const BOOT_NONCE_BYTES = 16;
export const VNET_TAG_BYTES = 8;
export const CONTROL_MAC_BYTES = 16;
export const FIRST_GROUP_SPI = 0x1000_0000;
export const LAST_GROUP_SPI = 0x7fff_ffff;

const SALT = new TextEncoder().encode("vnetd v1");
const CONTROL_KEY_BYTES = 32;
const KEY_ID_BYTES = 2;
const SPI_BYTES = 4;
const HINT_BYTES = 4;

/** Names one SA of one sender in one vnet. */
export type SaName = {
  readonly vnet: VnetId;
  readonly keyId: number;
  readonly suite: Suite;
  readonly senderId: Uint8Array;
  readonly bootNonce: Uint8Array;
  /** 32 bits. */
  readonly epoch: number;
};

/** The suite of that number; null: there is none. */
export function suiteById(id: number): Suite | null {
  return SUITES.find((candidate) => candidate.id === id) ?? null;
}

/** 1 … 65535; the same on every host that has the key, so nobody has to agree on it. */
export function deriveKeyId(crypto: SecureCrypto, psk: Uint8Array): number {
  const octets = crypto.hkdfSha256(psk, SALT, label("id"), KEY_ID_BYTES);
  const id = ((octets[0] ?? 0) << 8) | (octets[1] ?? 0);
  return id === 0 ? 1 : id;
}

/** Authenticates the control messages of a vnet (all but their first look-up). */
export function deriveControlKey(
  crypto: SecureCrypto,
  psk: Uint8Array,
  { vnet, keyId }: Pick<SaName, "vnet" | "keyId">,
): Uint8Array {
  return crypto.hkdfSha256(psk, SALT, vnetInfo("ctl", vnet, keyId), CONTROL_KEY_BYTES);
}

/** Eight octets by which a receiver finds vnet and key of a control message; hides the vnet id. */
export function deriveVnetTag(
  crypto: SecureCrypto,
  psk: Uint8Array,
  { vnet, keyId }: Pick<SaName, "vnet" | "keyId">,
): Uint8Array {
  const key = crypto.hkdfSha256(psk, SALT, vnetInfo("tag", vnet, keyId), CONTROL_KEY_BYTES);
  const message = concat([encodeVnetId(vnet), u16(keyId)]);
  return crypto.hmacSha256(key, message).slice(0, VNET_TAG_BYTES);
}

/** The traffic keys of one SA, `name.suite.keyBytes` octets in the suite's layout. */
export function deriveTrafficKeys(crypto: SecureCrypto, psk: Uint8Array, name: SaName): Uint8Array {
  return crypto.hkdfSha256(psk, SALT, saInfo("grp", name), name.suite.keyBytes);
}

/** The SPI of one SA, FIRST_GROUP_SPI … LAST_GROUP_SPI: two SAs can have the same by chance. */
export function deriveSpi(crypto: SecureCrypto, psk: Uint8Array, name: SaName): number {
  const octets = crypto.hkdfSha256(psk, SALT, saInfo("spi", name), SPI_BYTES);
  const draw = new DataView(octets.buffer, octets.byteOffset, SPI_BYTES).getUint32(0);
  return FIRST_GROUP_SPI + (draw % (LAST_GROUP_SPI - FIRST_GROUP_SPI + 1));
}

/** The first sixteen octets of HMAC-SHA-256 under the control key. */
export function controlMac(
  crypto: SecureCrypto,
  controlKey: Uint8Array,
  message: Uint8Array,
): Uint8Array {
  return crypto.hmacSha256(controlKey, message).slice(0, CONTROL_MAC_BYTES);
}

/**
 * Four octets that tell a host of the same vnet with another key that it is the key that differs.
 * They prove nothing, and tell nobody the vnet's id who does not guess it.
 */
export function membershipHint(
  crypto: SecureCrypto,
  { vnet, senderId, bootNonce }: Pick<SaName, "vnet" | "senderId" | "bootNonce">,
): Uint8Array {
  const key = concat([senderId, bootNonce]);
  return crypto.hmacSha256(key, encodeVnetId(vnet)).slice(0, HINT_BYTES);
}

function suite(
  id: SuiteId,
  name: SuiteName,
  rest: Pick<Suite, "level" | "keyBytes" | "ivBytes" | "icvBytes">,
): Suite {
  return { id, name, ...rest, hasCounterIv: rest.ivBytes === 8 };
}

function vnetInfo(name: string, vnet: VnetId, keyId: number): Uint8Array {
  return concat([label(name), encodeVnetId(vnet), u16(keyId)]);
}

function saInfo(name: string, sa: SaName): Uint8Array {
  const epoch = new Uint8Array(4);
  new DataView(epoch.buffer).setUint32(0, sa.epoch);
  const suiteOctet = Uint8Array.of(sa.suite.id);
  const about = vnetInfo(name, sa.vnet, sa.keyId);
  return concat([about, suiteOctet, sa.senderId, sa.bootNonce, epoch]);
}

function label(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * The keys of one secure vnet: one is active, which this host sends with; the others are held, to
 * receive with. Each change is a pure function, and either makes a new ring or says why not.
 */
import { ParseError, quoteValue } from "../net/parse-error.ts";

/** Octets of a key, the vnet's pre-shared secret. */
export const KEY_BYTES = 32;

/** What a rotation needs is two; more only slow down every HELLO, which is sent once a key. */
export const RING_KEYS_MAX = 8;

export type RingKey = {
  /** 16 bits, made from the key itself: the same on every host that has it. */
  readonly id: number;
  /** KEY_BYTES octets; whoever drops the key overwrites them. */
  readonly secret: Uint8Array;
};

export type KeyRing = {
  /** In the order in which they were added. */
  readonly keys: readonly RingKey[];
  readonly activeId: number;
};

export type KeyRingChange =
  | { readonly kind: "changed"; readonly ring: KeyRing }
  | {
      readonly kind: "refused";
      readonly code: "VNETD_KEY_EXISTS" | "VNETD_UNKNOWN_KEY" | "VNETD_KEY_ACTIVE" | "VNETD_LIMIT";
      /** Without "Cannot …:" before it. */
      readonly message: string;
    };

const KEY_ID_FORM = /^[0-9a-f]{4}$/i;

/** A vnet's first key. */
export function createKeyRing(key: RingKey): KeyRing {
  return { keys: [key], activeId: key.id };
}

/** Adds a key to receive with. */
export function addKey(ring: KeyRing, key: RingKey): KeyRingChange {
  const present = ring.keys.find(({ id }) => id === key.id);
  if (present !== undefined) {
    const isSame = present.secret.every((octet, index) => octet === key.secret[index]);
    const what = isSame ? "is there already" : "has the id of another key, generate a new one";
    return refuse("VNETD_KEY_EXISTS", `key ${formatKeyId(key.id)} ${what}`);
  }
  return ring.keys.length >= RING_KEYS_MAX
    ? refuse("VNETD_LIMIT", `a vnet has at most ${RING_KEYS_MAX} keys`)
    : { kind: "changed", ring: { ...ring, keys: [...ring.keys, key] } };
}

/** Sends with `keyId` from now on; the one before it is held. */
export function activateKey(ring: KeyRing, keyId: number): KeyRingChange {
  return ring.keys.some(({ id }) => id === keyId)
    ? { kind: "changed", ring: { ...ring, activeId: keyId } }
    : unknownKey(keyId);
}

export function deleteKey(ring: KeyRing, keyId: number): KeyRingChange {
  if (keyId === ring.activeId) {
    const message = `key ${formatKeyId(keyId)} is the active one, activate another first`;
    return refuse("VNETD_KEY_ACTIVE", message);
  }
  const keys = ring.keys.filter(({ id }) => id !== keyId);
  return keys.length === ring.keys.length
    ? unknownKey(keyId)
    : { kind: "changed", ring: { ...ring, keys } };
}

/** Four hex digits, as people and the API name a key. */
export function formatKeyId(keyId: number): string {
  return keyId.toString(16).padStart(4, "0");
}

/** @throws ParseError */
export function parseKeyId(text: string): number {
  if (!KEY_ID_FORM.test(text)) {
    throw new ParseError(`Not a key id (four hex digits): ${quoteValue(text)}`);
  }
  return Number.parseInt(text, 16);
}

function unknownKey(keyId: number): KeyRingChange {
  return refuse("VNETD_UNKNOWN_KEY", `no key ${formatKeyId(keyId)} in its ring`);
}

function refuse(
  code: Extract<KeyRingChange, { kind: "refused" }>["code"],
  message: string,
): KeyRingChange {
  return { kind: "refused", code, message };
}

/**
 * The key ring of one vnet on the disk: `KEY_DIR/<vnet id>.key`, mode 0600. A line a key,
 *
 *     <key id> <key in base64> active|held
 *
 * one of them active. The key id is made from the key, so a line that was damaged or mixed up is
 * found out when it is read.
 */
import { join } from "node:path";
import type { VnetId } from "../net/vnet-id.ts";
import { formatKeyId, type KeyRing, RING_KEYS_MAX, type RingKey } from "../vnet/key-ring.ts";
import {
  decodeBase64Key,
  encodeBase64Key,
  isNotEmpty,
  keyIdOf,
  splitLines,
  trim,
} from "./key-text.ts";

const SPACE = 0x20;
const KEY_ID_CHARACTERS = 4;
const BASE64_CHARACTERS = 44;
const ACTIVE = Buffer.from("active");
const HELD = Buffer.from("held");

type Line = { readonly key: RingKey; readonly isActive: boolean };

/** @param directory KEY_DIR */
export function keyRingPath(directory: string, vnet: VnetId): string {
  return join(directory, `${vnet}.key`);
}

/** @returns the ring, or what is wrong with the text; never a part of the text */
export function parseKeyRing(text: Uint8Array): KeyRing | string {
  const lines: Line[] = [];
  for (const [index, raw] of splitLines(text).entries()) {
    const line = trim(raw);
    if (isNotEmpty(line)) {
      const parsed = parseLine(line);
      if (typeof parsed === "string") {
        return `line ${index + 1}: ${parsed}`;
      }
      lines.push(parsed);
    }
  }
  const ids = new Set(lines.map(({ key }) => key.id));
  if (ids.size < lines.length) {
    return "a key id is in it more than once";
  }
  if (lines.length > RING_KEYS_MAX) {
    return `it has more than ${RING_KEYS_MAX} keys`;
  }
  const [active, more] = lines.filter(({ isActive }) => isActive);
  if (active === undefined || more !== undefined) {
    return active === undefined ? "it has no active key" : "it has more than one active key";
  }
  return { keys: lines.map(({ key }) => key), activeId: active.key.id };
}

/** The caller overwrites what it gets, once it is on the disk. */
export function formatKeyRing({ keys, activeId }: KeyRing): Uint8Array {
  const lines = keys.map(({ id, secret }) => {
    const state = id === activeId ? "active" : "held";
    const line = Buffer.alloc(KEY_ID_CHARACTERS + 1 + BASE64_CHARACTERS + 1 + state.length + 1);
    line.write(`${formatKeyId(id)} `, 0);
    const secretAt = KEY_ID_CHARACTERS + 1;
    encodeBase64Key(secret, line.subarray(secretAt, secretAt + BASE64_CHARACTERS));
    line.write(` ${state}\n`, secretAt + BASE64_CHARACTERS);
    return line;
  });
  const text = Buffer.concat(lines);
  for (const line of lines) {
    line.fill(0);
  }
  return text;
}

function parseLine(line: Uint8Array): Line | string {
  const [id, secretText, state, more] = splitWords(line);
  if (id === undefined || secretText === undefined || state === undefined || more !== undefined) {
    return "not a key id, a key and its state";
  }
  const secret = decodeBase64Key(secretText);
  if (secret === null) {
    return "not a key in base64";
  }
  const key: RingKey = { id: keyIdOf(secret), secret };
  if (Buffer.compare(id, Buffer.from(formatKeyId(key.id))) !== 0) {
    return "the key does not belong to its key id";
  }
  const isActive = Buffer.compare(state, ACTIVE) === 0;
  return isActive || Buffer.compare(state, HELD) === 0
    ? { key, isActive }
    : "a key is neither active nor held";
}

function splitWords(line: Uint8Array): Uint8Array[] {
  const words: Uint8Array[] = [];
  let start = 0;
  for (let end = line.indexOf(SPACE); end !== -1; end = line.indexOf(SPACE, start)) {
    words.push(line.subarray(start, end));
    start = end + 1;
  }
  return [...words, line.subarray(start)].filter(isNotEmpty);
}

/**
 * Keys as text. All of it works on octets that can be overwritten: a JavaScript string stays in
 * memory for as long as the garbage collector likes.
 */
import { hkdfSync } from "node:crypto";
import { KEY_BYTES } from "../vnet/key-ring.ts";

const LINE_FEED = 0x0a;
const HASH = 0x23;
const PAD = 0x3d;
const BASE64_ALPHABET = Buffer.from(
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
);
const BASE64_CHARACTERS = 44;
const HEX_DIGITS = Buffer.from("0123456789abcdef");
const SALT = "vnetd v1";

/**
 * Reads a key file: comments (`#` to the end of the line), blank lines, and one key in base64 (44
 * characters) or hexadecimal (64 digits).
 *
 * @returns the key, or what is wrong with the text; never a part of the text
 */
export function parseKeyText(text: Uint8Array): Uint8Array | string {
  const lines = splitLines(text).map(trim).filter(isNotEmpty);
  const [line, more] = lines;
  if (line === undefined) {
    return "it has no key";
  }
  if (more !== undefined) {
    return "it has more than one line that is no comment";
  }
  const secret = decodeBase64Key(line) ?? decodeHexKey(line);
  if (secret === null) {
    return `its ${line.length} characters are no key: 44 of base64 or 64 hex digits are one`;
  }
  // A forgotten placeholder, and what a full disk leaves behind.
  return secret.every((octet) => octet === secret[0]) ? "its octets are all the same" : secret;
}

/** 44 characters with their last digit's unused bits zero (RFC 4648 §3.5); null for others. */
export function decodeBase64Key(text: Uint8Array): Uint8Array | null {
  if (text.length !== BASE64_CHARACTERS || text[BASE64_CHARACTERS - 1] !== PAD) {
    return null;
  }
  const secret = new Uint8Array(KEY_BYTES);
  let bits = 0;
  let bitCount = 0;
  let length = 0;
  for (const character of text.subarray(0, -1)) {
    const digit = BASE64_ALPHABET.indexOf(character);
    if (digit === -1) {
      return null;
    }
    bits = ((bits << 6) | digit) & 0xffff;
    bitCount += 6;
    if (bitCount >= 8) {
      bitCount -= 8;
      secret[length] = (bits >> bitCount) & 0xff;
      length += 1;
    }
  }
  return (bits & ((1 << bitCount) - 1)) === 0 ? secret : null;
}

/** Into `target`, which has room for 44 characters. */
export function encodeBase64Key(secret: Uint8Array, target: Uint8Array): void {
  for (let group = 0; group * 3 < KEY_BYTES; group += 1) {
    const [first = 0, second = 0, third = 0] = secret.subarray(group * 3, group * 3 + 3);
    const digits = [
      first >> 2,
      ((first & 3) << 4) | (second >> 4),
      ((second & 15) << 2) | (third >> 6),
      third & 63,
    ];
    for (const [index, digit] of digits.entries()) {
      target[group * 4 + index] = BASE64_ALPHABET[digit] ?? 0;
    }
  }
  target[BASE64_CHARACTERS - 1] = PAD;
}

/** The id that every host finds for this key: HKDF (RFC 5869), never 0. */
export function keyIdOf(secret: Uint8Array): number {
  const octets = new DataView(hkdfSync("sha256", secret, SALT, "id", 2));
  return octets.getUint16(0) || 1;
}

function decodeHexKey(text: Uint8Array): Uint8Array | null {
  if (text.length !== KEY_BYTES * 2) {
    return null;
  }
  const secret = new Uint8Array(KEY_BYTES);
  for (const [index, character] of text.entries()) {
    // 0x20 makes a capital letter small and leaves digits as they are.
    const digit = HEX_DIGITS.indexOf(character | 0x20);
    if (digit === -1) {
      return null;
    }
    secret[index >> 1] = ((secret[index >> 1] ?? 0) << 4) | digit;
  }
  return secret;
}

/** @returns views of `text` without line ends and comments */
export function splitLines(text: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  let start = 0;
  while (start < text.length) {
    const end = text.indexOf(LINE_FEED, start);
    const line = text.subarray(start, end === -1 ? text.length : end);
    const comment = line.indexOf(HASH);
    lines.push(comment === -1 ? line : line.subarray(0, comment));
    start = end === -1 ? text.length : end + 1;
  }
  return lines;
}

/** Without blanks, tabs and carriage returns at either end. */
export function trim(line: Uint8Array): Uint8Array {
  let [start, end] = [0, line.length];
  while (start < end && isBlank(line[start])) {
    start += 1;
  }
  while (end > start && isBlank(line[end - 1])) {
    end -= 1;
  }
  return line.subarray(start, end);
}

export function isNotEmpty(line: Uint8Array): boolean {
  return line.length > 0;
}

function isBlank(octet: number | undefined): boolean {
  return octet === 0x20 || octet === 0x09 || octet === 0x0d;
}

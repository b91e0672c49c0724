/** Octets as two lower-case hex digits, from a table: listings have a hundred thousand addresses. */
const HEX_OCTETS: readonly string[] = Array.from({ length: 256 }, (_, octet) =>
  octet.toString(16).padStart(2, "0"),
);

/** `bytes` in groups of `groupBytes` octets, joined by colons. */
export function formatHexGroups(bytes: Uint8Array, groupBytes: number): string {
  let text = "";
  for (let index = 0; index < bytes.length; index++) {
    const separator = index > 0 && index % groupBytes === 0 ? ":" : "";
    text += separator + HEX_OCTETS[bytes[index] ?? 0];
  }
  return text;
}

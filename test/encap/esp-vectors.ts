/**
 * The rows of test/vectors/esp.tsv, by test/encap/esp-oracle.ts. `makeEspTable` is what the file
 * has to be; the tests of both codecs read the file.
 */
import { fill, join, ORACLE_SUITES, type OracleSuite, sealByOracle } from "./esp-oracle.ts";

const HEADER = `# Sealed packets (ESP as secure vnets use it) and what opening them gives, for every suite. Made by
# test/encap/make-esp-vectors.ts from an implementation that shares no line with vnet-dp's. Read by the
# tests of native/crypto and of src/encap. Octets are hex, "-" for none.
#   suite       its number in native/crypto/suite.h; key: all its key material
#   spi         8 hex digits; counter: the packet counter, decimal, 64 bits (Seq is its low half)
#   nextHeader  97: payload is a frame, and flags (3 hex digits) stand in the EtherIP word before it;
#               17, 59: payload is all that is sealed, and there are no flags
#   sealed      the UDP payload
#   outcome     open: sealed opens to nextHeader, flags and payload; otherwise why it does not:
#               length counter icv padding next-header etherip runt-frame (counter to payload are "-")
#   exact       yes: sealing the row gives exactly these octets
`;

const COLUMNS = [
  "name",
  "suite",
  "key",
  "spi",
  "counter",
  "nextHeader",
  "flags",
  "payload",
  "sealed",
  "outcome",
  "exact",
] as const;

type Row = Readonly<Record<(typeof COLUMNS)[number], string>>;

type Sa = { readonly suite: OracleSuite; readonly key: Uint8Array; readonly spi: number };

type Opened = {
  readonly counter: bigint;
  readonly nextHeader: number;
  readonly flags: number;
  readonly payload: Uint8Array;
};

const ETHERIP = 97;
const UDP = 17;
const DUMMY = 59;
const LAST_COUNTER = 0xffff_0000n;

const SUITE_NAMES: Readonly<Record<OracleSuite, string>> = {
  1: "aes128-gcm",
  2: "aes256-gcm",
  3: "hmac-sha256-128",
  4: "hmac96",
  5: "aes128-hmac96",
};

/** The whole text of test/vectors/esp.tsv. */
export function makeEspTable(): string {
  const rows = ([1, 2, 3, 4, 5] as const).flatMap((suite) => {
    const { keyBytes } = ORACLE_SUITES[suite];
    const sa: Sa = { suite, key: pattern(keyBytes, suite * 29), spi: 0x1000_0000 + suite };
    return [...sealRows(sa), ...openRows(sa), ...refusedRows(sa), ...authenticButWrongRows(sa)];
  });
  const lines = rows.map((row) => COLUMNS.map((column) => row[column]).join("\t"));
  return `${HEADER}${[COLUMNS.join("\t"), ...lines].join("\n")}\n`;
}

/** Rows that say what sealing gives, octet for octet. */
function sealRows(sa: Sa): Row[] {
  const frames = [14, 15, 16, 17, 28, 42, 60, 61, 62, 63, 64, 98, 1500, 1514, 1518].map((bytes) =>
    exactRow(sa, `frame of ${bytes}`, opened({ counter: 7n, payload: pattern(bytes, bytes) })),
  );
  const flags = [1, 2, 3, 4, 7].map((value) =>
    exactRow(sa, `flags ${value}`, opened({ counter: 3n, flags: value })),
  );
  const counters = [1n, 2n, 255n, 0x1_0000n, 0x7fff_ffffn, 0x8000_0000n, LAST_COUNTER].map(
    (counter) => exactRow(sa, `counter ${counter}`, opened({ counter })),
  );
  const others = [
    { nextHeader: UDP, payload: pattern(8 + 43, 1) },
    { nextHeader: DUMMY, payload: new Uint8Array() },
    { nextHeader: DUMMY, payload: pattern(1000, 2) },
  ].map(({ nextHeader, payload }) =>
    exactRow(
      sa,
      `next header ${nextHeader} with ${payload.length}`,
      opened({ nextHeader, payload }),
    ),
  );
  const spis = [0x1000_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe].map((spi) =>
    exactRow({ ...sa, spi }, `SPI ${hexNumber(spi, 8)}`, opened({})),
  );
  return [...frames, ...flags, ...counters, ...others, ...spis];
}

/** What we never send and still open. */
function openRows(sa: Sa): Row[] {
  const { alignBytes } = ORACLE_SUITES[sa.suite];
  const longestPad = Math.floor((255 - alignBytes) / alignBytes) * alignBytes;
  const rows = [alignBytes, longestPad].map((extra) => {
    const plain = opened({ counter: 5n });
    const text = fill(sa.suite, payloadOf(plain), plain.nextHeader, extra);
    return row(sa, `opens with ${extra} octets more of padding`, plain, {
      sealed: sealByOracle({ ...sa, counter: plain.counter, text }),
      exact: "no",
    });
  });
  if (sa.suite > 2) {
    return rows;
  }
  return [
    ...rows,
    ...[LAST_COUNTER + 1n, 0x1_0000_0000n, 0xffff_ffff_ffff_ffffn].map((counter) => {
      const plain = opened({ counter });
      return row(sa, `opens with counter ${counter}`, plain, {
        sealed: seal(sa, plain),
        exact: "no",
      });
    }),
  ];
}

/** What nobody without the key can do better than. */
function refusedRows(sa: Sa): Row[] {
  const whole = seal(sa, opened({}));
  const { icvBytes } = ORACLE_SUITES[sa.suite];
  const otherKey = sa.key.map((octet, index) => (index === 0 ? octet ^ 1 : octet));
  const otherMacKey = sa.key.map((octet, index) =>
    index === sa.key.length - 1 ? octet ^ 0x80 : octet,
  );
  return [
    dropRow(sa, "one octet cut off", whole.subarray(0, -1), "length"),
    dropRow(sa, "one octet added", join(whole, Uint8Array.of(0)), "length"),
    dropRow(sa, "header alone", whole.subarray(0, 8), "length"),
    dropRow(sa, "nothing", new Uint8Array(), "length"),
    dropRow(sa, "ICV alone behind the IV", cutText(sa, whole), "length"),
    dropRow(sa, "counter 0", seal(sa, opened({ counter: 0n })), "counter"),
    dropRow(sa, "another SPI", flip(whole, 0, 0x40), "icv"),
    dropRow(sa, "first sealed octet changed", flip(whole, whole.length - icvBytes - 4), "icv"),
    dropRow(sa, "first octet of the ICV changed", flip(whole, whole.length - icvBytes), "icv"),
    dropRow(sa, "last octet of the ICV changed", flip(whole, whole.length - 1, 0x80), "icv"),
    dropRow({ ...sa, key: sa.suite === 5 ? otherMacKey : otherKey }, "another key", whole, "icv"),
    ...(sa.suite <= 2
      ? [
          dropRow(sa, "Seq is not the counter's low half", flip(whole, 7), "counter"),
          dropRow(sa, "IV is not Seq", flip(whole, 15), "counter"),
          dropRow(sa, "IV changed in its high half", flip(whole, 8), "icv"),
          dropRow({ ...sa, key: otherMacKey }, "another salt", whole, "icv"),
        ]
      : [dropRow(sa, "another Seq", flip(whole, 7, 2), "icv")]),
    ...(sa.suite === 5 ? [dropRow(sa, "another IV", flip(whole, 8), "icv")] : []),
  ];
}

/** What only a holder of the key can send, and must not. */
function authenticButWrongRows(sa: Sa): Row[] {
  const { alignBytes } = ORACLE_SUITES[sa.suite];
  const frame = pattern(42, 9);
  const good = fill(sa.suite, join(word(0x3000), frame), ETHERIP, 4 * alignBytes);
  const badPad = good.slice();
  badPad[good.length - 4] = 0;
  const zeroPad = good.map((octet, index) => (index >= 44 && index < good.length - 2 ? 0 : octet));
  const longPad = good.slice();
  longPad[good.length - 2] = 255;
  const cases: readonly (readonly [string, Uint8Array, string])[] = [
    ["padding with a wrong octet", badPad, "padding"],
    ["padding of zeros", zeroPad, "padding"],
    ["padding longer than the packet", longPad, "padding"],
    ["pad length reaches before the payload", lastOctets(sa, 254, ETHERIP), "padding"],
    ["next header 0", fill(sa.suite, frame, 0), "next-header"],
    ["next header 4", fill(sa.suite, frame, 4), "next-header"],
    ["next header 143", fill(sa.suite, frame, 143), "next-header"],
    ["EtherIP version 4", fill(sa.suite, join(word(0x4000), frame), ETHERIP), "etherip"],
    ["EtherIP of the original", fill(sa.suite, join(word(0x0040), frame), ETHERIP), "etherip"],
    ["an unknown flag", fill(sa.suite, join(word(0x3800), frame), ETHERIP), "etherip"],
    ["another unknown flag", fill(sa.suite, join(word(0x3008), frame), ETHERIP), "etherip"],
    ["frame of 13", fill(sa.suite, join(word(0x3000), pattern(13, 3)), ETHERIP), "runt-frame"],
    ["no frame", fill(sa.suite, word(0x3000), ETHERIP), "runt-frame"],
    ["half an EtherIP word", fill(sa.suite, Uint8Array.of(0x30), ETHERIP), "runt-frame"],
    ["no EtherIP word", fill(sa.suite, new Uint8Array(), ETHERIP), "runt-frame"],
  ];
  const rows = cases.map(([name, text, reason]) =>
    dropRow(sa, name, sealByOracle({ ...sa, counter: 6n, text }), reason),
  );
  if (sa.suite === 5) {
    return rows;
  }
  // 01 02 03 04 stands in Seq, and in the IV, just before the text: it goes on as padding would.
  const reaching = { ...sa, counter: 0x0102_0304n, text: Uint8Array.of(5, 6, 6, ETHERIP) };
  const name = "pad length reaches into what looks like padding before the payload";
  return [...rows, dropRow(sa, name, sealByOracle(reaching), "padding")];
}

/** The least text of the suite, with these at its end. */
function lastOctets(sa: Sa, padLength: number, nextHeader: number): Uint8Array {
  const text = new Uint8Array(ORACLE_SUITES[sa.suite].alignBytes);
  text.set([padLength, nextHeader], text.length - 2);
  return text;
}

function cutText(sa: Sa, whole: Uint8Array): Uint8Array {
  const ivBytes = { 1: 8, 2: 8, 3: 0, 4: 0, 5: 16 }[sa.suite];
  return join(whole.subarray(0, 8 + ivBytes), whole.subarray(-ORACLE_SUITES[sa.suite].icvBytes));
}

function opened(given: Partial<Opened>): Opened {
  return { counter: 1n, nextHeader: ETHERIP, flags: 0, payload: pattern(42, 5), ...given };
}

function payloadOf({ nextHeader, flags, payload }: Opened): Uint8Array {
  return nextHeader === ETHERIP ? join(word(0x3000 | flags), payload) : payload;
}

function seal(sa: Sa, plain: Opened): Uint8Array {
  const text = fill(sa.suite, payloadOf(plain), plain.nextHeader);
  return sealByOracle({ ...sa, counter: plain.counter, text });
}

function exactRow(sa: Sa, name: string, plain: Opened): Row {
  return row(sa, name, plain, { sealed: seal(sa, plain), exact: "yes" });
}

function row(
  sa: Sa,
  name: string,
  { counter, nextHeader, flags, payload }: Opened,
  { sealed, exact }: { readonly sealed: Uint8Array; readonly exact: string },
): Row {
  return {
    ...saColumns(sa, name),
    counter: String(counter),
    nextHeader: String(nextHeader),
    flags: hexNumber(flags, 3),
    payload: hex(payload),
    sealed: hex(sealed),
    outcome: "open",
    exact,
  };
}

function dropRow(sa: Sa, name: string, sealed: Uint8Array, outcome: string): Row {
  const nothing = { counter: "-", nextHeader: "-", flags: "-", payload: "-" };
  return { ...saColumns(sa, name), ...nothing, sealed: hex(sealed), outcome, exact: "no" };
}

function saColumns({ suite, key, spi }: Sa, name: string) {
  return {
    name: `${SUITE_NAMES[suite]}: ${name}`,
    suite: String(suite),
    key: hex(key),
    spi: hexNumber(spi, 8),
  };
}

function pattern(bytes: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, index) => (index * 7 + seed * 13 + 1) & 0xff);
}

function flip(octets: Uint8Array, at: number, mask = 1): Uint8Array {
  return octets.map((octet, index) => (index === at ? octet ^ mask : octet));
}

function word(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

function hex(octets: Uint8Array): string {
  return octets.length === 0 ? "-" : Buffer.from(octets).toString("hex");
}

function hexNumber(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}

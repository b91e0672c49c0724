/** Both codecs, this one and native/control/messages, are held to the same vectors. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import { DataplaneProtocolError, encodeMessage, MessageReader } from "../../src/dataplane/codec.ts";
import { parseEndpoint } from "../../src/net/endpoint.ts";
import { ALL_VNETS } from "../../src/net/vnet-id.ts";
import { DATAPLANE_MESSAGES, type DataplaneMessage } from "../../src/vnet/dataplane-messages.ts";

type Vector = {
  readonly name: string;
  readonly sequence: number;
  readonly message: DataplaneMessage;
  readonly octets: Uint8Array;
};

const VECTORS = readTable("dataplane-messages.tsv").map(
  ([name = "", kind = "", sequence = "", fields = "", octets = ""]): Vector => ({
    name,
    sequence: Number(sequence),
    message: parseMessage(kind as DataplaneMessage["kind"], fields),
    octets: Buffer.from(octets, "hex"),
  }),
);

const MALFORMED = readTable("dataplane-messages-malformed.tsv");

describe("encodeMessage and MessageReader", () => {
  test("there is a vector of every kind", () => {
    assert.deepEqual(
      new Set(VECTORS.map(({ message }) => message.kind)),
      new Set(Object.keys(DATAPLANE_MESSAGES)),
    );
    assert.ok(MALFORMED.length > 0);
  });

  for (const { name, sequence, message, octets } of VECTORS) {
    test(`write and read: ${name}`, () => {
      assert.equal(
        Buffer.from(encodeMessage(message, sequence)).toString("hex"),
        Buffer.from(octets).toString("hex"),
      );
      assert.deepEqual(new MessageReader().read(octets), [{ message, sequence }]);
    });
  }

  test("a field that its octets cannot hold is a RangeError", () => {
    const wrong: readonly DataplaneMessage[] = [
      { kind: "hello", version: 65_536 },
      { kind: "hello", version: -1 },
      { kind: "hello", version: 1.5 },
      { kind: "send-flood", datagram: new Uint8Array(65_536) },
      { kind: "log", level: 256, text: "" },
      { kind: "log", level: 0, text: "x".repeat(65_536) },
      { kind: "tap-lost", vnet: ALL_VNETS, deviceName: "sixteen-octets-x", error: 0 },
      { kind: "tap-lost", vnet: ALL_VNETS, deviceName: "a\0b", error: 0 },
      { kind: "counters", vnet: ALL_VNETS, values: [1n << 64n] },
      { kind: "counters", vnet: ALL_VNETS, values: [-1n] },
    ];
    for (const message of wrong) {
      assert.throws(() => encodeMessage(message, 1), RangeError, JSON.stringify(message.kind));
    }
  });
});

describe("MessageReader", () => {
  for (const [name = "", octets = ""] of MALFORMED) {
    test(`refuses: ${name}`, () => {
      assert.throws(() => new MessageReader().read(Buffer.from(octets, "hex")), {
        name: "DataplaneProtocolError",
        code: "VNETD_DATAPLANE_PROTOCOL",
      });
    });
  }

  test("gives the same messages however the stream is cut", () => {
    const stream = Buffer.concat(VECTORS.map(({ octets }) => octets));
    const expected = VECTORS.map(({ message, sequence }) => ({ message, sequence }));
    fc.assert(
      fc.property(fc.infiniteStream(fc.integer({ min: 1, max: 700 })), (cuts) => {
        const reader = new MessageReader();
        const messages: unknown[] = [];
        for (let at = 0; at < stream.length; ) {
          const bytes = cuts.next().value ?? 1;
          messages.push(...reader.read(stream.subarray(at, at + bytes)));
          at += bytes;
        }
        assert.deepEqual(messages, expected);
      }),
      { numRuns: 20 },
    );
  });

  test("keeps nothing of a chunk that the caller writes over", () => {
    const [first] = VECTORS.filter(({ message }) => message.kind === "send-flood");
    assert.ok(first !== undefined);
    const chunk = Uint8Array.from(first.octets);
    const [decoded] = new MessageReader().read(chunk);
    chunk.fill(0xee);
    assert.deepEqual(decoded?.message, first.message);
  });

  test("answers any octets with messages or a DataplaneProtocolError", () => {
    const flipped = fc
      .tuple(fc.constantFrom(...VECTORS), fc.nat(), fc.integer({ min: 0, max: 7 }))
      .map(([{ octets }, at, bit]) => {
        const changed = Uint8Array.from(octets);
        const index = at % changed.length;
        changed[index] = (changed[index] ?? 0) ^ (1 << bit);
        return changed;
      });
    fc.assert(
      fc.property(fc.oneof(flipped, fc.uint8Array({ maxLength: 80 })), (octets) => {
        try {
          for (const { message, sequence } of new MessageReader().read(octets)) {
            // What is accepted has one form only, text that is no UTF-8 aside.
            const again = encodeMessage(message, sequence);
            assert.ok(hasText(message) || Buffer.from(octets).includes(Buffer.from(again)));
          }
        } catch (error) {
          assert.ok(error instanceof DataplaneProtocolError, String(error));
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

function hasText(message: DataplaneMessage): boolean {
  const types: readonly string[] = Object.values(DATAPLANE_MESSAGES[message.kind].fields);
  return types.includes("text") || types.includes("name");
}

function parseMessage(kind: DataplaneMessage["kind"], json: string): DataplaneMessage {
  const types: Readonly<Record<string, string>> = DATAPLANE_MESSAGES[kind].fields;
  const fields = Object.entries(JSON.parse(json) as Record<string, unknown>);
  assert.deepEqual(
    fields.map(([name]) => name),
    Object.keys(types),
  );
  const values = fields.map(([name, value]) => [name, parseField(types[name] ?? "", value)]);
  return { kind, ...Object.fromEntries(values) } as DataplaneMessage;
}

function parseField(type: string, value: unknown): unknown {
  switch (type) {
    case "u64":
      return BigInt(value as string);
    case "counters":
      return (value as string[]).map(BigInt);
    case "bytes":
    case "secret":
      return Uint8Array.from(Buffer.from(value as string, "hex"));
    case "endpoint":
      return value === null ? null : parseEndpoint(value as string);
    default:
      // Canonical text is the value itself.
      return value;
  }
}

function readTable(file: string): string[][] {
  const [, ...rows] = readFileSync(`test/vectors/${file}`, "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  return rows.map((row) => row.split("\t"));
}

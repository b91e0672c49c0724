/** Both codecs, this one and native/wire/legacy, are held to test/vectors/legacy.tsv. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import { decodeEtherip, encodeEtherip } from "../../src/encap/etherip.ts";
import { encodeForward } from "../../src/encap/forward-message.ts";
import { decodeLegacy, encodeFrame, type LegacyOutcome } from "../../src/encap/legacy.ts";
import { encodeVarp } from "../../src/encap/varp-message.ts";
import { COUNTERS } from "../../src/vnet/counters.ts";

type Vector = {
  readonly name: string;
  readonly carrier: string;
  readonly payload: Uint8Array;
  readonly outcome: string;
  readonly detail: string;
  readonly exact: boolean;
};

const VECTORS = readVectors();
const COUNTER_NAMES = new Set<string>(COUNTERS.map(({ name }) => name));

describe("decodeLegacy and decodeEtherip", () => {
  test("there are vectors of every outcome, and the whole capture of the original", () => {
    assert.deepEqual(
      new Set(VECTORS.map(({ outcome }) => outcome)),
      new Set(["frame", "varp", "forward", "drop"]),
    );
    assert.equal(VECTORS.filter(({ name }) => name.startsWith("capture packet")).length, 20);
  });

  for (const { name, carrier, payload, outcome, detail } of VECTORS) {
    test(`read: ${name}`, () => {
      const decoded = carrier === "udp" ? decodeLegacy(payload) : decodeEtherip(payload);
      assert.equal(decoded.kind, outcome);
      assert.equal(describeOutcome(decoded), detail);
    });
  }

  test("every drop reason is a counter of the data plane", () => {
    for (const { payload } of VECTORS) {
      const decoded = decodeLegacy(payload);
      assert.ok(decoded.kind !== "drop" || COUNTER_NAMES.has(decoded.reason));
    }
  });

  test("never throw, whatever the bytes, and read the same at any offset of a buffer", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 120 }),
      fc
        .tuple(fc.constantFrom(1, 2, 3), fc.uint8Array({ maxLength: 120 }))
        .map(([id, rest]) => Uint8Array.of(0, id, ...rest)),
    );
    fc.assert(
      fc.property(bytes, fc.nat({ max: 7 }), (payload, offset) => {
        const shifted = Uint8Array.of(...new Uint8Array(offset), ...payload).subarray(offset);
        assert.deepEqual(
          describeOutcome(decodeLegacy(shifted)),
          describeOutcome(decodeLegacy(payload)),
        );
      }),
    );
  });

  test("never throw when one bit of a good message is flipped", () => {
    for (const { payload } of VECTORS.filter(({ name }) => name.startsWith("capture"))) {
      for (let bit = 0; bit < payload.length * 8; bit++) {
        const flipped = payload.slice();
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        assert.ok(["frame", "varp", "forward", "drop"].includes(decodeLegacy(flipped).kind));
      }
    }
  });
});

describe("encodeFrame, encodeVarp, encodeForward and encodeEtherip", () => {
  for (const { name, carrier, payload } of VECTORS.filter(({ exact }) => exact)) {
    test(`write: ${name}`, () => {
      const decoded = carrier === "udp" ? decodeLegacy(payload) : decodeEtherip(payload);
      assert.deepEqual(Buffer.from(encode(decoded, carrier)), Buffer.from(payload));
    });
  }
});

function encode(outcome: LegacyOutcome, carrier: string): Uint8Array {
  switch (outcome.kind) {
    case "frame":
      return carrier === "udp"
        ? encodeFrame(outcome.vnet, outcome.frame)
        : encodeEtherip(outcome.vnet, outcome.frame);
    case "varp":
      return encodeVarp(outcome.message);
    case "forward":
      return encodeForward(outcome);
    case "drop":
      return assert.fail(`a drop is not written: ${outcome.reason}`);
  }
}

function describeOutcome(outcome: LegacyOutcome): string {
  switch (outcome.kind) {
    case "frame":
      return `vnet=${outcome.vnet} frame=${hex(outcome.frame)}`;
    case "varp": {
      const { opcode, vnet, mac, careOf } = outcome.message;
      return `opcode=${opcode} vnet=${vnet} mac=${mac} address=${careOf}`;
    }
    case "forward": {
      const { source, destination, ttl, message } = outcome;
      return [
        `source=${source.address} sourcePort=${source.udpPort}`,
        `destination=${destination.address} destinationPort=${destination.udpPort}`,
        `ttl=${ttl} message=${hex(message)}`,
      ].join(" ");
    }
    case "drop":
      return `reason=${outcome.reason}`;
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function readVectors(): readonly Vector[] {
  const lines = readFileSync("test/vectors/legacy.tsv", "utf8").trimEnd().split("\n");
  const [, ...rows] = lines.filter((line) => !line.startsWith("#"));
  return rows.map((row) => {
    const [name = "", carrier = "", payload = "", outcome = "", detail = "", exact] =
      row.split("\t");
    const bytes = new Uint8Array(Buffer.from(payload === "-" ? "" : payload, "hex"));
    return { name, carrier, payload: bytes, outcome, detail, exact: exact === "yes" };
  });
}

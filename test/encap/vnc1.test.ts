/** Both codecs, this one and native/wire/vnc1, are held to test/vectors/vnc1.tsv. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  decodeVnc1,
  encodeVnc1,
  VNC1_BYTES_MIN,
  type Vnc1Message,
  type Vnc1Type,
} from "../../src/encap/vnc1.ts";
import { formatEndpoint } from "../../src/net/endpoint.ts";
import { parseIpAddress } from "../../src/net/ip-address.ts";

const VECTORS = readFileSync("test/vectors/vnc1.tsv", "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .slice(1)
  .map((line) => {
    const [name = "", payload = "", check = "", detail = "", exact = ""] = line.split("\t");
    const octets = Uint8Array.from(Buffer.from(payload === "-" ? "" : payload, "hex"));
    return { name, payload: octets, check, detail, exact: exact === "yes" };
  });

const octets = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const nullable = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: null });
const endpoints = plainRecord({
  address: fc.constantFrom("10.0.0.1", "192.0.2.77", "2001:db8::1").map(parseIpAddress),
  udpPort: fc.integer({ min: 1, max: 65_535 }),
});
const messages: fc.Arbitrary<Vnc1Message> = plainRecord({
  type: fc.constantFrom<Vnc1Type>("hello", "solicit", "bye", "probe", "probe-ack", "clone-alert"),
  isNext: fc.boolean(),
  isHeldOnly: fc.boolean(),
  vnetTag: octets(8),
  keyId: fc.integer({ min: 1, max: 65_535 }),
  suites: fc.nat({ max: 65_535 }),
  senderId: octets(16),
  bootNonce: octets(16),
  epoch: fc.nat({ max: 0xffff_ffff }),
  spi: fc.oneof(fc.constant(0), fc.integer({ min: 0x1000_0000, max: 0x7fff_ffff })),
  bootCounter: u64,
  helloSequence: u64,
  addresses: fc.array(endpoints, { maxLength: 8 }),
  mtuBytes: nullable(fc.nat({ max: 0xffff_ffff })),
  capabilities: fc.nat({ max: 0xffff_ffff }),
  challenge: nullable(octets(16)),
  echoes: fc.array(octets(16), { maxLength: 8 }),
  sentCounter: nullable(u64),
  saAgeMs: nullable(fc.nat({ max: 0xffff_ffff })),
  hint: nullable(octets(4)),
  probe: nullable(
    plainRecord({ id: fc.nat({ max: 0xffff_ffff }), payloadBytes: fc.nat({ max: 65_535 }) }),
  ),
  wantedSpi: nullable(fc.nat({ max: 0xffff_ffff })),
});

describe("decodeVnc1", () => {
  test("there are vectors of every outcome", () => {
    const checks = ["good", "not-vnc1", "wrong-length", "wrong-type", "wrong-field", "wrong-tlvs"];
    assert.deepEqual(new Set(VECTORS.map(({ check }) => check)), new Set(checks));
  });

  for (const { name, payload, check, detail } of VECTORS) {
    test(`read: ${name}`, () => {
      const outcome = decodeVnc1(payload);
      assert.equal(outcome.kind === "drop" ? outcome.reason : "good", check);
      assert.equal(outcome.kind === "drop" ? "-" : describeMessage(outcome.message), detail);
    });
  }

  test("never throws, whatever the bytes and wherever in a buffer they stand", () => {
    const good = VECTORS.filter(({ check }) => check === "good").map(({ payload }) => payload);
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc
        .tuple(fc.constantFrom(...good), fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 }))))
        .map(([payload, changes]) => {
          const changed = payload.slice();
          for (const [at, octet] of changes) {
            changed[at % changed.length] = octet;
          }
          return changed;
        }),
    );
    fc.assert(
      fc.property(bytes, fc.nat({ max: 7 }), (payload, offset) => {
        const shifted = Uint8Array.of(...new Uint8Array(offset), ...payload).subarray(offset);
        assert.deepEqual(decodeVnc1(shifted), decodeVnc1(payload));
      }),
      { numRuns: 3000 },
    );
  });

  test("refuses every good message that is cut short or goes on", () => {
    for (const { payload } of VECTORS.filter(({ check }) => check === "good")) {
      for (let length = 0; length < payload.length; length++) {
        assert.equal(decodeVnc1(payload.subarray(0, length)).kind, "drop");
      }
      assert.equal(decodeVnc1(Uint8Array.of(...payload, 0)).kind, "drop");
    }
  });
});

describe("encodeVnc1", () => {
  for (const { name, payload } of VECTORS.filter(({ exact }) => exact)) {
    test(`write: ${name}`, () => {
      const outcome = decodeVnc1(payload);
      assert.ok(outcome.kind === "vnc1");
      const written = encodeVnc1(outcome.message, { mac: () => outcome.mac });
      assert.deepEqual(Buffer.from(written), Buffer.from(payload));
    });
  }

  test("writes what decodeVnc1() reads, with the MAC of all that stands before it", () => {
    fc.assert(
      fc.property(messages, fc.nat({ max: 1500 }), (message, bytesMin) => {
        let authenticated = new Uint8Array();
        const payload = encodeVnc1(message, {
          bytesMin,
          mac: (part) => {
            authenticated = part.slice();
            return new Uint8Array(16).fill(0x5a);
          },
        });
        assert.ok(payload.length >= bytesMin && payload.length >= VNC1_BYTES_MIN);
        const outcome = decodeVnc1(payload);
        assert.ok(outcome.kind === "vnc1");
        assert.deepEqual(outcome.message, message);
        assert.deepEqual(outcome.authenticated, authenticated);
        assert.deepEqual(outcome.mac, new Uint8Array(16).fill(0x5a));
      }),
      { numRuns: 1000 },
    );
  });

  test("is exactly as long as asked when there is room for padding", () => {
    const [first] = VECTORS.filter(({ check }) => check === "good");
    assert.ok(first);
    const outcome = decodeVnc1(first.payload);
    assert.ok(outcome.kind === "vnc1");
    for (const bytesMin of [320, 576, 1472, 8972]) {
      const written = encodeVnc1(outcome.message, { bytesMin, mac: () => outcome.mac });
      assert.equal(written.length, bytesMin);
    }
  });
});

/** Of objects as a literal makes them, which deepEqual() compares with. */
function plainRecord<T>(values: { [Key in keyof T]: fc.Arbitrary<T[Key]> }): fc.Arbitrary<T> {
  return fc.record(values, { noNullPrototype: true }) as fc.Arbitrary<T>;
}

function describeMessage(message: Vnc1Message): string {
  const { probe } = message;
  const parts: readonly (string | null)[] = [
    `type=${message.type}`,
    message.isNext ? "next" : null,
    message.isHeldOnly ? "held-only" : null,
    `tag=${hex(message.vnetTag)}`,
    `key=${message.keyId.toString(16).padStart(4, "0")}`,
    `suites=${message.suites}`,
    `sender=${hex(message.senderId)}`,
    `nonce=${hex(message.bootNonce)}`,
    `epoch=${message.epoch}`,
    `spi=${message.spi.toString(16)}`,
    `boot=${message.bootCounter}`,
    `sequence=${message.helloSequence}`,
    ...message.addresses.map((endpoint) => `address=${formatEndpoint(endpoint)}`),
    message.mtuBytes === null ? null : `mtu=${message.mtuBytes}`,
    message.capabilities === 0 ? null : `capabilities=${message.capabilities}`,
    message.challenge && `challenge=${hex(message.challenge)}`,
    ...message.echoes.map((echo) => `echo=${hex(echo)}`),
    message.sentCounter === null ? null : `sent=${message.sentCounter}`,
    message.saAgeMs === null ? null : `age=${message.saAgeMs}`,
    message.hint && `hint=${hex(message.hint)}`,
    probe && `probe=${probe.id}/${probe.payloadBytes}`,
    message.wantedSpi === null ? null : `wanted=${message.wantedSpi.toString(16)}`,
  ];
  return parts.filter((part) => part !== null).join(" ");
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

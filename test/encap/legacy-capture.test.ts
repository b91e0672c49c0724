/** The capture of the original itself, not what the vectors say of it. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { encodeForward } from "../../src/encap/forward-message.ts";
import { decodeLegacy, encodeFrame } from "../../src/encap/legacy.ts";
import { encodeVarp } from "../../src/encap/varp-message.ts";

/** Classic pcap, little-endian: a header of the file, a header of each packet. */
const FILE_HEADER_BYTES = 24;
const PACKET_HEADER_BYTES = 16;
const PACKET_LENGTH_AT = 8;
/** Ethernet 14, IPv4 20 without options, UDP 8. */
const UDP_PAYLOAD_AT = 42;

describe("the original's capture", () => {
  const payloads = readPayloads();

  test("holds every type of message", () => {
    assert.equal(payloads.length, 20);
    const kinds = new Set(payloads.map((payload) => decodeLegacy(payload).kind));
    assert.deepEqual(kinds, new Set(["frame", "varp", "forward"]));
  });

  for (const [index, payload] of payloads.entries()) {
    test(`packet ${index + 1} is understood and written again octet for octet`, () => {
      const again = rewrite(payload);
      assert.equal(Buffer.from(again).toString("hex"), payload.toString("hex"));
    });
  }
});

function rewrite(payload: Uint8Array): Uint8Array {
  const outcome = decodeLegacy(payload);
  switch (outcome.kind) {
    case "frame":
      return encodeFrame(outcome.vnet, outcome.frame);
    case "varp":
      return encodeVarp(outcome.message);
    case "forward":
      return encodeForward(outcome);
    case "drop":
      return assert.fail(`dropped: ${outcome.reason}`);
  }
}

function readPayloads(): readonly Buffer[] {
  const capture = readFileSync("test/vectors/legacy-vnet.pcap");
  const payloads: Buffer[] = [];
  for (let at = FILE_HEADER_BYTES; at < capture.length; ) {
    const packetAt = at + PACKET_HEADER_BYTES;
    const packetBytes = capture.readUInt32LE(at + PACKET_LENGTH_AT);
    payloads.push(capture.subarray(packetAt + UDP_PAYLOAD_AT, packetAt + packetBytes));
    at = packetAt + packetBytes;
  }
  return payloads;
}

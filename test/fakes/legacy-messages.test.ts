import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import {
  decodeLegacy,
  encodeLegacyFrame,
  encodeLegacyVarp,
  unwrapForwarded,
  wrapOwnMulticast,
} from "./legacy-messages.ts";

const CAPTURE = fileURLToPath(new URL("../../../test/vectors/legacy-vnet.pcap", import.meta.url));

/** The UDP payloads of a little-endian pcap of Ethernet, IPv4, UDP. */
function payloadsOf(file: string): Buffer[] {
  const pcap = readFileSync(file);
  const payloads: Buffer[] = [];
  for (let at = 24; at < pcap.length; at += 16 + pcap.readUInt32LE(at + 8)) {
    payloads.push(pcap.subarray(at + 16 + 42, at + 16 + pcap.readUInt32LE(at + 8)));
  }
  return payloads;
}

/** What the emulation would send to say the same. */
function sayAgain(payload: Buffer): Buffer | undefined {
  const message = decodeLegacy(payload);
  if (message.kind === "frame") {
    return encodeLegacyFrame(fields(message.vnet), message.frame);
  }
  if (message.kind === "varp") {
    return encodeLegacyVarp({ ...message, vnet: fields(message.vnet) });
  }
  return message.kind === "forwarded"
    ? wrapOwnMulticast(unwrapForwarded(message.packet).message)
    : undefined;
}

function fields(vnetHex: string): string {
  return (vnetHex.match(/.{4}/g) ?? []).join(":");
}

describe("the emulated original", () => {
  const payloads = payloadsOf(CAPTURE);

  test("the capture holds every kind of message", () => {
    const kinds = new Set(payloads.map((payload) => decodeLegacy(payload).kind));
    assert.deepEqual([...kinds].sort(), ["forwarded", "frame", "varp"]);
    assert.equal(payloads.length, 20);
  });

  for (const [index, payload] of payloads.entries()) {
    test(`datagram ${index + 1} of the capture is what the emulation says`, () => {
      assert.equal(sayAgain(payload)?.toString("hex"), payload.toString("hex"));
    });
  }
});

/** What attackers of a simulated segment have: recordings, a right MAC, and a look at the victim. */
import assert from "node:assert/strict";
import { nodeCrypto } from "../../src/daemon/node-crypto.ts";
import { controlMac, deriveControlKey } from "../../src/encap/key-schedule.ts";
import { decodeVnc1, encodeVnc1, type Vnc1Message } from "../../src/encap/vnc1.ts";
import type { Endpoint } from "../../src/net/endpoint.ts";
import { parseIpAddress } from "../../src/net/ip-address.ts";
import { countSecureRefused } from "../../src/vnet/secure.ts";
import type { SecureRefusal } from "../../src/vnet/secure-events.ts";
import { listSecureHosts } from "../../src/vnet/secure-views.ts";
import {
  createSegment,
  type Host,
  isWhole,
  messageOf,
  type Recorded,
  ring,
  runTo,
  SECOND,
  type Segment,
  startHost,
  take,
  VNET,
} from "./secure-segment.ts";

export const ATTACKER: Endpoint = { address: parseIpAddress("10.0.0.66"), udpPort: 1798 };

/** Two hosts that know each other, a while after their start. */
export function pair(): { readonly segment: Segment; readonly one: Host; readonly other: Host } {
  const segment = createSegment({ hostCount: 2 });
  const [one, other] = take(segment, 0, 1);
  startHost(segment, one);
  startHost(segment, other);
  runTo(segment, 5 * SECOND);
  assert.ok(isWhole(segment));
  return { segment, one, other };
}

export function recordedFrom(segment: Segment, { endpoint }: Host): readonly Recorded[] {
  return segment.recorded.filter(({ source }) => source === endpoint);
}

/** The HELLOs that the host has flooded. */
export function helloOf(segment: Segment, host: Host): readonly Recorded[] {
  return recordedFrom(segment, host).filter(
    (recorded) => recorded.target === null && messageOf(recorded).type === "hello",
  );
}

/** As an insider: with a right MAC. */
export function sign(message: Vnc1Message, bytesMin = 320): Uint8Array {
  const [key] = ring(1);
  assert.ok(key);
  const controlKey = deriveControlKey(nodeCrypto, key.psk, { vnet: VNET, keyId: key.keyId });
  const mac = (part: Uint8Array) => controlMac(nodeCrypto, controlKey, part);
  const datagram = encodeVnc1(message, { bytesMin, mac });
  assert.equal(decodeVnc1(datagram).kind, "vnc1");
  return datagram;
}

export function sizesOf(host: Host): { readonly hosts: number; readonly receives: number } {
  return { hosts: host.secure.vnets.get(VNET)?.hosts.size ?? 0, receives: host.receives.length };
}

export function statesOf(segment: Segment, host: Host): readonly string[] {
  return listSecureHosts(host.secure, VNET, segment.now).map(({ state }) => state);
}

export function refused(host: Host, reason: SecureRefusal): number {
  return countSecureRefused(host.secure).get(reason) ?? 0;
}

/** Claims of secure vnets: one host's machine, told what the SAs of others have opened. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { decodeSealedVarp } from "../../src/encap/sealed-varp.ts";
import {
  decodeExtendedVarp,
  type ExtendedVarp,
  encodeExtendedVarp,
} from "../../src/encap/varp-extension.ts";
import { encodeVarp } from "../../src/encap/varp-message.ts";
import type { Endpoint } from "../../src/net/endpoint.ts";
import { parseIpAddress } from "../../src/net/ip-address.ts";
import { parseMacAddress } from "../../src/net/mac-address.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import { countRefused, createVarp, nextWakeAt, stepVarp } from "../../src/vnet/varp.ts";
import { listDuplicates } from "../../src/vnet/varp-claims.ts";
import type { VarpEffect, VarpEvent, VarpRefusal } from "../../src/vnet/varp-events.ts";
import type { Varp } from "../../src/vnet/varp-state.ts";

const VNET = parseVnetId("97");
const OTHER_VNET = parseVnetId("98");
const MAC = parseMacAddress("02:00:00:00:00:01");
const HERE = endpoint("10.0.0.1");
const [ONE, TWO] = [endpoint("10.0.0.2"), endpoint("10.0.0.3")];
/** Below and above our own, which is 55…. */
const [LOW_ID, HIGH_ID] = [new Uint8Array(16).fill(0x11), new Uint8Array(16).fill(0xee)];
const SECOND = 1000;
const MINUTE = 60 * SECOND;

describe("claims of a secure vnet", () => {
  test("an announce puts the MAC at its host, out of reach of frames", () => {
    const varp = machine();
    assert.deepEqual(claim(varp, ONE, { moveSequence: 1 }), [
      { kind: "set-fdb", vnet: VNET, mac: MAC, host: ONE, pinned: true },
    ]);
  });

  test("a host cannot claim for another: care-of is the SA's host", () => {
    const varp = machine();
    assert.deepEqual(claim(varp, ONE, { careOf: TWO.address }), []);
    assert.equal(refused(varp, "third-party-care-of"), 1);
  });

  test("a message of another vnet than the SA's is not heard, nor one in the clear", () => {
    const varp = machine();
    assert.deepEqual(claim(varp, ONE, { vnet: OTHER_VNET }), []);
    const open = encodeVarp({ opcode: "announce", vnet: VNET, mac: MAC, careOf: ONE.address });
    const received = { kind: "control-received", source: ONE, via: 0, datagram: open } as const;
    assert.deepEqual(step(varp, received), []);
    assert.equal(refused(varp, "unknown-vnet"), 2);
  });

  test("a higher move sequence moves the MAC, a lower one does not", () => {
    const varp = machine();
    claim(varp, ONE, { moveSequence: 3 });
    assert.deepEqual(claim(varp, TWO, { moveSequence: 2 }), []);
    assert.equal(refused(varp, "outranked"), 1);
    assert.deepEqual(hostsSet(claim(varp, TWO, { moveSequence: 4 })), [TWO]);
  });

  test("of equal sequences the higher sender id's stands", () => {
    const varp = machine();
    claim(varp, ONE, { moveSequence: 3, owner: LOW_ID });
    assert.deepEqual(hostsSet(claim(varp, TWO, { moveSequence: 3, owner: HIGH_ID })), [TWO]);
    assert.deepEqual(claim(varp, ONE, { moveSequence: 3, owner: LOW_ID }), []);
  });

  test("the host that has the MAC may claim it with any sequence: it may have been restarted", () => {
    const varp = machine();
    claim(varp, ONE, { moveSequence: 9 });
    assert.deepEqual(claim(varp, ONE, { moveSequence: 1 }), []);
    assert.equal(refused(varp, "outranked"), 0);
    assert.deepEqual(claim(varp, TWO, { moveSequence: 9, owner: LOW_ID }), []);
  });

  test("a MAC that is heard here is claimed above what was claimed before", () => {
    const varp = machine();
    claim(varp, ONE, { moveSequence: 6 });
    const effects = step(varp, { kind: "vif-learned", vnet: VNET, mac: MAC, moved: true });
    assert.deepEqual(effects[0], { kind: "delete-fdb", vnet: VNET, mac: MAC });
    const [announce] = messagesOf(effects);
    assert.ok(announce?.opcode === "announce");
    assert.equal(announce.claim.moveSequence, 7);
    assert.equal(announce.careOf, HERE.address);
  });

  test("a claim that does not win against ours is answered with the sequence after it", () => {
    const varp = machine();
    step(varp, { kind: "vif-learned", vnet: VNET, mac: MAC, moved: false });
    const [first] = messagesOf(claim(varp, ONE, { moveSequence: 1, owner: LOW_ID }));
    assert.ok(first?.opcode === "announce");
    assert.equal(first.claim.moveSequence, 2);
    // Not for every claim: one a second.
    assert.deepEqual(claim(varp, ONE, { moveSequence: 1, owner: LOW_ID }), []);
  });

  test("a claim that wins against ours takes the MAC from here", () => {
    const varp = machine();
    step(varp, { kind: "vif-learned", vnet: VNET, mac: MAC, moved: false });
    const effects = claim(varp, ONE, { moveSequence: 2 });
    assert.deepEqual(effects, [
      { kind: "delete-vif", vnet: VNET, mac: MAC },
      { kind: "set-fdb", vnet: VNET, mac: MAC, host: ONE, pinned: true },
    ]);
  });

  test("a MAC that is pinned here is never lost to a claim", () => {
    const varp = machine();
    step(varp, { kind: "vif-pinned", vnet: VNET, mac: MAC });
    const effects = claim(varp, ONE, { moveSequence: 1000, permanent: true });
    const [answer] = messagesOf(effects);
    assert.ok(answer?.opcode === "announce");
    assert.deepEqual([answer.claim.moveSequence, answer.permanent], [1001, true]);
    assert.deepEqual(hostsSet(effects), []);
    assert.equal(refused(varp, "pinned-here"), 1);
  });

  test("a MAC that is pinned there does not come here by frames, nor elsewhere by claims", () => {
    const varp = machine();
    claim(varp, ONE, { moveSequence: 1, permanent: true });
    const effects = step(varp, { kind: "vif-learned", vnet: VNET, mac: MAC, moved: true });
    assert.deepEqual(messagesOf(effects), []);
    assert.deepEqual(hostsSet(effects), [ONE]);
    assert.equal(refused(varp, "pinned-there"), 1);
    assert.deepEqual(claim(varp, TWO, { moveSequence: 50 }), []);
  });

  test("after five moves in three minutes a MAC stays where it is, and is shown as a duplicate", () => {
    const varp = machine();
    for (let sequence = 1; sequence <= 6; sequence++) {
      claim(varp, sequence % 2 === 0 ? TWO : ONE, { moveSequence: sequence });
    }
    assert.deepEqual(listDuplicates(varp, VNET, 0), [
      { vnet: VNET, mac: MAC, host: TWO, isHere: false },
    ]);
    assert.deepEqual(claim(varp, ONE, { moveSequence: 99 }), []);
    assert.deepEqual(
      messagesOf(step(varp, { kind: "vif-learned", vnet: VNET, mac: MAC, moved: true })),
      [],
    );
    assert.equal(refused(varp, "duplicate"), 2);
    const later = 3 * MINUTE + 1;
    assert.deepEqual(hostsSet(claim(varp, ONE, { moveSequence: 99 }, later)), [ONE]);
    assert.deepEqual(listDuplicates(varp, VNET, later), []);
  });

  test("four moves, or five in longer than three minutes, are no duplicate", () => {
    const varp = machine();
    for (let sequence = 1; sequence <= 20; sequence++) {
      const at = sequence * 50 * SECOND;
      const host = sequence % 2 === 0 ? TWO : ONE;
      assert.deepEqual(hostsSet(claim(varp, host, { moveSequence: sequence }, at)), [host]);
    }
  });

  test("our MACs are claimed again every minute, a hundred in a message", () => {
    const varp = machine();
    for (let index = 0; index < 250; index++) {
      const mac = parseMacAddress(`02:00:00:00:01:${index.toString(16)}`);
      step(varp, {
        kind: "vifs-listed",
        vifs: [{ vnet: VNET, mac, pinned: false }],
        announce: false,
      });
      step(varp, { kind: "vif-pinned", vnet: VNET, mac });
    }
    runTo(varp, 59 * SECOND);
    const batches = messagesOf(stepVarp(varp, { kind: "tick" }, MINUTE)).filter(
      ({ opcode }) => opcode === "batch",
    );
    const sizes = batches.map((batch) => (batch.opcode === "batch" ? batch.claims.length : 0));
    assert.deepEqual(sizes, [100, 100, 50]);
  });

  test("a batch refreshes claims, and takes in those whose announce was lost", () => {
    const varp = machine();
    claim(varp, ONE, { moveSequence: 4, permanent: true });
    const other = parseMacAddress("02:00:00:00:00:02");
    const claims = [MAC, other].map((mac) => ({ mac, moveSequence: 4 }));
    const batch = { opcode: "batch", vnet: VNET, careOf: ONE.address, claims } as const;
    const effects = sealed(varp, ONE, { ...batch, owner: LOW_ID, permanent: false });
    assert.deepEqual(effects, [
      { kind: "set-fdb", vnet: VNET, mac: other, host: ONE, pinned: true },
    ]);
    // It is still the pinned one it was announced as.
    assert.deepEqual(claim(varp, TWO, { moveSequence: 50 }), []);
  });

  test("a claim that is not repeated lapses after three minutes, and not before", () => {
    const varp = machine();
    claim(varp, ONE, { moveSequence: 1 });
    assert.deepEqual(runTo(varp, 180 * SECOND), []);
    assert.deepEqual(runTo(varp, 241 * SECOND), [{ kind: "delete-fdb", vnet: VNET, mac: MAC }]);
  });

  test("only its owner withdraws a claim", () => {
    const varp = machine();
    claim(varp, ONE, { moveSequence: 1 });
    const withdraw = (host: Endpoint) => claim(varp, host, { opcode: "withdraw" });
    assert.deepEqual(withdraw(TWO), []);
    assert.deepEqual(withdraw(ONE), [{ kind: "delete-fdb", vnet: VNET, mac: MAC }]);
  });

  test("a MAC that is gone from here is withdrawn", () => {
    const varp = machine();
    step(varp, { kind: "vif-learned", vnet: VNET, mac: MAC, moved: false });
    const effects = step(varp, { kind: "vif-gone", vnet: VNET, mac: MAC, moved: false });
    assert.deepEqual(
      messagesOf(effects).map(({ opcode }) => opcode),
      ["withdraw"],
    );
  });

  test("a request is answered inside the SA, to its host alone", () => {
    const varp = machine();
    step(varp, { kind: "vif-learned", vnet: VNET, mac: MAC, moved: false });
    const effects = claim(varp, ONE, { opcode: "request" });
    assert.equal(effects.length, 1);
    assert.ok(effects[0]?.kind === "seal-to" && effects[0].host === ONE);
  });

  test("claims of an earlier daemon are kept, and give way to any other", () => {
    const varp = machine();
    step(varp, { kind: "claims-listed", claims: [{ vnet: VNET, mac: MAC, host: ONE }] });
    assert.deepEqual(claim(varp, ONE, { moveSequence: 5 }), []);
    assert.deepEqual(hostsSet(claim(varp, TWO, { moveSequence: 6 })), [TWO]);
  });

  test("a new data plane is told all claims", () => {
    const varp = machine();
    claim(varp, ONE, { moveSequence: 5 });
    assert.deepEqual(step(varp, { kind: "claims-listed", claims: [] }), [
      { kind: "set-fdb", vnet: VNET, mac: MAC, host: ONE, pinned: true },
    ]);
  });

  test("nothing of a secure vnet goes out in the clear", () => {
    const varp = machine();
    const effects = [
      ...step(varp, { kind: "vif-learned", vnet: VNET, mac: MAC, moved: false }),
      ...step(varp, { kind: "fdb-miss", vnet: VNET, mac: parseMacAddress("02:00:00:00:00:09") }),
      ...step(varp, {
        kind: "fdb-stale",
        vnet: VNET,
        mac: parseMacAddress("02:00:00:00:00:08"),
        host: ONE,
      }),
      ...runTo(varp, 10 * MINUTE),
      ...step(varp, { kind: "vif-gone", vnet: VNET, mac: MAC, moved: false }),
    ];
    const kinds = new Set(effects.map(({ kind }) => kind));
    assert.deepEqual(kinds, new Set(["seal-flood", "seal-to"]));
  });

  test("the MACs of an open vnet that move too often are shown, and followed as before", () => {
    const varp = machine();
    step(varp, { kind: "vnet-added", vnet: OTHER_VNET });
    for (let move = 0; move < 5; move++) {
      const host = move % 2 === 0 ? ONE : TWO;
      step(varp, { kind: "fdb-learned", vnet: OTHER_VNET, mac: MAC, host, moved: true });
    }
    assert.deepEqual(listDuplicates(varp, null, 0), [
      { vnet: OTHER_VNET, mac: MAC, host: null, isHere: false },
    ]);
    const datagram = encodeVarp({
      ...{ opcode: "announce", vnet: OTHER_VNET, mac: MAC, careOf: ONE.address },
    });
    const effects = step(varp, { kind: "control-received", source: ONE, via: 0, datagram });
    assert.deepEqual(hostsSet(effects), [ONE]);
  });
});

function machine(): Varp {
  const varp = createVarp();
  const { address } = HERE;
  const source = { sourceAddress4: address, sourceAddress6: null, localAddresses: [address] };
  step(varp, { kind: "underlay-changed", ...source });
  step(varp, { kind: "identity-changed", senderId: new Uint8Array(16).fill(0x55) });
  step(varp, { kind: "vnet-added", vnet: VNET, sealed: true });
  return varp;
}

function step(varp: Varp, event: VarpEvent, now = 0): readonly VarpEffect[] {
  return stepVarp(varp, event, now);
}

function runTo(varp: Varp, until: number): readonly VarpEffect[] {
  const effects: VarpEffect[] = [];
  for (let at = nextWakeAt(varp); at <= until; at = nextWakeAt(varp)) {
    effects.push(...step(varp, { kind: "tick" }, at));
  }
  return effects;
}

/** The host says something of MAC in an SA of VNET. */
function claim(
  varp: Varp,
  host: Endpoint,
  said: Partial<Exclude<ExtendedVarp, { readonly opcode: "batch" }>> & {
    readonly moveSequence?: number;
  },
  now = 0,
): readonly VarpEffect[] {
  const { moveSequence = 0, ...rest } = said;
  const message: ExtendedVarp = {
    ...{ opcode: "announce", vnet: VNET, careOf: host.address, owner: LOW_ID, permanent: false },
    claim: { mac: MAC, moveSequence },
    ...rest,
  };
  return sealed(varp, host, message, now);
}

function sealed(
  varp: Varp,
  source: Endpoint,
  message: ExtendedVarp,
  now = 0,
): readonly VarpEffect[] {
  const datagram = encodeExtendedVarp(message);
  return step(varp, { kind: "sealed-received", vnet: VNET, source, datagram }, now);
}

function messagesOf(effects: readonly VarpEffect[]): readonly ExtendedVarp[] {
  return effects.flatMap((effect) => {
    if (effect.kind !== "seal-flood" && effect.kind !== "seal-to") {
      return [];
    }
    const datagram = decodeSealedVarp(effect.payload);
    assert.ok(datagram);
    const outcome = decodeExtendedVarp(datagram);
    assert.ok(outcome.kind === "varp");
    return [outcome.message];
  });
}

function hostsSet(effects: readonly VarpEffect[]): readonly (Endpoint | null)[] {
  return effects.flatMap((effect) => (effect.kind === "set-fdb" ? [effect.host] : []));
}

function refused(varp: Varp, reason: VarpRefusal): number {
  return countRefused(varp).get(reason) ?? 0;
}

function endpoint(address: string): Endpoint {
  return { address: parseIpAddress(address), udpPort: 1798 };
}

/** One VARP machine: what it answers to each event, at which time. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { decodeVarp, encodeVarp, type VarpMessage } from "../../src/encap/varp-message.ts";
import { formatEndpoint } from "../../src/net/endpoint.ts";
import { type IpAddress, parseIpAddress } from "../../src/net/ip-address.ts";
import { type MacAddress, parseMacAddress } from "../../src/net/mac-address.ts";
import { ALL_VNETS, parseVnetId } from "../../src/net/vnet-id.ts";
import { countRefused, createVarp, listAsking, nextWakeAt, stepVarp } from "../../src/vnet/varp.ts";
import type { VarpEffect, VarpEvent, VarpOptions } from "../../src/vnet/varp-events.ts";
import type { Varp } from "../../src/vnet/varp-state.ts";

const VNET = parseVnetId("97");
const OTHER_VNET = parseVnetId("98");
const MAC = parseMacAddress("00:16:3e:00:00:01");
const US = parseIpAddress("10.0.0.1");
const US6 = parseIpAddress("2001:db8::1");
const THEM = parseIpAddress("10.0.0.2");
const THIRD = parseIpAddress("10.0.0.3");

const ABOUT_MAC = { vnet: VNET, mac: MAC } as const;
const LEARNED = { kind: "vif-learned", ...ABOUT_MAC, moved: false } as const;
const MISS = { kind: "fdb-miss", ...ABOUT_MAC } as const;
const STALE = { kind: "fdb-stale", ...ABOUT_MAC, host: { address: THEM, udpPort: 1798 } } as const;

const ANNOUNCE = `flood announce 97 ${MAC} at ${US}`;
const REQUEST = `flood request 97 ${MAC} at ${US}`;
const UNICAST_REQUEST = `to 10.0.0.2:1798 request 97 ${MAC} at ${US}`;
const SET_FDB = `set-fdb 97 ${MAC} 10.0.0.2:1798`;

describe("announcing", () => {
  test("a MAC heard first is announced at once, after one and after three seconds", () => {
    const story = play([100, LEARNED], 10_000);
    assert.deepEqual(story, [`100 ${ANNOUNCE}`, `1100 ${ANNOUNCE}`, `3100 ${ANNOUNCE}`]);
  });

  test("a pinned MAC is announced without being heard, and not again when it is", () => {
    const story = play([0, { kind: "vif-pinned", ...ABOUT_MAC }], [5000, LEARNED], 10_000);
    assert.deepEqual(story, [`0 ${ANNOUNCE}`, `1000 ${ANNOUNCE}`, `3000 ${ANNOUNCE}`]);
  });

  test("a MAC that comes back is announced again from the beginning", () => {
    const story = play([0, LEARNED], [500, { ...LEARNED, moved: true }], 2000);
    assert.deepEqual(story, [`0 ${ANNOUNCE}`, `500 ${ANNOUNCE}`, `1500 ${ANNOUNCE}`]);
  });

  test("nothing is repeated for a MAC that has left", () => {
    for (const gone of [
      { kind: "vif-gone", ...ABOUT_MAC, moved: true },
      { kind: "vif-gone", ...ABOUT_MAC, moved: false },
      { kind: "vif-unpinned", ...ABOUT_MAC },
      { kind: "vnet-removed", vnet: VNET },
    ] as const) {
      assert.deepEqual(play([0, LEARNED], [500, gone], 10_000), [`0 ${ANNOUNCE}`], gone.kind);
    }
  });

  test("a pinned MAC stays when the data plane no longer hears it", () => {
    const gone = { kind: "vif-gone", ...ABOUT_MAC, moved: false } as const;
    const story = play([0, { kind: "vif-pinned", ...ABOUT_MAC }], [500, gone], 1000);
    assert.deepEqual(story, [`0 ${ANNOUNCE}`, `1000 ${ANNOUNCE}`]);
  });

  test("when the address changes, all is announced with the new one", () => {
    const story = play([0, LEARNED], [20_000, underlay({ sourceAddress4: THIRD })], 20_500);
    assert.equal(story.at(-1), `20000 flood announce 97 ${MAC} at ${THIRD}`);
  });

  test("the same address again is no reason to announce", () => {
    const again = underlay({ localAddresses: [US, THIRD] });
    assert.equal(play([0, LEARNED], [20_000, again], 30_000).length, 3);
  });

  test("without an address there is silence; with one, what lives here is announced", () => {
    const none = underlay({ sourceAddress4: null });
    const story = play([0, none], [1, LEARNED], [5000, underlay()], 5500);
    assert.deepEqual(story, [`5000 ${ANNOUNCE}`]);
  });

  test("where there is IPv6 only, the care-of address is IPv6", () => {
    const six = underlay({ sourceAddress4: null, sourceAddress6: US6 });
    assert.deepEqual(play([0, six], [1, LEARNED], 500), [`1 flood announce 97 ${MAC} at ${US6}`]);
  });

  test("thousands of MACs are announced in a paced stream, each once or more", () => {
    const varp = host();
    const sent: number[] = [];
    const macs = Array.from({ length: 1000 }, (_, index) => macOf(index));
    const vifs = macs.map((mac) => ({ vnet: VNET, mac, pinned: false }));
    const heard = new Set<MacAddress>();
    const note = (effects: readonly VarpEffect[], now: number) => {
      for (const { mac } of messagesOf(effects)) {
        heard.add(mac);
        sent.push(now);
      }
    };
    note(stepVarp(varp, { kind: "vifs-listed", vifs, announce: true }, 0), 0);
    assert.equal(sent.length, 200);
    for (let wake = nextWakeAt(varp); wake < 60_000; wake = nextWakeAt(varp)) {
      note(stepVarp(varp, { kind: "tick" }, wake), wake);
    }
    assert.equal(heard.size, 1000);
    const inOneSecond = sent.filter((now) => now >= 3000 && now < 4000).length;
    assert.ok(inOneSecond <= 101, `${inOneSecond} in one second`);
  });

  test("what would have to wait more than ten seconds is left to the frames", () => {
    const varp = host();
    const vifs = Array.from({ length: 1500 }, (_, index) => ({
      vnet: VNET,
      mac: macOf(index),
      pinned: false,
    }));
    stepVarp(varp, { kind: "vifs-listed", vifs, announce: true }, 0);
    // 200 at once and a place each 10 ms up to the tenth second.
    assert.equal(countRefused(varp).get("rate"), 1500 - 200 - 1000);
  });
});

describe("answering", () => {
  test("a request for a MAC that lives here is answered to the asker alone, at our port", () => {
    const story = play([0, LEARNED], [9000, received("request", { udpPort: 40_001 })], 9000);
    assert.equal(story.at(-1), `9000 to 10.0.0.2:1798 announce 97 ${MAC} at ${US}`);
    assert.equal(story.length, 4);
  });

  test("a peer that listens elsewhere is answered there", () => {
    const peers = { kind: "peers-changed", peers: [{ address: THEM, udpPort: 1799 }] } as const;
    const story = play([0, peers], [1, LEARNED], [9000, received("request")], 9000);
    assert.equal(story.at(-1), `9000 to 10.0.0.2:1799 announce 97 ${MAC} at ${US}`);
  });

  test("an answer has the address of the asker's family", () => {
    const asker = parseIpAddress("2001:db8::2");
    const both = underlay({ sourceAddress6: US6 });
    const ask = received("request", { source: asker, careOf: asker });
    const story = play([0, both], [1, LEARNED], [9000, ask], 9000);
    assert.equal(story.at(-1), `9000 to [2001:db8::2]:1798 announce 97 ${MAC} at ${US6}`);
    assert.equal(play([1, LEARNED], [9000, ask], 9000).length, 3);
  });

  const silent = [
    ["a MAC that is not here", received("request", { mac: macOf(9) })],
    ["a vnet that is not here", received("request", { vnet: OTHER_VNET })],
    ["our own request come back", received("request", { source: US, careOf: US })],
    ["the zero MAC", received("request", { mac: parseMacAddress("0:0:0:0:0:0") })],
    ["a group", received("request", { mac: parseMacAddress("ff:ff:ff:ff:ff:ff") })],
  ] as const;
  for (const [what, event] of silent) {
    test(`a request for ${what} is not answered`, () => {
      assert.deepEqual(play([0, LEARNED], [9000, event], 9000).slice(3), []);
    });
  }
});

describe("asking after a miss", () => {
  test("asks at once, then after 1, 2, 4 … seconds as long as frames are flooded", () => {
    const misses = Array.from({ length: 20 }, (_, second) => [second * 1000, MISS] as const);
    const story = play(...misses, 19_500);
    assert.deepEqual(
      story,
      [0, 1000, 3000, 7000, 15_000].map((at) => `${at} ${REQUEST}`),
    );
  });

  test("never waits longer than 32 seconds", () => {
    const misses = Array.from({ length: 200 }, (_, second) => [second * 1000, MISS] as const);
    assert.deepEqual(
      play(...misses, 199_000).slice(5),
      [31, 63, 95, 127, 159, 191].map((second) => `${second * 1000} ${REQUEST}`),
    );
  });

  test("a miss that comes a little late does not start from the beginning", () => {
    const misses = Array.from({ length: 20 }, (_, second) => [second * 1001, MISS] as const);
    assert.equal(play(...misses, 19_500).length, 5);
  });

  test("after a silence it asks at once again", () => {
    const story = play([0, MISS], [10_000, MISS], 11_000);
    assert.deepEqual(story, [`0 ${REQUEST}`, `10000 ${REQUEST}`]);
  });

  test("without an address it cannot ask, and asks when there is one", () => {
    const none = underlay({ sourceAddress4: null });
    const story = play([0, none], [1, MISS], [500, underlay()], [900, MISS], 1500);
    assert.deepEqual(story, [`1001 ${REQUEST}`]);
  });

  test("does not ask for what lives here, nor for zero and group addresses", () => {
    const zero = { ...MISS, mac: parseMacAddress("0:0:0:0:0:0") };
    const group = { ...MISS, mac: parseMacAddress("1:0:5e:0:0:1") };
    assert.equal(play([0, LEARNED], [9000, MISS], [9000, zero], [9000, group], 9000).length, 3);
  });

  for (const end of [
    { kind: "fdb-learned", ...ABOUT_MAC, host: STALE.host, moved: false },
    LEARNED,
    { kind: "vnet-removed", vnet: VNET },
  ] as const) {
    test(`ends with ${end.kind}`, () => {
      const requests = play([0, MISS], [400, MISS], [500, end], 30_000).filter(isRequest);
      assert.deepEqual(requests, [`0 ${REQUEST}`]);
    });
  }

  test("the list of what is asked for says since when, and ends with the answer", () => {
    const varp = host();
    stepVarp(varp, MISS, 1000);
    const asking = { vnet: VNET, mac: MAC, askingMs: 500, host: null };
    assert.deepEqual(listAsking(varp, null, 1500), [asking]);
    assert.deepEqual(listAsking(varp, VNET, 1500), [asking]);
    assert.deepEqual(listAsking(varp, OTHER_VNET, 1500), []);
    stepVarp(varp, received("announce"), 1500);
    assert.deepEqual(listAsking(varp, null, 1500), []);
  });

  test("a guest that sprays destinations floods no more than its budget and keeps 256 questions", () => {
    const varp = host();
    let requests = 0;
    for (let index = 0; index < 5000; index++) {
      requests += stepVarp(varp, { ...MISS, mac: macOf(index) }, index / 10).length;
    }
    assert.ok(requests >= 200 && requests <= 251, `${requests} requests in half a second`);
    assert.equal(listAsking(varp, null, 500).length, 256);
    assert.equal(listAsking(varp, null, 500)[0]?.mac, macOf(5000 - 256));
    assert.ok((countRefused(varp).get("rate") ?? 0) > 4000);
  });

  test("the misses of one vnet leave the budget of another alone", () => {
    const varp = host();
    stepVarp(varp, { kind: "vnet-added", vnet: OTHER_VNET }, 0);
    for (let index = 0; index < 1000; index++) {
      stepVarp(varp, { ...MISS, mac: macOf(index) }, 0);
    }
    assert.equal(stepVarp(varp, { ...MISS, vnet: OTHER_VNET }, 0).length, 1);
  });
});

describe("asking after a stale entry", () => {
  test("asks the host twice, then everybody, then leaves it to age", () => {
    assert.deepEqual(play([0, STALE], 30_000), [
      `0 ${UNICAST_REQUEST}`,
      `1000 ${UNICAST_REQUEST}`,
      `2000 ${REQUEST}`,
    ]);
  });

  test("an answer ends it and renews the entry", () => {
    const story = play([0, STALE], [10, received("announce")], 30_000);
    assert.deepEqual(story, [`0 ${UNICAST_REQUEST}`, `10 ${SET_FDB}`]);
  });

  test("the entry's death ends it, a miss asks everybody at once", () => {
    const gone = { kind: "fdb-gone", ...ABOUT_MAC } as const;
    assert.deepEqual(play([0, STALE], [500, gone], 30_000), [`0 ${UNICAST_REQUEST}`]);
    assert.deepEqual(play([0, STALE], [500, MISS], 900), [
      `0 ${UNICAST_REQUEST}`,
      `500 ${REQUEST}`,
    ]);
    assert.deepEqual(play([0, MISS], [500, gone], [500, MISS], 1000), [
      `0 ${REQUEST}`,
      `1000 ${REQUEST}`,
    ]);
  });

  test("one that is asked for already, or lives here, is not asked for again", () => {
    assert.deepEqual(play([0, STALE], [500, STALE], 900), [`0 ${UNICAST_REQUEST}`]);
    assert.deepEqual(play([0, LEARNED], [9000, STALE], 9000).slice(3), []);
  });

  test("a host of a family we have no address of is left to age", () => {
    const host6 = { address: parseIpAddress("2001:db8::2"), udpPort: 1798 };
    assert.deepEqual(play([0, { ...STALE, host: host6 }], 900), []);
    assert.deepEqual(play([0, { ...STALE, host: null }], 900), []);
  });
});

describe("believing an announce", () => {
  test("the MAC is at the host that says so", () => {
    assert.deepEqual(play([0, received("announce")], 0), [`0 ${SET_FDB}`]);
  });

  test("whatever port it came from, frames go to our port or the peer's", () => {
    const odd = received("announce", { udpPort: 40_001 });
    assert.deepEqual(play([0, odd], 0), [`0 ${SET_FDB}`]);
    const peers = { kind: "peers-changed", peers: [{ address: THEM, udpPort: 1799 }] } as const;
    assert.deepEqual(play([0, peers], [1, odd], 1), [`1 set-fdb 97 ${MAC} 10.0.0.2:1799`]);
  });

  test("a MAC that lived here has moved", () => {
    const story = play([0, LEARNED], [500, received("announce")], 10_000);
    assert.deepEqual(story, [`0 ${ANNOUNCE}`, `500 delete-vif 97 ${MAC}`, `500 ${SET_FDB}`]);
  });

  test("a pinned MAC is defended, once a second at most", () => {
    const pinned = { kind: "vif-pinned", ...ABOUT_MAC } as const;
    const claims = [9000, 9100, 9900, 10_050].map((at) => [at, received("announce")] as const);
    const story = play([0, pinned], ...claims, 10_060).slice(3);
    assert.deepEqual(story, [`9000 ${ANNOUNCE}`, `10000 ${ANNOUNCE}`, `10050 ${ANNOUNCE}`]);
  });

  const refused = [
    ["third-party-care-of", received("announce", { careOf: THIRD })],
    ["from-self", received("announce", { source: US, careOf: US })],
    ["unknown-vnet", received("announce", { vnet: OTHER_VNET })],
    ["not-unicast-mac", received("announce", { mac: parseMacAddress("1:0:0:0:0:0") })],
    ["malformed", { ...received("announce"), datagram: new Uint8Array(43) }],
    ["malformed", { ...received("announce"), datagram: new Uint8Array(5) }],
    ["malformed", { ...received("announce"), source: null }],
  ] as const;
  for (const [reason, event] of refused) {
    test(`refuses and counts ${reason}`, () => {
      const varp = host();
      assert.deepEqual(stepVarp(varp, event, 0), []);
      assert.deepEqual([...countRefused(varp)], [[reason, 1]]);
    });
  }
});

describe("the rest", () => {
  test("flush forgets the questions and has the data plane forget the answers", () => {
    const varp = host();
    stepVarp(varp, MISS, 0);
    assert.deepEqual(stepVarp(varp, { kind: "flush" }, 1), [
      { kind: "flush-fdb", vnet: ALL_VNETS },
    ]);
    assert.deepEqual(listAsking(varp, null, 1), []);
  });

  test("events of a vnet that was not added are ignored", () => {
    const elsewhere = { vnet: OTHER_VNET, mac: MAC };
    const events = [
      { kind: "vif-learned", ...elsewhere, moved: false },
      { kind: "vif-pinned", ...elsewhere },
      { kind: "fdb-miss", ...elsewhere },
      { kind: "vifs-listed", vifs: [{ ...elsewhere, pinned: false }], announce: true },
    ] as const;
    for (const event of events) {
      assert.deepEqual(play([0, event], 10_000), [], event.kind);
    }
  });

  test("adding a vnet twice keeps what is known of it", () => {
    const again = { kind: "vnet-added", vnet: VNET } as const;
    const story = play([0, LEARNED], [9000, again], [9001, received("request")], 9001);
    assert.equal(story.length, 4);
  });

  test("a listing replaces what was heard: silently after adoption, else with announcements", () => {
    const two = [macOf(1), macOf(2)].map((mac) => ({ vnet: VNET, mac, pinned: false }));
    const adopted = { kind: "vifs-listed", vifs: two, announce: false } as const;
    const lost = { kind: "vifs-listed", vifs: two.slice(1), announce: true } as const;
    assert.deepEqual(play([0, adopted], 10_000), []);
    assert.equal(play([0, lost], 500).length, 1);
    const ask = received("request", { mac: macOf(1) });
    assert.equal(play([0, adopted], [1, ask], 1).length, 1);
    assert.equal(play([0, adopted], [1, lost], [2, ask], 2).length, 0);
  });

  test("a listing does not unpin", () => {
    const empty = { kind: "vifs-listed", vifs: [], announce: true } as const;
    const pinned = { kind: "vif-pinned", ...ABOUT_MAC } as const;
    const story = play([0, pinned], [9000, empty], [9001, received("request")], 9001);
    assert.equal(story.length, 4);
  });

  test("nothing to do is no wake", () => {
    assert.equal(nextWakeAt(host()), Number.POSITIVE_INFINITY);
  });

  test("another port is used for everything", () => {
    const varp = host({ udpPort: 2000 });
    assert.deepEqual(describeEffects(stepVarp(varp, received("announce"), 0)), [
      `set-fdb 97 ${MAC} 10.0.0.2:2000`,
    ]);
  });

  test("no datagram, however made, makes it throw or send more than it was sent", () => {
    const vif = { kind: "vif-pinned", ...ABOUT_MAC } as const;
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      fc
        .tuple(fc.nat(42), fc.nat(255))
        .map(([at, octet]) => received("request").datagram.with(at, octet)),
    );
    const varp = host();
    stepVarp(varp, vif, 0);
    fc.assert(
      fc.property(bytes, fc.constantFrom(US, THEM, THIRD), (datagram, address) => {
        const source = { address, udpPort: 1798 };
        const event = { kind: "control-received", source, via: 0, datagram } as const;
        const effects = stepVarp(varp, event, 100_000);
        assert.ok(messagesOf(effects).length <= 1);
      }),
      { numRuns: 2000 },
    );
  });
});

/** A host with one vnet and an address. */
function host(options: VarpOptions = {}): Varp {
  const varp = createVarp(options);
  stepVarp(varp, underlay(), 0);
  stepVarp(varp, { kind: "vnet-added", vnet: VNET }, 0);
  return varp;
}

function underlay(
  change: Partial<Extract<VarpEvent, { readonly kind: "underlay-changed" }>> = {},
): VarpEvent {
  return {
    kind: "underlay-changed",
    sourceAddress4: US,
    sourceAddress6: null,
    localAddresses: [US],
    ...change,
  };
}

/**
 * What a host does as the events come, until the last argument: `time effect`, with a tick
 * whenever it asked for one.
 */
function play(...script: readonly (readonly [at: number, event: VarpEvent] | number)[]): string[] {
  const varp = host();
  const story: string[] = [];
  const step = (event: VarpEvent, now: number) => {
    const effects = describeEffects(stepVarp(varp, event, now));
    story.push(...effects.map((effect) => `${now} ${effect}`));
  };
  for (const entry of script) {
    const until = typeof entry === "number" ? entry : entry[0];
    for (let wake = nextWakeAt(varp); wake <= until; wake = nextWakeAt(varp)) {
      step({ kind: "tick" }, wake);
    }
    if (typeof entry !== "number") {
      step(entry[1], entry[0]);
    }
  }
  return story;
}

function received(
  opcode: VarpMessage["opcode"],
  change: Partial<VarpMessage> & { readonly source?: IpAddress; readonly udpPort?: number } = {},
) {
  const { source = THEM, udpPort = 1798, ...message } = change;
  const datagram = encodeVarp({ opcode, vnet: VNET, mac: MAC, careOf: THEM, ...message });
  return {
    kind: "control-received",
    source: { address: source, udpPort },
    via: 1,
    datagram,
  } as const;
}

function describeEffects(effects: readonly VarpEffect[]): string[] {
  return effects.map((effect) => {
    switch (effect.kind) {
      case "send-flood":
        return `flood ${describeMessage(effect.datagram)}`;
      case "send-to":
        assert.ok(effect.host);
        return `to ${formatEndpoint(effect.host)} ${describeMessage(effect.datagram)}`;
      case "set-fdb":
        assert.ok(effect.host && !effect.pinned);
        return `set-fdb ${shortOf(effect.vnet)} ${effect.mac} ${formatEndpoint(effect.host)}`;
      case "delete-vif":
        return `delete-vif ${shortOf(effect.vnet)} ${effect.mac}`;
      default:
        return effect.kind;
    }
  });
}

function describeMessage(datagram: Uint8Array): string {
  const outcome = decodeVarp(datagram);
  assert.ok(outcome.kind === "varp");
  const { opcode, vnet, mac, careOf } = outcome.message;
  return `${opcode} ${shortOf(vnet)} ${mac} at ${careOf}`;
}

function messagesOf(effects: readonly VarpEffect[]): readonly VarpMessage[] {
  return effects.flatMap((effect) => {
    const outcome = "datagram" in effect ? decodeVarp(effect.datagram) : null;
    return outcome?.kind === "varp" ? [outcome.message] : [];
  });
}

function isRequest(line: string): boolean {
  return line.includes("request");
}

function shortOf(vnet: string): string {
  return vnet.slice(-2);
}

function macOf(index: number): MacAddress {
  return parseMacAddress(`02:0:0:0:${(index >> 8).toString(16)}:${(index & 255).toString(16)}`);
}

/** Secure vnets among hosts that mean well, on segments that do not. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { parseIpAddress } from "../../src/net/ip-address.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import { nextSecureWakeAt } from "../../src/vnet/secure.ts";
import { makeMessage } from "../../src/vnet/secure-hello.ts";
import { listSecureHosts, listSecureKeys } from "../../src/vnet/secure-views.ts";
import {
  addHost,
  createSegment,
  type Host,
  inject,
  isWhole,
  keyIdOf,
  listSas,
  messageOf,
  opens,
  reboot,
  receivePacket,
  restartDaemon,
  restartDataplane,
  ring,
  runFor,
  runTo,
  SECOND,
  type Segment,
  type SegmentOptions,
  sendData,
  startHost,
  step,
  take,
  tellUnderlay,
  VNET,
} from "./secure-segment.ts";

const MINUTE = 60 * SECOND;

describe("a segment of secure machines", () => {
  test("two hosts open each other's packets after two round trips", () => {
    const segment = startedSegment({ hostCount: 2 }, 0);
    runFor(segment, 4);
    assert.ok(isWhole(segment));
  });

  test("a host joins five within a second, with a tenth of all datagrams lost", () => {
    for (let seed = 1; seed <= 25; seed++) {
      const segment = startedSegment({ hostCount: 5, jitterMs: 5, seed }, 12 * SECOND);
      assert.ok(isWhole(segment));
      segment.lossPercent = 10;
      segment.duplicatePercent = 10;
      const newcomer = addHost(segment);
      startHost(segment, newcomer);
      runFor(segment, SECOND);
      assert.ok(isWhole(segment), `not whole with seed ${seed}`);
    }
  });

  test("a vnet is whole within one HELLO after loss, doubling and overtaking of any kind", () => {
    const conditions = fc.record({
      hostCount: fc.integer({ min: 2, max: 6 }),
      lossPercent: fc.nat({ max: 50 }),
      duplicatePercent: fc.nat({ max: 50 }),
      jitterMs: fc.nat({ max: 100 }),
      seed: fc.nat(),
    });
    fc.assert(
      fc.property(conditions, (options) => {
        const segment = startedSegment(options, MINUTE);
        segment.lossPercent = 0;
        runFor(segment, 13 * SECOND);
        assert.ok(isWhole(segment));
      }),
      { numRuns: 40 },
    );
  });

  test("loses no packet when SAs are renewed by time, for an hour", () => {
    const segment = startedSegment({ hostCount: 3, jitterMs: 3 }, 5 * SECOND);
    traffic(segment, 60 * MINUTE, 100);
    for (const host of segment.hosts) {
      assert.equal(host.delivered, sentByOthers(segment, host));
    }
    const epochs = segment.hosts.map(({ secure }) => secure.vnets.get(VNET)?.send?.epoch ?? 0);
    assert.ok(epochs.every((epoch) => epoch >= 4));
  });

  test("epochs that the limit of the packet counter forces lose nothing", () => {
    const segment = startedSegment({ hostCount: 3, jitterMs: 3 }, 5 * SECOND);
    const [one] = take(segment, 0);
    for (let epoch = 2; epoch <= 4; epoch++) {
      const sa = one.sends.get(VNET);
      assert.ok(sa);
      // As if it had sealed so many; sendData() asserts that no (key, nonce) comes twice.
      sa.counter = sa.rekeyAt - 100n;
      traffic(segment, 15 * SECOND, 10);
      assert.equal(one.secure.vnets.get(VNET)?.send?.epoch, epoch);
      assert.ok(sa.counter > sa.rekeyAt, "it was used on until the next one was known");
    }
    for (const host of segment.hosts) {
      assert.equal(host.delivered, sentByOthers(segment, host));
    }
  });

  test("keeps at most three SAs a host, and removes the previous one a minute after the switch", () => {
    const segment = startedSegment({ hostCount: 2 }, 5 * SECOND);
    const [one, other] = take(segment, 0, 1);
    step(segment, one, { kind: "sa-spent", vnet: VNET, spi: one.sends.get(VNET)?.spi ?? 0 });
    runFor(segment, 9 * SECOND);
    assert.equal(other.receives.length, 2);
    assert.ok(opens(other, one));
    runFor(segment, 2 * SECOND);
    assert.equal(one.secure.vnets.get(VNET)?.send?.epoch, 2);
    assert.ok(opens(other, one));
    runFor(segment, 57 * SECOND);
    assert.equal(other.receives.length, 2);
    runFor(segment, 4 * SECOND);
    assert.equal(other.receives.length, 1);
    assert.ok(opens(other, one));
  });

  test("a key is rotated without a lost packet, and a host that lags is named", () => {
    const segment = startedSegment({ hostCount: 3, jitterMs: 3 }, 5 * SECOND);
    const [one, second, third] = take(segment, 0, 1, 2);
    const rings = (host: Host, keys: ReturnType<typeof ring>) =>
      step(segment, host, { kind: "keys-changed", vnet: VNET, keys });
    for (const host of segment.hosts) {
      rings(host, ring(1, 2));
      traffic(segment, 2 * SECOND, 20);
    }
    const held = listSecureKeys(one.secure, VNET).find(({ keyId }) => keyId === keyIdOf(2));
    assert.deepEqual([held?.active, held?.heldBy.length, held?.missingAt.length], [false, 2, 0]);
    rings(one, ring(2, 1));
    traffic(segment, 15 * SECOND, 20);
    rings(second, ring(2, 1));
    traffic(segment, 15 * SECOND, 20);
    assert.deepEqual(statesOf(segment, one), ["stale key", "up"]);
    assert.deepEqual(
      listSecureKeys(one.secure, VNET).map(({ keyId, usedBy }) => [keyId, usedBy.length]),
      [
        [keyIdOf(1), 1],
        [keyIdOf(2), 1],
      ],
    );
    rings(third, ring(2, 1));
    traffic(segment, 2 * MINUTE, 20);
    for (const host of segment.hosts) {
      rings(host, ring(2));
      traffic(segment, 2 * SECOND, 20);
    }
    traffic(segment, MINUTE, 20);
    for (const host of segment.hosts) {
      assert.equal(host.delivered, sentByOthers(segment, host));
      assert.deepEqual(statesOf(segment, host), ["up", "up"]);
    }
  });

  test("a host without the new key sees who has another one", () => {
    const segment = createSegment({ hostCount: 2 });
    const [one, other] = take(segment, 0, 1);
    startHost(segment, one, { keys: ring(1) });
    startHost(segment, other, { keys: ring(2) });
    runFor(segment, SECOND);
    assert.deepEqual(statesOf(segment, one), ["key mismatch"]);
    assert.deepEqual(statesOf(segment, other), ["key mismatch"]);
    assert.ok(one.alerts.includes("key-mismatch"));
    assert.equal(one.receives.length + other.receives.length, 0);
  });

  test("a host of another suite is shown and not talked with", () => {
    const segment = createSegment({ hostCount: 2 });
    const [one, other] = take(segment, 0, 1);
    startHost(segment, one, { suite: "aes128-gcm" });
    startHost(segment, other, { suite: "hmac-sha256-128" });
    runFor(segment, SECOND);
    assert.deepEqual(statesOf(segment, one), ["suite mismatch"]);
    assert.equal(one.receives.length + other.receives.length, 0);
  });

  test("a host that is cut off is unreachable after 35 s, and whole again when it is back", () => {
    const segment = startedSegment({ hostCount: 3 }, 5 * SECOND);
    const [one, , lost] = take(segment, 0, 1, 2);
    lost.group = 1;
    runFor(segment, 50 * SECOND);
    assert.deepEqual(statesOf(segment, one), ["unreachable", "up"]);
    runFor(segment, 4 * MINUTE);
    lost.group = 0;
    runFor(segment, 13 * SECOND);
    assert.ok(isWhole(segment));
    assert.deepEqual(statesOf(segment, one), ["up", "up"]);
    lost.group = 1;
    runFor(segment, 30 * MINUTE);
    assert.deepEqual(statesOf(segment, one), ["up"]);
    lost.group = 0;
    runFor(segment, 13 * SECOND);
    assert.ok(isWhole(segment));
  });

  test("a restarted daemon adopts the SAs as they are and no packet is lost", () => {
    const segment = startedSegment({ hostCount: 3 }, 5 * SECOND);
    const [one] = take(segment, 0);
    for (let restart = 0; restart < 5; restart++) {
      const before = listSas(one);
      restartDaemon(segment, one);
      assert.deepEqual(listSas(one), before);
      traffic(segment, 12 * SECOND, 50);
      assert.deepEqual(statesOf(segment, one), ["up", "up"]);
    }
    traffic(segment, 20 * MINUTE, 100);
    for (const host of segment.hosts) {
      assert.equal(host.delivered, sentByOthers(segment, host));
    }
  });

  test("SAs that cannot be named after a restart are deleted, and their hosts challenged", () => {
    const segment = startedSegment({ hostCount: 3 }, 5 * SECOND);
    const [one] = take(segment, 0);
    // The contexts of the two receive SAs are exchanged; that of the send SA is of another version.
    const [first, second] = one.receives;
    const send = one.sends.get(VNET);
    assert.ok(first && second && send);
    one.receives = [
      { ...first, context: second.context },
      { ...second, context: first.context },
    ];
    one.sends.set(VNET, { ...send, context: Uint8Array.of(2, ...send.context.subarray(1)) });
    restartDaemon(segment, one);
    assert.equal(one.receives.length, 0);
    assert.notEqual(one.sends.get(VNET)?.keys, send.keys);
    runFor(segment, 20);
    assert.ok(isWhole(segment));
  });

  test("a daemon that was restarted while an SA was announced goes on", () => {
    const segment = startedSegment({ hostCount: 2 }, 5 * SECOND);
    const [one, other] = take(segment, 0, 1);
    step(segment, one, { kind: "sa-spent", vnet: VNET, spi: one.sends.get(VNET)?.spi ?? 0 });
    runFor(segment, 2 * SECOND);
    restartDaemon(segment, other);
    restartDaemon(segment, one);
    traffic(segment, 40 * MINUTE, 100);
    assert.equal(other.delivered, sentByOthers(segment, other));
    assert.ok(isWhole(segment));
    assert.equal(other.receives.length, 1);
  });

  test("a restarted data plane is whole again within 20 ms, with a new nonce", () => {
    const segment = startedSegment({ hostCount: 4 }, 5 * SECOND);
    const [one] = take(segment, 0);
    const keys = one.sends.get(VNET)?.keys;
    restartDataplane(segment, one);
    runFor(segment, 20);
    assert.ok(isWhole(segment));
    assert.notEqual(one.sends.get(VNET)?.keys, keys);
  });

  test("a rebooted host is whole again within 20 ms, whatever its clock says", () => {
    for (const bootCounter of [5n, 1000n, 2n ** 60n]) {
      const segment = startedSegment({ hostCount: 3 }, 5 * SECOND);
      const [one] = take(segment, 0);
      one.bootCounter = bootCounter;
      reboot(segment, one);
      runFor(segment, 20);
      assert.ok(isWhole(segment), `not whole with boot counter ${bootCounter}`);
      traffic(segment, 30 * MINUTE, 500);
      assert.ok(isWhole(segment));
    }
  });

  test("no (key, nonce) is used twice by a host that is rebooted a thousand times", () => {
    const segment = startedSegment({ hostCount: 2 }, SECOND);
    const [one] = take(segment, 0);
    for (let restart = 0; restart < 1000; restart++) {
      // Its disk was lost, too: the same counters every time.
      one.bootCounter = 1000n;
      reboot(segment, one);
      // sendData() asserts that each pair is new.
      sendData(segment, one);
      sendData(segment, one);
      runFor(segment, 5);
    }
    assert.equal(segment.nonces.size, 2000);
  });

  test("a host that changes its address is followed", () => {
    const segment = startedSegment({ hostCount: 3 }, 5 * SECOND);
    const [one, other] = take(segment, 0, 1);
    one.endpoint = { address: parseIpAddress("10.0.9.9"), udpPort: 1798 };
    tellUnderlay(segment, one);
    runFor(segment, 10);
    assert.ok(isWhole(segment));
    assert.equal(other.receives.length, 2);
  });

  test("a host that says goodbye is forgotten at once", () => {
    const segment = startedSegment({ hostCount: 3 }, 5 * SECOND);
    const [one, other] = take(segment, 0, 1);
    step(segment, one, { kind: "stop" });
    runFor(segment, 5);
    assert.equal(other.receives.length, 1);
    assert.deepEqual(statesOf(segment, other), ["up"]);
  });

  test("packets that overtake the answer of their sender are held and opened", () => {
    const segment = startedSegment({ hostCount: 2 }, 5 * SECOND);
    const [one, other] = take(segment, 0, 1);
    step(segment, one, { kind: "renew", vnet: null });
    // HELLO and SOLICIT: the answer, with its packet counter, is on its way.
    runFor(segment, 2);
    const sa = one.sends.get(VNET);
    assert.ok(sa);
    const { keys, spi } = sa;
    const source = one.endpoint;
    for (const counter of [1n, 2n, 3n]) {
      receivePacket(segment, other, { packet: { keys, spi, counter }, source });
    }
    assert.equal(other.delivered, 0);
    runFor(segment, 2);
    assert.equal(other.delivered, 3);
  });

  test("loses nothing of what is sealed before a new SA is proved", () => {
    const segment = startedSegment({ hostCount: 3 }, 5 * SECOND);
    const [one] = take(segment, 0);
    traffic(segment, SECOND, 1);
    for (let minute = 0; minute < 3; minute++) {
      step(segment, one, { kind: "renew", vnet: null });
      traffic(segment, SECOND, 1);
      // The SA before goes after a minute, which is no reason to think that more was forgotten.
      runFor(segment, MINUTE - SECOND + 100);
    }
    for (const host of segment.hosts) {
      assert.equal(host.delivered, sentByOthers(segment, host));
      assert.equal(host.receives.length, 2);
    }
  });

  test("a newcomer's first packets reach a host that has long been there", () => {
    const segment = startedSegment({ hostCount: 3 }, 5 * SECOND);
    const newcomer = addHost(segment);
    startHost(segment, newcomer);
    for (let count = 0; count < 10; count++) {
      sendData(segment, newcomer);
    }
    runFor(segment, 10);
    for (const host of take(segment, 0, 1, 2).slice(0, 3)) {
      assert.equal(host.delivered, 10);
    }
  });

  test("what is answered to a newcomer's first packet is no replay for it", () => {
    const segment = startedSegment({ hostCount: 2 }, 5 * SECOND);
    const [one] = take(segment, 0);
    const newcomer = addHost(segment);
    startHost(segment, newcomer);
    // Until its answer to our challenge is here.
    runFor(segment, 2);
    const answer = segment.recorded.findLast(
      (recorded) =>
        recorded.target === one.endpoint &&
        recorded.source === newcomer.endpoint &&
        messageOf(recorded).echoes.length > 0,
    );
    assert.ok(answer);
    const effects = inject(segment, one, answer).map(({ kind }) => kind);
    const counterAt = effects.indexOf("read-counter");
    assert.ok(counterAt >= 0 && counterAt < effects.indexOf("set-receive-sa"), effects.join());
  });

  test("a restarted daemon does not say how old an SA of its predecessor is", () => {
    const segment = startedSegment({ hostCount: 2 }, 5 * SECOND);
    const [one, other] = take(segment, 0, 1);
    restartDaemon(segment, one);
    const before = segment.recorded.length;
    restartDataplane(segment, other);
    runFor(segment, 20);
    const answers = segment.recorded
      .slice(before)
      .filter(({ source }) => source === one.endpoint)
      .map(messageOf)
      .filter(({ echoes }) => echoes.length > 0);
    assert.ok(answers.length > 0);
    assert.ok(answers.every(({ saAgeMs }) => saAgeMs === null));
    assert.ok(opens(other, one));
  });

  test("an SA that was lost in the data plane alone comes back", () => {
    const segment = startedSegment({ hostCount: 2 }, 30 * SECOND);
    const [one, other] = take(segment, 0, 1);
    other.receives = [];
    sendData(segment, one);
    runFor(segment, 10);
    assert.ok(opens(other, one));
  });

  test("finds the largest packet that comes through whole", () => {
    for (const pathMtuBytes of [1500, 1450, 1280, 600]) {
      const segment = createSegment({ hostCount: 2 });
      segment.pathMtuBytes = pathMtuBytes;
      for (const host of segment.hosts) {
        startHost(segment, host);
      }
      runFor(segment, 30 * SECOND);
      const [found] = listSecureHosts(take(segment, 0)[0].secure, VNET, segment.now);
      assert.ok(found?.pathMtuBytes && found.pathMtuBytes <= pathMtuBytes);
      assert.ok(pathMtuBytes - found.pathMtuBytes < 8);
      const told = take(segment, 0)[0].paths.get(found.host.address);
      assert.equal(told, pathMtuBytes === 1500 ? undefined : found.pathMtuBytes);
    }
  });

  test("one vnet probes a path that many share", () => {
    const vnets = ["97", "98", "99"].map(parseVnetId);
    const segment = createSegment({ hostCount: 2 });
    for (const host of segment.hosts) {
      startHost(segment, host, { vnets });
    }
    runFor(segment, 5 * SECOND);
    const [one] = take(segment, 0);
    assert.deepEqual(one.pathMtus, [1500]);
    const paths = listSecureHosts(one.secure, null, segment.now).map((host) => host.pathMtuBytes);
    assert.deepEqual(paths, [1500, 1500, 1500]);
  });

  describe("the narrow path to a host", () => {
    function narrowSegment(vnets = [VNET]): Segment {
      const segment = createSegment({ hostCount: 2 });
      segment.pathMtuBytes = 1400;
      for (const host of segment.hosts) {
        startHost(segment, host, { vnets });
      }
      runFor(segment, 30 * SECOND);
      return segment;
    }

    test("is not what another member of the vnet says it is", () => {
      const segment = narrowSegment();
      const [one, other] = take(segment, 0, 1);
      const found = one.paths.get(other.endpoint.address);
      const vnet = one.secure.vnets.get(VNET);
      const key = [...(vnet?.keys.values() ?? [])][0];
      assert.ok(vnet && key);
      const probes: number[] = [];
      // Each probe of the next search is answered at once, in the other's name, from elsewhere.
      segment.pathMtuBytes = 0;
      for (let round = 0; round < 11 * 60 * 5; round += 1) {
        runFor(segment, 200);
        const probe = [...vnet.hosts.values()][0]?.probe;
        if (probe && !probe.isSettled) {
          probes.push(probe.id);
          const fields = { probe: { id: probe.id, payloadBytes: probe.size - 28 } };
          const step = { secure: other.secure, now: segment.now, effects: [] };
          const theirs = other.secure.vnets.get(VNET) ?? assert.fail();
          const sa = theirs.send;
          const datagram = makeMessage(step, theirs, { type: "probe-ack", key, sa, fields });
          const source = { address: parseIpAddress("10.99.7.7"), udpPort: 1798 };
          inject(segment, one, { source, datagram });
        }
      }
      assert.ok(probes.length > 0);
      assert.ok((one.paths.get(other.endpoint.address) ?? 1500) < (found ?? 0));
      const distances = probes.slice(1).map((id, index) => id - (probes[index] ?? 0));
      assert.ok(
        distances.some((distance) => Math.abs(distance) > 1000),
        "ids can be guessed",
      );
    });

    test("stays known over a restart of vnetd, and is shown at once", () => {
      const segment = narrowSegment();
      const [one, other] = take(segment, 0, 1);
      const found = one.paths.get(other.endpoint.address);
      restartDaemon(segment, one);
      assert.equal(one.paths.get(other.endpoint.address), found);
      const [shown] = listSecureHosts(one.secure, VNET, segment.now);
      assert.equal(shown?.pathMtuBytes, found);
    });

    test("is told to the next data plane, which knows none", () => {
      const segment = narrowSegment();
      const [one, other] = take(segment, 0, 1);
      const found = one.paths.get(other.endpoint.address);
      assert.ok(found !== undefined);
      restartDataplane(segment, one);
      assert.equal(one.paths.get(other.endpoint.address), found);
    });

    test("is forgotten with the last vnet that has the host", () => {
      const vnets = ["97", "98"].map(parseVnetId);
      const segment = narrowSegment(vnets);
      const [one] = take(segment, 0);
      const [first = VNET, last = VNET] = vnets;
      step(segment, one, { kind: "vnet-removed", vnet: first });
      assert.equal(one.paths.size, 1);
      step(segment, one, { kind: "vnet-removed", vnet: last });
      assert.equal(one.paths.size, 0);
    });

    test("is forgotten when the host moves, and when it leaves", () => {
      const segment = narrowSegment();
      const [one, other] = take(segment, 0, 1);
      const former = other.endpoint.address;
      other.endpoint = { ...other.endpoint, address: parseIpAddress("10.99.1.1") };
      tellUnderlay(segment, other);
      runFor(segment, SECOND);
      assert.equal(one.paths.has(former), false);
      runFor(segment, 30 * SECOND);
      assert.equal(one.paths.has(other.endpoint.address), true);
      step(segment, other, { kind: "vnet-removed", vnet: VNET });
      runFor(segment, SECOND);
      assert.equal(one.paths.size, 0);
    });

    test("of a data plane is taken back where no host is known any more", () => {
      const segment = narrowSegment();
      const [one] = take(segment, 0);
      one.paths.set(parseIpAddress("10.99.1.7"), 1300);
      restartDaemon(segment, one);
      assert.equal(one.paths.size, 1);
    });

    test("is looked for again at once when the link has another MTU", () => {
      const segment = narrowSegment();
      const [one, other] = take(segment, 0, 1);
      segment.pathMtuBytes = 9000;
      for (const host of [one, other]) {
        const endpoints = [host.endpoint];
        step(segment, host, { kind: "underlay-changed", endpoints, mtuBytes: 1450 });
      }
      runFor(segment, 2 * SECOND);
      assert.equal(one.paths.size, 0);
      assert.equal(one.pathMtus.at(-1), 1450);
    });
  });

  test("is quiet: three HELLOs in thirty seconds, and nothing else", () => {
    const segment = startedSegment({ hostCount: 3 }, 60 * SECOND);
    const before = segment.vncDatagrams;
    runFor(segment, 30 * SECOND);
    assert.ok(segment.vncDatagrams - before <= 3 * 4);
  });

  test("a vnet that is removed leaves no deadline and no key behind", () => {
    const segment = startedSegment({ hostCount: 2 }, 5 * SECOND);
    const [one] = take(segment, 0);
    const psk = [...(one.secure.vnets.get(VNET)?.keys.values() ?? [])][0]?.psk;
    assert.ok(psk !== undefined);
    assert.ok(psk.some((octet) => octet !== 0));
    step(segment, one, { kind: "vnet-removed", vnet: VNET });
    assert.ok(psk.every((octet) => octet === 0));
    runFor(segment, 20 * MINUTE);
    assert.equal(nextSecureWakeAt(one.secure), Number.POSITIVE_INFINITY);
    assert.equal(one.secure.keysByTag.size + one.secure.probers.size, 0);
  });
});

/** All hosts of one vnet, started together, after `afterMs`. */
function startedSegment(options: SegmentOptions, afterMs: number): Segment {
  const segment = createSegment(options);
  for (const host of segment.hosts) {
    startHost(segment, host);
  }
  runTo(segment, afterMs);
  return segment;
}

/** Every host sends a packet each `intervalMs`, and what is on its way arrives. */
function traffic(segment: Segment, durationMs: number, intervalMs: number): void {
  const end = segment.now + durationMs;
  while (segment.now < end) {
    for (const host of segment.hosts) {
      sendData(segment, host);
    }
    runFor(segment, intervalMs);
  }
}

function sentByOthers(segment: Segment, host: Host): number {
  const others = segment.hosts.filter((other) => other !== host);
  return others.reduce((sum, { sentPackets }) => sum + sentPackets, 0);
}

function statesOf(segment: Segment, host: Host): readonly string[] {
  return listSecureHosts(host.secure, VNET, segment.now)
    .map(({ state }) => state)
    .sort();
}

/**
 * Damaged datagrams of a secure vnet, of each suite: every bit flipped, every length cut
 * (topology: attack-lab.ts).
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { ATTACKED_VNET, AttackLab, textOf } from "./attack-lab.ts";
import { pattern } from "./frames.ts";
import { SKIP_REASON } from "./lab.ts";
import type { Host } from "./lab-host.ts";
import { eventually } from "./wait.ts";

const SUITES = [
  ["conf", "aes128-gcm"],
  ["conf", "aes256-gcm"],
  ["conf", "aes128-hmac96"],
  ["auth", "hmac-sha256-128"],
  ["auth", "hmac96"],
] as const;
const ESP_DROPS = [
  "drop-esp-forged",
  "drop-esp-malformed",
  "drop-esp-replay",
  "drop-esp-no-key",
  "drop-hold-full",
  "drop-short",
  "drop-unknown-message",
  "drop-unknown-vnet",
  "drop-vnc-malformed",
  "drop-downgrade",
  "drop-not-peer",
  "drop-control-rate",
] as const;

describe("an attacker who changes what hosts send", { skip: SKIP_REASON }, () => {
  let stage: AttackLab;
  let a: Host;
  let b: Host;

  before(async () => {
    stage = await AttackLab.create();
    ({ a, b } = stage);
  });
  after(() => stage?.lab.close());

  for (const [security, suite] of SUITES) {
    test(`${suite}: flips every bit and cuts at every length of a datagram; only the true one passes`, async (t) => {
      await stage.begin(security, suite);
      // The receiver must not have had it, or everything would be a repetition.
      const former = await stage.overhear();
      await stage.setReceiverPlugged(false);
      stage.wire.clear();
      // Longer than what was sent before, so that it can be told from late copies of that.
      const frame = Buffer.concat([stage.nextFrame(), pattern(16)]);
      stage.out.send(frame);
      const datagram = await eventually("it was recorded", () =>
        stage.sealedBy(a).find(({ length }) => length === former.datagram.length + 16),
      );
      await stage.setReceiverPlugged(true);
      const wrong = [...flips(datagram), ...cuts(datagram)];
      stage.wire.clear();
      const opened = (await b.counters(ATTACKED_VNET))["opened-in"] ?? 0;
      for (let at = 0; at < wrong.length; at += 500) {
        const some = wrong.slice(at, at + 500);
        await stage.rises(
          b,
          ESP_DROPS,
          () => {
            for (const each of some) {
              stage.sendAs(a.address, b.address, each);
            }
          },
          some.length,
        );
      }
      const openedMeanwhile = ((await b.counters(ATTACKED_VNET))["opened-in"] ?? 0) - opened;
      const known = new Set(wrong.map(textOf));
      const others = stage.sealedBy(a).filter((each) => !known.has(textOf(each)));
      assert.ok(openedMeanwhile <= others.length, `${openedMeanwhile} of ${others.length} opened`);
      stage.sendAs(a.address, b.address, datagram);
      await stage.into.expect(frame, "the true one");
      t.diagnostic(`${datagram.length} octets, ${wrong.length} wrong ones`);
    });
  }
});

function flips(datagram: Buffer): readonly Buffer[] {
  return Array.from({ length: datagram.length * 8 }, (_, bit) => {
    const copy = Buffer.from(datagram);
    copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
    return copy;
  });
}

function cuts(datagram: Buffer): readonly Buffer[] {
  return Array.from({ length: datagram.length }, (_, length) => datagram.subarray(0, length));
}

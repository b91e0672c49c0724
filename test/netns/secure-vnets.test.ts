/**
 * Secure vnets between hosts: frames pass between hosts with the same key and suite, and nothing of
 * them is on the segment in the clear.
 *
 *     VM ── a ──┐
 *     VM ── b ──┼─ segment (captured)
 *      …  ── e ──┘
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pcapHeader, pcapRecord } from "../../src/daemon/pcap-stream.ts";
import { BROADCAST_MAC, EXPERIMENTAL_TYPE, ethernet, pattern } from "./frames.ts";
import { hostStates, missedByLateness, newKey, replaysOf, untilMet } from "./keys.ts";
import { Lab, REPOSITORY, SKIP_REASON } from "./lab.ts";
import { bridgeOf, Host, type Vm } from "./lab-host.ts";
import { Tap } from "./link-tools.ts";
import { LineProgram, run } from "./programs.ts";
import { ASSERTS_TIMES, eventually, staysTrue } from "./wait.ts";

const MARK = "6d61726b6d61726b6d61726b6d61726b";
const HAS_TSHARK = spawnSync("tshark", ["--version"]).status === 0;
const SNAP_BYTES = 65_535;
/** MARGIN_MS of secure-window.ts, and some. */
const CLOCK_MARGIN_MS = 1_100;
const SPEAK_INTERVAL_MS = 5;
const JOINING_MAC = "02:70:00:00:00:01";
const SUITES = [
  ["conf", "aes128-gcm"],
  ["conf", "aes256-gcm"],
  ["conf", "aes128-hmac96"],
  ["auth", "hmac-sha256-128"],
  ["auth", "hmac96"],
] as const;

describe("secure vnets", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let capture: Tap;
  const hosts: Host[] = [];

  before(async () => {
    lab = await Lab.create();
    const segment = await lab.segment();
    for (const name of ["a", "b", "c", "d", "e"]) {
      const host = await Host.create(lab, name, [segment]);
      await host.start();
      hosts.push(host);
    }
    capture = await Tap.open(lab, lab.hub, segment.device, "--promiscuous");
  });
  after(() => lab?.close());

  const ping = async (from: Vm, to: Vm): Promise<boolean> =>
    (await lab.background(from.namespace, "ping", "-c1", "-W1", "-p", MARK, to.address)).status ===
    0;
  /** tshark, given what sa-export prints, finds every ICV right and the pings inside. */
  const decrypts = async (host: Host, vnet: string, address: string): Promise<boolean> => {
    if (!HAS_TSHARK) {
      return true;
    }
    const file = join(lab.folder, `segment-${vnet}.pcap`);
    const records = capture.frames.map(({ timeNs, frame }) =>
      pcapRecord({ timeNs, frameBytes: frame.length, octets: frame }, SNAP_BYTES),
    );
    writeFileSync(file, Buffer.concat([pcapHeader(SNAP_BYTES), ...records]));
    const options = (await host.vn("sa-export", vnet, "--yes"))
      .split("\n")
      .filter((line) => line.startsWith("# "))
      .map((line) => line.slice(2));
    const fields = ["-T", "fields", "-e", "esp.icv_good", "-e", "icmp.type", "-e", "ip.dst"];
    const text = await run("xargs", ["tshark", "-n", "-r", file, "-Y", "esp", ...fields], {
      input: options.join(" "),
    });
    const rows = text.trimEnd().split("\n");
    assert.deepEqual(
      rows.filter((row) => !row.startsWith("1\t")),
      [],
    );
    return rows.some((row) => row.includes("\t8\t") && row.endsWith(address));
  };
  /** Sealed datagrams: the first octet of an SPI is at least 0x10. */
  const espFrames = () =>
    capture.matching((frame) => frame.length > 100 && (frame[42] ?? 0) >= 0x10);
  const carriesMark = (): boolean =>
    capture.matching((frame) => frame.includes(Buffer.from(MARK, "hex"))).length > 0;

  for (const [index, [security, suite]] of SUITES.entries()) {
    test(`of ${suite} carry VMs' frames, ${security === "conf" ? "unreadable" : "readable"}`, async () => {
      const vnet = `${60 + index}`;
      const key = await newKey(lab, suite);
      const [a, b] = hosts as [Host, Host];
      for (const host of [a, b]) {
        await host.vnet(vnet, "-s", security, "--suite", suite, "--key-file", key);
      }
      const vmA = await a.vm(vnet, { address: `192.168.${60 + index}.1/24` });
      const vmB = await b.vm(vnet, { address: `192.168.${60 + index}.2/24` });
      capture.clear();
      await eventually("a ping passes", () => ping(vmA, vmB));
      await eventually("the ping was captured", () => espFrames().length >= 2);
      await eventually("tshark finds the pings", () => decrypts(a, vnet, vmB.address));
      assert.equal(carriesMark(), security === "auth");
      const counters = await b.counters(vnet);
      assert.ok((counters["inbound-frames"] ?? 0) > 0, JSON.stringify(counters));
      for (const host of [a, b]) {
        await host.vn("vnet-delete", "-b", vnet);
      }
    });
  }

  test("vn pcap shows what is inside, live", async () => {
    const [a, b] = hosts as [Host, Host];
    const key = await newKey(lab, "captured");
    for (const host of [a, b]) {
      await host.vnet("6f", "-s", "conf", "--key-file", key);
    }
    const vmA = await a.vm("6f", { address: "192.168.111.1/24" });
    const vmB = await b.vm("6f", { address: "192.168.111.2/24" });
    await eventually("a ping passes", () => ping(vmA, vmB));
    const file = join(lab.folder, "live.pcap");
    const vn = join(REPOSITORY, "bin/vn");
    const program = `exec ${vn} --run-dir ${b.runDir} pcap 6f -w ${file}`;
    const pcap = await LineProgram.start("sh", ["-c", `echo ready; ${program}`]);
    const marks = (): number => {
      const octets = readFileSync(file);
      let count = 0;
      for (
        let at = octets.indexOf(MARK, 0, "hex");
        at !== -1;
        at = octets.indexOf(MARK, at + 16, "hex")
      ) {
        count += 1;
      }
      return count;
    };
    await eventually("request and answer are in the file", async () => {
      await ping(vmA, vmB);
      return marks() >= 2;
    });
    await pcap.kill("SIGINT");
    await eventually("the capture has ended", () => /capture of a vnet has ended/.test(b.log));
    for (const host of [a, b]) {
      await host.vn("vnet-delete", "-b", "6f");
    }
  });

  test("a fifth host joins a vnet of four within a second", async (t) => {
    const key = await newKey(lab, "five");
    const options = ["-s", "conf", "--key-file", key];
    const [e, ...four] = hosts.toReversed() as [Host, ...Host[]];
    const vms: Vm[] = [];
    for (const host of four) {
      await host.vnet("70", ...options);
      vms.push(await host.vm("70", { address: `192.168.70.${host.number}/24` }));
    }
    await untilMet(four);
    const taps = await Promise.all(
      vms.map(({ namespace }) => Tap.open(lab, namespace, "eth0", "--promiscuous")),
    );
    // A host knows of no SA that it is new to it before it has had the vnet for the margin between
    // two clocks (secure-window.ts).
    const metAt = performance.now();
    await eventually("the vnet is old enough", () => performance.now() - metAt > CLOCK_MARGIN_MS);
    // A VM that speaks all the time, before there is a vnet: what is sealed first is sealed before
    // anybody has proved that the newcomer is there.
    await lab.batch(e.namespace, [`link add name ${bridgeOf("70")} up type bridge`]);
    const vm = await e.vm("70", { address: `192.168.70.${e.number}/24` });
    const out = await Tap.open(lab, vm.namespace, "eth0");
    const [missedBefore, replaysBefore] = [
      await Promise.all(four.map(missedByLateness)),
      await Promise.all(four.map((host) => replaysOf(host, "70"))),
    ];
    let frameCount = 0;
    const speaking = setInterval(() => {
      frameCount += 1;
      out.send(joiningFrame(frameCount));
    }, SPEAK_INTERVAL_MS);
    try {
      const startedAt = performance.now();
      await e.vnet("70", ...options);
      await eventually("every VM hears the newcomer's", () =>
        taps.every((tap) => joiningNumbers(tap).length > 0),
      );
      const joinMs = performance.now() - startedAt;
      t.diagnostic(
        `four VMs heard the newcomer's ${joinMs.toFixed()} ms after its vnet was asked for`,
      );
      if (ASSERTS_TIMES) {
        assert.ok(joinMs < 1_000, `${joinMs} ms`);
      }
      await untilMet([e, ...four]);
    } finally {
      clearInterval(speaking);
    }
    await eventually("the last one has arrived", () =>
      taps.every((tap) => joiningNumbers(tap).at(-1) === frameCount),
    );
    const first = Math.min(...taps.flatMap(joiningNumbers));
    const sealed = frameCount - first + 1;
    for (const [index, host] of four.entries()) {
      const tap = taps[index] ?? assert.fail();
      const missed = (await missedByLateness(host)) - (missedBefore[index] ?? 0);
      const replays = (await replaysOf(host, "70")) - (replaysBefore[index] ?? 0);
      const heard = joiningNumbers(tap);
      t.diagnostic(`${host.name}: ${heard.length} of ${sealed} heard, ${missed} too late`);
      assert.equal(replays, 0, "what was sealed before the proof is no replay");
      assert.ok(heard.length + missed >= sealed, "and none is lost but for being late");
    }
    await Promise.all(
      vms.map((other) => eventually(`${vm.name} reaches ${other.name}`, () => ping(vm, other))),
    );
  });

  test("another key is named, another suite is named, and neither gets a frame", async () => {
    const [a, b, c] = hosts as [Host, Host, Host];
    const key = await newKey(lab, "right");
    const wrong = await newKey(lab, "wrong");
    await a.vnet("80", "-s", "conf", "--key-file", key);
    await b.vnet("80", "-s", "conf", "--key-file", wrong);
    await c.vnet("80", "-s", "conf", "--suite", "aes256-gcm", "--key-file", key);
    const [vmA, vmB, vmC] = [
      await a.vm("80", { address: "192.168.80.1/24" }),
      await b.vm("80", { address: "192.168.80.2/24" }),
      await c.vm("80", { address: "192.168.80.3/24" }),
    ];
    const wanted = [`${b.address} key mismatch`, `${c.address} suite mismatch`];
    await eventually("a names both", async () => {
      const states = await hostStates(a);
      return wanted.every((state) => states.includes(state));
    });
    assert.match(await a.vn("peers"), new RegExp(`^${b.address} .* 80 key mismatch$`, "m"));
    await staysTrue("nothing passes", async () => !(await ping(vmA, vmB)), 1_500);
    await staysTrue("nothing passes", async () => !(await ping(vmA, vmC)), 1_500);
    assert.equal((await a.counters("80"))["inbound-frames"], 0);
  });

  test("a host without security and one with it exchange nothing, in either direction", async () => {
    const [a, b] = hosts as [Host, Host];
    await a.vnet("90", "-s", "conf", "--key-file", await newKey(lab, "down"));
    await b.vnet("90");
    const vmA = await a.vm("90", { address: "192.168.90.1/24" });
    const vmB = await b.vm("90", { address: "192.168.90.2/24" });
    capture.clear();
    await staysTrue("nothing passes", async () => !(await ping(vmB, vmA)), 1_500);
    await staysTrue("nothing passes", async () => !(await ping(vmA, vmB)), 1_500);
    // The host without security floods in the clear; the other one does not even then.
    const refused = (await a.counters("90"))["drop-downgrade"] ?? 0;
    assert.ok(refused > 0, "what came in the clear is counted");
    assert.equal((await a.counters("90"))["inbound-frames"], 0);
    assert.equal((await b.counters("90"))["inbound-frames"], 0);
    const seen = await a.vnJson<unknown[]>("varp", "90");
    assert.deepEqual(seen, [], "no MAC is believed to be at a host that has no key");
  });
});

/** A frame that no stack answers, with a number in it. */
function joiningFrame(number: number): Buffer {
  const payload = pattern(46, number);
  payload.writeUInt32BE(number, 0);
  return ethernet({ to: BROADCAST_MAC, from: JOINING_MAC }, EXPERIMENTAL_TYPE, payload);
}

function joiningNumbers(tap: Tap): readonly number[] {
  return tap
    .matching((frame) => frame.readUInt16BE(12) === EXPERIMENTAL_TYPE)
    .map((frame) => frame.readUInt32BE(14));
}

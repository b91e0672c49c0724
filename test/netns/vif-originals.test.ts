/**
 * What XenServer's flows get wrong: each defect is a frame, shown first with those flows, where
 * somebody gets it who must not, or does not get it who must; then with ours.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { ADMIT_CASES } from "../vifrules/admit-cases.ts";
import { view } from "../vifrules/bench-bridge.ts";
import {
  BROADCAST,
  GATEWAY,
  LOCKED,
  MATE,
  OTHER,
  OUTSIDE_IP,
  REMOTE,
  VIF,
} from "../vifrules/cast.ts";
import { arp, eth, ip4, tcp } from "../vifrules/frame-builder.ts";
import { OUTBOUND_CASES } from "../vifrules/spoof-cases.ts";
import { XENSERVER_BASE, type XenServerLock, xenServerFlows } from "../vifrules/xenserver-flows.ts";
import { SKIP_REASON } from "./lab.ts";
import { type End, type Letter, VifBench } from "./vif-bench.ts";

/** How XenServer's administrator lists the addresses of the VIF. */
const LISTS = {
  plain: { ipv4: [VIF.ip], ipv6: [VIF.ip6] },
  "with its link-local": { ipv4: [VIF.ip], ipv6: [VIF.ip6, VIF.linkLocal] },
  "with the length of their network": { ipv4: [`${VIF.ip}/24`], ipv6: [`${VIF.ip6}/64`] },
} as const;
type ListName = keyof typeof LISTS;

type Defect = readonly [
  /** The number it has in the list of defects; the letter is holes, broken traffic, or changes. */
  number: string,
  /** The name of a case of spoof-cases.ts, or of admit-cases.ts when the VIF is who it is for. */
  frame: string,
  /** Who gets it, and must not; or must get it, and does not. */
  whom: End,
  lists?: ListName,
];

const LEAKS: readonly Defect[] = [
  ["A1", "A1: forged source, to port 67 of a neighbour", "locked"],
  ["A1", "A1: forged source, to port 67, to all", "wire"],
  ["A1", "A1: source 0.0.0.0, to a neighbour's port 67", "locked"],
  ["A2", "A2: offers to all", "locked"],
  ["A2", "A2: offers to a neighbour", "locked"],
  ["A2", "A2: DHCPv6 advertise to a neighbour", "locked", "with its link-local"],
  ["A2", "A2: queries for listeners", "wire", "with its link-local"],
  ["A3", "A3: probes the mate's address", "mate"],
  ["A3", "A3: answers from 0.0.0.0", "mate"],
  ["A3", "A3: InARP from 0.0.0.0", "wire"],
  ["A4", "tag 10", "wire"],
  ["A4", "ARP under tag 10", "wire"],
  ["A4", "802.1ad tag 10", "wire"],
  ["A5", "A5: answers with the mate's MAC", "wire"],
  ["A5", "A5: answers with the gateway's MAC", "locked"],
  ["A5", "A5: answers with hop limit 64", "wire"],
  ["A5", "A5: asks with hop limit 64", "wire"],
  ["A6", "for a MAC of nobody", "vif"],
  ["A7", "source of nobody", "wire", "with the length of their network"],
  ["A7", "sender IP of the gateway", "mate", "with the length of their network"],
  ["A7", "answers for the mate's address", "wire", "with the length of their network"],
  ["A9", "to the host's MAC and IP", "host"],
];

const DENIALS: readonly Defect[] = [
  ["B", "B: detects duplicates of its address", "wire"],
  ["B", "B: detects duplicates of its link-local", "wire", "with its link-local"],
  ["B", "B: solicits routers from ::", "wire"],
  ["B", "solicits routers", "wire"],
  ["B", "B: reports what it listens to", "wire"],
  ["B", "B: reports from ::", "wire", "with its link-local"],
  ["B", "DHCPv6 solicit", "wire"],
  ["B", "B: asks the mate alone, without its MAC", "mate"],
  ["B", "B: answers from its link-local", "wire", "with its link-local"],
  ["B", "B: SCTP", "wire"],
  ["B", "B: ESP", "wire"],
  ["B", "B: GRE", "wire"],
  ["B", "B: later fragment", "wire"],
];

const DEFECTS: readonly Defect[] = [...LEAKS, ...DENIALS];

const own = { from: VIF.ip, to: OUTSIDE_IP };
const toGateway = eth(GATEWAY.mac, VIF.mac, 0x0800, ip4(own, tcp()));
const forged = eth(GATEWAY.mac, VIF.mac, 0x0800, ip4({ ...own, from: MATE.ip }, tcp()));
const rarp = OUTBOUND_CASES.find(({ name }) => name === "RARP announce")?.frame ?? new Uint8Array();

describe("what XenServer's flows get wrong", { skip: SKIP_REASON }, () => {
  let bench: VifBench;
  before(async () => {
    bench = await VifBench.create();
  });
  after(async () => {
    await bench?.close();
  });

  /** All VIFs of the bench but the unlocked one are locked in XenServer's way. */
  function loadTheirs(lists: Pick<XenServerLock, "ipv4" | "ipv6"> = LISTS.plain): void {
    const others = [MATE, OTHER, LOCKED].map(({ number, mac, ip, ip6 }) =>
      xenServerFlows({ ofport: number, mac, ipv4: [ip], ipv6: [ip6] }),
    );
    const judged = xenServerFlows({ ofport: VIF.number, mac: VIF.mac, ...lists });
    bench.loadForeign([XENSERVER_BASE, ...others.flat(), ...judged]);
  }

  async function receives({ from, frame }: Letter, whom: End): Promise<boolean> {
    const [fate = ""] = await bench.deliver([{ from, frame }]);
    return fate.split(" ").includes(whom);
  }

  /** What becomes of each frame of the lists above, with whose flows; learned when first asked for. */
  const known = new Map<string, Promise<readonly string[]>>();
  function fatesOf(whose: "theirs" | "locked" | "isolated", lists: ListName) {
    const key = `${whose} ${lists}`;
    const fates = known.get(key) ?? learn(whose, lists);
    known.set(key, fates);
    return fates;
  }

  async function learn(whose: "theirs" | "locked" | "isolated", lists: ListName) {
    if (whose === "theirs") {
      loadTheirs(LISTS[lists]);
    } else {
      bench.flows.load(view({}, { mode: whose, ...LISTS[lists] }));
    }
    return await bench.deliver(DEFECTS.map(letterOf));
  }

  for (const [index, defect] of DEFECTS.entries()) {
    const [number, name, whom, lists = "plain"] = defect;
    const isLeak = LEAKS.includes(defect);
    test(`${number}: "${name}" ${isLeak ? "does not reach" : "reaches"} ${whom}`, async () => {
      const isReceived = async (whose: "theirs" | "locked" | "isolated") =>
        (await fatesOf(whose, lists))[index]?.split(" ").includes(whom);
      assert.equal(await isReceived("theirs"), isLeak, "the counter-example");
      assert.equal(await isReceived("locked"), !isLeak, "locked");
      assert.equal(await isReceived("isolated"), !isLeak, "isolated");
    });
  }

  test("B: the RARP announcement after a migration passes when it is allowed", async () => {
    loadTheirs();
    assert.equal(await receives({ from: "vif", frame: rarp }, "wire"), false);
    bench.flows.load(view({}, { mode: "locked", allow: ["rarp-announce"] }));
    assert.equal(await receives({ from: "vif", frame: rarp }, "wire"), true);
  });

  test("A8: an unlocked VIF cannot draw the gateway's frames to itself", async () => {
    /** Where the VIF's frame for the gateway goes when the unlocked one has used its MAC. */
    const stolen = async () => {
      const steal = arp({ sha: GATEWAY.mac, spa: "10.0.0.77", tpa: "10.0.0.78" });
      await bench.deliver([{ from: "wire", frame: eth(BROADCAST, GATEWAY.mac, 0x0806, steal) }]);
      await bench.deliver([{ from: "open", frame: eth(BROADCAST, GATEWAY.mac, 0x0806, steal) }]);
      return (await bench.deliver([{ from: "vif", frame: toGateway }]))[0];
    };
    loadTheirs();
    assert.equal(await stolen(), "open");
    bench.flows.load(view({}, { mode: "locked" }));
    assert.equal(await stolen(), "wire");
  });

  test("C10: before all of its flows are there, a VIF passes nothing", async () => {
    const letter: Letter = { from: "vif", frame: forged };
    const lock = { ofport: VIF.number, mac: VIF.mac, ...LISTS.plain };
    // The one that drops the rest is installed last.
    bench.loadForeign([XENSERVER_BASE, ...xenServerFlows(lock).slice(0, -1)]);
    assert.equal(await receives(letter, "wire"), true);
    const { endpoints } = view();
    bench.flows.load(view({ endpoints: endpoints.slice(1) }));
    assert.deepEqual(await bench.deliver([letter, { from: "vif", frame: toGateway }]), ["-", "-"]);
    // Nor does anything come to it, once the switch knows that it is a VIF.
    bench.flows.load(view({}, null));
    const inbound = [BROADCAST, VIF.mac, "02:00:00:00:00:78"].map(
      (to): Letter => ({ from: "wire", frame: eth(to, REMOTE.mac, 0x0800, ip4(own, tcp())) }),
    );
    const fates = await bench.deliver([letter, ...inbound]);
    assert.deepEqual(
      fates.filter((fate) => /vif/.test(fate)),
      [],
    );
    assert.equal(fates[0], "-");
  });

  test("C11: a switch that was killed comes back without a way past the lock", async () => {
    const letter: Letter = { from: "vif", frame: forged };
    bench.flows.ovs.vsctl("set-fail-mode", "br0", "standalone");
    loadTheirs();
    assert.equal(await receives(letter, "wire"), false);
    restartSwitch();
    assert.equal(await receives(letter, "wire"), true);
    bench.flows.ovs.vsctl("set-fail-mode", "br0", "secure");
    bench.flows.load(view({}, { mode: "locked" }));
    restartSwitch();
    assert.deepEqual(await bench.deliver([letter, { from: "vif", frame: toGateway }]), ["-", "-"]);
    bench.flows.load(view({}, { mode: "locked" }));
    assert.deepEqual(await bench.deliver([letter, { from: "vif", frame: toGateway }]), [
      "-",
      "wire",
    ]);
  });

  function restartSwitch(): void {
    bench.flows.ovs.killSwitch();
    bench.flows.ovs.startSwitch();
  }

  test("C13: the next VIF with the same port number has its own lock, not the former one's", async () => {
    const next = eth(
      GATEWAY.mac,
      REMOTE.mac,
      0x0800,
      ip4({ from: REMOTE.ip, to: OUTSIDE_IP }, tcp()),
    );
    const letters: readonly Letter[] = [
      { from: "vif", frame: next },
      { from: "vif", frame: toGateway },
    ];
    // An orphan: the device was gone before its flows were looked for by name.
    loadTheirs();
    const [ofNext, ofFormer = ""] = await bench.deliver(letters);
    assert.equal(ofNext, "-");
    assert.match(ofFormer, /wire/);
    bench.flows.load(view({}, { mode: "locked", mac: REMOTE.mac, ipv4: [REMOTE.ip] }));
    assert.deepEqual(await bench.deliver(letters), ["wire", "-"]);
  });
});

function letterOf([, name, whom]: Defect): Letter {
  const outbound = OUTBOUND_CASES.find((each) => each.name === name);
  const inbound = ADMIT_CASES.find((each) => each.from === "wire" && each.name === name);
  if (whom === "vif" && inbound !== undefined) {
    return inbound;
  }
  assert.ok(outbound, `there is no case "${name}"`);
  return { from: "vif", frame: outbound.frame };
}

/**
 * How fast VIFs come under their policies, on an Open vSwitch of its own with dummy ports: the
 * daemon's own parts, in this process, so that no start of a program is in the figures.
 */
import { performance } from "node:perf_hooks";
import { OpenflowConnection } from "../../src/host/openflow-connection.ts";
import type { VifPolicy } from "../../src/vifrules/policy.ts";
import { policyOf, VifStand } from "../ovs/vif-stand.ts";
import type { Figure } from "./daemon-figures.ts";
import { median } from "./measure.ts";

const FEW_VIFS = 10;
const MANY_VIFS = 1_000;
const GROUP_VIFS = 100;
const GROUP_MEMBERS = 1_000;
const GROUPS = 10;
const CALLS = 60;
const FIRST_OFPORT = 10;
/** What XenServer's script starts for a VIF with one IPv4 and one IPv6 address: 12 + 2 + 5. */
const XENSERVER_PROGRAMS = 19;

export async function measureRules(say: (line: string) => void): Promise<Figure[]> {
  const figures: Figure[] = [];
  const add = (figure: Figure): void => {
    figures.push(figure);
    say(`${figure.name}: ${figure.value.toFixed(2)} ${figure.unit}`);
  };
  await withStand(async (stand) => {
    await fill(stand, FEW_VIFS);
    (await measureCalls(stand, FEW_VIFS)).forEach(add);
    add(await measureXenServer(stand));
  });
  await withStand(async (stand) => {
    await fill(stand, MANY_VIFS);
    (await measureCalls(stand, MANY_VIFS)).forEach(add);
    add(await measureStart(stand));
  });
  await withStand(async (stand) => {
    await fill(stand, GROUP_VIFS, (index) => ({ mode: "isolated", groups: ["all"], devid: index }));
    add(await measureGroup(stand));
  });
  return figures;
}

/** A change of one address: until the switch says that flows have changed, and until it is answered. */
async function measureCalls(stand: VifStand, vifCount: number): Promise<readonly Figure[]> {
  let hear: () => void = () => {};
  const observer = await OpenflowConnection.connect({
    ...{ runDirectory: stand.switch.runDirectory, bridge: "br0", onEnd() {} },
    onEvent: ({ kind }) => (kind === "flows-changed" ? hear() : undefined),
  });
  const committed: number[] = [];
  const answered: number[] = [];
  for (let call = 0; call < CALLS; call += 1) {
    const index = call % FEW_VIFS;
    const policy = numbered(index, {
      ...{ mode: "isolated", groups: [groupOf(index)], ipv4: [`10.9.0.${call + 1}`] },
    });
    const startedAt = performance.now();
    const heard = new Promise<void>((resolve) => {
      hear = resolve;
    }).then(() => committed.push(performance.now() - startedAt));
    await stand.rules.setVifRules(policy);
    answered.push(performance.now() - startedAt);
    await heard;
  }
  observer.close();
  const what = `one VIF's policy of ${vifCount}, from the call`;
  const many = vifCount === FEW_VIFS ? "" : "-many";
  return [
    {
      ...{ name: `rules-bundle${many}`, unit: "ms", goal: "≤ 5", value: median(committed) },
      title: `${what} to the committed bundle`,
    },
    {
      ...{ name: `rules-call${many}`, unit: "ms", goal: "no loss of power undoes it" },
      ...{ value: median(answered), title: `${what} to its answer, on the disk too` },
    },
  ];
}

/** The same as XenServer's script does it: a program a flow, one after the other. */
async function measureXenServer(stand: VifStand): Promise<Figure> {
  const times: number[] = [];
  for (let call = 0; call < 5; call += 1) {
    const startedAt = performance.now();
    for (let flow = 0; flow < XENSERVER_PROGRAMS; flow += 1) {
      const match = `cookie=1,table=99,priority=${flow + 1},in_port=9,actions=drop`;
      stand.switch.ofctl(["add-flow", "br0", match]);
    }
    times.push(performance.now() - startedAt);
    stand.switch.ofctl(["del-flows", "br0", "table=99"]);
  }
  return {
    ...{ name: "rules-xenserver", unit: "ms", goal: "for comparison", value: median(times) },
    title: `the ${XENSERVER_PROGRAMS} flows of a VIF in XenServer's way, a program each`,
  };
}

/** A daemon that starts on a switch which has lost all flows. */
async function measureStart(stand: VifStand): Promise<Figure> {
  await stand.parts.stop();
  stand.switch.ofctl(["del-flows", "br0"]);
  const startedAt = performance.now();
  await stand.restart();
  await stand.until("all VIFs are locked", () => stand.parts.status().applied === MANY_VIFS);
  const value = (performance.now() - startedAt) / 1_000;
  return {
    ...{ name: "rules-start", unit: "s", goal: "≤ 2", value },
    title: `${MANY_VIFS} VIFs in ${GROUPS} groups from nothing, ${stand.flows().length} flows`,
  };
}

async function measureGroup(stand: VifStand): Promise<Figure> {
  const flows = (): number => stand.flows().length;
  const before = flows();
  const members = Array.from(
    { length: GROUP_MEMBERS - GROUP_VIFS },
    (_, index) => `10.8.${index >> 8}.${index & 255}`,
  );
  await stand.rules.setGroup({ group: "all", members: members as never });
  const ofMembers = (flows() - before) / (GROUP_MEMBERS - GROUP_VIFS);
  return {
    ...{ name: "rules-group", unit: "flows a member", goal: "≤ 4.5", value: ofMembers },
    title: `a group of ${GROUP_MEMBERS} with ${GROUP_VIFS} VIFs of this host`,
  };
}

async function withStand(work: (stand: VifStand) => Promise<void>): Promise<void> {
  const stand = await VifStand.start();
  try {
    await work(stand);
  } finally {
    await stand.close();
  }
}

type Fields = Readonly<Record<string, unknown>>;

/** Ports and policies, as many as that. */
async function fill(
  stand: VifStand,
  count: number,
  more: (index: number) => Fields = (index) => ({ groups: [groupOf(index)] }),
): Promise<void> {
  const indices = Array.from({ length: count }, (_, index) => index);
  stand.addPorts(indices.map((index) => [`vif${index}.0`, FIRST_OFPORT + index]));
  const vifs = indices.map((index) => numbered(index, { mode: "isolated", ...more(index) }));
  stand.store.change({ ...stand.store.stored, vifs });
  await stand.store.save();
  await stand.parts.reload();
  await stand.until("all VIFs are locked", () => stand.parts.status().applied === count);
}

function groupOf(index: number): string {
  return `g${index % GROUPS}`;
}

function numbered(index: number, more: Fields): VifPolicy {
  const [high, low] = [index >> 8, index & 255].map((octet) => octet.toString(16).padStart(2, "0"));
  return policyOf(index, {
    mac: `02:00:00:01:${high}:${low}`,
    ipv4: [`10.7.${index >> 8}.${index & 255}`],
    ...more,
  });
}

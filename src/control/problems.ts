/** What is wrong now, as sentences: the line above `vn top`, the list of the status page. */
import { formatEndpoint } from "../net/endpoint.ts";
import { shortVnetId, type VnetId } from "../net/vnet-id.ts";
import { formatRate } from "./rate-text.ts";
import type { CarriedRates, TrafficRates } from "./rates.ts";
import type { HostTraffic, TrafficPart, TrafficView, VifTraffic } from "./traffic-api.ts";

export type Problem = {
  /** `fault`: something does not work. `warning`: it works, and somebody should look. */
  readonly severity: "fault" | "warning";
  /** `vnet 97`, `vif5.0`, `10.0.0.2:1798`; null: the whole host. */
  readonly subject: string | null;
  readonly text: string;
  /** Where there is more about it: the row of that part with that key. */
  readonly target: ProblemTarget | null;
};

export type ProblemTarget = { readonly part: TrafficPart; readonly key: string };

/** Drops that belong to normal running: loops cut, duplicates of another way, padding. */
export const EXPECTED_DROPS: ReadonlySet<string> = new Set([
  ...["drop-from-self", "drop-guest-side", "drop-duplicate", "drop-reserved-mac"],
  ...["drop-local-destination", "drop-split-horizon", "drop-esp-dummy", "drop-unknown-vnet"],
]);

/** Below it, a drop now and then is no news. */
const DROPS_PER_S_MIN = 1;

const HOST_FAULTS: ReadonlySet<string> = new Set([
  ...["key mismatch", "suite mismatch", "clone", "unreachable"],
]);

type Subject = Pick<Problem, "subject" | "target">;

const THE_HOST: Subject = { subject: null, target: null };

/** Faults first. */
export function findProblems(view: TrafficView, rates: TrafficRates): readonly Problem[] {
  const problems = [
    ...problemsOfHost(view),
    ...(view.vnets ?? []).flatMap(({ vnet, error, state }) =>
      state === "up" ? [] : [fault(ofVnet(vnet), error ?? "carries no frames")],
    ),
    ...(view.vifs ?? []).flatMap(problemsOfVif),
    ...(view.hosts ?? []).flatMap(problemsOfPeer),
    ...view.duplicates.map(({ vnet, mac }) =>
      fault(ofVnet(vnet), `two hosts seem to have the MAC ${mac}`),
    ),
    ...problemsOfDrops(view, rates),
  ];
  return [
    ...problems.filter(({ severity }) => severity === "fault"),
    ...problems.filter(({ severity }) => severity === "warning"),
  ];
}

/** What is wrong with a row, null for nothing. */
export type MarkOf = (part: TrafficPart, key: string) => Problem["severity"] | null;

/** The worst of each row that a problem is about. */
export function markRows(problems: readonly Problem[]): MarkOf {
  // Warnings come last: from behind, a fault of the same row replaces them.
  const marks = new Map(
    problems.toReversed().flatMap(({ severity, target }) => {
      return target === null ? [] : [[markKey(target), severity] as const];
    }),
  );
  return (part, key) => marks.get(markKey({ part, key })) ?? null;
}

function markKey({ part, key }: ProblemTarget): string {
  return `${part} ${key}`;
}

export function nameVnet(vnet: VnetId): string {
  return `vnet ${shortVnetId(vnet)}`;
}

function problemsOfHost({ status }: TrafficView): readonly Problem[] {
  const { dataplane, underlay, vifRules, openVswitch } = status;
  const isDown = dataplane.state === "down" || dataplane.state === "starting";
  return [
    ...(isDown || dataplane.error !== null
      ? [fault(THE_HOST, `the data plane is ${dataplane.state}${because(dataplane.error)}`)]
      : []),
    ...(dataplane.state !== "off" && underlay.error !== null
      ? [fault(THE_HOST, `no underlay: ${underlay.error}`)]
      : []),
    ...(vifRules.error === null ? [] : [fault(THE_HOST, `VIF rules: ${vifRules.error}`)]),
    ...(vifRules.bridges.length > 0 && !openVswitch.running
      ? [fault(THE_HOST, "Open vSwitch does not run, and VIFs are under rules")]
      : []),
  ];
}

function problemsOfVif({ vif, state, error }: VifTraffic): readonly Problem[] {
  if (state === "error") {
    return [fault(ofVif(vif), `its policy is not in force${because(error)}`)];
  }
  return state === "quarantine"
    ? [warning(ofVif(vif), "in quarantine: no policy, nothing passes")]
    : [];
}

function problemsOfPeer(host: HostTraffic): readonly Problem[] {
  return host.vnets.flatMap(({ vnet, state }) => {
    if (state === null || state === "up") {
      return [];
    }
    const text = `${state} in ${nameVnet(vnet)}`;
    const key = formatEndpoint(host);
    const subject = { subject: key, target: { part: "hosts", key } } as const;
    return [HOST_FAULTS.has(state) ? fault(subject, text) : warning(subject, text)];
  });
}

function problemsOfDrops(view: TrafficView, rates: TrafficRates): readonly Problem[] {
  const ofVnets = [...rates.vnets].flatMap(([vnet, one]) => warnOfDrops(ofVnet(vnet), one));
  const ofVifs = [...rates.vifs].flatMap(([vif, one]) => warnOfDrops(ofVif(vif), one));
  // What no vnet has counted is the whole data plane's.
  const ofAll = view.vnets === null || ofVnets.length > 0 ? [] : warnOfDrops(THE_HOST, rates.total);
  return [...ofAll, ...ofVnets, ...ofVifs];
}

function warnOfDrops(subject: Subject, { dropped }: CarriedRates): readonly Problem[] {
  const unexpected = Object.entries(dropped)
    .filter(([reason, rate]) => rate >= DROPS_PER_S_MIN && !EXPECTED_DROPS.has(reason))
    .sort(([, one], [, other]) => other - one);
  const reasons = unexpected.map(([reason, rate]) => `${reason} ${formatRate(rate)}`);
  return reasons.length === 0 ? [] : [warning(subject, `drops a second: ${reasons.join(", ")}`)];
}

function because(error: string | null): string {
  return error === null ? "" : `: ${error}`;
}

function ofVnet(vnet: VnetId): Subject {
  return { subject: nameVnet(vnet), target: { part: "vnets", key: vnet } };
}

function ofVif(vif: string): Subject {
  return { subject: vif, target: { part: "vifs", key: vif } };
}

function fault(subject: Subject, text: string): Problem {
  return { severity: "fault", ...subject, text };
}

function warning(subject: Subject, text: string): Problem {
  return { severity: "warning", ...subject, text };
}

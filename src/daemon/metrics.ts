/**
 * Everything that `GET /metrics` shows, by the conventions of Prometheus: base units, `_total`, one
 * help text a name. Series are as many as there are vnets, VIFs and peers: what a vnet or a VIF has
 * not had yet (a reason to drop, a kind of flood) has no series of its own.
 */
import type { PeerView, StatsView, StatusView } from "../control/api.ts";
import { ALL_VNETS, shortVnetId, type VnetId } from "../net/vnet-id.ts";
import { COUNTERS } from "../vnet/counters.ts";
import type { SecureRefusal } from "../vnet/secure-events.ts";
import type { VarpRefusal } from "../vnet/varp-events.ts";
import type { HistogramView } from "./histogram.ts";
import { MetricText, type Sample } from "./metric-text.ts";
import type { CountedVif } from "./vif-views.ts";

export type MetricsSource = {
  readonly status: StatusView;
  /** Of the process and of every vnet; empty while there is no data plane. */
  readonly stats: readonly StatsView[];
  /** All of them, and of each whether something is wrong with it. */
  readonly vnets: readonly { readonly id: VnetId; readonly isUp: boolean }[];
  readonly sas: readonly SaCount[];
  readonly peers: readonly PeerView[];
  readonly vifs: readonly CountedVif[];
  readonly varpRefused: ReadonlyMap<VarpRefusal, number>;
  readonly secureRefused: ReadonlyMap<SecureRefusal, number>;
  readonly passes: Readonly<Record<"vnets" | "vif-rules", HistogramView>>;
  readonly dataplaneConnectCount: number;
  readonly process: ProcessFigures;
};

export type SaCount = {
  readonly vnet: VnetId;
  readonly direction: "send" | "receive";
  readonly count: number;
};

export type ProcessFigures = {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  /** Since 1970. */
  readonly startSeconds: number;
};

/** Above it peers have no series of their own; `vnetd_peers` counts all of them. */
const PEERS_SHOWN_MAX = 1_000;
/** Shown of every vnet from the start: a rate needs a first value. */
const ALWAYS_SHOWN = new Set<string>([
  ...["outbound-frames", "outbound-bytes", "inbound-frames", "inbound-bytes"],
  ...["outbound-datagram-bytes", "inbound-datagram-bytes"],
]);
const DROP = "drop-";

export async function formatMetrics(source: MetricsSource): Promise<string> {
  const text = new MetricText();
  await addHost(text, source);
  await addPeers(text, source.peers);
  await addVnets(text, source);
  await addCounters(text, source.stats);
  await addVifs(text, source);
  return text.toString();
}

async function addHost(text: MetricText, source: MetricsSource): Promise<void> {
  const { status, passes, process } = source;
  const gauge = (name: string, help: string, value: number | boolean) =>
    text.family(name, { type: "gauge", help }, [[{}, Number(value)]]);
  const counter = (name: string, help: string, value: number) =>
    text.family(name, { type: "counter", help }, [[{}, value]]);
  const { version } = status;
  const build = { type: "gauge", help: "The version, as a label; always 1." } as const;
  await text.family("vnetd_build_info", build, [[{ version }, 1]]);
  await gauge("vnetd_up", "1 while frames can pass.", status.serving);
  await gauge("vnetd_dataplane_up", "1 while vnet-dp runs.", status.dataplane.state === "up");
  await counter(
    "vnetd_dataplane_connects_total",
    "How often vnet-dp was started or adopted.",
    source.dataplaneConnectCount,
  );
  const { device, error } = status.underlay;
  await gauge(
    "vnetd_underlay_up",
    "1 while there is a device and an address to reach other hosts from.",
    device !== null && error === null,
  );
  await gauge("vnetd_openvswitch_up", "1 while its database answers.", status.openVswitch.running);
  await gauge("vnetd_local_macs", "MACs on this host's vnets.", status.vifCount);
  await gauge("vnetd_remote_macs", "MACs known on other hosts.", status.varpCount);
  await text.family(
    "vnetd_varp_refused_total",
    { type: "counter", help: "VARP messages refused, by reason." },
    byReason(source.varpRefused),
  );
  await text.family(
    "vnetd_secure_refused_total",
    { type: "counter", help: "Control messages of secure vnets refused, by reason." },
    byReason(source.secureRefused),
  );
  text.histograms(
    "vnetd_reconcile_duration_seconds",
    "Time of a pass that brings the host to the desired state.",
    Object.entries(passes).map(([loop, view]) => [{ loop }, view] as const),
  );
  await counter("process_cpu_seconds_total", "CPU time of vnetd.", process.cpuSeconds);
  await gauge("process_resident_memory_bytes", "Memory of vnetd.", process.residentBytes);
  await gauge(
    "process_start_time_seconds",
    "When vnetd started, since 1970.",
    process.startSeconds,
  );
}

async function addPeers(text: MetricText, peers: readonly PeerView[]): Promise<void> {
  const configured = peers.filter((peer) => peer.configured);
  await text.family("vnetd_peers", { type: "gauge", help: "Other hosts, by how they are known." }, [
    [{ kind: "configured" }, configured.length],
    [{ kind: "heard" }, peers.length - configured.length],
  ]);
  const shown = peers.slice(0, PEERS_SHOWN_MAX);
  await text.family(
    "vnetd_peer_vnets",
    { type: "gauge", help: "Secure vnets in which the host is in this state." },
    shown.flatMap((peer) =>
      Array.from(
        countBy(peer.vnets.map(({ state }) => state)),
        ([state, count]): Sample => [{ peer: nameOf(peer), state: state.replace(" ", "-") }, count],
      ),
    ),
  );
  await text.family(
    "vnetd_peer_forwarded_messages_total",
    { type: "counter", help: "Group messages forwarded to and from a configured peer." },
    shown
      .filter((peer) => peer.configured)
      .flatMap((peer): Sample[] => [
        [{ peer: nameOf(peer), direction: "outbound" }, peer.forwardedOut],
        [{ peer: nameOf(peer), direction: "inbound" }, peer.forwardedIn],
      ]),
  );
}

async function addVnets(text: MetricText, { vnets, sas }: MetricsSource): Promise<void> {
  const upCount = vnets.filter(({ isUp }) => isUp).length;
  await text.family("vnetd_vnets", { type: "gauge", help: "Vnets of this host, by state." }, [
    [{ state: "up" }, upCount],
    [{ state: "error" }, vnets.length - upCount],
  ]);
  await text.family(
    "vnetd_vnet_up",
    { type: "gauge", help: "1 while the vnet carries frames." },
    vnets.map(({ id, isUp }): Sample => [{ vnet: shortVnetId(id) }, Number(isUp)]),
  );
  await text.family(
    "vnetd_vnet_sas",
    { type: "gauge", help: "Security associations of the vnet." },
    sas.map(
      ({ vnet, direction, count }): Sample => [{ vnet: shortVnetId(vnet), direction }, count],
    ),
  );
}

async function addCounters(text: MetricText, stats: readonly StatsView[]): Promise<void> {
  const ofHost = stats.find(({ vnet }) => vnet === null)?.counters ?? {};
  const vnets = stats.flatMap(({ vnet, counters }) =>
    vnet === null || vnet === ALL_VNETS ? [] : [{ labels: { vnet: shortVnetId(vnet) }, counters }],
  );
  const drops = COUNTERS.filter(({ name }) => name.startsWith(DROP)).map(({ name }) => name);
  for (const { name, help } of COUNTERS.filter((each) => !each.name.startsWith(DROP))) {
    const sentence = `${help.charAt(0).toUpperCase()}${help.slice(1)}`;
    const metric = name.replaceAll("-", "_");
    const host: Sample[] = name in ofHost ? [[{}, ofHost[name] ?? 0]] : [];
    const about = { type: "counter", help: `${sentence}; whole host.` } as const;
    await text.family(`vnetd_${metric}_total`, about, host);
    await text.family(
      `vnetd_vnet_${metric}_total`,
      { type: "counter", help: `${sentence}.` },
      vnets.flatMap(({ labels, counters }): Sample[] => {
        const value = counters[name] ?? 0;
        return value > 0 || ALWAYS_SHOWN.has(name) ? [[labels, value]] : [];
      }),
    );
  }
  const reasonOf = (name: string): string => name.slice(DROP.length);
  await text.family(
    "vnetd_drops_total",
    { type: "counter", help: "Frames and datagrams that went no further, by reason; whole host." },
    drops.flatMap((name): Sample[] =>
      name in ofHost ? [[{ reason: reasonOf(name) }, ofHost[name] ?? 0]] : [],
    ),
  );
  await text.family(
    "vnetd_vnet_drops_total",
    { type: "counter", help: "Frames and datagrams that went no further, by reason." },
    vnets.flatMap(({ labels, counters }) =>
      drops.flatMap((name): Sample[] => {
        const value = counters[name] ?? 0;
        return value > 0 ? [[{ ...labels, reason: reasonOf(name) }, value]] : [];
      }),
    ),
  );
}

async function addVifs(text: MetricText, { vifs, status }: MetricsSource): Promise<void> {
  const { applied, quarantined, waiting, failed } = status.vifRules;
  const states = { applied, quarantine: quarantined, waiting, error: failed };
  const hasAny = Object.values(states).some((count) => count > 0);
  await text.family(
    "vnetd_vif_rules",
    { type: "gauge", help: "VIFs under rules, by state." },
    hasAny ? Object.entries(states).map(([state, count]): Sample => [{ state }, count]) : [],
  );
  const each = (read: (vif: CountedVif) => number): Sample[] =>
    vifs.map((vif) => [{ vif: vif.name }, read(vif)]);
  const counter = (help: string) => ({ type: "counter", help }) as const;
  await text.family(
    "vnetd_vif_applied",
    { type: "gauge", help: "1 while the VIF is under its policy, 0 while it is denied or waits." },
    each(({ isApplied }) => Number(isApplied)),
  );
  await text.family(
    "vnetd_vif_accepted_frames_total",
    counter("Frames that the VIF sent and that passed."),
    each(({ counts }) => Math.max(0, counts.acceptedFrames)),
  );
  await text.family(
    "vnetd_vif_accepted_bytes_total",
    counter("Octets of those frames."),
    each(({ counts }) => Math.max(0, counts.acceptedOctets)),
  );
  await text.family(
    "vnetd_vif_delivered_frames_total",
    counter("Frames that the VIF got."),
    each(({ counts }) => counts.deliveredFrames),
  );
  await text.family(
    "vnetd_vif_drops_total",
    counter("Frames from the VIF, and with to-… for it, that went no further, by reason."),
    vifs.flatMap(({ name: vif, counts }) =>
      Object.entries(counts.dropped).flatMap(([reason, count]): Sample[] =>
        count > 0 ? [[{ vif, reason }, count]] : [],
      ),
    ),
  );
}

function byReason(counts: ReadonlyMap<string, number>): Sample[] {
  return Array.from(counts, ([reason, count]): Sample => [{ reason }, count]);
}

function countBy(words: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const word of words) {
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}

function nameOf({ address, udpPort }: PeerView): string {
  return address.includes(":") ? `[${address}]:${udpPort}` : `${address}:${udpPort}`;
}

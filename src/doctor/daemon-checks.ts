/** What the daemon's own views say is wrong: pure, from the answers of its API. */
import type { PeerView, StatusView, VarpView } from "../control/api.ts";
import { shortVnetId } from "../net/vnet-id.ts";
import type { SecureHostState } from "../vnet/secure-events.ts";
import { type Finding, healthy, skipped, wrong } from "./finding.ts";

export type DaemonViews = {
  readonly status: StatusView;
  readonly peers: readonly PeerView[];
  readonly varp: readonly VarpView[];
};

const MENDS: Readonly<Record<Exclude<SecureHostState, "up">, string>> = {
  "stale key": "activate the same key on all hosts: vn vnet-key-activate",
  "key mismatch": "give both hosts the same key: vn vnet-key-add, vn vnet-keys",
  "suite mismatch": "make the vnet with the same --suite on all hosts",
  clone: "one of two machines is a copy: stop vnetd there, empty its state directory, start it",
  unreachable: "look whether it runs; else at the network between: vn peers, ping, the firewall",
};

export function checkDaemon({ status, peers, varp }: DaemonViews): readonly Finding[] {
  return [
    healthy("daemon", `vnetd ${status.version} answers, pid ${status.pid}`),
    checkDataplane(status),
    checkUnderlay(status),
    checkOffloads(status),
    ...checkHosts(peers),
    ...checkDuplicates(varp),
    checkVifRules(status),
  ];
}

function checkDataplane({ dataplane }: StatusView): Finding {
  const check = "data-plane";
  if (dataplane.state === "off") {
    return skipped(check, "this host has no overlay (--underlay none)");
  }
  if (dataplane.state === "up") {
    return healthy(check, `vnet-dp carries frames, pid ${dataplane.pid}`);
  }
  const what = `vnet-dp is ${dataplane.state}: ${dataplane.error ?? "no reason is known"}`;
  return wrong(check, "fault", { what, mend: "mend what it says; vnetd starts it by itself" });
}

function checkUnderlay({ underlay, dataplane }: StatusView): Finding {
  const check = "underlay";
  if (dataplane.state === "off") {
    return skipped(check, "this host has no overlay (--underlay none)");
  }
  if (underlay.error === null) {
    return healthy(check, `${underlay.device} has ${underlay.addresses.join(", ")}`);
  }
  const mend = "set the device up, give it an address, or say another one: vnetd --underlay";
  return wrong(check, "fault", { what: underlay.error, mend });
}

/** An offload is in use when it is wanted and has passed the self-test at the start. */
function checkOffloads({ dataplane }: StatusView): Finding {
  const check = "offloads";
  if (dataplane.state !== "up") {
    return skipped(check, "there is no data plane");
  }
  const { tapOffload, udpSegmentation, udpCoalescing } = dataplane;
  const off = Object.entries({ tapOffload, udpSegmentation, udpCoalescing })
    .filter(([, isOn]) => !isOn)
    .map(([name]) => name);
  if (off.length === 0) {
    return healthy(check, "all offloads are in use");
  }
  const what = `not in use: ${off.join(", ")}`;
  const mend =
    "unless vnetd was told so (--no-…), the self-test found that they corrupt: the log says which, a newer kernel mends it";
  return wrong(check, "warning", { what, mend });
}

function checkHosts(peers: readonly PeerView[]): readonly Finding[] {
  const check = "hosts";
  const findings = peers.flatMap(({ address, vnets }) =>
    vnets.flatMap(({ vnet, state }): Finding[] => {
      if (state === "up") {
        return [];
      }
      const what = `${address} in vnet ${shortVnetId(vnet)}: ${state}`;
      const verdict = state === "stale key" ? "warning" : "fault";
      return [wrong(check, verdict, { what, mend: MENDS[state] })];
    }),
  );
  if (findings.length > 0) {
    return findings;
  }
  return peers.some(({ vnets }) => vnets.length > 0)
    ? [healthy(check, "every host of a secure vnet is up")]
    : [skipped(check, "no host of a secure vnet was heard")];
}

function checkDuplicates(varp: readonly VarpView[]): readonly Finding[] {
  const check = "duplicate-macs";
  const mend = "give one of the two VMs another MAC; vn watch mac shows where it moves";
  const findings = varp
    .filter(({ state }) => state === "duplicate")
    .map(({ vnet, mac, host }) => {
      const where = host === null ? "this host" : host.address;
      const what = `two hosts have ${mac} in vnet ${shortVnetId(vnet)}, it stays at ${where}`;
      return wrong(check, "fault", { what, mend });
    });
  return findings.length > 0 ? findings : [healthy(check, "no MAC is on two hosts")];
}

function checkVifRules({ vifRules }: StatusView): Finding {
  const check = "vif-rules";
  const { bridges, error, failed, quarantined, applied } = vifRules;
  if (error !== null) {
    const mend = "start Open vSwitch, or say where it is: vnetd --ovs-run-dir";
    return wrong(check, "fault", { what: error, mend });
  }
  if (failed > 0) {
    const what = `${failed} VIFs are not under their policies`;
    return wrong(check, "fault", { what, mend: "vn vif-show says which and why" });
  }
  if (quarantined > 0) {
    const what = `${quarantined} VIFs have no policy, nothing passes there`;
    return wrong(check, "warning", { what, mend: "vn vif-set, or a policy where it is read from" });
  }
  return bridges.length + applied === 0
    ? skipped(check, "no bridge is under rules")
    : healthy(check, `${applied} VIFs are under their policies`);
}

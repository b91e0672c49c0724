/** Readings of a host, made up: what a test leaves out is well and carries nothing. */
import type { StatusView } from "../../src/control/api.ts";
import type {
  Carried,
  HostTraffic,
  TrafficView,
  VifTraffic,
  VnetTraffic,
} from "../../src/control/traffic-api.ts";
import { parseIpAddress } from "../../src/net/ip-address.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";

export const STATUS: StatusView = {
  ...{ version: "0.1.0", pid: 4242, uptimeMs: 93_784_000, serving: true },
  dataplane: {
    ...{ state: "up", pid: 4243, error: null },
    ...{ tapOffload: true, udpSegmentation: true, udpCoalescing: true },
  },
  underlay: {
    ...{ device: "eth0", mtu: 1500, addresses: ["192.0.2.1"], udpPort: 1798, error: null },
    ...{ multicastGroup: "224.10.0.1", multicastTtl: 1 },
  },
  openVswitch: { running: false },
  vifRules: { bridges: [], applied: 0, quarantined: 0, waiting: 0, failed: 0, error: null },
  ...{ vnetCount: 1, vifCount: 1, peerCount: 0, varpCount: 0 },
};

/** As many frames each way, of a hundred octets. */
export function carried(frames: number): Carried {
  return {
    ...{ outboundFrames: frames, outboundOctets: frames * 100 },
    ...{ inboundFrames: frames, inboundOctets: frames * 100 },
  };
}

export function vnetTraffic(id: string, more: Partial<VnetTraffic> = {}): VnetTraffic {
  return {
    ...{ vnet: parseVnetId(id), vnetif: `vnif${id}`, bridge: `vnet${id}`, security: "none" },
    ...{ state: "up", error: null, localMacs: 1, remoteMacs: 2, carried: carried(0), dropped: {} },
    ...more,
  };
}

export function vifTraffic(vif: string, more: Partial<VifTraffic> = {}): VifTraffic {
  return {
    ...{ vif, bridge: "xenbr0", vnet: null, state: "applied", error: null, mac: null },
    ...{ carried: carried(0), dropped: {} },
    ...more,
  };
}

export function hostTraffic(address: string, more: Partial<HostTraffic> = {}): HostTraffic {
  return {
    ...{ address: parseIpAddress(address), udpPort: 1798, name: null, configured: false },
    ...{ forwardedOut: 0, forwardedIn: 0, opened: 0, replayed: 0, forged: 0, macs: 0, vnets: [] },
    ...more,
  };
}

export function traffic(more: Partial<TrafficView> = {}): TrafficView {
  return {
    ...{ atMs: 1_000, status: STATUS, carried: carried(0), dropped: {}, duplicates: [] },
    ...{ vnets: [], vifs: [], hosts: [] },
    ...more,
  };
}

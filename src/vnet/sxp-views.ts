/**
 * What the original printed, in its form: for `vn … -o sxp` and for the answers of `vn eval`.
 * Ages are in seconds, as its user-space daemon counted. Where it printed what we do not have,
 * a constant says so in its place, so that scripts find every field they look for.
 */
import { type Encapsulation, ETHERNET_HEADER_BYTES, tunnelOverheadBytes } from "../encap/mtu.ts";
import type { Endpoint } from "../net/endpoint.ts";
import type { IpAddress } from "../net/ip-address.ts";
import type { MacAddress } from "../net/mac-address.ts";
import type { VnetId } from "../net/vnet-id.ts";
import { printSexpr, type SexprText } from "./sexpr.ts";

export type SxpVnet = {
  readonly id: VnetId;
  readonly vnetif: string;
  readonly security: string;
  readonly encapsulation: Encapsulation;
};

export type SxpVif = { readonly vnet: VnetId; readonly mac: MacAddress; readonly ageMs: number };

export type SxpPeer = {
  readonly address: string;
  readonly udpPort: number;
  readonly forwardedOut: number;
  readonly forwardedIn: number;
};

export type SxpVarpEntry = {
  readonly vnet: VnetId;
  readonly mac: MacAddress;
  readonly state: "reachable" | "asking" | "duplicate";
  readonly host: Endpoint | null;
  readonly ageMs: number;
};

export type SxpVarp = {
  readonly device: string | null;
  readonly multicastGroup: string | null;
  readonly address: IpAddress | string | null;
  readonly udpPort: number;
  readonly fdbTtlMs: number;
  readonly entries: readonly SxpVarpEntry[];
};

const NO_ADDRESS = "0.0.0.0";

/** `vnet.list`: a line a vnet. */
export function printVnetList(vnets: readonly SxpVnet[]): string {
  return vnets.map((vnet) => `${printSexpr(vnetSexpr(vnet))}\n`).join("");
}

/** `vif.list`: the table's settings, then an expression a vif. */
export function printVifList(
  vifs: readonly SxpVif[],
  { vifTtlMs }: { readonly vifTtlMs: number },
): string {
  const ttl = seconds(vifTtlMs);
  const table = block("viftable", [
    ["table_ttl", ttl],
    ["entry_ttl", ttl],
    ["sweeps", "0"],
  ]);
  return table + vifs.map(printVif).join("");
}

/** `peer.list`. */
export function printPeerList(peers: readonly SxpPeer[]): string {
  return peers.map(printPeer).join("");
}

/** `varp.list`: the settings, then an expression a remote MAC. */
export function printVarpList(varp: SxpVarp): string {
  const settings = block("varp", [
    ["device", varp.device ?? "none"],
    ["mcast_addr", varp.multicastGroup ?? NO_ADDRESS],
    ["ucast_addr", varp.address ?? NO_ADDRESS],
    ["port", String(varp.udpPort)],
    ["encapsulation", "etherip_in_udp"],
    ["entry_ttl", seconds(varp.fdbTtlMs)],
  ]);
  return settings + varp.entries.map(printVarpEntry).join("");
}

function vnetSexpr({ id, vnetif, security, encapsulation }: SxpVnet): SexprText {
  // As the original summed it: the outer headers and the VM's Ethernet header, in words of four.
  const headerBytes = tunnelOverheadBytes({ encapsulation, family: 4 }) + ETHERNET_HEADER_BYTES;
  const header = String(Math.ceil(headerBytes / 4) * 4);
  return ["vnet", ["id", id], ["vnetif", vnetif], ["security", security], ["header", header]];
}

export function printVif({ vnet, mac, ageMs }: SxpVif): string {
  return block("vif", [
    ["vnet", vnet],
    ["vmac", mac],
    ["age", seconds(ageMs)],
  ]);
}

function printPeer({ address, udpPort, forwardedOut, forwardedIn }: SxpPeer): string {
  return block("vnet_peer", [
    ["addr", address],
    ["port", String(udpPort)],
    ["tx_packets", String(forwardedOut)],
    ["rx_packets", String(forwardedIn)],
  ]);
}

export function printVarpEntry({ vnet, mac, state, host, ageMs }: SxpVarpEntry): string {
  const asking = state === "asking";
  return block("ventry", [
    ["ref", "1"],
    ["state", asking ? "incomplete" : "reachable"],
    ["flags", asking ? "P" : "-"],
    ["addr", host?.address ?? NO_ADDRESS],
    ["queue", "0"],
    ["age", seconds(ageMs)],
    ["vmac", mac],
    ["vnet", vnet],
  ]);
}

/** An expression with a field a line. */
function block(name: string, fields: readonly (readonly [key: string, value: string])[]): string {
  return `(${name}\n${fields.map((field) => ` ${printSexpr(field)}\n`).join("")})\n`;
}

function seconds(ms: number): string {
  return String(Math.floor(ms / 1000));
}

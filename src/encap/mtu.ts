/**
 * What fits: the octets the tunnel puts around a VM's frame, and what follows for MTUs and for the
 * TCP segments of VMs. All sizes in octets.
 *
 *     outer IP | UDP 8 | legacy header 22 | Ethernet 14 (+ 4 a tag) | the VM's packet     (udp)
 *     outer IP | EtherIP and vnet id 18   | Ethernet 14 (+ 4 a tag) | the VM's packet     (etherip)
 */
import type { IpFamily } from "../net/ip-address.ts";

/*
 * A secure vnet has, in place of the legacy header and behind the frame, at most (ESP, wire.md §2.2;
 * the AES-CBC suite is the largest)
 *
 *     SPI and sequence 8 | IV 16 | EtherIP 2 | … | padding 15, its length, next header | ICV 16
 */

/** How frames travel between hosts: in legacy messages on UDP, or directly in IP protocol 97. */
export type Encapsulation = "udp" | "etherip";

export type Tunnel = {
  readonly encapsulation: Encapsulation;
  /** Of the addresses of the hosts. */
  readonly family: IpFamily;
};

export const ETHERNET_HEADER_BYTES = 14;
/** One 802.1Q tag: a vnet carries tagged frames of its full MTU. */
export const VLAN_TAG_BYTES = 4;

/** RFC 791 §3.2: every IPv4 module must be able to forward 68 octets unfragmented. */
export const VNET_MTU_MIN = 68;

const UDP_HEADER_BYTES = 8;
const LEGACY_FRAME_HEADER_BYTES = 22;
const ETHERIP_HEADER_BYTES = 18;
const ESP_BYTES_MAX = 8 + 16 + 2 + 15 + 2 + 16;
const TCP_HEADER_BYTES = 20;
const IP_PACKET_BYTES_MAX = 65_535;

/** From the first octet of the outer IP header to the first octet of the VM's frame. */
export function tunnelOverheadBytes({ encapsulation, family }: Tunnel): number {
  const carrierBytes =
    encapsulation === "udp" ? UDP_HEADER_BYTES + LEGACY_FRAME_HEADER_BYTES : ETHERIP_HEADER_BYTES;
  return ipHeaderBytes(family) + carrierBytes;
}

/** The largest MTU of VMs whose untagged frames cross an underlay of `underlayMtu` in one piece. */
export function unfragmentedVnetMtu(underlayMtu: number, tunnel: Tunnel): number {
  return underlayMtu - tunnelOverheadBytes(tunnel) - ETHERNET_HEADER_BYTES;
}

/** The MTU an underlay needs for VMs with `vnetMtu`, so that no datagram is fragmented. */
export function neededUnderlayMtu(vnetMtu: number, tunnel: Tunnel): number {
  return vnetMtu + ETHERNET_HEADER_BYTES + tunnelOverheadBytes(tunnel);
}

/** The largest MTU a vnet can have at all: its tagged frames must fit into one IPv4 packet. */
export function vnetMtuMax(encapsulation: Encapsulation, isSecure = false): number {
  const overheadBytes = isSecure
    ? ipHeaderBytes(4) + UDP_HEADER_BYTES + ESP_BYTES_MAX
    : tunnelOverheadBytes({ encapsulation, family: 4 });
  const frameBytesMax = IP_PACKET_BYTES_MAX - overheadBytes;
  return frameBytesMax - ETHERNET_HEADER_BYTES - VLAN_TAG_BYTES;
}

/** The payload of a TCP segment in a packet of `mtu` octets without options (RFC 9293 §3.7.1). */
export function tcpMssBytes(mtu: number, family: IpFamily): number {
  return mtu - ipHeaderBytes(family) - TCP_HEADER_BYTES;
}

function ipHeaderBytes(family: IpFamily): number {
  return family === 4 ? 20 : 40;
}

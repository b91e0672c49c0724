/**
 * A host that runs the original, with a VM behind it: floods and learns, answers VARP, forwards
 * to its peers, and re-emits what they forward with the source it had. It never asks and never
 * announces by itself, for the original does not.
 *
 *      VM eth0 ─── tap0  legacy host  u1 ─── segment
 */

import type { Lab, Segment } from "../netns/lab.ts";
import { OFFLOADS_OFF } from "../netns/lab.ts";
import { Host } from "../netns/lab-host.ts";
import { DatagramPort, PacketPort, Tap, type TimedDatagram } from "../netns/link-tools.ts";
import { run } from "../netns/programs.ts";
import {
  addressOctets,
  decodeLegacy,
  ETHERIP_CLEAN,
  type EtheripOctets,
  encodeLegacyFrame,
  encodeLegacyVarp,
  LEGACY_GROUP,
  LEGACY_UDP_PORT,
  macText,
  unwrapForwarded,
  vnetKey,
  wrapHeardMulticast,
  wrapOwnMulticast,
} from "./legacy-messages.ts";

export type LegacyVm = {
  readonly namespace: string;
  readonly mac: string;
  readonly address: string;
};

/** The original has no other guard against loops than the source's own address; the lab needs one. */
const REEMISSIONS_MAX = 2_000;

export class LegacyHost {
  readonly address: string;
  readonly namespace: string;
  readonly #lab: Lab;
  readonly #taps = new Map<string, Tap>();
  readonly #vifs = new Set<string>();
  readonly #varp = new Map<string, string>();
  readonly #peers = new Set<string>();
  #udp: DatagramPort | undefined;
  #raw: PacketPort | undefined;
  etherip: EtheripOctets = ETHERIP_CLEAN;
  /** VARP announces that came here. */
  readonly announces: { readonly mac: string; readonly careOf: string; readonly from: string }[] =
    [];
  reemitted = 0;
  forwardsReceived = 0;
  requestsAnswered = 0;
  floodedUnicast = 0;

  private constructor(lab: Lab, host: Host) {
    this.#lab = lab;
    this.namespace = host.namespace;
    this.address = host.address;
  }

  static async start(lab: Lab, name: string, segments: readonly Segment[]): Promise<LegacyHost> {
    const host = await Host.create(lab, name, segments);
    const self = new LegacyHost(lab, host);
    self.#udp = await DatagramPort.open(lab, host.namespace, {
      address: host.address,
      udpPort: LEGACY_UDP_PORT,
      group: LEGACY_GROUP,
    });
    self.#udp.onDatagram = (datagram) => self.#hear(datagram);
    self.#raw = await PacketPort.open(lab, host.namespace, host.address);
    return self;
  }

  /** A vnet with one VM on it. */
  async vm(vnet: string, mac: string, address: string): Promise<LegacyVm> {
    const index = this.#taps.size;
    const namespace = await this.#lab.namespace(`l${this.address.replaceAll(".", "-")}-${index}`);
    const device = `tap${index}`;
    await this.#lab.sysctl(namespace, "net.ipv6.conf.all.disable_ipv6", "1");
    await this.#lab.sysctl(namespace, "net.ipv6.conf.default.disable_ipv6", "1");
    await run("ip", [
      ...["link", "add", "name", "eth0", "address", mac, "netns", namespace, "type", "veth"],
      ...["peer", "name", device, "netns", this.namespace],
    ]);
    await this.#lab.in(namespace, "ethtool", "-K", "eth0", ...OFFLOADS_OFF);
    await this.#lab.batch(this.namespace, [`link set ${device} up`]);
    await this.#lab.batch(namespace, [`addr add ${address} dev eth0`, "link set eth0 up"]);
    const tap = await Tap.open(this.#lab, this.namespace, device, "--promiscuous");
    tap.onFrame = (frame) => this.#sendFrame(vnet, frame);
    this.#taps.set(vnetKey(vnet), tap);
    return { namespace, mac, address: address.split("/")[0] ?? "" };
  }

  addPeer(address: string): void {
    this.#peers.add(address);
  }

  /** Where it believes a MAC to be. */
  whereIs(vnet: string, mac: string): string | undefined {
    return this.#varp.get(`${vnetKey(vnet)} ${mac}`);
  }

  /** Asks as a test of VARP; the original never does by itself. */
  ask(vnet: string, mac: string, host: string = LEGACY_GROUP): void {
    const careOf = this.address;
    this.#udp?.send(host, LEGACY_UDP_PORT, encodeLegacyVarp({ request: true, vnet, mac, careOf }));
  }

  /** Sends octets of the test's own making from the daemon's socket. */
  sendDatagram(address: string, payload: Uint8Array): void {
    this.#udp?.send(address, LEGACY_UDP_PORT, payload);
  }

  #sendFrame(vnet: string, frame: Buffer): void {
    const source = macText(frame.subarray(6, 12));
    const destination = macText(frame.subarray(0, 6));
    this.#vifs.add(`${vnetKey(vnet)} ${source}`);
    const message = encodeLegacyFrame(vnet, frame, this.etherip);
    const isGroup = ((frame[0] ?? 0) & 1) === 1;
    const host = isGroup ? undefined : this.#varp.get(`${vnetKey(vnet)} ${destination}`);
    if (host !== undefined) {
      this.#udp?.send(host, LEGACY_UDP_PORT, message);
      return;
    }
    this.floodedUnicast += isGroup ? 0 : 1;
    for (const peer of this.#peers) {
      this.#udp?.send(peer, LEGACY_UDP_PORT, wrapOwnMulticast(message));
    }
    this.#udp?.send(LEGACY_GROUP, LEGACY_UDP_PORT, message);
  }

  /**
   * The tool's two sockets look alike here. What was sent to the group is forwarded to peers by the
   * original; frames for a group MAC are what that matters for.
   */
  #hear(datagram: TimedDatagram): void {
    if (datagram.address === this.address) {
      return;
    }
    const message = decodeLegacy(datagram.payload);
    if (message.kind === "forwarded") {
      this.#takeForwarded(datagram.address, message.packet);
      return;
    }
    if (datagram.viaGroup) {
      for (const peer of this.#peers) {
        if (peer !== datagram.address) {
          const wrapped = wrapHeardMulticast(datagram.payload, datagram.address);
          this.#udp?.send(peer, LEGACY_UDP_PORT, wrapped);
        }
      }
    }
    this.#takeMessage(datagram.payload, datagram.address);
  }

  #takeForwarded(from: string, packet: Buffer): void {
    if (!this.#peers.has(from)) {
      return;
    }
    this.forwardsReceived += 1;
    const inner = unwrapForwarded(packet);
    const source = inner.source === "0.0.0.0" ? from : inner.source;
    this.#takeMessage(inner.message, source);
    if (this.reemitted < REEMISSIONS_MAX) {
      this.reemitted += 1;
      const copy = Buffer.from(packet);
      copy.set(addressOctets(source), 12);
      copy.set(addressOctets(LEGACY_GROUP), 16);
      this.#raw?.send(copy);
    }
  }

  #takeMessage(payload: Buffer, source: string): void {
    const message = decodeLegacy(payload);
    if (message.kind === "frame") {
      const tap = this.#taps.get(message.vnet);
      if (tap !== undefined) {
        this.#varp.set(`${message.vnet} ${macText(message.frame.subarray(6, 12))}`, source);
        tap.send(message.frame);
      }
    } else if (message.kind === "varp" && message.request) {
      this.#answer(message.vnet, message.mac, source);
    } else if (message.kind === "varp") {
      this.announces.push({ mac: message.mac, careOf: message.careOf, from: source });
      // Only a MAC it has an entry for; the care-of address is believed as it stands.
      const key = `${message.vnet} ${message.mac}`;
      if (this.#varp.has(key)) {
        this.#varp.set(key, message.careOf);
      }
    }
  }

  #answer(vnet: string, mac: string, asker: string): void {
    if (!this.#vifs.has(`${vnet} ${mac}`)) {
      return;
    }
    this.requestsAnswered += 1;
    const fields = (vnet.match(/.{4}/g) ?? []).join(":");
    this.#udp?.send(
      asker,
      LEGACY_UDP_PORT,
      encodeLegacyVarp({ request: false, vnet: fields, mac, careOf: this.address }),
    );
  }
}

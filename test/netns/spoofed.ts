/** Datagrams in anybody's name. */
import { addressOctets } from "../fakes/legacy-messages.ts";
import { TUNNEL_UDP_PORT } from "./frames.ts";

const IP_BYTES = 20;
const UDP_BYTES = 8;

/** An IPv4 packet for `PacketPort`: the kernel computes its checksum, that of UDP is left out. */
export function spoofedDatagram(source: string, destination: string, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(IP_BYTES + UDP_BYTES);
  header.writeUInt8(0x45, 0);
  header.writeUInt16BE(header.length + payload.length, 2);
  header.set([1, 17], 8); // time to live, UDP
  header.set(addressOctets(source), 12);
  header.set(addressOctets(destination), 16);
  header.writeUInt16BE(TUNNEL_UDP_PORT, IP_BYTES);
  header.writeUInt16BE(TUNNEL_UDP_PORT, IP_BYTES + 2);
  header.writeUInt16BE(UDP_BYTES + payload.length, IP_BYTES + 4);
  return Buffer.concat([header, payload]);
}

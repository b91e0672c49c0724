/** Who is who in the cases: one bridge with the VIF that is judged, its neighbours and the wire. */
import { parseMacAddress } from "../../src/net/mac-address.ts";
import { eui64LinkLocal } from "../../src/vifrules/link-local.ts";

/** Everybody's MAC and addresses, which end in the number. */
export type Person = {
  readonly number: number;
  readonly mac: string;
  readonly ip: string;
  readonly ip6: string;
  /** The EUI-64 one. */
  readonly linkLocal: string;
};

function person(number: number, address = number): Person {
  const mac = parseMacAddress(`02:00:00:00:00:${String(number).padStart(2, "0")}`);
  const [ip, ip6] = [`10.0.0.${address}`, `fd00::${address}`];
  return { number, mac, ip, ip6, linkLocal: eui64LinkLocal(mac) };
}

/** The one that is judged; group web. Port 10. */
export const VIF = person(10);
/** Isolated, group web. Port 11. */
export const MATE = person(11);
/** Isolated, group db. Port 12. */
export const OTHER = person(12);
/** Locked, no group. Port 13. */
export const LOCKED = person(13);
/** Unlocked. Port 15. */
export const OPEN = person(15);
/** Disabled. Port 16. */
export const DISABLED = person(16);
/** A VIF without a policy. Port 19. */
export const NOBODY = person(19);
/** The router, infrastructure; on the wire. */
export const GATEWAY = person(14, 1);
/** Of group web, on another host. */
export const REMOTE_MATE = person(20);
/** Of the inner network, on the wire, in no group. */
export const REMOTE = person(99);
/** The host itself. */
export const HOST = person(54);

export const OUTSIDE_IP = "192.0.2.1";
export const OUTSIDE_IP6 = "2001:db8::1";
export const SUBNET_BROADCAST = "10.0.0.255";
export const BROADCAST = "ff:ff:ff:ff:ff:ff";

/** Port numbers of the bridge. */
export const PORT = { wire: 14, vif: 10, mate: 11, other: 12, locked: 13, open: 15 } as const;

/**
 * What XenServer's `setup-vif-rules` installs for a locked VIF, as `ovs-ofctl` takes it: the
 * counter-example of what ours has to do better. Its base is one flow, NORMAL; its order is the
 * order in which it installs them, each by a process of its own, and what drops the rest comes last.
 */
export type XenServerLock = {
  readonly ofport: number;
  readonly mac: string;
  readonly ipv4: readonly string[];
  readonly ipv6: readonly string[];
};

/** What a bridge does on which nobody is locked. */
export const XENSERVER_BASE = "priority=0,actions=NORMAL";

const PASS = "actions=NORMAL";
const DROP = "actions=drop";
/** Of routers and of mobility (RFC 4861, RFC 6275, RFC 4286). */
const ROUTER_TYPES = [134, 137, 146, 147, 151, 152, 153];

export function xenServerFlows({ ofport, mac, ipv4, ipv6 }: XenServerLock): readonly string[] {
  const own = `in_port=${ofport},dl_src=${mac}`;
  const any = `in_port=${ofport}`;
  return [
    `priority=8000,${own},udp,tp_dst=67,${PASS}`,
    `priority=7000,${own},arp,arp_sha=${mac},arp_spa=0.0.0.0,${PASS}`,
    ...ipv4.flatMap((address) => [
      `priority=7000,${own},arp,arp_sha=${mac},arp_spa=${address},${PASS}`,
      `priority=6000,${own},ip,nw_src=${address},${PASS}`,
    ]),
    ...ipv6.flatMap((address) => [
      `priority=8000,${own},icmp6,ipv6_src=${address},icmp_type=135,nd_sll=${mac},${PASS}`,
      `priority=8000,${own},icmp6,ipv6_src=${address},icmp_type=136,nd_target=${address},${PASS}`,
      ...["icmp6", "tcp6", "udp6"].map(
        (protocol) => `priority=5000,${own},${protocol},ipv6_src=${address},${PASS}`,
      ),
    ]),
    ...[135, 136].map((type) => `priority=7000,${any},icmp6,icmp_type=${type},${DROP}`),
    ...ROUTER_TYPES.map((type) => `priority=6000,${any},icmp6,icmp_type=${type},${DROP}`),
    `priority=4000,${any},${DROP}`,
  ];
}

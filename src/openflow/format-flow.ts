/**
 * Flows as text, letter for letter as `ovs-ofctl dump-flows --no-stats --no-names` prints them, so
 * that what an operator sees there, what our diff compares and what `vn` shows are one thing; and
 * as ovs-ofctl reads it.
 */
import type { Action } from "./action.ts";
import type { Flow, FlowMod } from "./flow.ts";
import { LOCAL_PORT, type MacMatch, type Match, type RegisterMatch } from "./match.ts";

const PRIORITY_DEFAULT = 0x8000;

/** `cookie=0x7601…, table=10, priority=200,arp,in_port=10,arp_op=1 actions=resubmit(,20)` */
export function formatFlow(flow: Flow): string {
  const cookie = flow.cookie === 0n ? "" : `cookie=${hexCookie(flow.cookie)}, `;
  const table = flow.table === 0 ? "" : `table=${flow.table}, `;
  const rule = formatRule(flow.priority, flow.match);
  return `${cookie}${table}${rule}${rule === "" ? "" : " "}actions=${formatActions(flow.actions)}`;
}

/** What names a flow within a bridge: `table=10, priority=200,arp,in_port=10`. */
export function formatFlowKey({ table, priority, match }: Flow): string {
  return `table=${table}, ${formatRule(priority, match)}`;
}

/** `arp,in_port=10,arp_op=1`; empty for a match of everything. */
export function formatMatch(match: Match): string {
  const parts: string[] = [];
  const put = (name: string, value: string | number | undefined): void => {
    if (value !== undefined) {
      parts.push(`${name}=${value}`);
    }
  };
  put("conj_id", match.conjId);
  if (match.protocol !== undefined) {
    parts.push(match.protocol);
  }
  for (let register = 0; register < 16; register++) {
    put(`reg${register}`, formatRegister(match[`reg${register}` as "reg0"]));
  }
  put("in_port", formatPort(match.inPort));
  putVlan(match, put);
  put("dl_src", formatMac(match.dlSrc));
  put("dl_dst", formatMac(match.dlDst));
  put("dl_type", match.dlType === undefined ? undefined : hexFour(match.dlType));
  putNetwork(match, put);
  putTransport(match, put);
  return parts.join(",");
}

/** `load:0x1->NXM_NX_REG6[],resubmit(,10)`; `drop` when there is none. */
export function formatActions(actions: readonly Action[]): string {
  return actions.length === 0 ? "drop" : actions.map(formatAction).join(",");
}

/** What a change is, in an error's sentence. */
export function formatFlowMod(mod: FlowMod): string {
  if (mod.kind === "add") {
    return `add ${formatFlow(mod.flow)}`;
  }
  if (mod.kind === "delete-owned") {
    return `delete cookie=${hexCookie(mod.owner.cookie)}/${hexCookie(mod.owner.mask)}`;
  }
  const { kind, flow } = mod.flow;
  return kind === "known"
    ? `delete ${formatFlowKey(flow)}`
    : `delete table=${flow.table}, priority=${flow.priority} with a match that is none of ours`;
}

type Put = (name: string, value: string | number | undefined) => void;

function formatRule(priority: number, match: Match): string {
  const text = formatMatch(match);
  if (priority === PRIORITY_DEFAULT) {
    return text;
  }
  return text === "" ? `priority=${priority}` : `priority=${priority},${text}`;
}

function putVlan({ vlan }: Match, put: Put): void {
  if (vlan === "untagged") {
    put("vlan_tci", "0x0000/0x1fff");
  } else if (vlan === "tagged") {
    put("vlan_tci", "0x1000/0x1000");
  } else {
    put("dl_vlan", vlan);
  }
}

function putNetwork(match: Match, put: Put): void {
  put("ipv6_src", match.ipv6Src);
  put("ipv6_dst", match.ipv6Dst);
  put("arp_spa", match.arpSpa);
  put("arp_tpa", match.arpTpa);
  put("nw_src", match.nwSrc);
  put("nw_dst", match.nwDst);
  put("nw_proto", match.nwProto);
  put("arp_op", match.arpOp);
  put("arp_sha", formatMac(match.arpSha));
  put("arp_tha", formatMac(match.arpTha));
}

function putTransport(match: Match, put: Put): void {
  put("nw_ttl", match.nwTtl);
  put("nw_frag", match.ipFragment);
  put("icmp_type", match.icmpType);
  put("icmp_code", match.icmpCode);
  put("nd_target", match.ndTarget);
  put("nd_sll", formatMac(match.ndSll));
  put("nd_tll", formatMac(match.ndTll));
  put("tp_src", match.tpSrc);
  put("tp_dst", match.tpDst);
}

function formatMac(match: MacMatch | undefined): string | undefined {
  return typeof match === "object" ? `${match.address}/${match.mask}` : match;
}

function formatRegister(match: RegisterMatch | undefined): string | undefined {
  if (match === undefined) {
    return undefined;
  }
  return typeof match === "number" ? hex(match) : `${hex(match.value)}/${hex(match.mask)}`;
}

function formatPort(port: number | undefined): string | number | undefined {
  return port === LOCAL_PORT ? "LOCAL" : port;
}

/** As C's `%#x` prints it: zero has no prefix. */
function hex(value: number): string {
  return value === 0 ? "0" : `0x${value.toString(16)}`;
}

function hexCookie(cookie: bigint): string {
  return `0x${cookie.toString(16)}`;
}

function hexFour(value: number): string {
  return `0x${value.toString(16).padStart(4, "0")}`;
}

function formatAction(action: Action): string {
  switch (action.kind) {
    case "resubmit":
      return `resubmit(,${action.table})`;
    case "load":
      return `load:${hex(action.value)}->NXM_NX_REG${action.register}[]`;
    case "strip-vlan":
      return "strip_vlan";
    case "push-vlan":
      // What OpenFlow 1.0 calls it, and so dump-flows.
      return `mod_vlan_vid:${action.vlan}`;
    case "output":
      return action.port === LOCAL_PORT ? "LOCAL" : `output:${action.port}`;
    case "output-register":
      return `output:NXM_NX_REG${action.register}[]`;
    case "normal":
      return "NORMAL";
    case "conjunction":
      return `conjunction(${action.id},${action.clause}/${action.clauseCount})`;
    case "clone":
      return `clone(${action.actions.map(formatAction).join(",")})`;
    case "controller":
      return formatController(action);
  }
}

function formatController(action: Extract<Action, { kind: "controller" }>): string {
  const userdata = action.userdata.match(/../g)?.join(".") ?? "";
  const meter = action.meterId === undefined ? "" : `,meter_id=${action.meterId}`;
  return `controller(max_len=${action.maxBytes},userdata=${userdata}${meter})`;
}

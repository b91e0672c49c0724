/** The routes that lock VIFs and keep groups apart (docs/CONTROL.md). */
import { readGroupPolicy, readNetworkPolicy, readVifPolicy } from "../vifrules/policy-document.ts";
import { ControlError } from "./control-error.ts";
import { type Call, type ControlAnswer, created, EMPTY, ok, oneOf, type Route } from "./route.ts";
import { parseExplainRequest, parseLogRequest, parseVifHotplug } from "./schema-vif-rules.ts";
import { parseVifName, parseVlanId, parseWithinMs } from "./vif-references.ts";
import type { VifRulesApi } from "./vif-rules-api.ts";

export const VIF_RULES_ROUTES: readonly Route[] = [
  { method: "GET", path: "/vif-rules", query: ["vif"], run: listVifRules },
  { method: "POST", path: "/vif-rules", run: setVifRules },
  { method: "GET", path: "/vif-rules/*", query: ["appliedWithinMs"], run: showVifRules },
  { method: "DELETE", path: "/vif-rules/*", run: clearVifRules },
  { method: "POST", path: "/vif-rules/*/explain", run: explainFrame },
  { method: "POST", path: "/vif-rules/*/log", run: logVifDrops },
  { method: "POST", path: "/vif-hotplug", run: plugVif },
  { method: "GET", path: "/groups", run: async (call) => ok(await apiOf(call).listGroups()) },
  { method: "POST", path: "/groups", run: setGroup },
  { method: "DELETE", path: "/groups/*", run: deleteGroup },
  { method: "GET", path: "/networks", run: async (call) => ok(await apiOf(call).listNetworks()) },
  { method: "POST", path: "/networks", run: setNetwork },
  { method: "DELETE", path: "/networks/*", query: ["vlan"], run: deleteNetwork },
];

async function listVifRules(call: Call): Promise<ControlAnswer> {
  const vifs = (call.query.get("vif") ?? []).map(parseVifName);
  return ok(await apiOf(call).listVifRules(vifs));
}

async function setVifRules(call: Call): Promise<ControlAnswer> {
  return created(await apiOf(call).setVifRules(readVifPolicy(call.body)));
}

async function showVifRules(call: Call): Promise<ControlAnswer> {
  const vif = vifOf(call);
  const within = oneOf(call.query, "appliedWithinMs");
  if (within !== null) {
    return ok(await apiOf(call).awaitVifRules(vif, parseWithinMs(within)));
  }
  const [view] = await apiOf(call).listVifRules([vif]);
  if (view === undefined) {
    throw new ControlError("VNETD_INTERNAL", `No view of VIF ${vif}`);
  }
  return ok(view);
}

async function clearVifRules(call: Call): Promise<ControlAnswer> {
  await apiOf(call).clearVifRules(vifOf(call));
  return EMPTY;
}

async function explainFrame(call: Call): Promise<ControlAnswer> {
  const { frame, direction } = parseExplainRequest(call.body);
  return ok(await apiOf(call).explainFrame({ vif: vifOf(call), frame, direction }));
}

async function logVifDrops(call: Call): Promise<ControlAnswer> {
  await apiOf(call).logVifDrops(vifOf(call), parseLogRequest(call.body));
  return EMPTY;
}

async function plugVif(call: Call): Promise<ControlAnswer> {
  const view = await apiOf(call).plugVif(parseVifHotplug(call.body));
  return view === null ? EMPTY : ok(view);
}

async function setGroup(call: Call): Promise<ControlAnswer> {
  return created(await apiOf(call).setGroup(readGroupPolicy(call.body)));
}

async function deleteGroup(call: Call): Promise<ControlAnswer> {
  const [group = ""] = call.segments;
  await apiOf(call).deleteGroup(group);
  return EMPTY;
}

async function setNetwork(call: Call): Promise<ControlAnswer> {
  return created(await apiOf(call).setNetwork(readNetworkPolicy(call.body)));
}

async function deleteNetwork(call: Call): Promise<ControlAnswer> {
  const [bridge = ""] = call.segments;
  const vlan = oneOf(call.query, "vlan");
  await apiOf(call).deleteNetwork(bridge, vlan === null ? null : parseVlanId(vlan));
  return EMPTY;
}

function vifOf({ segments }: Call): string {
  return parseVifName(segments[0] ?? "");
}

function apiOf({ api }: Call): VifRulesApi {
  return api.vifRules;
}

/** The client's side of the VIF rules: each method is one request. */
import type { VifHotplug, VifRulesApi, VifRulesView } from "./vif-rules-api.ts";

export type Requests = {
  get<T>(path: string): Promise<T>;
  /** `undefined` when the answer has no body. */
  post<T>(path: string, body: unknown): Promise<T>;
  remove(path: string): Promise<void>;
};

export function createVifRulesClient({ get, post, remove }: Requests): VifRulesApi {
  const pathOf = (vif: string, more = ""): string => `/vif-rules/${encodeURIComponent(vif)}${more}`;
  return {
    listVifRules: (vifs) => {
      const pairs = vifs.map((vif) => `vif=${encodeURIComponent(vif)}`);
      return get(pairs.length === 0 ? "/vif-rules" : `/vif-rules?${pairs.join("&")}`);
    },
    setVifRules: (policy) => post("/vif-rules", policy),
    clearVifRules: (vif) => remove(pathOf(vif)),
    awaitVifRules: (vif, withinMs) => get(pathOf(vif, `?appliedWithinMs=${withinMs}`)),
    plugVif: async (hotplug: VifHotplug) =>
      (await post<VifRulesView | undefined>("/vif-hotplug", hotplug)) ?? null,
    explainFrame: ({ vif, frame, direction }) =>
      post(pathOf(vif, "/explain"), { frame, direction }),
    logVifDrops: (vif, enabled) => post(pathOf(vif, "/log"), { enabled }),
    listGroups: () => get("/groups"),
    setGroup: (group) => post("/groups", group),
    deleteGroup: (group) => remove(`/groups/${encodeURIComponent(group)}`),
    listNetworks: () => get("/networks"),
    setNetwork: (network) => post("/networks", network),
    deleteNetwork: (bridge, vlan) =>
      remove(`/networks/${encodeURIComponent(bridge)}${vlan === null ? "" : `?vlan=${vlan}`}`),
  };
}

/** `GET /names`: what is there by name, one a line, for the completion of shells. */
import { quoteValue } from "../net/parse-error.ts";
import { shortVnetId } from "../net/vnet-id.ts";
import type { ControlApi, VnetRef } from "./api.ts";
import { ControlError } from "./control-error.ts";
import { parseVnetRef } from "./references.ts";
import { type Call, type ControlAnswer, oneOf, type Route } from "./route.ts";

type Lister = (api: ControlApi, vnets: readonly VnetRef[]) => Promise<readonly string[]>;

/** By the kinds that can be asked for; those with `vnets` are of one vnet where one is named. */
const LISTERS: ReadonlyMap<string, Lister> = new Map<string, Lister>([
  [
    "vnet",
    async (api) => (await api.listVnets([])).flatMap(({ id, vnetif }) => [shortVnetId(id), vnetif]),
  ],
  ["mac", async (api, vnets) => (await api.listVifs(vnets)).map(({ mac }) => mac)],
  [
    "peer",
    async (api) => {
      const peers = (await api.listPeers()).filter(({ configured }) => configured);
      return peers.flatMap(({ address, name }) => (name === null ? [address] : [address, name]));
    },
  ],
  ["key", async (api, vnets) => (await api.keys.list(vnets)).map(({ keyId }) => keyId)],
  [
    "vif",
    async (api) =>
      (await api.vifRules.listVifRules([])).flatMap(({ vif, ifaceId }) => vif ?? ifaceId ?? []),
  ],
  ["group", listGroupNames],
  ["net", async (api) => (await api.vifRules.listNetworks()).map(({ bridge }) => bridge)],
]);

export const NAME_ROUTES: readonly Route[] = [
  { method: "GET", path: "/names", query: ["kind", "vnet"], run: listNames },
];

async function listNames({ api, query }: Call): Promise<ControlAnswer> {
  const kind = oneOf(query, "kind") ?? "";
  const lister = LISTERS.get(kind);
  if (lister === undefined) {
    const kinds = [...LISTERS.keys()].join(", ");
    throw new ControlError(
      "VNETD_BAD_REQUEST",
      `Not a kind of names (${kinds}): ${quoteValue(kind)}`,
    );
  }
  const names = await lister(api, (query.get("vnet") ?? []).map(parseVnetRef));
  const text = [...new Set(names)].map((name) => `${name}\n`).join("");
  return { kind: "text", status: 200, type: "text/plain; charset=utf-8", text };
}

/** A group that only policies of VIFs name is one too. */
async function listGroupNames({ vifRules }: ControlApi): Promise<readonly string[]> {
  const [groups, vifs] = await Promise.all([vifRules.listGroups(), vifRules.listVifRules([])]);
  return [
    ...groups.map(({ group }) => group),
    ...vifs.flatMap(({ policy }) => policy?.groups ?? []),
  ];
}

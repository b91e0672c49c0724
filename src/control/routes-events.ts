/** The route of the event stream (docs/CONTROL.md). */
import { parseEventName } from "./event-filter.ts";
import { parseVnetRef } from "./references.ts";
import type { Call, ControlAnswer, Route } from "./route.ts";

export const EVENT_ROUTES: readonly Route[] = [
  { method: "GET", path: "/events", query: ["event", "vnet", "peer", "vif"], run: watch },
];

const JSON_LINES_TYPE = "application/jsonl";

async function watch({ api, query }: Call): Promise<ControlAnswer> {
  const chunks = await api.watchEvents({
    events: (query.get("event") ?? []).map(parseEventName),
    vnets: (query.get("vnet") ?? []).map(parseVnetRef),
    peers: query.get("peer") ?? [],
    vifs: query.get("vif") ?? [],
  });
  return { kind: "stream", status: 200, type: JSON_LINES_TYPE, chunks };
}

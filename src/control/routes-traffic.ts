/** The route of state and counters at one moment (docs/CONTROL.md). */
import { quoteValue } from "../net/parse-error.ts";
import { ControlError } from "./control-error.ts";
import { type Call, type ControlAnswer, ok, type Route } from "./route.ts";
import { TRAFFIC_PARTS, type TrafficPart } from "./traffic-api.ts";

export const TRAFFIC_ROUTES: readonly Route[] = [
  { method: "GET", path: "/traffic", query: ["part"], run: readTraffic },
];

async function readTraffic({ api, query }: Call): Promise<ControlAnswer> {
  const parts = (query.get("part") ?? []).map(parsePart);
  return ok(await api.traffic.read(parts));
}

/** @throws ControlError */
function parsePart(text: string): TrafficPart {
  const part = TRAFFIC_PARTS.find((one) => one === text);
  if (part === undefined) {
    const message = `Not a part (${TRAFFIC_PARTS.join(", ")}): ${quoteValue(text)}`;
    throw new ControlError("VNETD_PARSE", message);
  }
  return part;
}

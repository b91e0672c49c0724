/**
 * Which method of the ControlApi answers which request: the nouns of
 * docs/CONTROL.md as one table. No sockets here: a request in, an answer out.
 */
import { parseHost } from "../net/host-name.ts";
import { parseInterfaceName } from "../net/interface-name.ts";
import { parseMacAddress } from "../net/mac-address.ts";
import { quoteValue } from "../net/parse-error.ts";
import type { ControlApi, VnetRef } from "./api.ts";
import { ControlError } from "./control-error.ts";
import { parseVnetRef } from "./references.ts";
import { type Call, type ControlAnswer, created, ok, oneOf, type Route } from "./route.ts";
import { CAPTURE_ROUTES } from "./routes-capture.ts";
import { EVENT_ROUTES } from "./routes-events.ts";
import { KEY_ROUTES } from "./routes-keys.ts";
import { LIBVIRT_ROUTES } from "./routes-libvirt.ts";
import { NAME_ROUTES } from "./routes-names.ts";
import { TRAFFIC_ROUTES } from "./routes-traffic.ts";
import { VIF_RULES_ROUTES } from "./routes-vif-rules.ts";
import {
  parseEvalRequest,
  parseFlag,
  parsePeerRequest,
  parseVifRequest,
  parseVnetRequests,
} from "./schema.ts";

export type ControlRequest = {
  readonly method: string;
  /** As in the request line: path and query, still percent-encoded. */
  readonly target: string;
  /** The parsed JSON; undefined when the request has no body. */
  readonly body: unknown;
};

/** The text format of Prometheus. */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

const ROUTES: readonly Route[] = [
  { method: "GET", path: "/status", run: async ({ api }) => ok(await api.status()) },
  {
    method: "GET",
    path: "/vnets",
    query: ["vnet"],
    run: async ({ api, query }) => ok(await api.listVnets(vnetsOf(query))),
  },
  {
    method: "POST",
    path: "/vnets",
    run: async ({ api, body }) => created(await api.createVnets(parseVnetRequests(body))),
  },
  { method: "DELETE", path: "/vnets", query: ["vnet", "bridge"], run: deleteVnets },
  { method: "GET", path: "/vnets/*", run: showVnet },
  { method: "DELETE", path: "/vnets/*", query: ["bridge"], run: deleteVnet },
  {
    method: "GET",
    path: "/vifs",
    query: ["vnet"],
    run: async ({ api, query }) => ok(await api.listVifs(vnetsOf(query))),
  },
  { method: "POST", path: "/vifs", run: addVif },
  { method: "DELETE", path: "/vifs/*", query: ["device"], run: deleteVifOfDevice },
  { method: "DELETE", path: "/vifs/*/*", run: deleteVif },
  { method: "GET", path: "/peers", run: async ({ api }) => ok(await api.listPeers()) },
  { method: "POST", path: "/peers", run: addPeer },
  { method: "DELETE", path: "/peers/*", run: deletePeer },
  {
    method: "GET",
    path: "/varp",
    query: ["vnet"],
    run: async ({ api, query }) => ok(await api.listVarp(vnetsOf(query))),
  },
  { method: "DELETE", path: "/varp", run: flushVarp },
  { method: "GET", path: "/stats", query: ["vnet"], run: showStats },
  ...KEY_ROUTES,
  ...CAPTURE_ROUTES,
  ...EVENT_ROUTES,
  ...VIF_RULES_ROUTES,
  ...LIBVIRT_ROUTES,
  ...NAME_ROUTES,
  ...TRAFFIC_ROUTES,
  { method: "POST", path: "/eval", run: evaluate },
  { method: "GET", path: "/metrics", run: showMetrics },
];

/**
 * Answers one request.
 * @throws ControlError, ParseError when it is refused; whatever the api throws
 */
export async function answer(api: ControlApi, request: ControlRequest): Promise<ControlAnswer> {
  const { path, query } = splitTarget(request.target);
  const candidates = ROUTES.filter((route) => matches(route, path));
  if (candidates.length === 0) {
    throw new ControlError("VNETD_UNKNOWN_PATH", `No such path: ${quoteValue(request.target)}`);
  }
  // HEAD is GET whose body the HTTP server leaves out (RFC 9110 §9.3.2).
  const method = request.method === "HEAD" ? "GET" : request.method;
  const route = candidates.find((candidate) => candidate.method === method);
  if (route === undefined) {
    const methods = candidates.map((candidate) => candidate.method).join(", ");
    throw new ControlError(
      "VNETD_METHOD_NOT_ALLOWED",
      `/${path.join("/")} takes ${methods}: ${quoteValue(request.method)}`,
    );
  }
  requireBodyFits(route, request.body);
  requireKnownKeys(route, query);
  const segments = path.filter((_, index) => patternOf(route)[index] === "*");
  return await route.run({ api, segments, query, body: request.body });
}

async function deleteVnets({ api, query }: Call): Promise<ControlAnswer> {
  const vnets = vnetsOf(query);
  if (vnets.length === 0) {
    throw new ControlError("VNETD_BAD_REQUEST", "Cannot delete vnets: none is named (vnet=…)");
  }
  await api.deleteVnets(vnets, { bridge: flagOf(query, "bridge") });
  return { kind: "empty", status: 204 };
}

async function showVnet({ api, segments }: Call): Promise<ControlAnswer> {
  const [ref = ""] = segments;
  const [vnet] = await api.listVnets([parseVnetRef(ref)]);
  if (vnet === undefined) {
    throw new ControlError("VNETD_UNKNOWN_VNET", `No such vnet: ${quoteValue(ref)}`);
  }
  return ok(vnet);
}

async function deleteVnet({ api, segments, query }: Call): Promise<ControlAnswer> {
  const [ref = ""] = segments;
  await api.deleteVnets([parseVnetRef(ref)], { bridge: flagOf(query, "bridge") });
  return { kind: "empty", status: 204 };
}

async function addVif({ api, body }: Call): Promise<ControlAnswer> {
  const { vnet, vif } = parseVifRequest(body);
  return created(await api.addVif(vnet, vif));
}

async function deleteVif({ api, segments }: Call): Promise<ControlAnswer> {
  const [vnet = "", mac = ""] = segments;
  await api.deleteVif(parseVnetRef(vnet), { mac: parseMacAddress(mac) });
  return { kind: "empty", status: 204 };
}

async function deleteVifOfDevice({ api, segments, query }: Call): Promise<ControlAnswer> {
  const [vnet = ""] = segments;
  const device = oneOf(query, "device");
  if (device === null) {
    throw new ControlError("VNETD_BAD_REQUEST", "Cannot delete a vif: no MAC and no device=…");
  }
  await api.deleteVif(parseVnetRef(vnet), { device: parseInterfaceName(device) });
  return { kind: "empty", status: 204 };
}

async function addPeer({ api, body }: Call): Promise<ControlAnswer> {
  const { host, udpPort } = parsePeerRequest(body);
  return created(await api.addPeer(host, udpPort));
}

async function deletePeer({ api, segments }: Call): Promise<ControlAnswer> {
  const [host = ""] = segments;
  await api.deletePeer(parseHost(host));
  return { kind: "empty", status: 204 };
}

async function flushVarp({ api }: Call): Promise<ControlAnswer> {
  await api.flushVarp();
  return { kind: "empty", status: 204 };
}

async function showStats({ api, query }: Call): Promise<ControlAnswer> {
  const vnet = oneOf(query, "vnet");
  return ok(await api.stats(vnet === null ? null : parseVnetRef(vnet)));
}

async function evaluate({ api, body }: Call): Promise<ControlAnswer> {
  return ok({ output: await api.evaluate(parseEvalRequest(body)) });
}

async function showMetrics({ api }: Call): Promise<ControlAnswer> {
  return { kind: "text", status: 200, type: METRICS_TYPE, text: await api.metrics() };
}

function splitTarget(target: string): {
  readonly path: readonly string[];
  readonly query: ReadonlyMap<string, readonly string[]>;
} {
  const [pathText = "", ...queryTexts] = target.split("?");
  const path = pathText.split("/").slice(1).map(decodePercent);
  return { path, query: parseQuery(queryTexts.join("?")) };
}

function parseQuery(text: string): ReadonlyMap<string, readonly string[]> {
  const query = new Map<string, string[]>();
  for (const pair of text.split("&").filter((part) => part !== "")) {
    const [key = "", ...values] = pair.split("=").map(decodePercent);
    query.set(key, [...(query.get(key) ?? []), values.join("=")]);
  }
  return query;
}

/** Vnet ids are colons and hex digits, so `+` is never a space here: it stays what it is. */
function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new ControlError("VNETD_BAD_REQUEST", `Bad percent encoding: ${quoteValue(text)}`, {
      cause: error,
    });
  }
}

function patternOf(route: Route): readonly string[] {
  return route.path.split("/").slice(1);
}

function matches(route: Route, path: readonly string[]): boolean {
  const pattern = patternOf(route);
  return (
    pattern.length === path.length &&
    pattern.every((part, index) => (part === "*" ? path[index] !== "" : part === path[index]))
  );
}

function requireBodyFits(route: Route, body: unknown): void {
  if ((body === undefined) === (route.method === "POST")) {
    const problem = body === undefined ? "needs a JSON body" : "takes no body";
    throw new ControlError("VNETD_BAD_REQUEST", `${route.method} ${route.path} ${problem}`);
  }
}

function requireKnownKeys(route: Route, query: ReadonlyMap<string, readonly string[]>): void {
  const unknown = [...query.keys()].find((key) => !route.query?.includes(key));
  if (unknown !== undefined) {
    throw new ControlError(
      "VNETD_BAD_REQUEST",
      `${route.method} ${route.path}: unknown query key ${quoteValue(unknown)}`,
    );
  }
}

function vnetsOf(query: ReadonlyMap<string, readonly string[]>): readonly VnetRef[] {
  return (query.get("vnet") ?? []).map(parseVnetRef);
}

function flagOf(query: ReadonlyMap<string, readonly string[]>, key: string): boolean {
  const text = oneOf(query, key);
  return text === null ? false : parseFlag(text);
}

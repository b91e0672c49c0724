/**
 * Asking where a MAC is. A miss asks everybody, at once and then after 1, 2, 4 … seconds as long
 * as frames for the MAC are flooded. A stale entry is asked for at the host where the MAC was, so
 * that a flow in one direction never falls back to flooding; only when that host is silent is
 * everybody asked.
 */
import type { Endpoint } from "../net/endpoint.ts";
import { reserveFlood } from "./flood-budget.ts";
import type { VifAt } from "./varp-announce.ts";
import { sendVarp } from "./varp-send.ts";
import {
  type Ask,
  countRefusal,
  endpointOf,
  floodSource,
  sourceAddressFor,
  type VarpStep,
  type VarpVnet,
  wakeAt,
} from "./varp-state.ts";

/** A guest that sprays destinations evicts its own vnet's questions, nobody else's. */
const ASKS_PER_VNET_MAX = 256;
const FIRST_INTERVAL_MS = 1000;
const INTERVAL_MS_MAX = 32_000;
/** Requests to the known host before everybody is asked. */
const REFRESH_UNICAST_COUNT = 2;

/** Frames for the MAC were flooded because nobody here knows where it is. */
export function askAfterMiss(step: VarpStep, at: VifAt): void {
  const ask = at.vnet.asks.get(at.mac);
  if (ask === undefined || ask.host !== null) {
    sendFloodedRequest(step, at, startAsk(step, at, null));
  } else if (ask.quiet) {
    repeatFlooded(step, at, ask);
  } else {
    ask.missed = true;
  }
}

/** The MAC has not been heard for a while and frames still go to it. */
export function askAfterStale(step: VarpStep, at: VifAt, host: Endpoint): void {
  if (!at.vnet.asks.has(at.mac)) {
    sendUnicastRequest(step, at, startAsk(step, at, host));
  }
}

/** Does what is due for the MAC, if anything is. */
export function runAsk(step: VarpStep, at: VifAt): void {
  const ask = at.vnet.asks.get(at.mac);
  if (ask === undefined || ask.dueAt > step.now) {
    return;
  }
  if (ask.host === null) {
    repeatAfterMiss(step, at, ask);
  } else if (ask.askedCount < REFRESH_UNICAST_COUNT) {
    schedule(step, at, ask);
    sendUnicastRequest(step, at, ask);
  } else {
    // The last word: if nobody answers, the entry dies of age and the next frame is a miss.
    at.vnet.asks.delete(at.mac);
    sendFloodedRequest(step, at, ask);
  }
}

function repeatAfterMiss(step: VarpStep, at: VifAt, ask: Ask): void {
  if (ask.missed) {
    repeatFlooded(step, at, ask);
  } else if (ask.quiet) {
    at.vnet.asks.delete(at.mac);
  } else {
    // Misses are told once a second, so one may be on its way: remember the interval a while.
    ask.quiet = true;
    schedule(step, at, ask);
  }
}

function repeatFlooded(step: VarpStep, at: VifAt, ask: Ask): void {
  ask.missed = false;
  ask.quiet = false;
  ask.intervalMs = Math.min(ask.intervalMs * 2, INTERVAL_MS_MAX);
  schedule(step, at, ask);
  sendFloodedRequest(step, at, ask);
}

function startAsk(step: VarpStep, { vnet, mac }: VifAt, host: Endpoint | null): Ask {
  const ask: Ask = {
    host,
    since: step.now,
    dueAt: step.now,
    intervalMs: FIRST_INTERVAL_MS,
    askedCount: 0,
    missed: false,
    quiet: false,
  };
  // Taken out first: its place in the order is by this beginning, not by an earlier one.
  vnet.asks.delete(mac);
  vnet.asks.set(mac, ask);
  evictOldest(vnet);
  schedule(step, { vnet, mac }, ask);
  return ask;
}

function evictOldest({ asks }: VarpVnet): void {
  const [oldest] = asks.keys();
  if (asks.size > ASKS_PER_VNET_MAX && oldest !== undefined) {
    asks.delete(oldest);
  }
}

function sendFloodedRequest(step: VarpStep, { vnet, mac }: VifAt, ask: Ask): void {
  const careOf = floodSource(step.varp);
  if (careOf === null) {
    return;
  }
  ask.askedCount += 1;
  // A request that has to wait is not worth it: the next miss asks again.
  if (reserveFlood(vnet.budget, { now: step.now, waitMsMax: 0 }) === null) {
    countRefusal(step, "rate");
    return;
  }
  sendVarp(step, vnet, { opcode: "request", mac, careOf }, null);
}

function sendUnicastRequest(step: VarpStep, { vnet, mac }: VifAt, ask: Ask): void {
  ask.askedCount += 1;
  const careOf = ask.host && sourceAddressFor(step.varp, ask.host);
  if (ask.host !== null && careOf !== null) {
    const host = vnet.claims === null ? endpointOf(step.varp, ask.host.address) : ask.host;
    sendVarp(step, vnet, { opcode: "request", mac, careOf }, host);
  }
}

function schedule(step: VarpStep, { vnet, mac }: VifAt, ask: Ask): void {
  ask.dueAt = step.now + ask.intervalMs;
  wakeAt(step, ask.dueAt, { task: "ask", vnet: vnet.id, mac });
}

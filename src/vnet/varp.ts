/**
 * VARP, the discovery protocol of vnets, as a state machine: events and the time go in, commands
 * for the data plane come out.
 *
 *     here:    first frame, pin or move of a MAC ──> announce to all, repeated against loss
 *              request for a MAC that lives here ──> announce to the asker
 *     there:   miss ──> request to all while misses go on ──> announce ──> set-fdb
 *              stale entry ──> request to its host, then to all ──> announce ──> set-fdb
 *
 * The bytes are the original's; what it never did (ask, announce unasked, refresh) is ours, so
 * each side can only gain. Messages are not authenticated, so an announce is believed as far as a
 * frame from the same host would be and no further: its care-of address must be the address the
 * datagram came from. A host behind address translation, whose two addresses differ, is therefore
 * found by its frames, as every host was by the original.
 */
import { decodeVarp, type VarpMessage, VNET_UDP_PORT } from "../encap/varp-message.ts";
import type { Endpoint } from "../net/endpoint.ts";
import { isUnicastMac } from "../net/mac-address.ts";
import { ALL_VNETS, type VnetId } from "../net/vnet-id.ts";
import {
  announceVif,
  answerRequest,
  defendVif,
  runAnnouncement,
  type VifAt,
} from "./varp-announce.ts";
import { askAfterMiss, askAfterStale, runAsk } from "./varp-ask.ts";
import {
  noteMove,
  receiveSealed,
  runClaims,
  scheduleClaims,
  takeClaimListing,
  withdrawVif,
} from "./varp-claims.ts";
import type {
  Millis,
  VarpAsking,
  VarpEffect,
  VarpEvent,
  VarpMove,
  VarpOptions,
  VarpRefusal,
} from "./varp-events.ts";
import {
  countRefusal,
  createVarpVnet,
  endpointOf,
  type Varp,
  type VarpStep,
} from "./varp-state.ts";
import { learnVif, pinVif, removeLearnedVif, replaceVifs } from "./varp-vifs.ts";
import { createWakeQueue, earliestWakeAt, takeDue } from "./wake-queue.ts";

type EventOf<Kind extends VarpEvent["kind"]> = Extract<VarpEvent, { readonly kind: Kind }>;

/** Knows no vnet and no address yet: say `underlay-changed` and `vnet-added` first. */
export function createVarp({ udpPort = VNET_UDP_PORT }: VarpOptions = {}): Varp {
  return {
    udpPort,
    sourceAddress4: null,
    sourceAddress6: null,
    localAddresses: new Set(),
    senderId: null,
    peerPorts: new Map(),
    vnets: new Map(),
    wakes: createWakeQueue(),
    refusedCounts: new Map(),
    moves: [],
  };
}

/**
 * Takes in one event, changing `varp` in place. Events of vnets that were not added are ignored,
 * so say `vnet-added` before the data plane is told of the vnet.
 */
export function stepVarp(varp: Varp, event: VarpEvent, now: Millis): readonly VarpEffect[] {
  const step: VarpStep = { varp, now, effects: [] };
  switch (event.kind) {
    case "tick":
      runDue(step);
      break;
    case "underlay-changed":
      changeUnderlay(step, event);
      break;
    case "peers-changed":
      varp.peerPorts = new Map(event.peers.map(({ address, udpPort }) => [address, udpPort]));
      break;
    case "vnet-added":
      if (!varp.vnets.has(event.vnet)) {
        addVnet(step, event);
      }
      break;
    case "vnet-removed":
      varp.vnets.delete(event.vnet);
      break;
    case "vifs-listed":
      replaceVifs(step, event);
      break;
    case "control-received":
      receiveDatagram(step, event);
      break;
    case "sealed-received":
      if (varp.localAddresses.has(event.source.address)) {
        countRefusal(step, "from-self");
      } else {
        receiveSealed(step, event);
      }
      break;
    case "identity-changed":
      varp.senderId = event.senderId;
      break;
    case "claims-listed":
      takeClaimListing(step, event.claims);
      break;
    case "flush":
      flush(step);
      break;
    default:
      stepMac(step, event);
  }
  return step.effects;
}

/** When to call stepVarp() with "tick"; infinity: not before another event. */
export function nextWakeAt(varp: Varp): Millis {
  return earliestWakeAt(varp.wakes);
}

/** The MACs of one vnet, or of all, that are asked for now. */
export function listAsking(varp: Varp, vnet: VnetId | null, now: Millis): readonly VarpAsking[] {
  const vnets = [...varp.vnets.values()].filter(({ id }) => vnet === null || id === vnet);
  return vnets.flatMap(({ id, asks }) =>
    Array.from(asks, ([mac, { host, since }]) => ({ vnet: id, mac, askingMs: now - since, host })),
  );
}

/** How many messages and announcements were refused since the start, by reason. */
export function countRefused(varp: Varp): ReadonlyMap<VarpRefusal, number> {
  return varp.refusedCounts;
}

/** The moves of MACs since the last call. */
export function takeMoves(varp: Varp): readonly VarpMove[] {
  const { moves } = varp;
  varp.moves = [];
  return moves;
}

/** The events that are about one MAC. */
function stepMac(
  step: VarpStep,
  event: Exclude<
    VarpEvent,
    EventOf<
      | "tick"
      | "underlay-changed"
      | "peers-changed"
      | "vnet-added"
      | "vnet-removed"
      | "vifs-listed"
      | "control-received"
      | "sealed-received"
      | "identity-changed"
      | "claims-listed"
      | "flush"
    >
  >,
): void {
  const vnet = step.varp.vnets.get(event.vnet);
  const { mac } = event;
  if (vnet === undefined || !isUnicastMac(mac)) {
    return;
  }
  const at: VifAt = { vnet, mac };
  switch (event.kind) {
    case "vif-learned":
      learnVif(step, at, event.moved);
      break;
    case "vif-pinned":
      pinVif(step, at);
      break;
    case "vif-gone":
      if (!event.moved) {
        withdrawVif(step, at);
      }
      removeLearnedVif(at);
      break;
    case "vif-unpinned":
      withdrawVif(step, at);
      vnet.vifs.delete(mac);
      break;
    case "fdb-learned":
      if (event.moved) {
        noteMove(step, at, event.host);
      }
      vnet.asks.delete(mac);
      break;
    case "fdb-gone":
      endRefresh(at);
      break;
    case "fdb-miss":
      if (!vnet.vifs.has(mac)) {
        askAfterMiss(step, at);
      }
      break;
    case "fdb-stale":
      if (event.host !== null && !vnet.vifs.has(mac)) {
        askAfterStale(step, at, event.host);
      }
      break;
  }
}

function addVnet(step: VarpStep, { vnet: id, sealed = false }: EventOf<"vnet-added">): void {
  const vnet = createVarpVnet(id, { sealed });
  step.varp.vnets.set(id, vnet);
  if (sealed) {
    scheduleClaims(step, vnet);
  }
}

/** Whether it is still at its host is no question any more; where it is may be. */
function endRefresh({ vnet, mac }: VifAt): void {
  if (vnet.asks.get(mac)?.host !== null) {
    vnet.asks.delete(mac);
  }
}

function runDue(step: VarpStep): void {
  const { varp, now } = step;
  for (let due = takeDue(varp.wakes, now); due !== null; due = takeDue(varp.wakes, now)) {
    const { what } = due;
    const vnet = varp.vnets.get(what.vnet);
    // The vnet may be gone, or the deadline another one by now: run…() look.
    if (vnet === undefined) {
      continue;
    }
    if (what.task === "claim") {
      runClaims(step, vnet);
    } else if (what.task === "announce") {
      runAnnouncement(step, { vnet, mac: what.mac });
    } else {
      runAsk(step, { vnet, mac: what.mac });
    }
  }
}

/** With another address every MAC here is somewhere else: all are announced again. */
function changeUnderlay(step: VarpStep, event: EventOf<"underlay-changed">): void {
  const { varp } = step;
  const moved =
    varp.sourceAddress4 !== event.sourceAddress4 || varp.sourceAddress6 !== event.sourceAddress6;
  varp.sourceAddress4 = event.sourceAddress4;
  varp.sourceAddress6 = event.sourceAddress6;
  varp.localAddresses = new Set(event.localAddresses);
  for (const vnet of moved ? varp.vnets.values() : []) {
    for (const mac of vnet.vifs.keys()) {
      announceVif(step, { vnet, mac });
    }
  }
}

function flush(step: VarpStep): void {
  for (const vnet of step.varp.vnets.values()) {
    vnet.asks.clear();
    vnet.claims?.clear();
    vnet.moves.clear();
  }
  step.effects.push({ kind: "flush-fdb", vnet: ALL_VNETS });
}

function receiveDatagram(step: VarpStep, event: EventOf<"control-received">): void {
  const outcome = decodeVarp(event.datagram);
  if (outcome.kind === "drop" || event.source === null) {
    countRefusal(step, "malformed");
    return;
  }
  const { message } = outcome;
  const vnet = step.varp.vnets.get(message.vnet);
  if (step.varp.localAddresses.has(event.source.address)) {
    // Our own multicast, come back by a peer or a loop.
    countRefusal(step, "from-self");
  } else if (vnet === undefined || vnet.claims !== null) {
    // A secure vnet hears what its SAs have opened, and nothing else.
    countRefusal(step, "unknown-vnet");
  } else if (!isUnicastMac(message.mac)) {
    countRefusal(step, "not-unicast-mac");
  } else if (message.opcode === "request") {
    answerRequest(step, { vnet, mac: message.mac }, event.source);
  } else {
    receiveAnnounce(step, { vnet, mac: message.mac }, { message, source: event.source });
  }
}

function receiveAnnounce(
  step: VarpStep,
  { vnet, mac }: VifAt,
  { message, source }: { readonly message: VarpMessage; readonly source: Endpoint },
): void {
  if (message.careOf !== source.address) {
    countRefusal(step, "third-party-care-of");
    return;
  }
  const local = vnet.vifs.get(mac);
  if (local?.pinned === true) {
    countRefusal(step, "pinned-here");
    defendVif(step, { vnet, mac });
    return;
  }
  if (local !== undefined) {
    // It was here and has moved: its host announces it, or its first frame there would.
    noteMove(step, { vnet, mac }, endpointOf(step.varp, message.careOf));
    vnet.vifs.delete(mac);
    step.effects.push({ kind: "delete-vif", vnet: vnet.id, mac });
  }
  vnet.asks.delete(mac);
  const host = endpointOf(step.varp, message.careOf);
  step.effects.push({ kind: "set-fdb", vnet: vnet.id, mac, host, pinned: false });
}

/** Which events a reader wants: read from the words of a command line or the keys of a query. */
import { ParseError, quoteValue } from "../net/parse-error.ts";
import { EVENT_KINDS, type EventFilter, type EventView } from "./events-api.ts";
import { parseVnetRef } from "./references.ts";

/** What a reader must hear, whatever else it wants. */
const ALWAYS = new Set<string>(["events-lost"]);

/** @throws ParseError */
export function parseEventName(text: string): string {
  if (!EVENT_KINDS.some((kind) => isNamed(kind, text))) {
    const known = EVENT_KINDS.join(", ");
    throw new ParseError(
      `Not an event (${known}, or a first word such as vif): ${quoteValue(text)}`,
    );
  }
  return text;
}

/**
 * Words such as `peer`, `mac-moved`, `vnet=97`, `vif=vif5.0`, `peer=192.0.2.2`.
 *
 * @throws ParseError
 */
export function parseEventFilter(words: readonly string[]): EventFilter {
  const filter = {
    events: [] as string[],
    vnets: [] as string[],
    peers: [] as string[],
    vifs: [] as string[],
  };
  for (const word of words) {
    const [key = "", ...values] = word.split("=");
    const value = values.join("=");
    if (values.length === 0) {
      filter.events.push(parseEventName(word));
    } else if (value === "") {
      throw new ParseError(`Nothing stands behind the equals sign: ${quoteValue(word)}`);
    } else if (key === "vnet") {
      filter.vnets.push(parseVnetRef(value));
    } else if (key === "peer") {
      filter.peers.push(value);
    } else if (key === "vif") {
      filter.vifs.push(value);
    } else {
      throw new ParseError(`Neither an event nor vnet=, peer= or vif=: ${quoteValue(word)}`);
    }
  }
  return filter;
}

/** @param filter its vnets are ids */
export function passesFilter(filter: EventFilter, event: EventView): boolean {
  const { events, vnets, peers, vifs } = filter;
  const fits = (wanted: readonly string[], isIt: (one: string) => boolean): boolean =>
    wanted.length === 0 || wanted.some(isIt);
  return (
    ALWAYS.has(event.event) ||
    (fits(events, (name) => isNamed(event.event, name)) &&
      fits(vnets, (vnet) => event.vnet === vnet) &&
      fits(peers, (peer) => isPeer(event.peer, peer)) &&
      fits(vifs, (vif) => event.vif === vif))
  );
}

function isNamed(kind: string, name: string): boolean {
  return kind === name || kind.split("-")[0] === name;
}

/** With its port or without. */
function isPeer(endpoint: string | null, wanted: string): boolean {
  return (
    endpoint !== null &&
    (endpoint === wanted || endpoint.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1") === wanted)
  );
}

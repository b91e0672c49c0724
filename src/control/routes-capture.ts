/** The route of live captures (docs/CONTROL.md). */
import { ParseError, quoteValue } from "../net/parse-error.ts";
import { parseVnetRef } from "./references.ts";
import { type Call, type ControlAnswer, oneOf, type Route } from "./route.ts";

export const CAPTURE_ROUTES: readonly Route[] = [
  { method: "GET", path: "/captures/*", query: ["snapBytes"], run: capture },
];

export const SNAP_BYTES_MAX = 65_535;

const PCAP_TYPE = "application/vnd.tcpdump.pcap";
const SNAP_BYTES_FORM = /^[1-9]\d{0,4}$/;

/** @throws ParseError */
export function parseSnapBytes(text: string): number {
  const snapBytes = SNAP_BYTES_FORM.test(text) ? Number(text) : 0;
  if (snapBytes === 0 || snapBytes > SNAP_BYTES_MAX) {
    throw new ParseError(`Not a number of octets, 1 … ${SNAP_BYTES_MAX}: ${quoteValue(text)}`);
  }
  return snapBytes;
}

async function capture({ api, segments, query }: Call): Promise<ControlAnswer> {
  const [vnet = ""] = segments;
  const text = oneOf(query, "snapBytes");
  const snapBytes = text === null ? SNAP_BYTES_MAX : parseSnapBytes(text);
  const chunks = await api.capture(parseVnetRef(vnet), { snapBytes });
  return { kind: "stream", status: 200, type: PCAP_TYPE, chunks };
}

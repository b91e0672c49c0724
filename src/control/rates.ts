/** What passes in a second: the difference of two readings of the counters, over the time between. */
import { formatEndpoint } from "../net/endpoint.ts";
import type { VnetId } from "../net/vnet-id.ts";
import type { Carried, Dropped, HostTraffic, TrafficPart, TrafficView } from "./traffic-api.ts";

/** A second's worth; null: not known, because there is one reading only or counting began anew. */
export type Rate = number | null;

export type CarriedRates = {
  readonly outBits: Rate;
  readonly outFrames: Rate;
  readonly inBits: Rate;
  readonly inFrames: Rate;
  /** All reasons together. */
  readonly drops: Rate;
  /** By reason, those that happen now. */
  readonly dropped: Dropped;
};

export type HostRates = {
  /** Messages forwarded to it. */
  readonly out: Rate;
  /** Messages forwarded from it, and sealed datagrams of it. */
  readonly in: Rate;
  /** Sealed datagrams of it that were replayed or forged. */
  readonly refused: Rate;
};

export type TrafficRates = {
  readonly total: CarriedRates;
  readonly vnets: ReadonlyMap<VnetId, CarriedRates>;
  readonly vifs: ReadonlyMap<string, CarriedRates>;
  /** By formatEndpoint(). */
  readonly hosts: ReadonlyMap<string, HostRates>;
};

type Counted = { readonly carried: Carried | null; readonly dropped: Dropped };

const BITS_PER_OCTET = 8;
const MS_PER_S = 1_000;

export const UNKNOWN_RATES: CarriedRates = {
  ...{ outBits: null, outFrames: null, inBits: null, inFrames: null },
  ...{ drops: null, dropped: {} },
};

export const UNKNOWN_HOST_RATES: HostRates = { out: null, in: null, refused: null };

/** What is known after several readings, each of which may have left parts out. */
export type TrafficHistory = {
  /** The last reading; parts it left out are those of an earlier one, null if there was none. */
  readonly latest: TrafficView;
  readonly rates: TrafficRates;
  readonly readings: Readonly<Record<TrafficPart | "total", TrafficView | null>>;
};

export function addReading(history: TrafficHistory | null, now: TrafficView): TrafficHistory {
  const former = history?.readings ?? { total: null, vnets: null, vifs: null, hosts: null };
  const rates = {
    total: ratesBetween(former.total, now).total,
    vnets: now.vnets === null ? history?.rates.vnets : ratesBetween(former.vnets, now).vnets,
    vifs: now.vifs === null ? history?.rates.vifs : ratesBetween(former.vifs, now).vifs,
    hosts: now.hosts === null ? history?.rates.hosts : ratesBetween(former.hosts, now).hosts,
  };
  return {
    latest: {
      ...now,
      vnets: now.vnets ?? history?.latest.vnets ?? null,
      vifs: now.vifs ?? history?.latest.vifs ?? null,
      hosts: now.hosts ?? history?.latest.hosts ?? null,
    },
    rates: {
      total: rates.total,
      vnets: rates.vnets ?? new Map(),
      vifs: rates.vifs ?? new Map(),
      hosts: rates.hosts ?? new Map(),
    },
    readings: {
      total: now,
      vnets: now.vnets === null ? former.vnets : now,
      vifs: now.vifs === null ? former.vifs : now,
      hosts: now.hosts === null ? former.hosts : now,
    },
  };
}

/** Rates of what is in `now`; what was not in `before` has none yet. */
function ratesBetween(before: TrafficView | null, now: TrafficView): TrafficRates {
  const seconds = before === null ? 0 : (now.atMs - before.atMs) / MS_PER_S;
  // A new data plane counts from zero, and may have counted more than the former one.
  const same = before !== null && before.status.dataplane.pid === now.status.dataplane.pid;
  const past = same ? before : null;
  return {
    total: carriedRates(past ?? undefined, now, seconds),
    vnets: ratesOf({ past: past?.vnets, present: now.vnets, seconds, keyOf: ({ vnet }) => vnet }),
    // The kernel's and the switch's counters outlive the data plane.
    vifs: ratesOf({ past: before?.vifs, present: now.vifs, seconds, keyOf: ({ vif }) => vif }),
    hosts: hostRates(past, now, seconds),
  };
}

function ratesOf<Row extends Counted, Key>({
  past,
  present,
  seconds,
  keyOf,
}: {
  readonly past: readonly Row[] | null | undefined;
  readonly present: readonly Row[] | null;
  readonly seconds: number;
  keyOf(row: Row): Key;
}): ReadonlyMap<Key, CarriedRates> {
  const former = new Map((past ?? []).map((row) => [keyOf(row), row]));
  return new Map(
    (present ?? []).map((row) => [keyOf(row), carriedRates(former.get(keyOf(row)), row, seconds)]),
  );
}

function hostRates(
  past: TrafficView | null,
  now: TrafficView,
  seconds: number,
): ReadonlyMap<string, HostRates> {
  const former = new Map((past?.hosts ?? []).map((host) => [formatEndpoint(host), host]));
  return new Map(
    (now.hosts ?? []).map((host) => {
      const key = formatEndpoint(host);
      const before = former.get(key);
      return [key, before === undefined ? UNKNOWN_HOST_RATES : rateHost(before, host, seconds)];
    }),
  );
}

function rateHost(before: HostTraffic, now: HostTraffic, seconds: number): HostRates {
  const received = (host: HostTraffic): number => host.forwardedIn + host.opened;
  const refused = (host: HostTraffic): number => host.replayed + host.forged;
  return {
    out: rate(before.forwardedOut, now.forwardedOut, seconds),
    in: rate(received(before), received(now), seconds),
    refused: rate(refused(before), refused(now), seconds),
  };
}

function carriedRates(before: Counted | undefined, now: Counted, seconds: number): CarriedRates {
  if (before === undefined || before.carried === null || now.carried === null) {
    return UNKNOWN_RATES;
  }
  const [former, present] = [before.carried, now.carried];
  const bits = (from: number, to: number): Rate => {
    const octets = rate(from, to, seconds);
    return octets === null ? null : octets * BITS_PER_OCTET;
  };
  const dropped = dropRates(before.dropped, now.dropped, seconds);
  return {
    outBits: bits(former.outboundOctets, present.outboundOctets),
    outFrames: rate(former.outboundFrames, present.outboundFrames, seconds),
    inBits: bits(former.inboundOctets, present.inboundOctets),
    inFrames: rate(former.inboundFrames, present.inboundFrames, seconds),
    drops: seconds > 0 ? Object.values(dropped).reduce((sum, one) => sum + one, 0) : null,
    dropped,
  };
}

/** Those above zero. A reason that counts anew has no rate this time. */
function dropRates(before: Dropped, now: Dropped, seconds: number): Dropped {
  const rates = Object.entries(now).map(
    ([reason, count]) => [reason, rate(before[reason] ?? 0, count, seconds) ?? 0] as const,
  );
  return Object.fromEntries(rates.filter(([, value]) => value > 0));
}

function rate(from: number, to: number, seconds: number): Rate {
  return seconds > 0 && to >= from ? (to - from) / seconds : null;
}

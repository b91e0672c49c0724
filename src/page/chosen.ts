/** Which rows the status page shows when there are more than anybody reads. */
import type { CarriedRates, TrafficRates } from "../control/rates.ts";
import type { HostTraffic, TrafficView } from "../control/traffic-api.ts";
import { formatEndpoint } from "../net/endpoint.ts";

export type ShownVnet = NonNullable<TrafficView["vnets"]>[number];
export type ShownVif = NonNullable<TrafficView["vifs"]>[number];

/** The ones with something wrong, then the busiest; in the order in which they came. */
export function chooseRows<Row>(
  rows: readonly Row[],
  {
    limit,
    isWrong,
    busy,
  }: {
    readonly limit: number;
    isWrong(row: Row): boolean;
    busy(row: Row): number;
  },
): readonly Row[] {
  if (rows.length <= limit) {
    return rows;
  }
  const ranked = rows
    .map((row, index) => ({ row, index, wrong: isWrong(row), busy: busy(row) }))
    .sort((one, other) => Number(other.wrong) - Number(one.wrong) || other.busy - one.busy);
  return ranked
    .slice(0, limit)
    .sort((one, other) => one.index - other.index)
    .map(({ row }) => row);
}

/** The worst of its vnets; `null`: it does not say. */
export function stateOfHost({ vnets }: HostTraffic): string | null {
  const states = vnets.flatMap(({ state }) => (state === null ? [] : [state]));
  return states.find((state) => state !== "up") ?? states[0] ?? null;
}

export function bitsOf(rates: CarriedRates | undefined): number {
  return (rates?.outBits ?? 0) + (rates?.inBits ?? 0);
}

export function messagesOf(host: HostTraffic, rates: TrafficRates): number {
  const one = rates.hosts.get(formatEndpoint(host));
  return (one?.in ?? 0) + (one?.out ?? 0);
}

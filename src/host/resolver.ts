/** Host names of peers: the system's resolver, in plain values. */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { type IpAddress, parseIpAddress } from "../net/ip-address.ts";

/** @throws UnknownHostError */
export type ResolveHost = (host: string) => Promise<readonly IpAddress[]>;

/** The name has no address now. */
export class UnknownHostError extends Error {
  override readonly name = "UnknownHostError";
  readonly code = "VNETD_UNKNOWN_HOST";
}

const DEADLINE_MS = 5_000;

/** Every address of `host`, in the resolver's order; an address is its own answer. */
export const resolveHost: ResolveHost = async (host) => {
  if (isIP(host) !== 0) {
    return [parseIpAddress(host)];
  }
  let deadline: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    deadline = setTimeout(() => reject(new Error("no answer in time")), DEADLINE_MS);
  });
  try {
    const answers = await Promise.race([lookup(host, { all: true }), expired]);
    return answers.map(({ address }) => parseIpAddress(address));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new UnknownHostError(`Cannot resolve ${JSON.stringify(host)}: ${why}`, { cause });
  } finally {
    clearTimeout(deadline);
  }
};

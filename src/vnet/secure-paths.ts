/**
 * The paths that take less than our own link: what probing found (secure-probe.ts), as the data
 * plane has it. A path is an address's, whatever vnets are shared with the host there, and is
 * forgotten with the last of them.
 */
import type { IpAddress } from "../net/ip-address.ts";
import type { ListedPath } from "./secure-events.ts";
import type { Secure, SecureStep } from "./secure-state.ts";

/** @param mtuBytes of packets that reach the address in one piece; as much as our link takes: all */
export function setPath({ secure, effects }: SecureStep, host: IpAddress, mtuBytes: number): void {
  const isNarrow = mtuBytes < secure.mtuBytes;
  if (isNarrow && secure.paths.get(host) !== mtuBytes) {
    secure.paths.set(host, mtuBytes);
    effects.push({ kind: "set-path-mtu", host, mtuBytes });
  } else if (!isNarrow && secure.paths.delete(host)) {
    effects.push({ kind: "set-path-mtu", host, mtuBytes: 0 });
  }
}

/** A host of this address is not known in some vnet any more. */
export function leavePath({ secure, effects }: SecureStep, host: IpAddress): void {
  if (secure.paths.has(host) && !hasHostAt(secure, host)) {
    secure.paths.delete(host);
    effects.push({ kind: "set-path-mtu", host, mtuBytes: 0 });
  }
}

/** Makes the machine's paths those of the data plane, and the data plane's those of known hosts. */
export function takeListedPaths(
  { secure, effects }: SecureStep,
  listed: readonly ListedPath[],
): void {
  const present = new Map(listed.map(({ host, mtuBytes }) => [host, mtuBytes]));
  for (const [host, mtuBytes] of present) {
    if (!hasHostAt(secure, host)) {
      effects.push({ kind: "set-path-mtu", host, mtuBytes: 0 });
    } else if (!secure.paths.has(host)) {
      secure.paths.set(host, mtuBytes);
    }
  }
  for (const [host, mtuBytes] of secure.paths) {
    if (present.get(host) !== mtuBytes) {
      effects.push({ kind: "set-path-mtu", host, mtuBytes });
    }
  }
}

function hasHostAt(secure: Secure, address: IpAddress): boolean {
  for (const vnet of secure.vnets.values()) {
    for (const { endpoint } of vnet.hosts.values()) {
      if (endpoint.address === address) {
        return true;
      }
    }
  }
  return false;
}

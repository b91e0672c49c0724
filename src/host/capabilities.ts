/** What the kernel lets this process do (capabilities(7)), by the names of linux/capability.h. */
import { readFile } from "node:fs/promises";

const BIT_OF = { CAP_NET_ADMIN: 12n, CAP_NET_RAW: 13n };

export type Capability = keyof typeof BIT_OF;

/** Those of `wanted` that are not in the effective set which /proc/PID/status shows. */
export function missingCapabilities(
  status: string,
  wanted: readonly Capability[],
): readonly Capability[] {
  const mask = BigInt(`0x${/^CapEff:\s*([0-9a-fA-F]+)$/m.exec(status)?.[1] ?? "0"}`);
  return wanted.filter((capability) => ((mask >> BIT_OF[capability]) & 1n) === 0n);
}

/** This process may not do what it is for. */
export class MissingCapabilityError extends Error {
  override readonly name = "MissingCapabilityError";
  readonly code = "VNETD_PERMISSION";
}

/** @throws MissingCapabilityError */
export async function requireCapabilities(wanted: readonly Capability[]): Promise<void> {
  const missing = missingCapabilities(await readFile("/proc/self/status", "utf8"), wanted);
  if (missing.length > 0) {
    throw new MissingCapabilityError(
      `Cannot manage network devices: Operation not permitted (no ${missing.join(", ")}); start vnetd as root`,
    );
  }
}

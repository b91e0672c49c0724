/** The kernel's own IPv6 on one device: router solicitations, neighbour discovery, MLD reports. */
import { writeFile } from "node:fs/promises";

/**
 * Switches it off. Does nothing where the kernel has no IPv6 or the device is gone.
 *
 * @param device as parseInterfaceName takes it: no `/`, not `.` or `..`
 */
export async function silenceIpv6(device: string): Promise<void> {
  try {
    await writeFile(`/proc/sys/net/ipv6/conf/${device}/disable_ipv6`, "1");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) {
      throw error;
    }
  }
}

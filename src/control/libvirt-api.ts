/** What libvirt's hook of QEMU domains tells (docs/HOTPLUG.md), as plain data. */

/** The operations of the hook that say something about a domain's interfaces. */
export const LIBVIRT_BEGINNINGS = [
  "prepare",
  "start",
  "started",
  "reconnect",
  "attach",
  "migrate",
  "restore",
] as const;

export const LIBVIRT_ENDS = ["stopped", "release"] as const;

export type LibvirtHookCall = {
  /** The domain's name. */
  readonly guest: string;
  readonly operation: (typeof LIBVIRT_BEGINNINGS)[number] | (typeof LIBVIRT_ENDS)[number];
  /** All that the hook got on standard input. */
  readonly xml: string;
};

export interface LibvirtApi {
  /**
   * Resolves when each interface that has a policy, and a device by now, is under it; rejects with
   * a ControlError when the domain must not start.
   */
  hook(call: LibvirtHookCall): Promise<void>;
}

/**
 * Does what libvirt's hook asks for: takes over what a domain's metadata says, and has each of its
 * interfaces under its policy before the domain's first instruction.
 */
import { ControlError } from "../control/control-error.ts";
import { LIBVIRT_ENDS, type LibvirtApi, type LibvirtHookCall } from "../control/libvirt-api.ts";
import type { VifRulesApi } from "../control/vif-rules-api.ts";
import { type LibvirtDomain, readLibvirtDomain } from "../metadata/libvirt-domain.ts";
import type { LibvirtSource } from "../metadata/libvirt-source.ts";
import { findVifPolicy, type MergedPolicies } from "../metadata/merge-snapshots.ts";
import { ParseError } from "../net/parse-error.ts";

export type LibvirtHookOptions = {
  readonly source: LibvirtSource;
  readonly rules: Pick<VifRulesApi, "plugVif">;
  /** Of all sources, as they are now. */
  policies(): MergedPolicies;
};

/** libvirt makes the devices and their ports later, by `start`: there is nothing to lock yet. */
const BEFORE_DEVICES: ReadonlySet<string> = new Set(["prepare", "migrate", "restore"]);

export class LibvirtHook implements LibvirtApi {
  readonly #options: LibvirtHookOptions;

  constructor(options: LibvirtHookOptions) {
    this.#options = options;
  }

  async hook({ guest, operation, xml }: LibvirtHookCall): Promise<void> {
    const { source, rules } = this.#options;
    const domain = readDomain(guest, xml);
    if (LIBVIRT_ENDS.some((end) => end === operation)) {
      source.endDomain(domain.uuid);
      return;
    }
    source.setDomain(domain);
    if (BEFORE_DEVICES.has(operation)) {
      return;
    }
    for (const { device, bridge, ifaceId } of domain.interfaces) {
      // Without a policy it is in quarantine on a managed bridge, and not our business elsewhere.
      if (device !== null && this.#hasPolicy(device, ifaceId)) {
        const known = bridge === null ? {} : { bridge };
        await rules.plugVif({ vif: device, action: "add", vm: domain.uuid, ...known });
      }
    }
  }

  #hasPolicy(name: string, ifaceId: string | null): boolean {
    return findVifPolicy(this.#options.policies(), { name, ifaceId }) !== null;
  }
}

/** @throws ControlError naming the guest, the key and the value */
function readDomain(guest: string, xml: string): LibvirtDomain {
  try {
    return readLibvirtDomain(xml);
  } catch (cause) {
    if (!(cause instanceof ParseError)) {
      throw cause;
    }
    const message = `Cannot read libvirt's domain ${guest}: ${cause.message}`;
    throw new ControlError("VNETD_PARSE", message, { cause });
  }
}

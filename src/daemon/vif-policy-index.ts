/** The policy of a port, found by its name, by that of its twin, or by its iface-id. */
import { findVifPolicy, type MergedPolicies, type Sourced } from "../metadata/merge-snapshots.ts";
import { POLICY_TRUSTS } from "../metadata/source.ts";
import type { VifPolicy } from "../vifrules/policy.ts";

export class PolicyIndex {
  readonly #policies: MergedPolicies;
  readonly #byName = new Map<string, Sourced<VifPolicy>>();
  readonly #byIfaceId = new Map<string, Sourced<VifPolicy>>();

  constructor(policies: MergedPolicies) {
    this.#policies = policies;
    for (const sourced of policies.vifs) {
      const { vif, ifaceId } = sourced.policy;
      if (vif !== undefined) {
        this.#byName.set(vif, sourced);
      } else if (ifaceId !== undefined) {
        this.#byIfaceId.set(ifaceId, sourced);
      }
    }
  }

  find(name: string, ifaceId: string | null): Sourced<VifPolicy> | null {
    const own = this.#byName.get(name);
    const isAlone = !this.#byIfaceId.has(ifaceId ?? "") && this.#policies.narrowings.length === 0;
    if (isAlone && twinOf(name).length === 0) {
      return own ?? null;
    }
    // Of one trust, a name is closer than an id, and a port's own name than its twin's.
    const vifs = [
      this.#byName.get(name),
      ...twinOf(name).map((twin) => this.#byName.get(twin)),
      this.#byIfaceId.get(ifaceId ?? ""),
    ]
      .filter((sourced) => sourced !== undefined)
      .toSorted((a, b) => POLICY_TRUSTS.indexOf(a.trust) - POLICY_TRUSTS.indexOf(b.trust));
    return findVifPolicy({ ...this.#policies, vifs }, { name, ifaceId });
  }
}

/** `tap5.0` (xapi) and `vif5.0-emu` (libxl) are the emulated device of the VIF `vif5.0`. */
export function twinOf(name: string): readonly string[] {
  const number = /^(?:tap(\d+\.\d+)|vif(\d+\.\d+)-emu)$/.exec(name);
  return number === null ? [] : [`vif${number[1] ?? number[2]}`];
}

/** The ports that the policy of `vif` is about. */
export function portNamesOf(vif: string): readonly string[] {
  const number = /^vif(\d+\.\d+)$/.exec(vif)?.[1];
  return number === undefined ? [vif] : [vif, `tap${number}`, `${vif}-emu`];
}

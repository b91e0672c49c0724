/** Changes of the desired state as the control API tells them: done, or refused with its code. */
import { ControlError } from "../control/control-error.ts";
import type { DesiredChange, DesiredState } from "../vnet/desired-state.ts";

/**
 * The changed state.
 *
 * @param what "Cannot …" is said of it when it is refused
 * @throws ControlError
 */
export function expectChange(what: string, change: DesiredChange): DesiredState {
  if (change.kind === "refused") {
    throw new ControlError(change.code, `Cannot ${what}: ${change.message}`);
  }
  return change.state;
}

/** One vnet by its id, several by their number. */
export function nameVnets(ids: readonly string[]): string {
  return ids.length === 1 ? `vnet ${ids[0]}` : `${ids.length} vnets`;
}

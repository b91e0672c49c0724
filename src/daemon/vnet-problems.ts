/**
 * What is wrong with which vnet: its devices, its keys, or that the data plane refused it. Each is
 * logged when it begins and when it is over, and devices are tried again later each time.
 */
import type { CommandFailure } from "../dataplane/client.ts";
import { shortVnetId, type VnetId } from "../net/vnet-id.ts";
import type { KeyRings } from "./key-rings.ts";
import type { Log } from "./log.ts";
import { ProblemLog } from "./problem-log.ts";
import { RetryTimes } from "./retry-times.ts";
import type { DeviceFailure } from "./vnet-devices.ts";

/** Why a vnet does not carry frames; `code` as in the control API. */
export type VnetProblem = {
  readonly code:
    | DeviceFailure["code"]
    | "VNETD_KEY_RING"
    | "VNETD_DATAPLANE_FAILED"
    | "VNETD_NO_UNDERLAY";
  readonly message: string;
};

export type VnetProblemsOptions = {
  readonly keyRings: Pick<KeyRings, "problemOf">;
  readonly log: Log;
  readonly now: () => number;
};

type Named = { readonly id: VnetId };

export class VnetProblems {
  /** Of what belongs to no vnet, too. */
  readonly retries: RetryTimes;
  readonly log: ProblemLog;
  readonly #keyRings: Pick<KeyRings, "problemOf">;
  readonly #devices = new Map<VnetId, DeviceFailure>();
  readonly #refused = new Map<VnetId, string>();

  constructor({ keyRings, log, now }: VnetProblemsOptions) {
    this.#keyRings = keyRings;
    this.retries = new RetryTimes(now);
    this.log = new ProblemLog(log);
  }

  /** Null: the vnet could be carried, as far as its host goes. */
  ofHost(vnet: VnetId): VnetProblem | null {
    const device = this.#devices.get(vnet);
    if (device !== undefined) {
      return device;
    }
    const keys = this.#keyRings.problemOf(vnet);
    return keys === null ? null : { code: "VNETD_KEY_RING", message: keys };
  }

  /** The vnets that the data plane refused the last time. */
  get refused(): ReadonlyMap<VnetId, string> {
    return this.#refused;
  }

  noteDevices(vnets: readonly Named[], failures: ReadonlyMap<VnetId, DeviceFailure>): void {
    for (const { id } of vnets) {
      const failure = failures.get(id);
      if (failure === undefined) {
        this.#devices.delete(id);
        this.retries.succeed(id);
      } else {
        this.#devices.set(id, failure);
        // A conflict costs nothing to look for again: the next pass may find it gone.
        if (failure.code !== "VNETD_NAME_TAKEN") {
          this.retries.fail(id);
        }
      }
      this.#note(id, failure?.message ?? null, "devices");
    }
  }

  noteKeys(vnets: readonly Named[]): void {
    for (const { id } of vnets) {
      this.#note(id, this.#keyRings.problemOf(id), "keys");
    }
  }

  /** @param vnets all that it was to carry */
  noteDataplane(
    vnets: readonly { readonly vnet: VnetId }[],
    failures: readonly CommandFailure[],
  ): void {
    this.#refused.clear();
    for (const { command, error } of failures) {
      if (command.kind === "set-vnet") {
        this.#refused.set(command.vnet, error.message);
      } else {
        this.retries.fail(command.kind);
        this.log.note(command.kind, error.message, { code: error.code, errno: error.errno });
      }
    }
    for (const { vnet } of vnets) {
      this.#note(vnet, this.#refused.get(vnet) ?? null, "vnet-dp");
    }
  }

  /** Of vnets that are not wanted any more nothing is wrong. */
  keepOnly(wanted: readonly Named[]): void {
    const ids = new Set(wanted.map(({ id }) => id));
    for (const id of this.#devices.keys()) {
      if (!ids.has(id)) {
        this.#devices.delete(id);
        this.retries.succeed(id);
      }
    }
  }

  #note(vnet: VnetId, message: string | null, part: string): void {
    this.log.note(`${part} ${vnet}`, message, { vnet: shortVnetId(vnet) });
  }
}

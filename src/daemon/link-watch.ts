/**
 * The lines of `ip monitor`, against the devices that vnets should have: whether a pass over all of
 * them is needed, and which ports have left a bridge.
 */
import type { VnetConfig } from "../vnet/vnet-config.ts";
import { BridgePorts } from "./bridge-ports.ts";
import { type Expectations, judgeLine, type LinkExpectation } from "./link-events.ts";
import type { PassTimer } from "./pass-timer.ts";

export class LinkWatch {
  readonly ports = new BridgePorts();
  readonly #timer: PassTimer;
  readonly #expect: () => Expectations;
  /** Devices that the last line about them showed other than they should be. */
  readonly #suspects = new Set<string>();
  /** Null: to be made anew. */
  #expectations: Expectations | null = null;

  /** @param expect what is expected at the time */
  constructor(timer: PassTimer, expect: () => Expectations) {
    this.#timer = timer;
    this.#expect = expect;
  }

  /** Something else is expected from now on. */
  changed(): void {
    this.#expectations = null;
  }

  /** A pass begins, which looks at every device itself. */
  passBegins(): void {
    this.#suspects.clear();
  }

  /**
   * A pass follows if the line is not what is expected.
   *
   * @returns the bridge that a port has left; null: none
   */
  read(line: string): string | null {
    const left = this.ports.read(line);
    this.#expectations ??= this.#expect();
    const verdict = judgeLine(line, this.#expectations);
    if (verdict.kind === "pass") {
      this.#timer.wake();
    } else if (verdict.kind === "device" && verdict.isRight) {
      this.#suspects.delete(verdict.name);
    } else if (verdict.kind === "device") {
      this.#suspects.add(verdict.name);
      this.#timer.wakeIf(() => this.#suspects.size > 0);
    }
    return left;
  }
}

/** @param underlay the name of the underlay's device, when there is one */
export function expectLinks(vnets: readonly VnetConfig[], underlay: string | null): Expectations {
  const devices = new Map<string, LinkExpectation>();
  for (const { vnetif, bridge, ovs, mtu } of vnets) {
    devices.set(vnetif, { mtu, master: ovs ? null : bridge });
    if (bridge !== null) {
      devices.set(bridge, { mtu: null, master: null });
    }
  }
  return { devices, underlay };
}

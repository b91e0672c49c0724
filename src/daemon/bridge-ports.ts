/**
 * Which devices are ports of which bridge, as `ip monitor` tells it. When one leaves the bridge of a
 * vnet, a VM has probably gone with it, and this host must not go on answering for the VM's MAC: it
 * may be on another host by now, and the original does not announce it there.
 */
import type { Link } from "../host/iproute2-listing.ts";

const LINK_LINE = /^(Deleted )?\d+: ([^:@\s]+)(?:@[^:\s]+)?: <[^>]*> (.*)$/;

export class BridgePorts {
  readonly #bridgeOf = new Map<string, string>();

  /** What is true now. */
  note(links: Iterable<Link>): void {
    this.#bridgeOf.clear();
    for (const { name, master } of links) {
      this.#become(name, master);
    }
  }

  /** @returns the bridge that a port has left by this line, or null */
  read(line: string): string | null {
    const link = LINK_LINE.exec(line);
    if (link === null) {
      return null;
    }
    const [, deleted, name = "", rest = ""] = link;
    const bridge = deleted === undefined ? (/\bmaster (\S+)/.exec(rest)?.[1] ?? null) : null;
    const former = this.#bridgeOf.get(name) ?? null;
    this.#become(name, bridge);
    return former === bridge ? null : former;
  }

  /** The ports of each bridge that has some. */
  list(): ReadonlyMap<string, readonly string[]> {
    const ports = new Map<string, string[]>();
    for (const [name, bridge] of this.#bridgeOf) {
      const found = ports.get(bridge);
      if (found === undefined) {
        ports.set(bridge, [name]);
      } else {
        found.push(name);
      }
    }
    return ports;
  }

  #become(name: string, bridge: string | null): void {
    if (bridge === null) {
      this.#bridgeOf.delete(name);
    } else {
      this.#bridgeOf.set(name, bridge);
    }
  }
}

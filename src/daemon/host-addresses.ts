/**
 * The addresses of this host, by device: of the infrastructure that a network names, these alone
 * are looked for behind a bridge's own port. Follows `ip monitor`.
 */
import type { RunProgram } from "../host/child.ts";
import { listAddresses } from "../host/iproute2.ts";
import { type IpAddress, parseIpAddress } from "../net/ip-address.ts";
import { ParseError } from "../net/parse-error.ts";

/** `5: br0    inet 10.0.0.1/24 brd 10.0.0.255 scope global br0`, `Deleted 5: br0    inet6 …` */
const LINE = /^(Deleted )?\d+: (\S+) +inet6? ([^\s/]+)/;

export class HostAddresses {
  readonly #run: RunProgram;
  readonly #byDevice = new Map<string, Set<IpAddress>>();

  constructor(run: RunProgram) {
    this.#run = run;
  }

  of(device: string): readonly IpAddress[] {
    return [...(this.#byDevice.get(device) ?? [])];
  }

  /** @throws LinkError, ProgramError */
  async readAll(): Promise<void> {
    const addresses = await listAddresses(this.#run);
    this.#byDevice.clear();
    for (const { linkName, address } of addresses) {
      this.#change(linkName, address, true);
    }
  }

  /** A line of `ip monitor`; true when it changed what is known. */
  readLine(line: string): boolean {
    const [, deleted, device, address] = LINE.exec(line) ?? [];
    return (
      device !== undefined &&
      address !== undefined &&
      this.#change(device, address, deleted === undefined)
    );
  }

  #change(device: string, text: string, isThere: boolean): boolean {
    const address = readAddress(text);
    if (address === null) {
      return false;
    }
    const known = this.#byDevice.get(device) ?? new Set();
    const wasThere = known.has(address);
    if (isThere) {
      this.#byDevice.set(device, known.add(address));
    } else {
      known.delete(address);
    }
    return wasThere !== isThere;
  }
}

/** Null for one that no packet can have, such as an IPv4-mapped one. */
function readAddress(text: string): IpAddress | null {
  try {
    return parseIpAddress(text);
  } catch (error) {
    if (error instanceof ParseError) {
      return null;
    }
    throw error;
  }
}

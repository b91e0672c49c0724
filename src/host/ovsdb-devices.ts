/**
 * Which device ovs-vswitchd has opened for each interface. Its user-space datapath goes on with a
 * device that was deleted and made again under its name, and receives nothing from it any more; yet
 * the database's `ifindex` becomes that of the new one. So the first one that is seen counts, or
 * what `addPort` has written down in the external ids, which outlives us.
 */
import { readFile } from "node:fs/promises";
import type { Row } from "./ovsdb-columns.ts";

type InterfaceRow = Row<"Interface">;

/** In `external_ids` of an interface: the index that its device had when the port was added. */
export const DEVICE_INDEX_ID = "vnetd-ifindex";

/**
 * What is to be written there; null without such a device. Read before the port is added: when the
 * device is replaced meanwhile, the port looks as if it had the former one open, which is put
 * right, and never the other way round.
 */
export async function readDeviceIndex(name: string): Promise<string | null> {
  try {
    return (await readFile(`/sys/class/net/${name}/ifindex`, "utf8")).trim();
  } catch {
    // ovs-vswitchd will say what is wrong with the device.
    return null;
  }
}

export class OpenedDevices {
  readonly #indexes = new Map<string, number>();
  /** Of one update. */
  readonly #gone = new Map<string, number>();
  readonly #come = new Map<string, InterfaceRow>();

  /** A row is this now; null: it is not there any more. */
  note(uuid: string, former: InterfaceRow | undefined, row: InterfaceRow | null): void {
    if (row === null) {
      const index = former === undefined ? null : this.indexOf(uuid, former);
      if (former !== undefined && index !== null) {
        this.#gone.set(former.name, index);
      }
      this.#indexes.delete(uuid);
    } else {
      this.#come.set(uuid, row);
    }
  }

  /** An update is over. */
  settle(): void {
    for (const [uuid, row] of this.#come) {
      // A port that is deleted and added in one transaction is not opened anew.
      const index = this.#gone.get(row.name) ?? openIndexOf(row);
      if (index !== null && !this.#indexes.has(uuid)) {
        this.#indexes.set(uuid, index);
      }
    }
    this.#gone.clear();
    this.#come.clear();
  }

  /** Null when it has not opened one, or one without an index. */
  indexOf(uuid: string, row: InterfaceRow): number | null {
    const noted = row.external_ids.get(DEVICE_INDEX_ID) ?? "";
    return /^[1-9]\d{0,9}$/.test(noted) ? Number(noted) : (this.#indexes.get(uuid) ?? null);
  }
}

function openIndexOf({ ofport, ifindex }: InterfaceRow): number | null {
  const isOpen = ofport !== null && ofport > 0 && ifindex !== null && ifindex > 0;
  return isOpen ? ifindex : null;
}

/** The kernel's counters of all devices of this network namespace, by one read: /proc/net/dev. */
import { readFile } from "node:fs/promises";

export type DeviceCounters = {
  readonly receivedOctets: number;
  readonly receivedPackets: number;
  readonly sentOctets: number;
  readonly sentPackets: number;
  /** Both ways. */
  readonly droppedPackets: number;
};

const FILE = "/proc/net/dev";
/** Received: octets, packets, errs, drop, fifo, frame, compressed, multicast; sent the same way. */
const FIELD = { octets: 0, packets: 1, drop: 3, sent: 8 } as const;
const HEADER_LINES = 2;

/** By the device's name. @throws the system's error */
export async function readDeviceCounters(): Promise<ReadonlyMap<string, DeviceCounters>> {
  return parseDeviceCounters(await readFile(FILE, "utf8"));
}

export function parseDeviceCounters(text: string): ReadonlyMap<string, DeviceCounters> {
  const lines = text.split("\n").slice(HEADER_LINES);
  return new Map(
    lines.flatMap((line): (readonly [string, DeviceCounters])[] => {
      // The kernel takes no name with a colon (dev_valid_name).
      const colonAt = line.indexOf(":");
      return colonAt === -1
        ? []
        : [[line.slice(0, colonAt).trim(), countersOf(line.slice(colonAt + 1))]];
    }),
  );
}

function countersOf(text: string): DeviceCounters {
  const fields = text.trim().split(/\s+/).map(Number);
  const field = (index: number): number => fields[index] ?? 0;
  return {
    receivedOctets: field(FIELD.octets),
    receivedPackets: field(FIELD.packets),
    sentOctets: field(FIELD.sent + FIELD.octets),
    sentPackets: field(FIELD.sent + FIELD.packets),
    droppedPackets: field(FIELD.drop) + field(FIELD.sent + FIELD.drop),
  };
}

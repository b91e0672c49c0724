/**
 * What `ip -json` and `ip -batch` print, read into values. Held to recorded output of iproute2 6.1
 * in test/host/iproute2-listing.test.ts; fields that older or newer versions leave out are null.
 */

export type TapDetails = {
  readonly mode: "tap" | "tun";
  readonly persistent: boolean;
  readonly multiQueue: boolean;
  /** A name or a decimal uid, as `ip` prints it; null: anybody with CAP_NET_ADMIN. */
  readonly user: string | null;
};

export type Link = {
  readonly index: number;
  readonly name: string;
  /** `tun`, `bridge`, `veth`, …; null for a device without a kind (a network card). */
  readonly kind: string | null;
  readonly up: boolean;
  readonly loopback: boolean;
  readonly mtu: number;
  readonly mac: string | null;
  /** The bridge (or other master) it belongs to. */
  readonly master: string | null;
  readonly alias: string | null;
  /** `eui64`, `none`, …: how the kernel makes the link-local IPv6 address. */
  readonly addressGeneration: string | null;
  readonly tap: TapDetails | null;
};

export type LinkAddress = {
  readonly linkIndex: number;
  readonly linkName: string;
  readonly family: 4 | 6;
  readonly address: string;
  readonly prefixLength: number;
  /** `global`, `link`, `host`, … */
  readonly scope: string;
  /** Not usable yet, or found to be another host's (RFC 4862 §5.4). */
  readonly tentative: boolean;
};

export type Route = { readonly device: string; readonly metric: number };

/** A listing or change that the kernel or `ip` refused; the message holds its words. */
export class LinkError extends Error {
  override readonly name = "LinkError";
  readonly code = "VNETD_HOST_FAILED";
}

/** @throws LinkError when `text` is not a listing of links */
export function parseLinks(text: string): Link[] {
  return parseRecords(text).map((record) => {
    const info = objectAt(record, "linkinfo");
    const kind = textAt(info, "info_kind");
    const flags = listAt(record, "flags");
    return {
      index: numberAt(record, "ifindex"),
      name: textAt(record, "ifname") ?? "",
      kind,
      up: flags.includes("UP"),
      loopback: flags.includes("LOOPBACK"),
      mtu: numberAt(record, "mtu"),
      mac: textAt(record, "address"),
      master: textAt(record, "master"),
      alias: textAt(record, "ifalias"),
      addressGeneration: textAt(record, "inet6_addr_gen_mode"),
      tap: kind === "tun" ? tapDetails(objectAt(info, "info_data")) : null,
    };
  });
}

/** @throws LinkError when `text` is not a listing of addresses */
export function parseAddresses(text: string): LinkAddress[] {
  return parseRecords(text).flatMap((record) =>
    listAt(record, "addr_info").flatMap((entry) => {
      const info = asObject(entry);
      const family = textAt(info, "family");
      const address = textAt(info, "local");
      if (address === null || (family !== "inet" && family !== "inet6")) {
        return [];
      }
      return {
        linkIndex: numberAt(record, "ifindex"),
        linkName: textAt(record, "ifname") ?? "",
        family: family === "inet" ? 4 : 6,
        address,
        prefixLength: numberAt(info, "prefixlen"),
        scope: textAt(info, "scope") ?? "global",
        tentative: flagAt(info, "tentative") || flagAt(info, "dadfailed"),
      } as const;
    }),
  );
}

/** A MAC that a Linux bridge has learned, and the port it is behind. */
export type BridgeMac = { readonly mac: string; readonly port: string };

/**
 * What `bridge -json fdb show` lists, without the ports' own addresses.
 *
 * @throws LinkError when `text` is not such a listing
 */
export function parseBridgeMacs(text: string): BridgeMac[] {
  return parseRecords(text).flatMap((record) => {
    const mac = textAt(record, "mac");
    const port = textAt(record, "ifname");
    return mac === null || port === null || textAt(record, "state") === "permanent"
      ? []
      : { mac, port };
  });
}

/** @throws LinkError when `text` is not a listing of routes */
export function parseRoutes(text: string): Route[] {
  return parseRecords(text).flatMap((record) => {
    const device = textAt(record, "dev");
    const { metric } = record;
    return device === null ? [] : { device, metric: typeof metric === "number" ? metric : 0 };
  });
}

/**
 * What failed of a batch: the command's index and the reason. `ip -force -batch` prints the reason
 * and then `Command failed -:LINE`, LINE counting from 1; what it prints without such a line after
 * it is a warning.
 */
export function parseBatchErrors(stderr: string): ReadonlyMap<number, string> {
  const failures = new Map<number, string>();
  let reasons: string[] = [];
  for (const line of stderr.split("\n")) {
    const failed = /^Command failed .*:(\d+)$/.exec(line);
    if (failed === null) {
      reasons.push(line);
      continue;
    }
    failures.set(Number(failed[1]) - 1, plainReason(reasons.join("\n")));
    reasons = [];
  }
  return failures;
}

/** `RTNETLINK answers: File exists` → `File exists`; several lines become one. */
export function plainReason(stderr: string): string {
  const lines = stderr.split("\n").map((line) => line.trim());
  const text = lines.filter((line) => line !== "").join("; ");
  return text.replace(/^(?:RTNETLINK answers|Error): /, "") || "it gave no reason";
}

type JsonObject = Readonly<Record<string, unknown>>;

function parseRecords(text: string): JsonObject[] {
  // An empty route list is printed as nothing by some versions.
  const listing = text.trim() === "" ? "[]" : text;
  let records: unknown;
  try {
    records = JSON.parse(listing);
  } catch (cause) {
    throw new LinkError("ip printed what is not JSON", { cause });
  }
  if (!Array.isArray(records)) {
    throw new LinkError("ip printed JSON that is not a list");
  }
  // `ip -json` leaves an empty object where its filter left a device out.
  return records.map(asObject).filter((record) => Object.keys(record).length > 0);
}

function tapDetails(data: JsonObject): TapDetails {
  const { user } = data;
  return {
    mode: textAt(data, "type") === "tap" ? "tap" : "tun",
    persistent: flagAt(data, "persist"),
    multiQueue: flagAt(data, "multi_queue"),
    user: typeof user === "string" || typeof user === "number" ? String(user) : null,
  };
}

function asObject(value: unknown): JsonObject {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

function objectAt(object: JsonObject, key: string): JsonObject {
  return asObject(object[key]);
}

function listAt(object: JsonObject, key: string): readonly unknown[] {
  const value = object[key];
  return Array.isArray(value) ? value : [];
}

function textAt(object: JsonObject, key: string): string | null {
  const value = object[key];
  return typeof value === "string" ? value : null;
}

function flagAt(object: JsonObject, key: string): boolean {
  return object[key] === true;
}

function numberAt(object: JsonObject, key: string): number {
  const value = object[key];
  if (typeof value !== "number") {
    throw new LinkError(`ip printed a record without "${key}"`);
  }
  return value;
}

/**
 * What guests say about their own VIFs, in the form of nova on XenServer:
 *
 *     /local/domain/<domid>/vm-data/networking/<MAC without colons> =
 *       {"mac": "…", "ips": [{"ip": "10.0.0.5", "enabled": "1"}], "ip6s": [{"ip": "fd00::5", …}]}
 *
 * The guest can write it, so it is read only where the operator said so (trust_vm_data), on a
 * connection of its own, whose load delays nobody else; and it narrows, whatever it says.
 */
import { type Xenstore, XenstoreError } from "../host/xenstore.ts";
import { parseMacAddress } from "../net/mac-address.ts";
import { ParseError, quoteValue } from "../net/parse-error.ts";
import type { VifPolicy } from "../vifrules/policy.ts";
import { readVifPolicy } from "../vifrules/policy-document.ts";
import { KeptDocuments } from "./kept-documents.ts";
import { PausedReading } from "./paused-reading.ts";
import type { PlugHint, PolicySnapshot, PolicySource, PolicySubject } from "./source.ts";
import type { ConnectXenstore } from "./xenstore-source.ts";

const VM_DATA_PATH = /^\/local\/domain\/([1-9]\d{0,4})\/vm-data(?:\/|$)/;
const VIF_NAME = /^(?:vif|tap)([1-9]\d{0,4})\.\d+$/;
const MAC_NAME = /^[0-9A-Fa-f]{12}$/;
const RELEASE = "@releaseDomain";
/** xapi gives a VM at most 7 VIFs; a guest that writes more is not read further. */
const ENTRY_COUNT_MAX = 16;
const TEXT_CHARACTERS_MAX = 65_536;

export class GuestSource implements PolicySource {
  readonly name = "vm-data";
  readonly trust = "guest";
  readonly #kept = new KeptDocuments();
  readonly #store: Xenstore;
  readonly #reading: PausedReading<string>;

  constructor(connect: ConnectXenstore) {
    this.#reading = new PausedReading((domainIds) => this.#read(domainIds));
    this.#store = connect({
      watches: ["/local/domain", RELEASE],
      onChange: (path) => {
        const domainId = path === null ? null : VM_DATA_PATH.exec(path)?.[1];
        if (path === null || path === RELEASE) {
          this.#reading.soon(null);
        } else if (domainId !== undefined) {
          this.#reading.soon(domainId);
        }
      },
      // The source of the toolstack's own records has the same connection, and says so.
      onFailure: () => {},
    });
  }

  snapshot(): PolicySnapshot {
    return this.#kept.snapshot();
  }

  async refresh(hint?: PlugHint): Promise<void> {
    await this.#reading.now(VIF_NAME.exec(hint?.vif ?? "")?.[1] ?? null);
  }

  async reload(): Promise<void> {
    await this.#reading.now(null);
  }

  forget(subject: PolicySubject): void {
    this.#kept.forget(subject);
  }

  onChange(listener: () => void): () => void {
    return this.#kept.onChange(listener);
  }

  close(): void {
    this.#reading.close();
    this.#store.close();
  }

  async #read(domainIds: ReadonlySet<string> | null): Promise<void> {
    if (!this.#store.connected) {
      return;
    }
    try {
      const all = (await this.#store.list("/local/domain")) ?? [];
      const running = new Set(all.filter((domainId) => /^[1-9]\d{0,4}$/.test(domainId)));
      for (const domainId of domainIds ?? running) {
        await this.#readDomain(domainId);
      }
      for (const origin of this.#kept.origins()) {
        if (!running.has(domainIdOf(origin))) {
          this.#kept.drop(origin);
        }
      }
    } catch (error) {
      if (!(error instanceof XenstoreError)) {
        throw error;
      }
    }
    this.#kept.settle();
  }

  async #readDomain(domainId: string): Promise<void> {
    const networking = `/local/domain/${domainId}/vm-data/networking`;
    const names = ((await this.#store.list(networking)) ?? [])
      .filter((name) => MAC_NAME.test(name))
      .slice(0, ENTRY_COUNT_MAX);
    const vifs = names.length === 0 ? new Map<string, string>() : await this.#readVifs(domainId);
    const read = new Set<string>();
    for (const name of names) {
      const origin = `vm-data ${networking}/${name}`;
      const vif = vifs.get(parseMacAddress(name.replace(/(..)(?!$)/g, "$1:")));
      const text = await this.#store.read(`${networking}/${name}`);
      if (vif !== undefined && text !== null) {
        read.add(origin);
        this.#put(origin, { vif, text });
      }
    }
    // The guest may take back what it asked for: then it may do what its policy says.
    for (const origin of this.#kept.origins()) {
      if (domainIdOf(origin) === domainId && !read.has(origin)) {
        this.#kept.drop(origin);
      }
    }
  }

  /** The names of the domain's VIFs by their MACs, as the toolstack has written them. */
  async #readVifs(domainId: string): Promise<ReadonlyMap<string, string>> {
    const backend = `/local/domain/0/backend/vif/${domainId}`;
    const vifs = new Map<string, string>();
    for (const devid of (await this.#store.list(backend)) ?? []) {
      const mac = await this.#store.read(`${backend}/${devid}/mac`);
      if (mac !== null) {
        vifs.set(mac.toLowerCase(), `vif${domainId}.${devid}`);
      }
    }
    return vifs;
  }

  #put(origin: string, { vif, text }: { readonly vif: string; readonly text: string }): void {
    try {
      this.#kept.put(origin, { kind: "vif", policy: readGuestWish(vif, text) });
    } catch (error) {
      if (!(error instanceof ParseError)) {
        throw error;
      }
      this.#kept.refuse(origin, `${origin}: ${error.message}`);
    }
  }
}

/**
 * What the guest asks for: to be locked to those of its addresses that it uses.
 *
 * @throws ParseError with the key and the value
 */
export function readGuestWish(vif: string, text: string): VifPolicy {
  if (text.length > TEXT_CHARACTERS_MAX) {
    throw new ParseError(`Above ${TEXT_CHARACTERS_MAX} characters: ${text.length}`);
  }
  const { mac, ips, ip6s } = parseObject(text) as { mac?: unknown; ips?: unknown; ip6s?: unknown };
  return readVifPolicy({
    vif,
    // Never the guest's to say, and not taken over (narrow-policy.ts).
    bridge: "vm-data",
    mac,
    mode: "locked",
    ipv4: readAddresses(ips, "ips"),
    ipv6: readAddresses(ip6s, "ip6s"),
  });
}

function readAddresses(value: unknown, key: string): readonly unknown[] {
  if (value === undefined) {
    return [];
  }
  if (!Array.isArray(value)) {
    throw new ParseError(`Key ${quoteValue(key)}: Not a list: ${show(value)}`);
  }
  const entries = value as readonly ({ ip?: unknown; enabled?: unknown } | null)[];
  return entries.filter((entry) => isEnabled(entry?.enabled)).map((entry) => entry?.ip);
}

/** nova writes "1" and "0". */
function isEnabled(value: unknown): boolean {
  return value === undefined || value === "1" || value === 1 || value === true;
}

function parseObject(text: string): object {
  let value: unknown;
  try {
    value = JSON.parse(text) as unknown;
  } catch (cause) {
    throw new ParseError(`Not JSON: ${quoteValue(text)}`, { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ParseError(`Not an object: ${show(value)}`);
  }
  return value;
}

function show(value: unknown): string {
  return quoteValue(JSON.stringify(value) ?? String(value));
}

function domainIdOf(origin: string): string {
  return VM_DATA_PATH.exec(origin.replace(/^vm-data /, ""))?.[1] ?? "";
}

/**
 * Policies in xenstore, where xapi's toolstack keeps each VIF's record and only dom0 may write:
 *
 *     /xapi/<vm uuid>/private/vif/<devid>/…      what the VIF may do (xapi-vif.ts)
 *     /local/domain/<domid>/vm = /vm/<vm uuid>   which domain that VM is now: vif<domid>.<devid>
 *     /xapi/<vm uuid>/hotplug/<domid>/           the same, also while a VM migrates to its own host
 *
 * The toolstack rewrites a record key by key, so what it writes is read once it pauses; what is
 * half-written even then is refused, and the record's last good policy stays.
 */
import { type Xenstore, XenstoreError, type XenstoreOptions } from "../host/xenstore.ts";
import { ParseError } from "../net/parse-error.ts";
import { KeptDocuments, type KeptDocumentsOptions } from "./kept-documents.ts";
import { PausedReading } from "./paused-reading.ts";
import {
  type PlugHint,
  type PolicySnapshot,
  type PolicySource,
  type PolicySubject,
  subjectOf,
} from "./source.ts";
import { readXapiVif, type XapiFields } from "./xapi-vif.ts";
import { readDomainIds, readVm, type XenDomains } from "./xen-domains.ts";
import {
  domainIdOf,
  groupByPath,
  nameText,
  ORIGIN,
  originOf,
  VIF_NAME,
  type VifName,
} from "./xenstore-origin.ts";
import {
  pathOf,
  RECORD_PATH,
  readFields,
  recordOf,
  VM_UUID,
  type XenstoreRecord,
} from "./xenstore-record.ts";

export type ConnectXenstore = (
  options: Pick<XenstoreOptions, "watches" | "onChange" | "onFailure">,
) => Xenstore;

export type XenstoreSourceOptions = KeptDocumentsOptions & { readonly connect: ConnectXenstore };

const INTRODUCE = "@introduceDomain";
const RELEASE = "@releaseDomain";
const HOTPLUG_PATH = new RegExp(`^/xapi/${VM_UUID}/hotplug/`, "i");
/** Requests of so many records are under way at a time. */
const CONCURRENT_RECORD_COUNT = 8;

export async function openXenstoreSource(options: XenstoreSourceOptions): Promise<XenstoreSource> {
  const kept = new KeptDocuments(options);
  await kept.restore();
  return new XenstoreSource(options, kept);
}

export class XenstoreSource implements PolicySource {
  readonly name = "xenstore";
  readonly trust = "xenstore";
  readonly #kept: KeptDocuments;
  readonly #store: Xenstore;
  readonly #reading: PausedReading<string>;
  /** Domains that a hotplug script has named, by VM: xenstore may not say so yet. */
  readonly #hinted = new Map<string, Set<number>>();
  /** As they were read last, so that a domain's start or end reads no record again. */
  readonly #fields = new Map<string, XapiFields>();
  /** Resolved once the connection is there, or cannot be made. */
  readonly #firstOutcome: Promise<void>;
  #tellFirstOutcome: () => void = () => {};
  #domains: XenDomains = new Map();
  /** Of what is kept, as a reading begins. */
  #originsByPath: ReadonlyMap<string, readonly string[]> = new Map();

  constructor({ connect }: XenstoreSourceOptions, kept: KeptDocuments) {
    this.#kept = kept;
    this.#reading = new PausedReading((parts) => this.#read(parts));
    this.#firstOutcome = new Promise((resolve) => {
      this.#tellFirstOutcome = resolve;
    });
    this.#store = connect({
      watches: ["/xapi", INTRODUCE, RELEASE],
      onChange: (path) => this.#onChange(path),
      onFailure: (error) => this.#fail(error),
    });
  }

  snapshot(): PolicySnapshot {
    return this.#kept.snapshot();
  }

  async refresh(hint?: PlugHint): Promise<void> {
    await this.#firstOutcome;
    if (hint === undefined) {
      await this.#reading.now(null);
      return;
    }
    const [, domainId, devid] = VIF_NAME.exec(hint.vif) ?? [];
    const vm = domainId === undefined ? null : await this.#vmOf(hint, domainId);
    if (vm === null) {
      // No VIF of Xen's, or of no VM that xapi knows: what is waiting to be read is all there is.
      await this.#reading.flush();
      return;
    }
    this.#hinted.set(vm, (this.#hinted.get(vm) ?? new Set()).add(Number(domainId)));
    await this.#reading.now(pathOf({ vm, devid: hint.devid ?? Number(devid) }));
  }

  async reload(): Promise<void> {
    await this.#firstOutcome;
    await this.#reading.now(null);
    if (this.#store.connected) {
      this.#dropAbsent();
    }
  }

  forget(subject: PolicySubject): void {
    const domainId = Number(VIF_NAME.exec(subject.replace(/^vif /, ""))?.[1]);
    for (const domainIds of this.#hinted.values()) {
      domainIds.delete(domainId);
    }
    this.#kept.forget(subject);
  }

  onChange(listener: () => void): () => void {
    return this.#kept.onChange(listener);
  }

  close(): void {
    this.#reading.close();
    this.#store.close();
  }

  #onChange(path: string | null): void {
    this.#tellFirstOutcome();
    // A guest's start and end, and the marks that hotplug scripts leave, say which domain is whose.
    const record = path === null ? null : RECORD_PATH.exec(path);
    if (record !== null) {
      const [, vm = "", devid] = record;
      this.#reading.soon(pathOf({ vm: vm.toLowerCase(), devid: Number(devid) }));
    } else if (path === null) {
      this.#reading.soon(null);
    } else if (path === RELEASE || path === INTRODUCE) {
      this.#reading.soon(path);
    } else if (HOTPLUG_PATH.test(path)) {
      this.#reading.soon(INTRODUCE);
    } else {
      // Of a whole tree that is removed its top is told only.
      for (const known of this.#fields.keys()) {
        if (known.startsWith(`${path}/`)) {
          this.#reading.soon(known);
        }
      }
    }
  }

  async #vmOf(hint: PlugHint, domainId: string): Promise<string | null> {
    if (hint.vm !== undefined) {
      return hint.vm.toLowerCase();
    }
    try {
      return this.#store.connected ? await readVm(this.#store, domainId) : null;
    } catch (error) {
      if (!(error instanceof XenstoreError)) {
        throw error;
      }
      this.#fail(error);
      return null;
    }
  }

  #fail(error: XenstoreError): void {
    this.#tellFirstOutcome();
    // A host without Xen has no xenstored, and nothing is wrong with that.
    if (error.reason === "no-store" && this.#kept.origins().length === 0) {
      this.#kept.drop(ORIGIN);
    } else {
      this.#kept.refuse(ORIGIN, `xenstore cannot be read: ${error.message}`);
    }
    this.#kept.settle();
  }

  /** @param parts paths of records, and what has happened to domains; null: anything */
  async #read(parts: ReadonlySet<string> | null): Promise<void> {
    if (!this.#store.connected) {
      // Why has been told; everything is read when it is there again.
      return;
    }
    const areDomainsNew = parts === null || parts.has(RELEASE) || parts.has(INTRODUCE);
    this.#originsByPath = groupByPath(this.#kept.origins());
    try {
      if (areDomainsNew) {
        this.#domains = await readDomainIds(this.#store);
      }
      const paths = parts === null ? null : [...parts].filter((part) => RECORD_PATH.test(part));
      await this.#readRecords(paths === null ? await this.#listRecords() : paths.map(recordOf));
      for (const path of areDomainsNew || paths === null ? this.#fields.keys() : paths) {
        this.#putRecord(recordOf(path), this.#fields.get(path));
      }
      if (areDomainsNew) {
        // After a reconnect one that is not there may be xenstored's loss, and no domain's end.
        this.#noteEndedDomains({ drop: parts?.has(RELEASE) ?? false });
      }
      this.#kept.drop(ORIGIN);
      this.#kept.settle();
    } catch (error) {
      if (!(error instanceof XenstoreError)) {
        throw error;
      }
      this.#fail(error);
    }
  }

  async #listRecords(): Promise<readonly XenstoreRecord[]> {
    const names = (await this.#store.list("/xapi")) ?? [];
    const vms = names.filter((name) => new RegExp(`^${VM_UUID}$`, "i").test(name));
    const records = await Promise.all(
      vms.map(async (vm) => {
        const devids = (await this.#store.list(`/xapi/${vm}/private/vif`)) ?? [];
        return devids
          .filter((devid) => /^\d{1,5}$/.test(devid))
          .map((devid) => ({ vm: vm.toLowerCase(), devid: Number(devid) }));
      }),
    );
    const listed = records.flat();
    const paths = new Set(listed.map(pathOf));
    // Records that were there are read too, to be noted as gone.
    const former = [...this.#originsByPath.keys()]
      .filter((path) => !paths.has(path) && RECORD_PATH.test(path))
      .map(recordOf);
    return [...listed, ...former];
  }

  async #readRecords(records: readonly XenstoreRecord[]): Promise<void> {
    for (let first = 0; first < records.length; first += CONCURRENT_RECORD_COUNT) {
      const some = records.slice(first, first + CONCURRENT_RECORD_COUNT);
      await Promise.all(some.map((record) => this.#readRecord(record)));
    }
  }

  async #readRecord(record: XenstoreRecord): Promise<void> {
    const path = pathOf(record);
    try {
      const fields = await this.#store.transact((reader) => readFields(reader, path));
      if (fields !== null) {
        this.#fields.set(path, fields);
        return;
      }
      this.#fields.delete(path);
      for (const origin of this.#originsOf(path)) {
        this.#kept.vanish(origin, `${origin} has gone: what it said stays in force`);
      }
    } catch (error) {
      this.#fields.delete(path);
      this.#refuse(path, error);
    }
  }

  #putRecord({ vm, devid }: XenstoreRecord, fields: XapiFields | undefined): void {
    if (fields === undefined) {
      return;
    }
    const path = pathOf({ vm, devid });
    try {
      const documents = this.#namesOf({ vm, devid }, fields).map(
        (name) =>
          [originOf(path, nameText(name)), readXapiVif({ name, vm, devid, fields })] as const,
      );
      for (const [origin, policy] of documents) {
        this.#kept.put(origin, { kind: "vif", policy });
        // What was kept of an ended domain is not for the next one of that number.
        this.#kept.forget(subjectOf({ kind: "vif", policy }));
      }
      const wanted = new Set(documents.map(([origin]) => origin));
      for (const origin of this.#originsOf(path)) {
        if (!wanted.has(origin) && domainIdOf(origin) === null) {
          this.#kept.drop(origin);
        }
      }
    } catch (error) {
      this.#refuse(path, error);
    }
  }

  /** One for each domain that the VM is; the VIF's own id while it is none. */
  #namesOf({ vm, devid }: XenstoreRecord, fields: XapiFields): readonly VifName[] {
    const ids = [...(this.#domains.get(vm) ?? []), ...(this.#hinted.get(vm) ?? [])];
    const ifaceId = fields.get("vif-uuid")?.text;
    if (ids.length === 0) {
      return ifaceId === undefined ? [] : [{ ifaceId }];
    }
    return [...new Set(ids)].map((domainId) => ({ vif: `vif${domainId}.${devid}` }));
  }

  #refuse(path: string, error: unknown): void {
    if (!(error instanceof ParseError)) {
      throw error;
    }
    const origins = this.#originsOf(path);
    const { vm, devid } = recordOf(path);
    const message = `${ORIGIN} ${path}: ${error.message}`;
    for (const origin of origins.length > 0 ? origins : [originOf(path, `${vm} ${devid}`)]) {
      this.#kept.refuse(origin, message);
    }
  }

  #noteEndedDomains({ drop }: { readonly drop: boolean }): void {
    for (const { origin, ...document } of this.#kept.snapshot().documents) {
      const domainId = domainIdOf(origin);
      const vm = (document.kind === "vif" && document.policy.vm) || "";
      const lives =
        domainId === null ||
        this.#domains.get(vm)?.has(domainId) ||
        this.#hinted.get(vm)?.has(domainId);
      if (lives) {
        continue;
      }
      if (drop) {
        this.#kept.drop(origin);
      } else {
        this.#kept.vanish(origin, `${origin} has gone: what it said stays in force`);
      }
    }
  }

  #dropAbsent(): void {
    for (const document of this.#kept.snapshot().documents) {
      this.#kept.forget(subjectOf(document));
    }
  }

  #originsOf(path: string): readonly string[] {
    return this.#originsByPath.get(path) ?? [];
  }
}

/**
 * Where policies come from besides `vn` and the API: opened before anything is decided, so that a
 * daemon that was started again has the policies it had.
 */
import { openXenstore } from "../host/xenstore-client.ts";
import { openFileSource } from "../metadata/file-source.ts";
import { GuestSource } from "../metadata/guest-source.ts";
import { type KeptDocumentsOptions, readKeptDocuments } from "../metadata/kept-documents.ts";
import { type LibvirtSource, openLibvirtSource } from "../metadata/libvirt-source.ts";
import type { PolicySource, SourcedDocument } from "../metadata/source.ts";
import { openXenopsdSource } from "../metadata/xenopsd-source.ts";
import { openXenstoreSource } from "../metadata/xenstore-source.ts";
import type { Config } from "./config.ts";
import { DurableDocument, refusedDocument } from "./durable-document.ts";
import type { Log } from "./log.ts";

export type VifSources = {
  readonly all: readonly PolicySource[];
  /** Told what libvirt's hook was given. */
  readonly libvirt: LibvirtSource;
};

const KEPT_SCHEMA_VERSION = 1;
const ADVICE = "repair it, or move it away to forget what that source said last";

/** @throws StateFileError when what was kept is there and cannot be read whole */
export async function openVifSources(
  config: Pick<Config, "stateDirectory" | "policyDirectory" | "trustVmData">,
  log: Log,
): Promise<VifSources> {
  const kept = (source: string): KeptDocumentsOptions => ({
    store: keptStore(config.stateDirectory, source),
    onFailure: (error) => log.error({ err: error, source }, "cannot keep what a source said"),
  });
  const files = await openFileSource({ directory: config.policyDirectory, ...kept("files") });
  // xenstore says at once what has changed, so it is in force before xenopsd's copy of the same.
  const xenstore = await openXenstoreSource({ connect: openXenstore, ...kept("xenstore") });
  const xenopsd = await openXenopsdSource(kept("xenopsd"));
  const libvirt = await openLibvirtSource(kept("libvirt"));
  const guests = config.trustVmData ? [new GuestSource(openXenstore)] : [];
  return { all: [files, xenstore, xenopsd, libvirt, ...guests], libvirt };
}

/** `policies-SOURCE.json`: what it said last, in force until it says something else. */
function keptStore(stateDirectory: string, source: string): DurableDocument<SourcedDocuments> {
  return new DurableDocument<SourcedDocuments>(stateDirectory, {
    fileName: `policies-${source}.json`,
    empty: [],
    parse: parseKept,
    format: (documents) => `${JSON.stringify({ schema: KEPT_SCHEMA_VERSION, documents })}\n`,
  });
}

type SourcedDocuments = readonly SourcedDocument[];

function parseKept(text: string, path: string): SourcedDocuments {
  try {
    const { schema, documents } = JSON.parse(text) as { schema?: unknown; documents?: unknown };
    if (schema !== KEPT_SCHEMA_VERSION) {
      throw new Error(`its schema version is ${JSON.stringify(schema) ?? "missing"}`);
    }
    return readKeptDocuments(documents);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw refusedDocument(path, { why, advice: ADVICE, cause });
  }
}

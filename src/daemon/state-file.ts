/** The desired state of this host: its vnets, peers and pinned vifs, one JSON document. */
import { z } from "zod";
import { parseInterfaceName } from "../net/interface-name.ts";
import { parseIpAddress } from "../net/ip-address.ts";
import { parseMacAddress } from "../net/mac-address.ts";
import { parseVnetId } from "../net/vnet-id.ts";
import { type DesiredState, EMPTY_DESIRED_STATE } from "../vnet/desired-state.ts";
import { parseVnetSecurity, parseVnetSuite } from "../vnet/vnet-security.ts";
import { DurableDocument, refusedDocument } from "./durable-document.ts";
import { reading } from "./zod-reading.ts";

/** Raised with every change that an older version could not read. */
export const STATE_SCHEMA_VERSION = 1;

const vnetId = z.string().transform(reading(parseVnetId));
const interfaceName = z.string().transform(reading(parseInterfaceName));
const macAddress = z.string().transform(reading(parseMacAddress));
const ipAddress = z.string().transform(reading(parseIpAddress));

const vnetSchema = z
  .strictObject({
    id: vnetId,
    vnetif: interfaceName,
    bridge: interfaceName.nullable(),
    ovs: z.boolean(),
    security: z.string().transform(reading(parseVnetSecurity)),
    // Left out before there were secure vnets.
    suite: z.string().transform(reading(parseVnetSuite)).nullable().default(null),
    mtu: z.int(),
    encapsulation: z.enum(["udp", "etherip"]),
  })
  .refine(({ security, suite }) => (security === "none") === (suite === null), {
    message: "security and suite do not fit",
  });

const peerSchema = z.strictObject({
  endpoint: z.strictObject({
    /** Of a peer with a name: the address that the name had last. */
    address: ipAddress,
    udpPort: z.int().min(1).max(65_535),
  }),
  name: z.string().min(1).nullable(),
});

const stateSchema = z.strictObject({
  schema: z.literal(STATE_SCHEMA_VERSION),
  vnets: z.array(vnetSchema),
  peers: z.array(peerSchema),
  pinnedVifs: z.array(z.strictObject({ vnet: vnetId, mac: macAddress })),
  multicastGroup: ipAddress.nullable(),
});

const ADVICE = "repair it, or move it away to start without vnets";

export class StateFile extends DurableDocument<DesiredState> {
  constructor(stateDirectory: string) {
    super(stateDirectory, {
      fileName: "state.json",
      empty: EMPTY_DESIRED_STATE,
      parse: parseState,
      format: formatState,
    });
  }
}

/** @throws StateFileError naming `path` */
export function parseState(text: string, path: string): DesiredState {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw refusedDocument(path, { why: "it is not whole JSON", advice: ADVICE, cause });
  }
  const version =
    typeof document === "object" && document !== null && "schema" in document
      ? document.schema
      : undefined;
  if (version !== STATE_SCHEMA_VERSION) {
    const found = version === undefined ? "it has no schema version" : `its schema version is`;
    const shown = version === undefined ? "" : ` ${JSON.stringify(version)}`;
    const why = `${found}${shown}, this vnetd reads version ${STATE_SCHEMA_VERSION}`;
    throw refusedDocument(path, { why, advice: ADVICE });
  }
  const parsed = stateSchema.safeParse(document);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const why = `at ${issue?.path.join(".") || "its top"}: ${issue?.message}`;
    throw refusedDocument(path, { why, advice: ADVICE });
  }
  const { schema, ...state } = parsed.data;
  return state;
}

export function formatState(state: DesiredState): string {
  return `${JSON.stringify({ schema: STATE_SCHEMA_VERSION, ...state }, null, 1)}\n`;
}

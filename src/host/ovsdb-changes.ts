/** The changes we make to Open vSwitch's database, as operations of a transaction (RFC 7047 §5.2). */
import type { OvsdbOperation } from "./ovsdb-session.ts";
import type {
  NewPort,
  PortChanges,
  StringChanges,
  StringEntries,
  VlanSettings,
} from "./switch-database.ts";

/** 1.0 alone has the no-flood flag, 1.4 has bundles. */
const PROTOCOLS_NEEDED = ["OpenFlow10", "OpenFlow14"];
/** What stands for "those that are enabled by themselves", of which 1.4 is one since 2.8 only. */
const PROTOCOLS_ALL = ["OpenFlow10", "OpenFlow11", "OpenFlow12", "OpenFlow13", "OpenFlow14"];

/** Asks ovs-vswitchd to say when it has applied the database; the number is in its row. */
export const REQUEST_CONFIGURATION: readonly OvsdbOperation[] = [
  { op: "mutate", table: "Open_vSwitch", where: [], mutations: [["next_cfg", "+=", 1]] },
  { op: "select", table: "Open_vSwitch", where: [], columns: ["next_cfg"] },
];

/** The row must still be there: a change of what is not would pass without an error. */
function requireRow(table: string, uuid: string, name: string): OvsdbOperation {
  const where = whereRow(uuid);
  const [columns, rows] = [["name"], [{ name }]];
  return { op: "wait", timeout: 0, table, where, columns, until: "==", rows };
}

export function protocolsMissing(protocols: readonly string[]): readonly string[] {
  if (protocols.length === 0) {
    return PROTOCOLS_ALL;
  }
  return PROTOCOLS_NEEDED.filter((protocol) => !protocols.includes(protocol));
}

export function adoptBridgeOperations(
  bridge: { readonly uuid: string; readonly name: string },
  { protocols, secure }: { readonly protocols: readonly string[]; readonly secure: boolean },
): readonly OvsdbOperation[] {
  const where = whereRow(bridge.uuid);
  const operations = [requireRow("Bridge", bridge.uuid, bridge.name)];
  if (protocols.length > 0) {
    const mutations = [["protocols", "insert", setOf(protocols)]];
    operations.push({ op: "mutate", table: "Bridge", where, mutations });
  }
  if (secure) {
    operations.push({ op: "update", table: "Bridge", where, row: { fail_mode: "secure" } });
  }
  return operations;
}

export function addPortOperations(
  bridge: { readonly uuid: string; readonly name: string },
  port: NewPort,
): readonly OvsdbOperation[] {
  const { name, ofportRequest, type = "", options = {}, externalIds = {} } = port;
  return [
    requireRow("Bridge", bridge.uuid, bridge.name),
    {
      op: "insert",
      table: "Interface",
      "uuid-name": "new_interface",
      row: {
        name,
        type,
        options: mapOf(options),
        external_ids: mapOf(externalIds),
        ...(ofportRequest === undefined ? {} : { ofport_request: ofportRequest }),
      },
    },
    {
      op: "insert",
      table: "Port",
      "uuid-name": "new_port",
      row: { name, interfaces: ["named-uuid", "new_interface"], ...vlanColumns(port.vlan) },
    },
    {
      op: "mutate",
      table: "Bridge",
      where: whereRow(bridge.uuid),
      mutations: [["ports", "insert", ["set", [["named-uuid", "new_port"]]]]],
    },
  ];
}

/** The rows of the port and of its interfaces go with it, because nothing refers to them any more. */
export function deletePortOperations(
  bridgeUuid: string,
  port: { readonly uuid: string; readonly name: string },
): readonly OvsdbOperation[] {
  return [
    {
      op: "mutate",
      table: "Bridge",
      where: whereRow(bridgeUuid),
      mutations: [["ports", "delete", ["set", [["uuid", port.uuid]]]]],
    },
  ];
}

export function changePortOperations(
  port: { readonly uuid: string; readonly interfaceUuid: string; readonly name: string },
  { vlan, ofportRequest, externalIds }: PortChanges,
): readonly OvsdbOperation[] {
  const operations = [requireRow("Port", port.uuid, port.name)];
  if (vlan !== undefined) {
    const where = whereRow(port.uuid);
    operations.push({ op: "update", table: "Port", where, row: vlanColumns(vlan) });
  }
  const where = whereRow(port.interfaceUuid);
  if (ofportRequest !== undefined) {
    const row = { ofport_request: ofportRequest ?? setOf([]) };
    operations.push({ op: "update", table: "Interface", where, row });
  }
  if (externalIds !== undefined) {
    const mutations = mapMutations("external_ids", externalIds);
    operations.push({ op: "mutate", table: "Interface", where, mutations });
  }
  return operations;
}

/** An insertion passes over keys that are there, so all are deleted first. */
function mapMutations(column: string, changes: StringChanges): readonly unknown[] {
  const kept = Object.entries(changes).filter(([, value]) => value !== null);
  return [
    [column, "delete", setOf(Object.keys(changes))],
    [column, "insert", ["map", kept]],
  ];
}

function vlanColumns(vlan: VlanSettings | undefined): OvsdbOperation {
  if (vlan === undefined) {
    return {};
  }
  const { tag, vlanMode, trunks } = vlan;
  return { tag: tag ?? setOf([]), vlan_mode: vlanMode ?? setOf([]), trunks: setOf(trunks) };
}

function whereRow(uuid: string): readonly unknown[] {
  return [["_uuid", "==", ["uuid", uuid]]];
}

function setOf(elements: readonly unknown[]): readonly unknown[] {
  return ["set", elements];
}

function mapOf(entries: StringEntries): readonly unknown[] {
  return ["map", Object.entries(entries)];
}

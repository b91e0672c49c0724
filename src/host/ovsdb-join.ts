/** Joins the rows of the database into the view that others see. */
import { type MacAddress, parseMacAddress } from "../net/mac-address.ts";
import type { Row } from "./ovsdb-columns.ts";
import type { OpenedDevices } from "./ovsdb-devices.ts";
import type { OvsdbTables } from "./ovsdb-rows.ts";
import type {
  SwitchBridge,
  SwitchInterface,
  SwitchPort,
  SwitchView,
  VlanMode,
} from "./switch-view.ts";

/** What `OvsdbRows` has. */
type JoinedRows = { readonly tables: OvsdbTables; readonly devices: OpenedDevices };

/** A row that is referred to but not there is left out: it is deleted in the same transaction. */
export function joinRows({ tables, devices }: JoinedRows): SwitchView {
  const bridges = new Map<string, SwitchBridge>();
  const ports = new Map<string, SwitchPort>();
  const interfaces = new Map<string, SwitchInterface>();
  for (const row of tables.Bridge.values()) {
    const bridge = bridgeOf(row, { tables, devices });
    bridges.set(bridge.name, bridge);
    for (const port of bridge.ports) {
      ports.set(port.name, port);
      for (const one of port.interfaces) {
        interfaces.set(one.name, one);
      }
    }
  }
  const [root] = tables.Open_vSwitch.values();
  return {
    bridges,
    ports,
    interfaces,
    ovsVersion: root?.ovs_version ?? null,
    otherConfig: root?.other_config ?? new Map(),
    externalIds: root?.external_ids ?? new Map(),
  };
}

function bridgeOf(row: Row<"Bridge">, rows: JoinedRows): SwitchBridge {
  return {
    name: row.name,
    ports: row.ports.flatMap((uuid) => {
      const port = rows.tables.Port.get(uuid);
      return port === undefined ? [] : [portOf(port, row.name, rows)];
    }),
    protocols: row.protocols,
    failMode: row.fail_mode === "standalone" || row.fail_mode === "secure" ? row.fail_mode : null,
    datapathType: row.datapath_type,
    controllerCount: row.controller.length,
    externalIds: row.external_ids,
    otherConfig: row.other_config,
  };
}

function portOf(row: Row<"Port">, bridge: string, { tables, devices }: JoinedRows): SwitchPort {
  return {
    name: row.name,
    bridge,
    interfaces: row.interfaces.flatMap((uuid) => {
      const one = tables.Interface.get(uuid);
      const owner = { port: row.name, bridge };
      return one === undefined ? [] : [interfaceOf(one, owner, devices.indexOf(uuid, one))];
    }),
    tag: row.tag,
    vlanMode: oneOf(VLAN_MODES, row.vlan_mode),
    trunks: row.trunks,
    bondMode: oneOf(BOND_MODES, row.bond_mode),
    bondActiveMac: macOf(row.bond_active_slave),
    fakeBridge: row.fake_bridge,
    externalIds: row.external_ids,
  };
}

const VLAN_MODES: readonly VlanMode[] = [
  "trunk",
  "access",
  "native-tagged",
  "native-untagged",
  "dot1q-tunnel",
];
const BOND_MODES = ["balance-tcp", "balance-slb", "active-backup"] as const;

function interfaceOf(
  row: Row<"Interface">,
  { port, bridge }: { readonly port: string; readonly bridge: string },
  ifindex: number | null,
): SwitchInterface {
  const { ofport } = row;
  // What could not be opened has -1; a number above 65,279 is none of a port.
  const failed = ofport !== null && (ofport < 1 || ofport > OFPORT_MAX) && ofport !== OFPORT_LOCAL;
  return {
    name: row.name,
    port,
    bridge,
    type: row.type,
    options: row.options,
    ofport: failed ? null : ofport,
    error: row.error ?? (failed ? "ovs-vswitchd could not open it" : null),
    ofportRequest: row.ofport_request,
    ifindex,
    mac: macOf(row.mac_in_use),
    linkUp: row.link_state === null ? null : row.link_state === "up",
    externalIds: row.external_ids,
  };
}

const OFPORT_MAX = 0xfeff;
const OFPORT_LOCAL = 0xfffe;

function oneOf<T extends string>(all: readonly T[], text: string | null): T | null {
  return all.find((one) => one === text) ?? null;
}

/** Empty, or what is no MAC address, means that there is none. */
function macOf(text: string | null): MacAddress | null {
  if (text === null || text === "") {
    return null;
  }
  try {
    return parseMacAddress(text);
  } catch {
    return null;
  }
}

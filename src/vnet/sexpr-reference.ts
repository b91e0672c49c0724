/** What stands in the S-expressions of vnet files and of the control protocol, for help and manual. */
import { VNET_KEYS, type VnetKey } from "./vnet-config.ts";

/** The keys of all forms. */
export type SexprKey = VnetKey | "vnet" | "vmac" | "addr" | "port";

export type KeyReference = { readonly value: string; readonly meaning: string };

export type FormReference = {
  readonly name: string;
  readonly keys: readonly SexprKey[];
  readonly needs: readonly SexprKey[];
  readonly meaning: string;
};

export const KEY_REFERENCE: Readonly<Record<SexprKey, KeyReference>> = {
  id: { value: "ID", meaning: "the vnet's id: up to eight fields of hex digits" },
  vnetif: { value: "NAME", meaning: "the vnet's interface; vnif and the last field of the id" },
  bridge: {
    value: "NAME",
    meaning:
      "the bridge of the vnet's interface, made unless it exists; in a vnet file, vnet and the last field of the id, in vnet.add none",
  },
  security: { value: "LEVEL", meaning: "what others can do, none, auth or conf; none" },
  mtu: { value: "OCTETS", meaning: "MTU of the vnet; 1500" },
  ovs: { value: "BOOLEAN", meaning: "whether the bridge is one of Open vSwitch; false" },
  encapsulation: { value: "KIND", meaning: "how frames travel, udp or etherip; udp" },
  suite: { value: "SUITE", meaning: "the suite of auth or conf; the level's own" },
  keyfile: {
    value: "PATH",
    meaning:
      "the vnet's first key, needed by auth and conf; in a vnet file it counts from the file's folder, elsewhere it is absolute",
  },
  vnet: { value: "ID", meaning: "the id of the vnet that the MAC is on" },
  vmac: { value: "MAC", meaning: "the MAC of a VM's interface" },
  addr: { value: "ADDR", meaning: "a host's address or name; of varp.mcaddr, a multicast group" },
  port: { value: "PORT", meaning: "UDP port of that host; 1798" },
};

/** What a vnet file has one or more of. */
export const VNET_REFERENCE: FormReference = {
  ...{ name: "vnet", keys: VNET_KEYS, needs: ["id"] },
  meaning: "a vnet, with a bridge in every case",
};

/**
 * `(peer.add (addr ADDR) [(port PORT)])`, what may be left out in square brackets, in lines no
 * longer than `columns`.
 */
export function formText(form: FormReference, columns: number): string {
  const lines = [`(${form.name}`];
  for (const [index, key] of form.keys.entries()) {
    const use = `(${key} ${KEY_REFERENCE[key].value})`;
    const part = form.needs.includes(key) ? use : `[${use}]`;
    const word = index === form.keys.length - 1 ? `${part})` : part;
    const line = lines.at(-1) ?? "";
    if (line.length + 1 + word.length <= columns) {
      lines[lines.length - 1] = `${line} ${word}`;
    } else {
      lines.push(`${" ".repeat(form.name.length + 1)} ${word}`);
    }
  }
  return form.keys.length === 0 ? `(${form.name})` : lines.join("\n");
}

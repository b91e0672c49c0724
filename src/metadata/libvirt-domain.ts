/**
 * A libvirt domain's network interfaces and what its metadata says about them:
 *
 *     <metadata>
 *       <vnetd:vif xmlns:vnetd="urn:vnetd:vif:1" mac="52:54:00:00:00:01" mode="isolated"
 *                  ipv4="10.0.0.10" groups="web"/>
 *     </metadata>
 *
 * An element is about the interface with its MAC; its attributes are the keys of a VIF's policy,
 * lists with commas or spaces between their entries. Bridge and VLAN are the interface's own.
 */
import { parseInterfaceName } from "../net/interface-name.ts";
import { type MacAddress, parseMacAddress } from "../net/mac-address.ts";
import { ParseError, quoteValue } from "../net/parse-error.ts";
import type { VifPolicy, VlanPolicy } from "../vifrules/policy.ts";
import { readVifPolicy } from "../vifrules/policy-document.ts";
import { parseXml, type XmlElement } from "./xml.ts";

export const VNETD_NAMESPACE = "urn:vnetd:vif:1";

export type DomainInterface = {
  readonly mac: MacAddress;
  /** The device on this host; null as long as libvirt has not made it. */
  readonly device: string | null;
  readonly bridge: string | null;
  /** `interfaceid` of an Open vSwitch port, which it has as its `iface-id`. */
  readonly ifaceId: string | null;
  /** Null: the metadata says nothing about it. */
  readonly policy: VifPolicy | null;
};

export type LibvirtDomain = {
  readonly name: string;
  readonly uuid: string;
  readonly interfaces: readonly DomainInterface[];
};

const LISTS = ["ipv4", "ipv6", "groups", "allow"] as const;
const ATTRIBUTES: readonly string[] = ["mac", "mode", "linkLocal", ...LISTS];

/**
 * @param xml what libvirt gives its hook, or `virsh dumpxml` prints
 * @throws ParseError with the interface, the key and the value
 */
export function readLibvirtDomain(xml: string): LibvirtDomain {
  const domain = parseXml(xml);
  if (domain.name !== "domain") {
    throw new ParseError(`Not a libvirt domain: <${domain.name}>`);
  }
  const uuid = textOf(domain, "uuid");
  const metadata = readMetadata(domain);
  const interfaces = childrenOf(domain, "devices")
    .flatMap((devices) => childrenOf(devices, "interface"))
    .map((element) => readInterface(element, { metadata, uuid }));
  const macs = new Set<string>(interfaces.map(({ mac }) => mac));
  const orphan = [...metadata.keys()].find((mac) => !macs.has(mac));
  if (orphan !== undefined) {
    throw new ParseError(`No interface of the domain has the MAC of <vif>: ${quoteValue(orphan)}`);
  }
  return { name: textOf(domain, "name"), uuid, interfaces };
}

/** The elements of ours, by the MAC that each is about. */
function readMetadata(domain: XmlElement): ReadonlyMap<string, XmlElement> {
  const byMac = new Map<string, XmlElement>();
  const elements = childrenOf(domain, "metadata")
    .flatMap(({ children }) => children)
    .filter(({ namespace }) => namespace === VNETD_NAMESPACE);
  for (const element of elements) {
    const { name, attributes } = element;
    const unknown = [...attributes].find(([key]) => !ATTRIBUTES.includes(key));
    if (name !== "vif" || element.children.length > 0) {
      throw new ParseError(`Not an empty element vif of ${VNETD_NAMESPACE}: <${name}>`);
    }
    if (unknown !== undefined) {
      const [key, value] = unknown;
      const known = ATTRIBUTES.join(", ");
      throw new ParseError(
        `<vif>: Unknown key ${quoteValue(key)} (one of ${known}): ${quoteValue(value)}`,
      );
    }
    const mac = readMac(attributes.get("mac"), "<vif>");
    if (byMac.has(mac)) {
      throw new ParseError(`<vif>: A second element about ${quoteValue(mac)}`);
    }
    byMac.set(mac, element);
  }
  return byMac;
}

function readInterface(
  element: XmlElement,
  { metadata, uuid }: { readonly metadata: ReadonlyMap<string, XmlElement>; readonly uuid: string },
): DomainInterface {
  const mac = readMac(attributeOf(element, "mac", "address") ?? undefined, "<interface>");
  const device = attributeOf(element, "target", "dev");
  const bridge = attributeOf(element, "source", "bridge");
  const ifaceId = childrenOf(element, "virtualport")
    .flatMap((port) => childrenOf(port, "parameters"))
    .map(({ attributes }) => attributes.get("interfaceid") ?? null)
    .find((id) => id !== null);
  const words = metadata.get(mac);
  const about = { mac, device, bridge, ifaceId: ifaceId ?? null };
  return {
    ...about,
    policy: words === undefined ? null : readPolicy(words, { ...about, element, uuid }),
  };
}

/** Null as long as nothing names the port that it is about. */
function readPolicy(
  { attributes }: XmlElement,
  interface_: Omit<DomainInterface, "policy"> & {
    readonly element: XmlElement;
    readonly uuid: string;
  },
): VifPolicy | null {
  const { mac, device, bridge, ifaceId, element, uuid } = interface_;
  const document: Record<string, unknown> = { mac, vlan: readVlan(element) };
  for (const key of ["mode", "linkLocal", ...LISTS]) {
    const value = attributes.get(key);
    if (value !== undefined) {
      document[key] = isList(key, value) ? splitList(value) : value;
    }
  }
  if (bridge === null) {
    throw new ParseError(`<vif>: The interface ${quoteValue(mac)} is on no bridge`);
  }
  // Without a name yet, read all the same: what is wrong is told before the domain starts.
  const policy = attempt(mac, () =>
    readVifPolicy({
      ...document,
      ...(ifaceId === null ? { vif: device ?? "unnamed" } : { ifaceId }),
      ...{ bridge, vm: uuid },
    }),
  );
  return ifaceId === null && device === null ? null : policy;
}

function isList(key: string, value: string): boolean {
  return key !== "mode" && (key !== "linkLocal" || (value !== "auto" && value !== "none"));
}

function splitList(value: string): readonly string[] {
  return value.split(/[\s,]+/).filter((item) => item !== "");
}

/**
 * `<vlan><tag id="10"/></vlan>`; with `trunk="yes"` the tags are those that the guest may use, and
 * the one with `nativeMode` is for its untagged frames.
 */
function readVlan(element: XmlElement): VlanPolicy {
  const [vlan] = childrenOf(element, "vlan");
  const tags = vlan === undefined ? [] : childrenOf(vlan, "tag");
  const idOf = (tag: XmlElement): number => Number(tag.attributes.get("id"));
  if (vlan?.attributes.get("trunk") !== "yes" && tags.length <= 1) {
    return { tag: tags.map(idOf)[0] ?? 0, trunks: [] };
  }
  const native = tags.find(({ attributes }) => attributes.has("nativeMode"));
  return {
    tag: native === undefined ? 0 : idOf(native),
    trunks: tags.filter((tag) => tag !== native).map(idOf),
  };
}

function readMac(text: string | undefined, where: string): MacAddress {
  if (text === undefined) {
    throw new ParseError(`${where}: Key "mac" is missing`);
  }
  return attempt(where, () => parseMacAddress(text));
}

function attempt<T>(where: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw cause instanceof ParseError
      ? new ParseError(`${where}: ${cause.message}`, { cause })
      : cause;
  }
}

function childrenOf({ children }: XmlElement, name: string): readonly XmlElement[] {
  return children.filter((child) => child.name === name && child.namespace === null);
}

function textOf(element: XmlElement, name: string): string {
  const text = childrenOf(element, name)[0]?.text.trim() ?? "";
  if (text === "") {
    throw new ParseError(`<${element.name}> has no <${name}>`);
  }
  return text;
}

/** A device or bridge that is there has a name that can be one. */
function attributeOf(element: XmlElement, child: string, name: string): string | null {
  const value = childrenOf(element, child)
    .map(({ attributes }) => attributes.get(name))
    .find((text) => text !== undefined);
  return value === undefined ? null : name === "address" ? value : parseInterfaceName(value);
}

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { readLibvirtDomain } from "../../src/metadata/libvirt-domain.ts";
import { openLibvirtSource } from "../../src/metadata/libvirt-source.ts";
import { parseXml } from "../../src/metadata/xml.ts";
import { ParseError } from "../../src/net/parse-error.ts";

const MAC = "52:54:00:00:00:01";
const UUID = "6c4a7c1e-0000-4000-8000-000000000001";
const NAMESPACE = `xmlns:vnetd="urn:vnetd:vif:1"`;

type Parts = {
  readonly metadata?: string;
  readonly target?: string;
  readonly inside?: string;
  readonly uuid?: string;
};

/** What libvirt 9.0 gives its hook at `start`, shortened. */
function domainXml({ metadata = "", target = "vnet0", inside = "", uuid = UUID }: Parts): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<!-- as libvirt writes it -->
<domain type='qemu' id='1' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>web &amp; db</name><uuid>${uuid}</uuid>
  <metadata><other:thing xmlns:other="urn:other"><vif mac="x"/></other:thing>${metadata}</metadata>
  <memory unit='KiB'>65536</memory>
  <devices>
    <interface type='bridge'>
      <mac address='${MAC}'/>
      <source bridge='br0'/>
      ${inside}
      ${target === "" ? "" : `<target dev='${target}'/>`}
      <model type='virtio'/>
    </interface>
  </devices>
  <qemu:commandline><qemu:arg value='-s'/></qemu:commandline>
</domain>
`;
}

function vif(attributes: string): string {
  return `<vnetd:vif ${NAMESPACE} mac="${MAC}" ${attributes}/>`;
}

describe("readLibvirtDomain", () => {
  test("the metadata's words are the policy of the interface with that MAC", () => {
    const metadata = vif(`mode="isolated" ipv4="10.0.0.10, 10.0.0.11" ipv6="fd00::10"
      groups="web db" linkLocal="none" allow=""`);
    const { name, interfaces } = readLibvirtDomain(domainXml({ metadata }));
    assert.equal(name, "web & db");
    assert.deepEqual(interfaces, [
      {
        ...{ mac: MAC, device: "vnet0", bridge: "br0", ifaceId: null },
        policy: {
          ...{ vif: "vnet0", bridge: "br0", mac: MAC, mode: "isolated", vm: UUID },
          ...{ ipv4: ["10.0.0.10", "10.0.0.11"], ipv6: ["fd00::10"], linkLocal: "none" },
          ...{ groups: ["web", "db"], allow: [], vlan: { tag: 0, trunks: [] } },
        },
      },
    ]);
  });

  test("an Open vSwitch port is named by its interfaceid, also before it has a device", () => {
    const inside = `<virtualport type='openvswitch'><parameters interfaceid='${UUID}'/></virtualport>
      <vlan trunk='yes'><tag id='10' nativeMode='untagged'/><tag id='11'/></vlan>`;
    const [found] = readLibvirtDomain(
      domainXml({ metadata: vif(""), inside, target: "" }),
    ).interfaces;
    assert.deepEqual([found?.policy?.ifaceId, found?.policy?.vif], [UUID, undefined]);
    assert.deepEqual(found?.policy?.vlan, { tag: 10, trunks: [11] });
  });

  test("an interface without metadata has no policy, one without a name has none yet", () => {
    assert.equal(readLibvirtDomain(domainXml({})).interfaces[0]?.policy, null);
    const nameless = domainXml({ metadata: vif(""), target: "" });
    assert.equal(readLibvirtDomain(nameless).interfaces[0]?.policy, null);
  });

  const bad: readonly [name: string, parts: Parts, message: RegExp][] = [
    ["an unknown key", { metadata: vif(`ipv5="x"`) }, /Unknown key "ipv5".*: "x"$/],
    ["a bad address", { metadata: vif(`ipv4="10.0.0.300"`) }, /"ipv4\[0\]".*"10\.0\.0\.300"/],
    ["an octal address", { metadata: vif(`ipv4="010.0.0.1"`) }, /"010\.0\.0\.1"/],
    ["a bad mode", { metadata: vif(`mode="open"`) }, /"mode".*"open"/],
    [
      "a bad key of a nameless port",
      { metadata: vif(`mode="open"`), target: "" },
      /"mode".*"open"/,
    ],
    ["the same MAC twice", { metadata: vif("") + vif("") }, /second element about/],
    [
      "a MAC of no interface",
      { metadata: `<vnetd:vif ${NAMESPACE} mac="52:54:00:00:00:02"/>` },
      /No interface.*"52:54:00:00:00:02"/,
    ],
    ["a long MAC", { metadata: `<vnetd:vif ${NAMESPACE} mac="${MAC}0"/>` }, /Not a MAC/],
    ["no MAC", { metadata: `<vnetd:vif ${NAMESPACE}/>` }, /"mac" is missing/],
    ["another element", { metadata: `<vnetd:vfi ${NAMESPACE} mac="${MAC}"/>` }, /<vfi>/],
    ["content", { metadata: `<x:vif xmlns:x="urn:vnetd:vif:1"><a/></x:vif>` }, /<vif>/],
  ];
  for (const [name, parts, message] of bad) {
    test(`${name} is refused by name`, () => {
      assert.throws(
        () => readLibvirtDomain(domainXml(parts)),
        (error) => error instanceof ParseError && message.test(error.message),
      );
    });
  }
});

describe("parseXml", () => {
  const bad: readonly [name: string, text: string, message: RegExp][] = [
    ["a document type", `<!DOCTYPE a SYSTEM "file:///etc/shadow"><a/>`, /document type/],
    ["an entity's declaration", `<!DOCTYPE a [<!ENTITY b "bb">]><a>&b;</a>`, /document type/],
    ["an unknown entity", "<a>&b;</a>", /entity/],
    ["a reference without an end", "<a>&amp</a>", /entity/],
    ["a reference to no character", "<a>&#0;</a>", /entity/],
    ["a bare ampersand", "<a>a & b</a>", /entity/],
    ["an end that is missing", "<a><b></a>", /end tag/],
    ["a root that is missing", "  ", /no element/],
    ["two roots", "<a/><b/>", /no element where/],
    ["text behind the root", "<a/>b", /text outside/],
    ["an attribute twice", `<a b="1" b="2"/>`, /attribute twice/],
    ["an attribute without quotes", "<a b=1/>", /not well-formed/],
    ["a tag in an attribute", `<a b="<"/>`, /not well-formed/],
    ["a prefix of nothing", "<x:a/>", /prefix/],
    ["a comment without an end", "<a><!-- </a>", /no end/],
    ["too deep a tree", "<a>".repeat(100), /levels/],
    ["too many elements", `<a>${"<b/>".repeat(60_000)}</a>`, /elements/],
    ["too long a text", `<a>${" ".repeat(5_000_000)}</a>`, /characters/],
  ];
  for (const [name, text, message] of bad) {
    test(`${name} is refused`, () => {
      assert.throws(
        () => parseXml(text),
        (error) => error instanceof ParseError && message.test(error.message),
      );
    });
  }

  test("prefixes are known where they are declared and below, and may be redefined", () => {
    const { children } = parseXml(
      `<a xmlns:x="urn:1"><x:b><x:c xmlns:x="urn:2"/><x:d/></x:b><e xmlns="urn:3"/></a>`,
    );
    const [b, e] = children;
    assert.deepEqual(
      [b, ...(b?.children ?? []), e].map((element) => element?.namespace),
      ["urn:1", "urn:2", "urn:1", "urn:3"],
    );
  });

  test("references, CDATA and comments make the text that was meant", () => {
    const { text } = parseXml("<a>1 &lt; &#50; <!-- no --><![CDATA[<&]]> &#x1F600;</a>");
    assert.equal(text, "1 < 2 <& 😀");
  });

  test("whatever the text, it is an element or a ParseError, in bounded time", () => {
    const pieces = ["<a", ">", "/>", "</a>", "<", "&amp;", `b="c"`, " ", "<!", "<?", "]]>", "x:"];
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.constantFrom(...pieces), fc.string())), (parts) => {
        try {
          parseXml(parts.join(""));
        } catch (error) {
          assert.ok(error instanceof ParseError, String(error));
        }
      }),
    );
  });
});

describe("LibvirtSource", () => {
  const other = UUID.replace(/1$/, "2");

  test("a domain's policies are there from its start to its end", async () => {
    const source = await openLibvirtSource({});
    source.setDomain(readLibvirtDomain(domainXml({ metadata: vif(`mode="locked"`) })));
    const [document] = source.snapshot().documents;
    assert.deepEqual([document?.kind, document?.origin], ["vif", `libvirt domain ${UUID} ${MAC}`]);
    source.endDomain(UUID);
    assert.deepEqual(source.snapshot().documents, []);
  });

  test("a device's next domain does not inherit, even if the end of the last was not heard", async () => {
    const source = await openLibvirtSource({});
    source.setDomain(readLibvirtDomain(domainXml({ metadata: vif(`mode="unlocked"`) })));
    source.setDomain(readLibvirtDomain(domainXml({ uuid: other })));
    assert.deepEqual(source.snapshot().documents, []);
  });

  test("metadata that was taken away is in force no more once the domain says so", async () => {
    const source = await openLibvirtSource({});
    source.setDomain(readLibvirtDomain(domainXml({ metadata: vif("") })));
    source.setDomain(readLibvirtDomain(domainXml({ metadata: "" })));
    assert.deepEqual(source.snapshot().documents, []);
  });
});

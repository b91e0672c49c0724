/**
 * Our hook in a real libvirtd: a guest without a disk, whose network ROM asks for an address as
 * soon as it runs, and what the wire sees of that.
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { HotplugHost } from "../hotplug-host.ts";
import { SKIP_REASON } from "../lab.ts";
import { eventually } from "../wait.ts";
import { LibvirtHost, libvirtIsMissing } from "./libvirt-host.ts";

const MAC = "52:54:00:00:00:05";
const UUID = "6c4a7c1e-0000-4000-8000-000000000001";
/** The emulated guest needs seconds to its first frame. */
const ROM_WITHIN_MS = 60_000;

describe("libvirt-qemu-hook in a real libvirtd", {
  skip: SKIP_REASON || libvirtIsMissing(),
}, () => {
  let there: HotplugHost;
  let libvirt: LibvirtHost;

  before(async () => {
    there = await HotplugHost.create();
    there.writePolicy("networks/net.json", { bridge: "br0", uplinks: ["uplink"] });
    await there.startDaemon();
    libvirt = await LibvirtHost.start(there);
  });
  after(async () => {
    await there?.close();
  });
  afterEach(async () => {
    await libvirt.virsh("destroy", "vnt-guest");
  });

  function domainXml(attributes: string | null): string {
    const vif = `<vnetd:vif xmlns:vnetd="urn:vnetd:vif:1" mac="${MAC}" ${attributes}/>`;
    return `<domain type='qemu'>
  <name>vnt-guest</name><uuid>${UUID}</uuid>
  <metadata>${attributes === null ? "" : vif}</metadata>
  <memory unit='MiB'>64</memory><vcpu>1</vcpu>
  <features><acpi/></features>
  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='network'/></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>
    <interface type='bridge'>
      <mac address='${MAC}'/><source bridge='br0'/><virtualport type='openvswitch'/>
      <target dev='tap5'/><model type='e1000'/>
    </interface>
    <memballoon model='none'/>
  </devices>
</domain>`;
  }

  async function create(attributes: string | null) {
    const file = join(there.lab.folder, "domain.xml");
    writeFileSync(file, domainXml(attributes));
    return await libvirt.virsh("create", file);
  }

  /** A question for an address by DHCP (RFC 2131 §4.1) that the guest has sent. */
  const heard = (): number =>
    there.wire.matching(
      (frame) =>
        frame.subarray(6, 12).toString("hex") === MAC.replaceAll(":", "") &&
        frame.readUInt16BE(12) === 0x0800 &&
        frame.readUInt16BE(36) === 67,
    ).length;

  /** The frames that the guest has sent so far, whatever became of them. */
  async function sentCount(): Promise<number> {
    const file = "/sys/class/net/tap5/statistics/rx_packets";
    return Number(await there.lab.in(there.host.namespace, "cat", file));
  }

  /** What becomes of a frame that the guest of `device` sends, as the switch itself tells. */
  function trace(device: string, fields: string): string {
    const port = there.switch.vsctl("get", "interface", device, "ofport").trim();
    const text = there.switch.appctl("ofproto/trace", "br0", `in_port=${port},${fields}`);
    return /Datapath actions: (.*)/.exec(text)?.[1] ?? text;
  }

  test("a locked guest asks for its address, and can use no other", async () => {
    there.wire.clear();
    const { status, stderr } = await create(`mode="locked" ipv4="10.0.0.5"`);
    assert.equal(status, 0, stderr);
    const arp = "arp,dl_dst=ff:ff:ff:ff:ff:ff,arp_op=1,arp_tpa=10.0.0.1";
    const from = (mac: string, ip: string) => `${arp},dl_src=${mac},arp_sha=${mac},arp_spa=${ip}`;
    assert.notEqual(trace("tap5", from(MAC, "10.0.0.5")), "drop");
    assert.equal(trace("tap5", from(MAC, "10.0.0.6")), "drop");
    assert.equal(trace("tap5", from("52:54:00:00:00:06", "10.0.0.5")), "drop");
    await eventually("the guest asks for an address", () => heard() > 0, ROM_WITHIN_MS);
    assert.equal((await libvirt.virsh("destroy", "vnt-guest")).status, 0);
    await eventually("the policy has ended with the domain", async () => {
      const { stdout } = await there.host.tryVn("vif-show", "--json");
      return !stdout.includes(MAC);
    });
  });

  for (const [name, attributes] of [
    ["disabled", `mode="disabled"`],
    ["of which the metadata says nothing", null],
  ] as const) {
    test(`nothing of a guest ${name} gets onto the wire`, async () => {
      there.wire.clear();
      const { status, stderr } = await create(attributes);
      assert.equal(status, 0, stderr);
      await eventually("the guest sends", async () => (await sentCount()) > 1, ROM_WITHIN_MS);
      assert.equal(heard(), 0);
    });
  }

  test("a guest with a malformed policy does not start, and the message says why", async () => {
    const { status, stderr } = await create(`mode="locked" ipv4="10.0.0.300"`);
    assert.equal(status, 1);
    assert.match(stderr, /"ipv4\[0\]".*10\.0\.0\.300/);
    assert.equal(there.ports().includes("tap5"), false);
  });

  test("a NIC that is plugged into a running guest is silent until it has a policy", async () => {
    assert.equal((await create(`mode="locked" ipv4="10.0.0.5"`)).status, 0);
    const other = "52:54:00:00:00:07";
    const file = join(there.lab.folder, "nic.xml");
    writeFileSync(
      file,
      `<interface type='bridge'><mac address='${other}'/><source bridge='br0'/>
        <virtualport type='openvswitch'/><target dev='tap7'/><model type='e1000'/></interface>`,
    );
    const attached = await libvirt.virsh("attach-device", "vnt-guest", file, "--live");
    assert.equal(attached.status, 0, attached.stderr);
    const frame = `arp,dl_dst=ff:ff:ff:ff:ff:ff,dl_src=${other},arp_sha=${other},arp_op=1`;
    const ask = `${frame},arp_spa=10.0.0.7,arp_tpa=10.0.0.1`;
    assert.equal(trace("tap7", ask), "drop");
    const shown = await there.host.vnJson<{ state: string }[]>("vif-show", "tap7", "--json");
    assert.equal(shown[0]?.state, "quarantine");
    await there.host.vn(
      ...["vif-set", "tap7", "--bridge", "br0", "--mac", other, "--ip4", "10.0.0.7"],
    );
    assert.notEqual(trace("tap7", ask), "drop");
    assert.equal(trace("tap7", ask.replace("10.0.0.7", "10.0.0.5")), "drop");
    await there.host.vn("vif-clear", "tap7");
  });

  test("with the daemon down no guest starts; one that runs survives libvirtd's restart", async () => {
    assert.equal((await create(`mode="locked" ipv4="10.0.0.5"`)).status, 0);
    await there.host.stop();
    await libvirt.stop();
    libvirt = await LibvirtHost.start(there);
    const { stdout } = await libvirt.virsh("domstate", "vnt-guest");
    assert.match(stdout, /running/);
    assert.equal((await libvirt.virsh("destroy", "vnt-guest")).status, 0);
    const { status, stderr } = await create(`mode="locked" ipv4="10.0.0.5"`);
    assert.equal(status, 1);
    assert.match(stderr, /cannot reach vnetd/);
    await there.startDaemon();
  });
});

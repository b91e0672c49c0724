import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ControlError } from "../../src/control/control-error.ts";
import type { LibvirtHookCall } from "../../src/control/libvirt-api.ts";
import { LibvirtHook } from "../../src/daemon/libvirt-hook.ts";
import { KeptDocuments } from "../../src/metadata/kept-documents.ts";
import { LibvirtSource } from "../../src/metadata/libvirt-source.ts";
import { mergeSnapshots } from "../../src/metadata/merge-snapshots.ts";

const UUID = "6c4a7c1e-0000-4000-8000-000000000001";

const XML = `<domain><name>web</name><uuid>${UUID}</uuid>
<metadata><v:vif xmlns:v="urn:vnetd:vif:1" mac="52:54:00:00:00:01" ipv4="10.0.0.1"/></metadata>
<devices>
  <interface><mac address="52:54:00:00:00:01"/><source bridge="br0"/><target dev="tap1"/></interface>
  <interface><mac address="52:54:00:00:00:02"/><source bridge="br1"/><target dev="tap2"/></interface>
</devices></domain>`;

function stand() {
  const source = new LibvirtSource(new KeptDocuments());
  const plugged: string[] = [];
  const hook = new LibvirtHook({
    source,
    rules: {
      plugVif: async ({ vif, bridge, vm }) => {
        plugged.push(`${vif} ${bridge} ${vm}`);
        return null;
      },
    },
    policies: () => mergeSnapshots([{ trust: "libvirt", snapshot: source.snapshot() }]),
  });
  const call = (operation: LibvirtHookCall["operation"], xml = XML): Promise<void> =>
    hook.hook({ guest: "web", operation, xml });
  return { call, plugged, known: () => source.snapshot().documents.length };
}

describe("LibvirtHook", () => {
  for (const operation of ["start", "started", "reconnect", "attach"] as const) {
    test(`${operation} waits for the interfaces that have a policy, and for no other`, async () => {
      const { call, plugged, known } = stand();
      await call(operation);
      assert.deepEqual(plugged, [`tap1 br0 ${UUID}`]);
      assert.equal(known(), 1);
    });
  }

  for (const operation of ["prepare", "migrate", "restore"] as const) {
    test(`${operation} takes the policies over before there are devices`, async () => {
      const { call, plugged, known } = stand();
      await call(operation);
      assert.deepEqual([plugged, known()], [[], 1]);
    });
  }

  for (const operation of ["stopped", "release"] as const) {
    test(`${operation} ends them`, async () => {
      const { call, plugged, known } = stand();
      await call("prepare");
      await call(operation);
      assert.deepEqual([plugged, known()], [[], 0]);
    });
  }

  test("a domain that cannot be read is told with its name, and changes nothing", async () => {
    const { call, known } = stand();
    await call("prepare");
    await assert.rejects(
      call("start", XML.replace("10.0.0.1", "10.0.0.300")),
      (error) =>
        error instanceof ControlError &&
        error.code === "VNETD_PARSE" &&
        /domain web: .*"ipv4\[0\]".*10\.0\.0\.300/.test(error.message),
    );
    assert.equal(known(), 1);
  });
});

/** What shells complete: names of each kind, a name a line. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { answer } from "../../src/control/routes.ts";
import { parseMacAddress } from "../../src/net/mac-address.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import { readNetworkPolicy, readVifPolicy } from "../../src/vifrules/policy-document.ts";
import { FakeControlApi } from "./fake-control-api.ts";
import { fakeKeyId } from "./fake-keys-api.ts";

const KEY_FILE = "/root/98.key";

describe("GET /names", () => {
  const api = new FakeControlApi();
  const names = async (query: string) => {
    const result = await answer(api, { method: "GET", target: `/names?${query}`, body: undefined });
    return result.kind === "text" ? result.text : assert.fail(result.kind);
  };
  before(async () => {
    await api.createVnets([
      { id: parseVnetId("97") },
      { id: parseVnetId("98"), security: "conf", keyFile: KEY_FILE },
    ]);
    await api.addVif("97", { mac: parseMacAddress("02:00:00:00:00:01") });
    await api.addVif("98", { mac: parseMacAddress("02:00:00:00:00:02") });
    await api.addPeer("192.0.2.9", null);
    await api.addPeer("host7.example", null);
    const bridge = "xenbr0";
    const policy = { vif: "vif5.0", bridge, mac: "02:00:00:00:00:05", groups: ["db", "web"] };
    await api.vifRules.setVifRules(readVifPolicy(policy));
    await api.vifRules.setGroup({ group: "web", members: [] });
    await api.vifRules.setNetwork(readNetworkPolicy({ bridge, vlan: 0 }));
  });

  const cases = [
    ["kind=vnet", "97\nvnif0097\n98\nvnif0098\n"],
    ["kind=mac", "02:00:00:00:00:01\n02:00:00:00:00:02\n"],
    ["kind=mac&vnet=98", "02:00:00:00:00:02\n"],
    ["kind=key&vnet=98", `${fakeKeyId(KEY_FILE)}\n`],
    ["kind=vif", "vif5.0\n"],
    ["kind=group", "web\ndb\n"],
    ["kind=net", "xenbr0\n"],
  ] as const;
  for (const [query, text] of cases) {
    test(query, async () => assert.equal(await names(query), text));
  }

  test("kind=peer: by address, and by the name that was given", async () => {
    const lines = (await names("kind=peer")).split("\n");
    assert.ok(lines.includes("192.0.2.9") && lines.includes("host7.example"), lines.join());
  });

  test("refuses what is no kind, and says which there are", async () => {
    for (const query of ["", "kind=", "kind=constructor"]) {
      await assert.rejects(names(query), /^ControlError: Not a kind of names \(vnet, mac, /);
    }
    await assert.rejects(names("kind=mac&vnet=99"), { code: "VNETD_UNKNOWN_VNET" });
  });
});

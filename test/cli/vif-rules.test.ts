import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { FakeControlApi } from "../control/fake-control-api.ts";
import { runVn } from "./fake-io.ts";

const MAC = "00:16:3e:00:00:05";
const SET = `vif-set vif5.0 --bridge xenbr0 --mac ${MAC}`;
const UUID = "fe80e5ba-0000-4000-8000-00163e000005";

function words(command: string): readonly string[] {
  return command.split(" ");
}

describe("vn refuses bad rules with status 2 and one line that names the value, without asking", () => {
  const CASES: readonly (readonly [command: string, line: RegExp])[] = [
    [`vif-set --bridge b --mac ${MAC}`, /^vn: vif-set: missing required argument 'vif'/],
    ["vif-set vif5.0 --bridge xenbr0", /^vn: vif-set: required option '--mac <mac>' not specified/],
    [`vif-set vif5.0 --mac ${MAC}`, /^vn: vif-set: required option '--bridge <bridge>' not/],
    [`${SET} --mode open`, /^vn: vif-set: .*'open' is invalid\. Allowed choices are unlocked,/],
    [`${SET} --ip4 10.0.0.300`, /^vn: vif-set: Not an IPv4 or IPv6 address \("10\.0\.0\.300"\)$/],
    [`${SET} --ip4 010.0.0.1`, /\("010\.0\.0\.1"\)$/],
    [`${SET} --ip4 10.1`, /\("10\.1"\)$/],
    [`${SET} --ip4 fd00::1`, /^vn: vif-set: Not an IPv4 address \("fd00::1"\)$/],
    [`${SET} --ip6 FD00::1`, /has to be written as fd00::1 \("FD00::1"\)$/],
    [`${SET} --ip4 224.0.0.1`, /Not an address that a host can have \("224\.0\.0\.1"\)$/],
    [`${SET} --link-local fd00::1`, /Not a link-local address .*\("fd00::1"\)$/],
    [`${SET} --link-local auto --link-local fe80::1`, /auto does not go with .*\("fe80::1"\)$/],
    [`${SET} --allow all`, /Not one of dhcp-client, .*\("all"\)$/],
    [`${SET} --allow none --allow vrrp`, /none does not go with another one \("vrrp"\)$/],
    [`${SET} --group we/b`, /Not a group's name .*\("we\/b"\)$/],
    [`${SET} --tag 4095`, /"vlan\.tag": Not a number in 0…4094 \("4095"\)$/],
    [`${SET} --trunk x`, /Not a VLAN id \("x"\)$/],
    [`${SET} --vm 5`, /Not a UUID \("5"\)$/],
    ["vif-set vif5.0 --bridge xenbr0 --mac 00:16:3e:00:00:005", /\("00:16:3e:00:00:005"\)$/],
    ["vif-set vif5.0 --bridge xenbr0 --mac 01:16:3e:00:00:05", /\("01:16:3e:00:00:05"\)$/],
    ["vif-set abcdefghijklmnop --bridge b --mac 00:16:3e:00:00:05", /Interface name.*15 bytes/],
    ["vif-clear", /^vn: vif-clear: missing required argument 'vif'/],
    ["vif-explain vif5.0", /^vn: vif-explain: missing required argument 'frame'/],
    ["vif-log vif5.0 maybe", /^vn: vif-log: .*Allowed choices are on, off/],
    [`vif-rules classic vif5.0 ${UUID} 0 open`, /^vn: vif-rules: .*choices are filter, clear/],
    [`vif-rules ../x vif5.0 ${UUID} 0 filter`, /Not the name of a xenopsd backend \("\.\.\/x"\)$/],
    ["vif-rules classic vif5.0 5 0 filter", /Not a UUID \("5"\)$/],
    ["group-set web --member 10.0.0.300", /\("10\.0\.0\.300"\)$/],
    ["group-set", /^vn: group-set: missing required argument 'name'/],
    ["net-set xenbr0 --internal 10.0.0.5/24", /bits beyond its length.*\("10\.0\.0\.5\/24"\)$/],
    ["net-set xenbr0 --internal 0.0.0.0/0", /A prefix of every address \("0\.0\.0\.0\/0"\)$/],
    ["net-set xenbr0 --vlan 4095", /Not a VLAN id \(0…4094\) \("4095"\)$/],
    ["net-set xenbr0 --infra-mac ff:ff:ff:ff:ff:ff", /\("ff:ff:ff:ff:ff:ff"\)$/],
  ];
  for (const [command, line] of CASES) {
    test(`vn ${command}`, async () => {
      const outcome = await runVn(words(command), { api: null });
      assert.deepEqual([outcome.status, outcome.stdout], [2, ""]);
      assert.match(outcome.stderr, /^[^\n]+\n$/);
      assert.match(outcome.stderr.trimEnd(), line);
    });
  }
});

describe("vn without a daemon ends with status 3", () => {
  const COMMANDS = [
    SET,
    "vif-clear vif5.0",
    "vif-show",
    "vif-explain vif5.0 ip",
    "vif-log vif5.0 on",
    `vif-rules classic vif5.0 ${UUID} 0 clear`,
    "groups",
    "group-set web",
    "group-delete web",
    "nets",
    "net-set xenbr0",
    "net-delete xenbr0",
  ];
  for (const command of COMMANDS) {
    test(`vn ${command}`, async () => {
      const outcome = await runVn(words(command), { api: null });
      assert.deepEqual([outcome.status, outcome.stdout], [3, ""]);
      assert.match(outcome.stderr, /^vn: cannot reach vnetd: is it running\? .*\)\n$/);
    });
  }
});

describe("vn and the rules of a daemon", () => {
  let api: FakeControlApi;
  const ok = async (command: string): Promise<string> => {
    const outcome = await runVn(words(command), { api });
    assert.deepEqual([outcome.status, outcome.stderr], [0, ""], command);
    return outcome.stdout;
  };
  beforeEach(() => {
    api = new FakeControlApi();
  });

  test("vif-set sends the policy that its options say, vif-clear takes it back", async () => {
    await ok(
      `${SET} --mode isolated --ip4 10.0.0.5 --ip4 10.0.1.0/24 --ip6 fd00::5 --link-local none ` +
        `--group web --group db --allow vrrp --tag 7 --trunk 8 --trunk 9 --vm ${UUID} --devid 1`,
    );
    await ok("vif-clear vif5.0");
    await ok("vif-clear vif5.0");
    const policy = {
      ...{ vif: "vif5.0", bridge: "xenbr0", mac: MAC, mode: "isolated" },
      ...{ ipv4: ["10.0.0.5", "10.0.1.0/24"], ipv6: ["fd00::5"], linkLocal: "none" },
      ...{ groups: ["web", "db"], allow: ["vrrp"], vlan: { tag: 7, trunks: [8, 9] } },
      ...{ vm: UUID, devid: 1 },
    };
    assert.deepEqual(api.vifRules.calls, [
      ["setVifRules", policy],
      ["clearVifRules", "vif5.0"],
      ["clearVifRules", "vif5.0"],
    ]);
  });

  test("what is left out has its default; an address with a length is the host", async () => {
    await ok(`${SET} --ip4 10.0.0.5/24`);
    const policy = {
      ...{ vif: "vif5.0", bridge: "xenbr0", mac: MAC, mode: "locked", ipv4: ["10.0.0.5"] },
      ...{ ipv6: [], linkLocal: "auto", groups: [], allow: ["dhcp-client"] },
      vlan: { tag: 0, trunks: [] },
    };
    assert.deepEqual(api.vifRules.calls, [["setVifRules", policy]]);
    await ok(`${SET} --allow none`);
    assert.deepEqual((await api.vifRules.listVifRules([]))[0]?.policy?.allow, []);
  });

  test("vif-show prints a table, one VIF line by line, JSON, or S-expressions", async () => {
    assert.match(
      await ok("vif-show"),
      /^VIF +BRIDGE +OFPORT +MODE +MAC +ACCEPTED +DROPPED +STATE\n$/,
    );
    await ok(`${SET} --ip4 10.0.0.5 --group web`);
    assert.match(
      await ok("vif-show"),
      /\nvif5\.0 +xenbr0 +10 +locked +00:16:3e:00:00:05 +1200 +10 +applied\n$/,
    );
    const one = await ok("vif-show vif5.0");
    assert.match(one, /^vif +vif5\.0\nstate +applied\n/);
    assert.match(one, /\naddresses +10\.0\.0\.5\n/);
    assert.match(one, /\ndropped, ipv4-spoof +7 frames\n/);
    const [view] = JSON.parse(await ok("vif-show --json"));
    assert.deepEqual([view.state, view.dropped.mac, view.policy.mac], ["applied", 3, MAC]);
    assert.match(await ok("vif-show -o sxp"), /^\(vif \(name vif5\.0\) \(bridge xenbr0\) .*\)\n$/);
  });

  test("vif-explain asks for the direction that --to says", async () => {
    await ok(SET);
    assert.equal(await ok("vif-explain vif5.0 ip"), "dropped: from vif5.0\n");
    assert.equal(await ok("vif-explain --to vif5.0 ip"), "dropped: to vif5.0\n");
    assert.equal(JSON.parse(await ok("vif-explain vif5.0 ip --json")).verdict, "dropped");
  });

  test("vif-log and vif-rules arrive as they were meant", async () => {
    await ok(SET);
    await ok("vif-log vif5.0 on");
    await ok(`vif-rules classic vif5.0 ${UUID} 0 filter`);
    await ok(`vif-rules classic vif5.0 ${UUID} 0 clear`);
    const plug = { vif: "vif5.0", vm: UUID, devid: 0, backend: "classic" };
    assert.deepEqual(api.vifRules.calls.slice(1), [
      ["logVifDrops", "vif5.0", true],
      ["plugVif", { ...plug, action: "add" }],
      ["plugVif", { ...plug, action: "remove" }],
    ]);
  });

  test("groups and nets are set, listed and deleted", async () => {
    await ok(`${SET} --group web`);
    await ok("group-set web --member 10.0.0.5 --member fd00::/64");
    assert.match(await ok("groups"), /\nweb +vif5\.0 +api +10\.0\.0\.5 fd00::\/64\n$/);
    assert.match(
      await ok("groups -o sxp"),
      /^\(group \(name web\) \(members 10\.0\.0\.5 fd00::\/64\)/,
    );
    await ok("group-delete web");
    await ok(
      "net-set xenbr0 --internal 10.0.0.0/24 --infra 10.0.0.1 --infra fd00::1 --uplink eth0",
    );
    assert.deepEqual(JSON.parse(await ok("nets --json")), [
      {
        ...{ bridge: "xenbr0", vlan: 0, internal: ["10.0.0.0/24"] },
        infra: { ipv4: ["10.0.0.1"], ipv6: ["fd00::1"], macs: [] },
        ...{ uplinks: ["eth0"], origin: "api" },
      },
    ]);
    await ok("net-delete xenbr0");
    assert.match(await ok("nets"), /^BRIDGE[^\n]*\n$/);
  });

  test("what is not there is status 1, but vif-clear", async () => {
    const CASES = [
      ["vif-show vif9.0", 'vn: vif-show: No policy and no port of such a VIF ("vif9.0")'],
      ["group-delete web", 'vn: group-delete: No such group ("web")'],
      ["net-delete xenbr9", 'vn: net-delete: No network of that bridge ("xenbr9")'],
    ];
    for (const [command = "", line] of CASES) {
      const outcome = await runVn(words(command), { api });
      assert.equal(outcome.status, 1);
      assert.equal(outcome.stderr, `${line}\n`);
    }
  });
});

/** What a switch's database is to do, whichever program it runs on: Open vSwitch, or the fake of it. */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { openSwitchDatabase } from "../../src/host/ovsdb-switch-database.ts";
import type { SwitchDatabase, SwitchDatabaseOptions } from "../../src/host/switch-database.ts";
import { resolveBridge, type SwitchView } from "../../src/host/switch-view.ts";

/** The hand of someone else on the same switch. */
export type ContractSwitch = {
  readonly runDirectory: string;
  addBridge(name: string): void;
  addFakeBridge(name: string, parent: string, vlan: number): void;
  deleteBridge(name: string): void;
  addPort(bridge: string, name: string): void;
  addBond(bridge: string, name: string, interfaces: readonly string[]): void;
  deletePort(name: string): void;
  setExternalId(port: string, key: string, value: string): void;
  setProtocols(bridge: string, protocols: readonly string[]): void;
  /** ovsdb-server is killed, and started with the same database. */
  killDatabase(): void | Promise<void>;
  startDatabase(): void | Promise<void>;
  /** ovsdb-server hangs, and goes on. */
  stopDatabase(): void;
  continueDatabase(): void;
  /** ovs-vswitchd hangs, and goes on. */
  stopSwitch(): void;
  continueSwitch(): void;
  close(): void | Promise<void>;
};

const WITHIN_MS = 5_000;

export function describeSwitchDatabaseContract(
  name: string,
  makeSwitch: () => Promise<ContractSwitch>,
): void {
  describe(`SwitchDatabase on ${name}`, () => {
    let there: ContractSwitch;
    const opened: SwitchDatabase[] = [];
    let changeCount = 0;
    let wake: () => void = () => {};

    before(async () => {
      there = await makeSwitch();
      there.addBridge("br0");
    });
    after(async () => {
      await there.close();
    });
    afterEach(() => {
      for (const database of opened.splice(0)) {
        database.close();
      }
      changeCount = 0;
    });

    function open(options: Partial<SwitchDatabaseOptions> = {}): SwitchDatabase {
      const database = openSwitchDatabase({
        runDirectory: there.runDirectory,
        onChange() {
          changeCount += 1;
          wake();
        },
        ...options,
      });
      opened.push(database);
      return database;
    }

    async function until(isSo: () => boolean): Promise<void> {
      const giveUpAt = Date.now() + WITHIN_MS;
      const deadline = setTimeout(() => wake(), WITHIN_MS);
      while (!isSo()) {
        assert.ok(Date.now() < giveUpAt, "it did not come to pass");
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      clearTimeout(deadline);
    }

    async function ready(options: Partial<SwitchDatabaseOptions> = {}): Promise<SwitchDatabase> {
      const database = open(options);
      await until(() => database.view !== null);
      return database;
    }

    function viewOf(database: SwitchDatabase): SwitchView {
      assert.ok(database.view !== null);
      return database.view;
    }

    test("shows bridges, ports and interfaces, and what others change", async () => {
      const database = await ready();
      assert.equal(viewOf(database).bridges.get("br0")?.name, "br0");
      assert.equal(viewOf(database).interfaces.get("br0")?.ofport, 0xfffe);
      there.addPort("br0", "p1");
      await until(() => (database.view?.interfaces.get("p1")?.ofport ?? null) !== null);
      const before = viewOf(database);
      there.setExternalId("p1", "attached-mac", "02:00:00:00:00:10");
      there.setExternalId("p1", "iface-id", "x");
      await until(() => database.view?.interfaces.get("p1")?.externalIds.size === 2);
      there.setExternalId("p1", "iface-id", "y");
      await until(() => database.view?.interfaces.get("p1")?.externalIds.get("iface-id") === "y");
      const found = viewOf(database).interfaces.get("p1");
      assert.equal(found?.port, "p1");
      assert.equal(found.bridge, "br0");
      assert.equal(found.externalIds.get("attached-mac"), "02:00:00:00:00:10");
      // A view is of one moment.
      assert.equal(before.interfaces.get("p1")?.externalIds.size, 0);
      there.deletePort("p1");
      await until(() => database.view?.ports.has("p1") === false);
      assert.equal(viewOf(database).interfaces.has("p1"), false);
      assert.deepEqual(
        viewOf(database)
          .bridges.get("br0")
          ?.ports.map((port) => port.name),
        ["br0"],
      );
    });

    test("adds a port with all that it is given, once the switch has numbered it", async () => {
      const database = await ready();
      const added = await database.addPort({
        bridge: "br0",
        name: "vif5.0",
        ofportRequest: 77,
        externalIds: { "attached-mac": "02:00:00:00:00:10", quote: 'a"b\\c}{ü' },
        vlan: { tag: 0, vlanMode: "access", trunks: [] },
      });
      assert.equal(added.ofport, 77);
      assert.equal(added.error, null);
      assert.equal(added.externalIds.get("quote"), 'a"b\\c}{ü');
      const port = viewOf(database).ports.get("vif5.0");
      assert.deepEqual([port?.tag, port?.vlanMode, port?.trunks], [0, "access", []]);
      assert.equal(port?.interfaces[0], added);
      await assert.rejects(database.addPort({ bridge: "br0", name: "vif5.0" }), {
        code: "VNETD_OVS_FAILED",
        reason: "exists",
        message: "Cannot add port vif5.0 to br0: it is already on br0",
      });
      assert.equal(await database.deletePort("vif5.0"), true);
      assert.equal(viewOf(database).interfaces.has("vif5.0"), false);
      assert.equal(await database.deletePort("vif5.0"), false);
    });

    test("remembers which device a port was added with", async () => {
      const database = await ready();
      // Every host has this one, and it is always the first.
      const added = await database.addPort({ bridge: "br0", name: "lo" });
      assert.equal(added.ifindex, 1);
      assert.equal(added.externalIds.get("vnetd-ifindex"), "1");
      await database.deletePort("lo");
    });

    test("gives another number when the one asked for is taken", async () => {
      const database = await ready();
      const first = await database.addPort({ bridge: "br0", name: "p1", ofportRequest: 70 });
      const second = await database.addPort({ bridge: "br0", name: "p2", ofportRequest: 70 });
      assert.equal(first.ofport, 70);
      assert.notEqual(second.ofport, 70);
      assert.equal(second.ofportRequest, 70);
      await database.deletePort("p1");
      await database.deletePort("p2");
    });

    test("changes what is named, and leaves the rest", async () => {
      const database = await ready();
      const externalIds = { a: "1", b: "2" };
      await database.addPort({ bridge: "br0", name: "p1", externalIds });
      await database.changePort("p1", {
        externalIds: { a: null, b: "3", c: "4", absent: null },
        vlan: { tag: null, vlanMode: "trunk", trunks: [10, 20] },
      });
      const entries = () => [...(viewOf(database).interfaces.get("p1")?.externalIds ?? [])];
      assert.deepEqual(entries().toSorted(), [
        ["b", "3"],
        ["c", "4"],
      ]);
      await database.changePort("p1", { vlan: { tag: 7, vlanMode: null, trunks: [20] } });
      const port = viewOf(database).ports.get("p1");
      assert.deepEqual([port?.tag, port?.vlanMode, port?.trunks], [7, null, [20]]);
      await database.changePort("p1", { ofportRequest: 91 });
      assert.equal(viewOf(database).interfaces.get("p1")?.ofportRequest, 91);
      await database.changePort("p1", { ofportRequest: null });
      assert.equal(viewOf(database).interfaces.get("p1")?.ofportRequest, null);
      assert.equal(entries().length, 2);
      await database.deletePort("p1");
    });

    test("changes several ports, all or none", async () => {
      const database = await ready();
      await database.addPort({ bridge: "br0", name: "p1" });
      await database.addPort({ bridge: "br0", name: "p2" });
      const vlan = { tag: 7, vlanMode: "access", trunks: [] } as const;
      const tags = () => ["p1", "p2"].map((name) => viewOf(database).ports.get(name)?.tag);
      await assert.rejects(
        database.changePorts(
          new Map([
            ["p1", { vlan }],
            ["p9", { vlan }],
          ]),
        ),
        { reason: "not-found" },
      );
      assert.deepEqual(tags(), [null, null]);
      await database.changePorts(
        new Map([
          ["p1", { vlan }],
          ["p2", { vlan }],
        ]),
      );
      assert.deepEqual(tags(), [7, 7]);
      await database.deletePort("p1");
      await database.deletePort("p2");
    });

    test("resolves fake bridges, and adds ports to their VLAN", async () => {
      there.addFakeBridge("xapi7", "br0", 107);
      const database = await ready();
      assert.deepEqual(resolveBridge(viewOf(database), "xapi7"), { bridge: "br0", vlan: 107 });
      assert.deepEqual(resolveBridge(viewOf(database), "br0"), { bridge: "br0", vlan: null });
      assert.equal(resolveBridge(viewOf(database), "xapi8"), null);
      const added = await database.addPort({ bridge: "xapi7", name: "p1" });
      assert.equal(added.bridge, "br0");
      assert.equal(viewOf(database).ports.get("p1")?.tag, 107);
      assert.equal(resolveBridge(viewOf(database), "p1"), null);
      await database.deletePort("p1");
      there.deleteBridge("xapi7");
    });

    test("shows a bond as one port with several interfaces", async () => {
      there.addBond("br0", "bond0", ["e1", "e2"]);
      const database = await ready();
      await until(() => database.view?.interfaces.has("e2") === true);
      const bond = viewOf(database).ports.get("bond0");
      assert.equal(bond?.bondMode, "active-backup");
      assert.deepEqual(bond.interfaces.map((one) => one.name).toSorted(), ["e1", "e2"]);
      assert.equal(viewOf(database).interfaces.get("e1")?.port, "bond0");
      await assert.rejects(database.changePort("bond0", { externalIds: { a: "1" } }), {
        reason: "refused",
        message: "Cannot change port bond0: it is a bond",
      });
      await assert.rejects(database.addPort({ bridge: "br0", name: "e1" }), { reason: "exists" });
      await database.deletePort("bond0");
    });

    test("makes a bridge secure with the protocols it needs", async () => {
      there.addBridge("br1");
      const database = await ready();
      const flowsFlushed = { flowsFlushed: true, protocolsChanged: true };
      assert.deepEqual(await database.adoptBridge("br1"), flowsFlushed);
      const bridge = () => viewOf(database).bridges.get("br1");
      assert.equal(bridge()?.failMode, "secure");
      assert.equal(bridge()?.protocols.length, 5);
      const nothing = { flowsFlushed: false, protocolsChanged: false };
      assert.deepEqual(await database.adoptBridge("br1"), nothing);
      there.setProtocols("br1", ["OpenFlow13"]);
      await until(() => bridge()?.protocols.length === 1);
      assert.deepEqual(await database.adoptBridge("br1"), { ...nothing, protocolsChanged: true });
      const all = ["OpenFlow10", "OpenFlow13", "OpenFlow14"];
      assert.deepEqual(bridge()?.protocols.toSorted(), all);
      there.deleteBridge("br1");
      await until(() => database.view?.bridges.has("br1") === false);
    });

    test("says what is not there", async () => {
      const database = await ready();
      const message = "Cannot add port p1 to br9: there is no such bridge";
      const noBridge = database.addPort({ bridge: "br9", name: "p1" });
      await assert.rejects(noBridge, { reason: "not-found", message });
      await assert.rejects(database.adoptBridge("br9"), { reason: "not-found" });
      await assert.rejects(database.changePort("p9", {}), { reason: "not-found" });
    });

    test("says why the switch could not open a port, which the view shows too", async () => {
      const database = await ready();
      const port = { bridge: "br0", name: "p1", type: "no-such-type" };
      await assert.rejects(database.addPort(port), (error) => {
        assert.ok(error instanceof Error);
        assert.match(error.message, /^Cannot add port p1 to br0: .*\S/);
        assert.equal(error.message.includes("\n"), false);
        assert.equal((error as { reason?: unknown }).reason, "not-applied");
        return true;
      });
      const found = viewOf(database).interfaces.get("p1");
      assert.equal(found?.ofport, null);
      assert.notEqual(found.error, null);
      await database.deletePort("p1");
    });

    test("says what the database refuses, and nothing has changed", async () => {
      const database = await ready();
      const port = { bridge: "br0", name: "p1", ofportRequest: 70_000 };
      await assert.rejects(database.addPort(port), {
        reason: "refused",
        message: /^Cannot add port p1 to br0: constraint violation: .*70000/,
      });
      assert.equal(viewOf(database).ports.has("p1"), false);
    });

    test("says when the switch does not answer in time", async () => {
      const database = await ready({ deadlineMs: 300 });
      there.stopSwitch();
      try {
        await assert.rejects(database.addPort({ bridge: "br0", name: "p1" }), {
          reason: "not-applied",
          message:
            "Cannot add port p1 to br0: ovs-vswitchd did not do it in 300 ms; the database has it",
        });
        assert.equal(viewOf(database).interfaces.get("p1")?.ofport, null);
        assert.equal(viewOf(database).interfaces.get("p1")?.error, null);
        // It has no part in this.
        await database.changePort("p1", { externalIds: { a: "1" } });
        assert.equal(viewOf(database).interfaces.get("p1")?.externalIds.get("a"), "1");
      } finally {
        there.continueSwitch();
      }
      await until(() => (database.view?.interfaces.get("p1")?.ofport ?? null) !== null);
      await database.deletePort("p1");
    });

    test("has no view while the server is gone, and all of it when it is back", async () => {
      const database = await ready();
      const changesBefore = changeCount;
      await there.killDatabase();
      await until(() => database.view === null);
      assert.equal(database.locked, false);
      assert.ok(changeCount > changesBefore);
      const refused = database.addPort({ bridge: "br0", name: "p1" });
      await assert.rejects(refused, /^SwitchDatabaseError: Cannot add port p1 to br0: /);
      await until(() => database.failure?.reason === "no-database");
      assert.match(database.failure?.message ?? "", /^Nothing listens on .*db\.sock: ovsdb-server/);
      await there.startDatabase();
      await until(() => database.view !== null);
      assert.equal(database.failure, null);
      assert.equal(database.view?.bridges.has("br0"), true);
      await database.addPort({ bridge: "br0", name: "p1" });
      await database.deletePort("p1");
    });

    test("leaves a server that hangs, and comes back", async () => {
      const database = await ready({ deadlineMs: 100, probeIntervalMs: 50 });
      there.stopDatabase();
      try {
        const added = database.addPort({ bridge: "br0", name: "p1" });
        await assert.rejects(added, { reason: "deadline" });
        assert.equal(database.view, null);
        await until(() => database.failure?.reason === "deadline");
      } finally {
        there.continueDatabase();
      }
      await until(() => database.view !== null);
      await database.deletePort("p1");
    });

    test("rejects what waits for the switch when the server goes", async () => {
      const database = await ready();
      there.stopSwitch();
      const waiting = assert.rejects(database.addPort({ bridge: "br0", name: "p1" }), {
        reason: "ended",
      });
      await until(() => database.view?.ports.has("p1") === true);
      await there.killDatabase();
      await waiting;
      there.continueSwitch();
      await there.startDatabase();
      await until(() => (database.view?.interfaces.get("p1")?.ofport ?? null) !== null);
      await database.deletePort("p1");
    });

    test("gives the lock to one at a time, and without it nothing is changed", async () => {
      const first = await ready({ lock: "vnetd_vifs" });
      assert.equal(first.locked, true);
      const second = await ready({ lock: "vnetd_vifs" });
      assert.equal(second.locked, false);
      await assert.rejects(second.addPort({ bridge: "br0", name: "p1" }), {
        reason: "refused",
        message: /^Cannot add port p1 to br0: not owner/,
      });
      await first.addPort({ bridge: "br0", name: "p1" });
      first.close();
      await until(() => second.locked);
      await second.deletePort("p1");
    });

    test("does fifty things at the same time", async () => {
      const database = await ready();
      const names = Array.from({ length: 50 }, (_, index) => `q${index}`);
      const added = await Promise.all(
        names.map((port) => database.addPort({ bridge: "br0", name: port })),
      );
      assert.equal(new Set(added.map((one) => one.ofport)).size, 50);
      await Promise.all(names.map((port) => database.deletePort(port)));
      assert.deepEqual([...viewOf(database).ports.keys()], ["br0"]);
    });
  });
}

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { Xenstore } from "../../src/host/xenstore.ts";
import { openXenstore } from "../../src/host/xenstore-client.ts";
import { GuestSource, readGuestWish } from "../../src/metadata/guest-source.ts";
import type { PolicySnapshot } from "../../src/metadata/source.ts";
import { openXenstoreSource, type XenstoreSource } from "../../src/metadata/xenstore-source.ts";
import { ParseError } from "../../src/net/parse-error.ts";
import { PrivateXenstored, xenstoredIsMissing } from "../host/private-xenstored.ts";

const VM = "6c4a7c1e-0000-4000-8000-000000000001";
const RECORD = `/xapi/${VM}/private/vif/0`;
const WITHIN_MS = 5_000;

/** As xenopsd writes it. */
const FIELDS = {
  mac: "00:16:3e:00:00:05",
  bridge: "xenbr0",
  "locking-mode": "locked",
  "ipv4-allowed": "10.0.0.5",
  "ipv6-allowed": "fd00::5",
  MTU: "1500",
  "other-config/ethtool-gso": "off",
};

describe("XenstoreSource on the real xenstored", { skip: xenstoredIsMissing() }, () => {
  let store: PrivateXenstored;
  let source: XenstoreSource;

  before(async () => {
    store = await PrivateXenstored.start();
  });
  after(async () => {
    await store.stop();
  });
  beforeEach(async () => {
    writeRecord(FIELDS);
    store.write("/local/domain/5/vm", `/vm/${VM}`);
    source = await openXenstoreSource({
      connect: (options) => openXenstore({ ...options, socketPath: store.socketPath }),
    });
  });
  afterEach(() => {
    source.close();
    store.remove("/xapi");
    store.remove("/local");
  });

  /** All at once, as a toolstack does. */
  function writeRecord(fields: object, record = RECORD): void {
    const words = Object.entries(fields).flatMap(([key, value]) => [`${record}/${key}`, value]);
    execFileSync("xenstore-write", words, {
      env: { ...process.env, XENSTORED_PATH: store.socketPath },
    });
  }

  async function connectHand(): Promise<Xenstore> {
    return await new Promise((resolve, reject) => {
      const hand: Xenstore = openXenstore({
        ...{ socketPath: store.socketPath, watches: [], onFailure: reject },
        onChange: () => resolve(hand),
      });
    });
  }

  async function until(isSo: (snapshot: PolicySnapshot) => boolean): Promise<PolicySnapshot> {
    const giveUpAt = Date.now() + WITHIN_MS;
    for (let snapshot = source.snapshot(); ; snapshot = source.snapshot()) {
      if (isSo(snapshot)) {
        return snapshot;
      }
      assert.ok(Date.now() < giveUpAt, `it did not come to pass: ${JSON.stringify(snapshot)}`);
      await delay(2);
    }
  }

  const show = ({ documents }: PolicySnapshot): readonly string[] =>
    documents.map((document) =>
      document.kind === "vif"
        ? `${document.policy.vif ?? document.policy.ifaceId} ${document.policy.mode} ` +
          `${document.policy.ipv4.join(" ")}`.trim()
        : document.kind,
    );
  const shows = (...lines: readonly string[]) => {
    return (snapshot: PolicySnapshot): boolean =>
      JSON.stringify(show(snapshot)) === JSON.stringify(lines);
  };

  test("a VIF's record is the policy of the domain's VIF", async () => {
    const { documents } = await until(shows("vif5.0 locked 10.0.0.5"));
    assert.deepEqual(documents, [
      {
        kind: "vif",
        origin: `xenstore ${RECORD} (vif5.0)`,
        policy: {
          ...{ vif: "vif5.0", bridge: "xenbr0", mac: "00:16:3e:00:00:05", mode: "locked" },
          ...{ ipv4: ["10.0.0.5"], ipv6: ["fd00::5"], linkLocal: "auto", groups: [] },
          ...{ allow: ["dhcp-client"], vlan: { tag: 0, trunks: [] }, vm: VM, devid: 0 },
        },
      },
    ]);
  });

  test("what is written is in force soon, and not before it is whole", async () => {
    await until(shows("vif5.0 locked 10.0.0.5"));
    const seen: (readonly string[])[] = [];
    const stop = source.onChange(() => seen.push(show(source.snapshot())));
    // As the toolstack does it: away with the old keys, then the new ones, in no transaction.
    const hand = await connectHand();
    await hand.remove(`${RECORD}/ipv4-allowed`);
    await hand.remove(`${RECORD}/locking-mode`);
    await hand.write(`${RECORD}/locking-mode`, "locked");
    await hand.write(`${RECORD}/ipv4-allowed`, "10.0.0.6,10.0.0.7");
    hand.close();
    await until(shows("vif5.0 locked 10.0.0.6 10.0.0.7"));
    stop();
    assert.deepEqual(seen, [["vif5.0 locked 10.0.0.6 10.0.0.7"]]);
    writeRecord({ "other-config/vnetd-mode": "isolated", "other-config/vnetd-groups": "web" });
    await until(shows("vif5.0 isolated 10.0.0.6 10.0.0.7"));
  });

  test("a migrating VM has two domains, one of them named by its hotplug node only", async () => {
    await until(shows("vif5.0 locked 10.0.0.5"));
    store.write(`/xapi/${VM}/hotplug/6/vif/0/vif`, "vif6.0");
    await until(shows("vif5.0 locked 10.0.0.5", "vif6.0 locked 10.0.0.5"));
  });

  test("a VIF of no domain yet is known by its own id", async () => {
    store.remove("/local/domain/5");
    writeRecord({ "vif-uuid": VM.replace(/1$/, "9") });
    await source.reload();
    assert.deepEqual(show(source.snapshot()), [`${VM.replace(/1$/, "9")} locked 10.0.0.5`]);
    store.write("/local/domain/7/vm", `/vm/${VM}`);
    await source.refresh();
    assert.deepEqual(show(source.snapshot()), ["vif7.0 locked 10.0.0.5"]);
  });

  test("a hotplug script's word is enough to know the domain, and its call sees what is new", async () => {
    store.remove("/local/domain/5");
    await source.reload();
    assert.deepEqual(show(source.snapshot()), []);
    writeRecord({ "ipv4-allowed": "10.0.0.8" });
    await source.refresh({ vif: "vif8.0", vm: VM.toUpperCase(), devid: 0 });
    assert.deepEqual(show(source.snapshot()), ["vif8.0 locked 10.0.0.8"]);
  });

  test("a script that knows no VM finds it by the domain, and others' names are not Xen's", async () => {
    await until(shows("vif5.0 locked 10.0.0.5"));
    store.write("/local/domain/9/vm", `/vm/${VM}`);
    await source.refresh({ vif: "vif9.0" });
    assert.deepEqual(show(source.snapshot()), ["vif5.0 locked 10.0.0.5", "vif9.0 locked 10.0.0.5"]);
    const before = source.snapshot();
    await source.refresh({ vif: "vnet3" });
    assert.equal(source.snapshot(), before);
  });

  test("the removal of all that is above a record is noticed, too", async () => {
    await until(shows("vif5.0 locked 10.0.0.5"));
    store.remove(`/xapi/${VM}`);
    const { problems } = await until((snapshot) => snapshot.problems.length === 1);
    assert.match(problems[0]?.message ?? "", /has gone/);
    assert.deepEqual(show(source.snapshot()), ["vif5.0 locked 10.0.0.5"]);
  });

  const bad: readonly [name: string, fields: object, message: RegExp][] = [
    ["a bad address", { "ipv4-allowed": "10.0.0.300" }, /"ipv4-allowed": .*"10\.0\.0\.300"/],
    ["an octal address", { "ipv4-allowed": "010.0.0.1" }, /"ipv4-allowed": .*"010\.0\.0\.1"/],
    ["a long MAC", { mac: "00:16:3e:00:00:005" }, /"mac": .*"00:16:3e:00:00:005"/],
    ["an unknown mode", { "locking-mode": "network_default" }, /"locking-mode": .*"network_de/],
    ["an unknown group", { "other-config/vnetd-groups": "a b" }, /vnetd-groups": .*"a b"/],
    [
      "an unknown key of ours",
      { "other-config/vnetd-group": "web" },
      /Unknown key "other-config\/vnetd-group".*"web"/,
    ],
  ];
  for (const [name, fields, message] of bad) {
    test(`${name} is named, and the last good policy stays`, async () => {
      await until(shows("vif5.0 locked 10.0.0.5"));
      writeRecord(fields);
      const { problems, documents } = await until((snapshot) => snapshot.problems.length === 1);
      assert.match(problems[0]?.message ?? "", message);
      assert.equal(problems[0]?.keptLastGood, true);
      assert.equal(documents.length, 1);
    });
  }

  for (const [name, path] of [
    ["a key", `${RECORD}/ipv4-allowed`],
    ["the record itself", RECORD],
  ] as const) {
    test(`${name} that a guest may write to is not believed`, async () => {
      await until(shows("vif5.0 locked 10.0.0.5"));
      writeRecord({ "ipv4-allowed": "10.0.0.66" });
      store.setPermissions(path, "n0", "b5");
      const { problems } = await until((snapshot) => snapshot.problems.length === 1);
      assert.match(problems[0]?.message ?? "", /not trusted: another domain than 0/);
    });
  }

  test("a guest that may write its own vm node is not taken for another VM", async () => {
    await until(shows("vif5.0 locked 10.0.0.5"));
    store.write("/local/domain/6/vm", `/vm/${VM}`);
    store.setPermissions("/local/domain/6/vm", "n6");
    await source.refresh();
    assert.deepEqual(show(source.snapshot()), ["vif5.0 locked 10.0.0.5"]);
  });

  test("a record that is gone stays in force until the VIF is forgotten", async () => {
    await until(shows("vif5.0 locked 10.0.0.5"));
    store.remove(RECORD);
    const { documents, problems } = await until((snapshot) => snapshot.problems.length === 1);
    assert.equal(documents.length, 1);
    assert.match(problems[0]?.message ?? "", /has gone: what it said stays in force/);
    source.forget("vif vif5.0");
    assert.deepEqual(source.snapshot(), { documents: [], problems: [] });
  });

  test("a VIF that is forgotten while its record is there is known still", async () => {
    await until(shows("vif5.0 locked 10.0.0.5"));
    source.forget("vif vif5.0");
    assert.deepEqual(show(source.snapshot()), ["vif5.0 locked 10.0.0.5"]);
  });

  test("a store that dies keeps all, also when it comes back empty", async () => {
    await until(shows("vif5.0 locked 10.0.0.5"));
    await store.killStore();
    await until((snapshot) => snapshot.problems.length === 1);
    assert.deepEqual(show(source.snapshot()), ["vif5.0 locked 10.0.0.5"]);
    await store.startStore();
    await until(({ problems }) => problems.some(({ message }) => /has gone/.test(message)));
    assert.deepEqual(show(source.snapshot()), ["vif5.0 locked 10.0.0.5"]);
    writeRecord({ ...FIELDS, "ipv4-allowed": "10.0.0.9" });
    store.write("/local/domain/5/vm", `/vm/${VM}`);
    await source.refresh();
    assert.deepEqual(show(source.snapshot()), ["vif5.0 locked 10.0.0.9"]);
  });
});

describe("GuestSource on the real xenstored", { skip: xenstoredIsMissing() }, () => {
  const DATA = "/local/domain/5/vm-data/networking/00163E000005";
  const wish = (ip: string): string =>
    JSON.stringify({
      ...{ label: "private", mac: "00:16:3E:00:00:05", gateway: "10.0.0.1" },
      ips: [
        { ip, netmask: "255.255.255.0", enabled: "1" },
        { ip: "10.0.0.99", netmask: "255.255.255.0", enabled: "0" },
      ],
    });

  test("what a guest writes is known by its VIF, and gone with its data or its domain", async () => {
    const store = await PrivateXenstored.start();
    const source = new GuestSource((options) =>
      openXenstore({ ...options, socketPath: store.socketPath }),
    );
    const changed = (): Promise<void> =>
      new Promise((resolve) => {
        const stop = source.onChange(() => {
          stop();
          resolve();
        });
      });
    try {
      const first = changed();
      store.write("/local/domain/0/backend/vif/5/0/mac", "00:16:3e:00:00:05");
      store.write(DATA, wish("10.0.0.5"));
      await first;
      const [document] = source.snapshot().documents;
      assert.deepEqual(
        document?.kind === "vif" ? [document.policy.vif, document.policy.ipv4] : [],
        ["vif5.0", ["10.0.0.5"]],
      );
      const second = changed();
      store.write(DATA, wish("010.0.0.5"));
      await second;
      assert.deepEqual(source.snapshot().documents[0], document);
      assert.match(source.snapshot().problems[0]?.message ?? "", /"ipv4\[0\]".*"010\.0\.0\.5"/);
      const third = changed();
      store.remove("/local/domain/5/vm-data");
      await third;
      assert.deepEqual(source.snapshot(), { documents: [], problems: [] });
    } finally {
      source.close();
      await store.stop();
    }
  });

  const bad: readonly [name: string, text: string][] = [
    ["half of it", wish("10.0.0.5").slice(0, 40)],
    ["a list", "[]"],
    ["another type", JSON.stringify({ mac: "00:16:3e:00:00:05", ips: {} })],
    ["an entry of nothing", JSON.stringify({ mac: "00:16:3e:00:00:05", ips: [null] })],
    ["no MAC", JSON.stringify({ ips: [] })],
    ["too much", JSON.stringify({ mac: "00:16:3e:00:00:05", ips: "x".repeat(70_000) })],
  ];
  for (const [name, text] of bad) {
    test(`${name} is refused`, () => {
      assert.throws(() => readGuestWish("vif5.0", text), ParseError);
    });
  }
});

describe("XenstoreSource without a xenstored", () => {
  test("a host without Xen has no policies there, and no problem", async () => {
    const source = await openXenstoreSource({
      connect: (options) => openXenstore({ ...options, socketPath: "/nonexistent/socket" }),
    });
    await source.refresh();
    source.close();
    assert.deepEqual(source.snapshot(), { documents: [], problems: [] });
  });
});

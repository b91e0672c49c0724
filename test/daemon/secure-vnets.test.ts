/**
 * Daemons with fake data planes whose control datagrams reach each other: what one sends to the
 * group or to an address, the other's data plane reports as received.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { keyRingPath } from "../../src/daemon/key-ring-file.ts";
import { parseIpAddress } from "../../src/net/ip-address.ts";
import { parseMacAddress } from "../../src/net/mac-address.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import type { DataplaneCommand } from "../../src/vnet/dataplane-messages.ts";
import { runVn } from "../cli/fake-io.ts";
import type { FakeDataplane } from "../fakes/fake-dataplane.ts";
import { FakeHost } from "../fakes/fake-host.ts";
import { eventually } from "../netns/wait.ts";
import { Stand } from "./stand.ts";

const ID = parseVnetId("97");
const UNICAST = 0;
const MULTICAST = 1;

let folder = "";
let stands: Stand[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vnetd-secure-"));
});
afterEach(async () => {
  await Promise.all(stands.map((stand) => stand.close()));
  stands = [];
  rmSync(folder, { recursive: true });
});

function keyFile(name: string): string {
  const path = join(folder, name);
  writeFileSync(path, `${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
  return path;
}

/** @param identity whose sender id it has */
async function startHost(last: number, identity = last): Promise<Stand> {
  const host = new FakeHost();
  host.addCard("u0", `10.9.0.${last}`);
  const stand = await Stand.start({
    host,
    identity: { senderId: new Uint8Array(16).fill(identity), bootCounter: 1n },
  });
  stands.push(stand);
  wire(stand);
  return stand;
}

/** The address of a stand's card. */
const addressOf = (stand: Stand) => parseIpAddress(`10.9.0.${stands.indexOf(stand) + 1}`);

function wire(stand: Stand): void {
  stand.fake.onCommand = (command: DataplaneCommand) => {
    if (command.kind !== "send-to" && command.kind !== "send-flood") {
      return;
    }
    const source = { address: addressOf(stand), udpPort: 1798 };
    const isVnc = new DataView(command.datagram.buffer, command.datagram.byteOffset).getUint32(0);
    assert.equal(isVnc, 0, "a secure vnet says nothing in the clear but VNC1");
    for (const other of stands) {
      const isMeant = command.kind === "send-flood" || command.host?.address === addressOf(other);
      if (other !== stand && isMeant) {
        const via = command.kind === "send-flood" ? MULTICAST : UNICAST;
        other.fake.raise({ kind: "vnc-received", source, via, datagram: command.datagram });
      }
    }
  };
}

const create = (stand: Stand, key: string, suite?: "aes256-gcm") =>
  stand.parts.service.createVnets([
    { id: ID, security: "conf", keyFile: key, ...(suite && { suite }) },
  ]);

/** The SPIs that a data plane seals with, and those that it opens. */
const spisOf = (fake: FakeDataplane, send: boolean): number[] =>
  [...fake.sas.values()].filter((sa) => sa.send === send).map(({ spi }) => spi);

const meet = (one: Stand, other: Stand): Promise<boolean> =>
  eventually(`${addressOf(one)} opens what ${addressOf(other)} seals`, () => {
    const [spi] = spisOf(other.fake, true);
    return spi !== undefined && spisOf(one.fake, false).includes(spi);
  });

const statesOf = (stand: Stand): string[] =>
  stand.parts.secure.listHosts().map(({ host, state }) => `${host.address} ${state}`);

describe("secure vnets", () => {
  test("two hosts with one key take in each other's SAs, a third with another key is named", async () => {
    const [first, second, third] = [await startHost(1), await startHost(2), await startHost(3)];
    const key = keyFile("k97");
    const [view] = await create(first, key);
    assert.deepEqual([view?.security, view?.suite, view?.state], ["conf", "aes128-gcm", "up"]);
    assert.equal(first.fake.vnets.get(ID)?.security, 2);
    await create(second, key);
    await meet(first, second);
    await meet(second, first);
    await create(third, keyFile("other"));
    await eventually("the key mismatch is seen", () =>
      statesOf(first).includes("10.9.0.3 key mismatch"),
    );
    assert.deepEqual(statesOf(first).toSorted(), ["10.9.0.2 up", "10.9.0.3 key mismatch"]);
    const peers = await first.parts.service.listPeers();
    assert.deepEqual(
      peers.map(({ address, configured, vnets }) => [address, configured, vnets[0]?.state]),
      [
        ["10.9.0.2", false, "up"],
        ["10.9.0.3", false, "key mismatch"],
      ],
    );
  });

  test("vn peers has a word for every state that a host can be in", async () => {
    const first = await startHost(1);
    const [key, laterKey] = [keyFile("k97"), keyFile("later")];
    await create(first, key);
    await first.parts.service.keys.add("97", laterKey);
    await create(await startHost(2), key);
    await create(await startHost(3), keyFile("other"));
    await create(await startHost(4), key, "aes256-gcm");
    await create(await startHost(5), laterKey);
    const sixth = await startHost(6);
    await create(sixth, key);
    await meet(first, sixth);
    await create(await startHost(7, 6), key);
    const shown = async (): Promise<readonly string[]> => {
      const { stdout } = await runVn(["peers"], { api: first.parts.service });
      const rows = stdout.matchAll(/^(10\.9\.0\.\d) .* 97 (.*)$/gm);
      return [...rows].map(([, address, state]) => `${address} ${state}`).toSorted();
    };
    const words = ["up", "key mismatch", "suite mismatch", "stale key"];
    const wanted = words.map((word, index) => `10.9.0.${index + 2} ${word}`);
    await eventually("each has its word", async () => {
      const rows = await shown();
      return wanted.every((row) => rows.includes(row)) && rows.some((row) => / clone$/.test(row));
    });
    assert.ok([...first.messages(), ...sixth.messages()].some((text) => /identity/.test(text)));
    for (const stand of stands.filter((one) => one !== first)) {
      stand.stop();
    }
    first.skippedMs = 61_000;
    assert.ok((await shown()).includes("10.9.0.2 unreachable since 1m"));
  });

  test("a key is rotated: held by all, used by all, deleted", async () => {
    const [first, second] = [await startHost(1), await startHost(2)];
    const [oldKey, newKey] = [keyFile("old"), keyFile("new")];
    await create(first, oldKey);
    await create(second, oldKey);
    await meet(first, second);
    const { keys } = first.parts.service;
    const added = await keys.add("97", newKey);
    assert.deepEqual([added.active, added.hostCount, added.heldBy], [false, 1, []]);
    assert.deepEqual(
      added.missingAt.map(({ address }) => address),
      ["10.9.0.2"],
    );
    await second.parts.service.keys.add("97", newKey);
    await eventually("all hold the new key", async () => {
      const [, view] = await keys.list([]);
      return view?.heldBy.length === 1 && view.missingAt.length === 0;
    });
    const before = spisOf(second.fake, true);
    await keys.activate("97", added.keyId);
    await second.parts.service.keys.activate("97", added.keyId);
    const isUsed = async () => (await keys.list([]))[1]?.usedBy.length === 1;
    await eventually("the new key is used", isUsed, 20_000);
    assert.notDeepEqual(spisOf(second.fake, true), before);
    const [old] = await keys.list([]);
    await keys.delete("97", old?.keyId ?? "");
    assert.deepEqual(
      (await keys.list(["97"])).map(({ keyId }) => keyId),
      [added.keyId],
    );
  });

  test("a daemon that starts again adopts the SAs that run", async () => {
    const [first, second] = [await startHost(1), await startHost(2)];
    const key = keyFile("k97");
    await create(first, key);
    await create(second, key);
    await meet(first, second);
    await meet(second, first);
    const before = [spisOf(first.fake, true), spisOf(first.fake, false)];
    first.forget();
    await first.restart();
    await meet(first, second);
    assert.deepEqual([spisOf(first.fake, true), spisOf(first.fake, false)], before);
    const kinds = first.fake.changes.map(({ kind }) => kind);
    assert.ok(!kinds.some((kind) => /-sa$|-vnet$/.test(kind)), kinds.join(" "));
  });

  test("a new data plane gets a new nonce, so another SPI", async () => {
    const [first, second] = [await startHost(1), await startHost(2)];
    const key = keyFile("k97");
    await create(first, key);
    await create(second, key);
    await meet(second, first);
    const before = spisOf(first.fake, true);
    await first.loseDataplane();
    wire(first);
    await meet(second, first);
    await meet(first, second);
    assert.notDeepEqual(spisOf(first.fake, true), before);
  });

  test("SIGUSR1 renews the SA", async () => {
    const [first, second] = [await startHost(1), await startHost(2)];
    const key = keyFile("k97");
    await create(first, key);
    await create(second, key);
    await meet(second, first);
    const before = spisOf(first.fake, true);
    first.parts.secure.renew();
    await eventually("another SA is used", () => spisOf(first.fake, true)[0] !== before[0], 20_000);
    await meet(second, first);
  });

  test("VARP is sealed, heard only when it was, and only of the SA's own vnet", async () => {
    const [first, second] = [await startHost(1), await startHost(2)];
    const key = keyFile("k97");
    await create(first, key);
    await create(second, key);
    await meet(second, first);
    const mac = parseMacAddress("02:00:00:00:00:01");
    first.fake.raise({ kind: "vif-learned", vnet: ID, mac, moved: false });
    const isSealed = (command: DataplaneCommand) => command.kind === "seal-flood";
    await eventually("the announce is sealed", () => first.fake.changes.some(isSealed));
    const sealed = first.fake.changes.find(isSealed);
    assert.ok(sealed?.kind === "seal-flood");
    // A UDP header, the original's message, and two TLVs: the move sequence and who says it.
    const bytes = 8 + 43 + (3 + 4) + (3 + 16);
    assert.deepEqual([sealed.nextHeader, sealed.payload.length], [17, bytes]);
    assert.deepEqual([...sealed.payload.subarray(0, 8)], [7, 6, 7, 6, 0, bytes, 0, 0]);
    const host = { address: addressOf(first), udpPort: 1798 };
    const clear = { source: host, via: MULTICAST, datagram: sealed.payload.subarray(8) };
    second.fake.raise({ kind: "control-received", ...clear });
    const opened = { vnet: ID, spi: 0x10000000, host, via: MULTICAST, nextHeader: 17 };
    const otherVnet = { ...opened, vnet: parseVnetId("98"), payload: sealed.payload };
    second.fake.raise({ kind: "sealed-control", ...otherVnet });
    await second.settled();
    assert.equal(second.fake.fdb.size, 0);
    second.fake.raise({ kind: "sealed-control", ...opened, payload: sealed.payload });
    await eventually("the announce is believed", () => second.fake.fdb.size === 1);
  });

  test("a MAC that moves to and fro is shown as a duplicate, and stays", async () => {
    const [first, second] = [await startHost(1), await startHost(2)];
    const key = keyFile("k97");
    await create(first, key);
    await create(second, key);
    await meet(second, first);
    await meet(first, second);
    const mac = parseMacAddress("02:00:00:00:00:01");
    const sealedBy = (stand: Stand): void => {
      const other = stand === first ? second : first;
      const host = { address: addressOf(stand), udpPort: 1798 };
      stand.fake.onSealed = (payload) =>
        other.fake.raise({
          ...{ kind: "sealed-control", vnet: ID, spi: 0x10000000, host, via: MULTICAST },
          ...{ nextHeader: 17, payload },
        });
    };
    sealedBy(first);
    sealedBy(second);
    const states = async () =>
      (await first.parts.service.listVarp(["97"])).map(({ state }) => state);
    for (let move = 0; move < 3; move += 1) {
      for (const stand of [first, second]) {
        stand.fake.raise({ kind: "vif-learned", vnet: ID, mac, moved: move > 0 });
        await stand.settled();
        const other = stand === first ? second : first;
        await eventually("the other host has heard of it", async () => {
          await other.settled();
          const [entry] = await other.parts.service.listVarp(["97"]);
          return entry !== undefined;
        });
      }
    }
    await eventually("it is shown", async () => (await states()).includes("duplicate"));
  });

  test("a vnet without its ring stays down and says what to do, others are served", async () => {
    const stand = await startHost(1);
    await create(stand, keyFile("k97"));
    await stand.parts.service.createVnets([{ id: parseVnetId("98") }]);
    const ring = keyRingPath(stand.config.keyDirectory, ID);
    const { size } = statSync(ring);
    rmSync(ring);
    await stand.restart();
    const views = await stand.parts.service.listVnets([]);
    assert.deepEqual(
      views.map(({ state }) => state),
      ["error", "up"],
    );
    assert.match(views[0]?.error ?? "", /^cannot use key ring .*: no such file .* restore it, or/);
    assert.deepEqual([...stand.fake.vnets.keys()], [parseVnetId("98")]);
    assert.deepEqual(await stand.parts.service.keys.list(["97"]), []);
    await assert.rejects(stand.parts.service.keys.add("97", keyFile("k")), {
      code: "VNETD_KEY_RING",
    });
    assert.ok(size > 0);
  });

  test("a vnet that cannot be made leaves no ring, one that is deleted neither", async () => {
    const stand = await startHost(1);
    const ring = keyRingPath(stand.config.keyDirectory, ID);
    stand.fake.refuse = ({ kind }) =>
      kind === "set-vnet" ? { error: 95, message: "not today" } : null;
    await assert.rejects(create(stand, keyFile("k97")), { code: "VNETD_DATAPLANE_FAILED" });
    assert.throws(() => statSync(ring), { code: "ENOENT" });
    stand.fake.refuse = () => null;
    await create(stand, keyFile("k97"));
    assert.equal(statSync(ring).mode & 0o777, 0o600);
    await stand.parts.service.deleteVnets(["97"], { bridge: false });
    assert.throws(() => statSync(ring), { code: "ENOENT" });
    assert.equal(stand.fake.sas.size, 0);
    await assert.rejects(create(stand, join(folder, "missing")), { code: "VNETD_KEY_FILE" });
    assert.deepEqual(await stand.parts.service.listVnets([]), []);
  });
});

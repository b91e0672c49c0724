/**
 * What every ControlApi must do, in memory, over the socket or in a running
 * daemon: one suite, run against each. The API under test starts empty.
 *
 * Interface names are given by the caller, because a real daemon makes real
 * interfaces; bridges are not made here.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { ControlApi, VnetRequest } from "../../src/control/api.ts";
import type { ControlErrorCode } from "../../src/control/control-error.ts";
import { parseMacAddress } from "../../src/net/mac-address.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";

export type ContractSubject = {
  readonly api: ControlApi;
  close(): Promise<void>;
};

export type ContractOptions = {
  readonly subject: string;
  start(): Promise<ContractSubject>;
  /** An address that the subject takes for a peer and that is none of its own. */
  readonly peerAddress?: string;
  /** A device of the subject's host and its MAC, for vifs by device name. */
  readonly device?: { readonly name: string; readonly mac: string };
};

const FIRST = parseVnetId("0a:97");
const SECOND = parseVnetId("0a:98");
const MAC = parseMacAddress("00:16:3e:0a:0b:0c");

/** Names that are ours and no default, so that both kinds are seen. */
const NAMED: VnetRequest = { id: FIRST, vnetif: "vnc-first" };
const PLAIN: VnetRequest = { id: SECOND, mtu: 1400 };

export function describeContract(options: ContractOptions): void {
  describe(`${options.subject} keeps the contract of ControlApi`, () => {
    let subject: ContractSubject;
    let api: ControlApi;
    before(async () => {
      subject = await options.start();
      api = subject.api;
    });
    after(async () => {
      await subject?.close();
    });
    const code = (expected: ControlErrorCode) => ({ name: "ControlError", code: expected });

    test("status() serves and counts nothing at first", async () => {
      const status = await api.status();
      assert.equal(status.serving, true);
      assert.equal(status.dataplane.state, "up");
      assert.deepEqual([status.vnetCount, status.peerCount], [0, 0]);
      assert.deepEqual(await api.listVnets([]), []);
      assert.deepEqual(await api.listVifs([]), []);
      assert.deepEqual(await api.listPeers(), []);
      assert.deepEqual(await api.listVarp([]), []);
    });

    test("createVnets() makes vnets with names given and names by default", async () => {
      const made = await api.createVnets([NAMED, PLAIN]);
      assert.deepEqual(
        made.map(({ id, vnetif, bridge, security, encapsulation, state, error }) => ({
          id,
          vnetif,
          bridge,
          security,
          encapsulation,
          state,
          error,
        })),
        [
          {
            id: FIRST,
            vnetif: "vnc-first",
            bridge: null,
            security: "none",
            encapsulation: "udp",
            state: "up",
            error: null,
          },
          {
            id: SECOND,
            vnetif: "vnif0098",
            bridge: null,
            security: "none",
            encapsulation: "udp",
            state: "up",
            error: null,
          },
        ],
      );
      assert.equal(made[1]?.mtu, 1400);
      assert.deepEqual(await api.listVnets([]), made);
      assert.equal((await api.status()).vnetCount, 2);
    });

    test("listVnets() finds by id, by short id and by interface name", async () => {
      for (const ref of [FIRST, "a:97", "vnc-first"]) {
        assert.deepEqual(
          (await api.listVnets([ref])).map(({ id }) => id),
          [FIRST],
          ref,
        );
      }
      await assert.rejects(api.listVnets(["no-such"]), code("VNETD_UNKNOWN_VNET"));
    });

    test("createVnets() makes all or none", async () => {
      const third = parseVnetId("0a:99");
      const before = await api.listVnets([]);
      await assert.rejects(
        api.createVnets([{ id: third }, { id: FIRST, vnetif: "vnc-x" }]),
        code("VNETD_VNET_EXISTS"),
      );
      await assert.rejects(
        api.createVnets([{ id: third, vnetif: "vnc-first" }]),
        code("VNETD_NAME_TAKEN"),
      );
      await assert.rejects(
        api.createVnets([{ id: third }, { id: third, vnetif: "vnc-y" }]),
        code("VNETD_VNET_EXISTS"),
      );
      await assert.rejects(
        api.createVnets([{ id: third }, { id: parseVnetId("1") }]),
        code("VNETD_RESERVED_VNET_ID"),
      );
      assert.deepEqual(await api.listVnets([]), before);
    });

    test("addVif() pins a MAC, deleteVif() forgets it", async () => {
      const vif = await api.addVif("vnc-first", { mac: MAC });
      assert.deepEqual([vif.vnet, vif.mac, vif.pinned], [FIRST, MAC, true]);
      assert.deepEqual(
        (await api.listVifs(["vnc-first"])).filter(({ pinned }) => pinned).map(({ mac }) => mac),
        [MAC],
      );
      assert.deepEqual(
        (await api.listVifs([SECOND])).filter(({ pinned }) => pinned),
        [],
      );
      await api.deleteVif(FIRST, { mac: MAC });
      assert.deepEqual(
        (await api.listVifs([FIRST])).filter(({ pinned }) => pinned),
        [],
      );
      await assert.rejects(api.deleteVif(FIRST, { mac: MAC }), code("VNETD_UNKNOWN_VIF"));
      await assert.rejects(api.addVif("no-such", { mac: MAC }), code("VNETD_UNKNOWN_VNET"));
    });

    test("addVif() takes the MAC of a device", { skip: options.device === undefined }, async () => {
      const device = options.device?.name ?? "";
      const vif = await api.addVif(FIRST, { device });
      assert.equal(vif.mac, options.device?.mac);
      await api.deleteVif(FIRST, { device });
      await assert.rejects(api.addVif(FIRST, { device: "vnc-none" }), code("VNETD_UNKNOWN_DEVICE"));
    });

    test("addPeer() adds a host once, deletePeer() forgets it", async () => {
      const address = options.peerAddress ?? "192.0.2.77";
      const peer = await api.addPeer(address, 1799);
      assert.deepEqual([peer.address, peer.udpPort, peer.name], [address, 1799, null]);
      assert.deepEqual(
        (await api.listPeers()).map((view) => view.address),
        [address],
      );
      await assert.rejects(api.addPeer(address, 1799), code("VNETD_PEER_EXISTS"));
      await assert.rejects(api.addPeer("no-such-host.invalid", null), code("VNETD_UNKNOWN_HOST"));
      await api.deletePeer(address);
      await assert.rejects(api.deletePeer(address), code("VNETD_UNKNOWN_PEER"));
      assert.deepEqual(await api.listPeers(), []);
    });

    test("flushVarp() leaves nothing learned", async () => {
      await api.flushVarp();
      assert.deepEqual(
        (await api.listVarp([])).filter(({ pinned }) => !pinned),
        [],
      );
      await assert.rejects(api.listVarp(["no-such"]), code("VNETD_UNKNOWN_VNET"));
    });

    test("stats() counts the process and each vnet by the same names", async () => {
      const all = await api.stats(null);
      assert.equal(all.filter(({ vnet }) => vnet === null).length, 1);
      const [one, ...more] = await api.stats("vnc-first");
      assert.deepEqual([one?.vnet, more], [FIRST, []]);
      assert.equal(typeof one?.counters["outbound-frames"], "number");
      await assert.rejects(api.stats("no-such"), code("VNETD_UNKNOWN_VNET"));
    });

    test("evaluate() answers text and refuses what is no command", async () => {
      assert.equal(await api.evaluate("(varp.flush)"), "");
      assert.match(await api.evaluate("(vnet.list)"), /\(vnet/);
      await assert.rejects(api.evaluate("(vnet.explode)"), code("VNETD_PARSE"));
    });

    test("metrics() is in the Prometheus text format", async () => {
      for (const line of (await api.metrics()).trimEnd().split("\n")) {
        assert.match(line, /^(# (HELP|TYPE) |[a-zA-Z_:][a-zA-Z0-9_:]*(\{.*\})? -?[0-9.e+-]+$)/);
      }
    });

    test("deleteVnets() deletes all that are named or none", async () => {
      await assert.rejects(
        api.deleteVnets([FIRST, "no-such"], { bridge: false }),
        code("VNETD_UNKNOWN_VNET"),
      );
      assert.equal((await api.listVnets([])).length, 2);
      await api.deleteVnets(["vnc-first", "a:98"], { bridge: false });
      assert.deepEqual(await api.listVnets([]), []);
    });
  });
}

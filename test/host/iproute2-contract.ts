/** What src/host/iproute2.ts is to do, on whatever it is run: the kernel, or the fake of it. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { RunProgram } from "../../src/host/child.ts";
import {
  defaultRouteDevice,
  deleteLinks,
  findLinks,
  listAddresses,
  listBridgePorts,
  listLinks,
  runBatch,
} from "../../src/host/iproute2.ts";

export type ContractHost = {
  readonly run: RunProgram;
  /** A device `u0` is there, up, with 10.9.0.1/24, and the default route leaves by it. */
  close(): Promise<void>;
};

export function describeIproute2Contract(
  name: string,
  makeHost: () => Promise<ContractHost>,
  options: { readonly skip: string | false },
): void {
  describe(`iproute2 on ${name}`, { skip: options.skip }, () => {
    let host: ContractHost | null = null;
    const run: RunProgram = (request) => {
      assert.ok(host !== null);
      return host.run(request);
    };
    before(async () => {
      host = await makeHost();
    });
    after(async () => {
      await host?.close();
    });

    test("a TAP shows its owner, its alias and that it persists", async () => {
      const failures = await runBatch(run, [
        ["tuntap", "add", "dev", "vnif0097", "mode", "tap", "user", "65534", "vnet_hdr"],
        ["link", "set", "dev", "vnif0097", "alias", "vnetd:97", "addrgenmode", "none"],
        ["link", "set", "dev", "vnif0097", "mtu", "1400", "txqueuelen", "1000"],
      ]);
      assert.deepEqual([...failures], []);
      const [tap] = await findLinks(run, ["vnif0097"]);
      assert.equal(tap?.kind, "tun");
      assert.deepEqual(tap.tap, {
        mode: "tap",
        persistent: true,
        multiQueue: false,
        user: "nobody",
      });
      assert.equal(tap.alias, "vnetd:97");
      assert.equal(tap.addressGeneration, "none");
      assert.equal(tap.mtu, 1400);
      assert.equal(tap.up, false);
      assert.equal(tap.master, null);
    });

    test("a batch goes on after a command that fails, and says which failed and why", async () => {
      const failures = await runBatch(run, [
        ["tuntap", "add", "dev", "vnif0097", "mode", "tap", "user", "65534", "vnet_hdr"],
        ["link", "add", "name", "vnet97", "type", "bridge", "stp_state", "0"],
        ["link", "add", "name", "vnet97", "type", "bridge"],
        ["link", "set", "dev", "absent", "up"],
        ["link", "set", "dev", "vnif0097", "master", "u0"],
        ["link", "set", "dev", "vnif0097", "mtu", "99999"],
        ["link", "set", "dev", "vnif0097", "master", "vnet97"],
      ]);
      assert.deepEqual(
        [...failures],
        [
          [0, "ioctl(TUNSETIFF): Device or resource busy"],
          [2, "File exists"],
          [3, 'Cannot find device "absent"'],
          [4, "Operation not supported"],
          [5, "mtu greater than device maximum."],
        ],
      );
      const [tap] = await findLinks(run, ["vnif0097"]);
      assert.equal(tap?.master, "vnet97");
    });

    test("findLinks() leaves out what is not there, and names may have any character", async () => {
      await runBatch(run, [["link", "add", "name", 'a#b"c', "type", "bridge"]]);
      const names = (links: readonly { name: string }[]): string[] => links.map(({ name: n }) => n);
      assert.deepEqual(names(await findLinks(run, ["absent", "vnet97", "gone"])), ["vnet97"]);
      assert.deepEqual(names(await findLinks(run, ["absent", 'a#b"c'])), ['a#b"c']);
      assert.deepEqual(names(await findLinks(run, [])), []);
      assert.equal((await listLinks(run)).find(({ name: n }) => n === 'a#b"c')?.kind, "bridge");
    });

    test("listBridgePorts() lists the members of one bridge", async () => {
      const ports = await listBridgePorts(run, "vnet97");
      assert.deepEqual(
        ports.map(({ name: port }) => port),
        ["vnif0097"],
      );
      await assert.rejects(
        listBridgePorts(run, "absent"),
        /link show master absent exited 255: argument "absent" is wrong: Device does not exist/,
      );
    });

    test("addresses and the default route's device", async () => {
      const addresses = await listAddresses(run);
      const [address] = addresses.filter(({ linkName }) => linkName === "u0");
      assert.equal(address?.address, "10.9.0.1");
      assert.equal(address.family, 4);
      assert.equal(address.prefixLength, 24);
      assert.equal(address.scope, "global");
      assert.equal(await defaultRouteDevice(run), "u0");
    });

    test("up and down, and a bridge that goes lets its ports go", async () => {
      await runBatch(run, [
        ["link", "set", "dev", "vnif0097", "up"],
        ["link", "del", "dev", "vnet97"],
      ]);
      const [tap] = await findLinks(run, ["vnif0097"]);
      assert.equal(tap?.up, true);
      assert.equal(tap.master, null);
      await runBatch(run, [["link", "set", "dev", "vnif0097", "down"]]);
      assert.equal((await findLinks(run, ["vnif0097"]))[0]?.up, false);
      await runBatch(run, [["link", "del", "dev", "vnif0097"]]);
      assert.deepEqual(await findLinks(run, ["vnif0097", "vnet97"]), []);
    });

    test("many links are deleted together, and only those", async () => {
      const names = ["one", "two", "three", "four", "five"];
      await runBatch(run, [
        ...[...names, "other"].map((name) => ["link", "add", "name", name, "type", "bridge"]),
        ["link", "del", "dev", "three"],
      ]);
      const failures = await deleteLinks(run, names);
      assert.deepEqual([...failures.keys()], [2]);
      assert.match(failures.get(2) ?? "", /Cannot find device/);
      assert.deepEqual(
        (await findLinks(run, [...names, "other"])).map(({ name }) => name),
        ["other"],
      );
      const again = await deleteLinks(run, names);
      assert.equal(again.size, names.length);
      assert.deepEqual([...(await deleteLinks(run, ["other"]))], []);
      assert.deepEqual(await findLinks(run, ["other"]), []);
    });
  });
}

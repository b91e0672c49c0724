/** What a xenstore is to do, whichever program it runs on: the real xenstored, or the fake of it. */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { isWrittenByDom0Only, type Xenstore, type XenstoreError } from "../../src/host/xenstore.ts";
import { openXenstore } from "../../src/host/xenstore-client.ts";

/** The hand of someone else on the same tree. */
export type ContractStore = {
  readonly socketPath: string;
  write(path: string, value: string): void;
  remove(path: string): void;
  setPermissions(path: string, ...permissions: readonly string[]): void;
  killStore(): Promise<void>;
  /** With an empty tree. */
  startStore(): Promise<void>;
  stop(): Promise<void>;
};

const WITHIN_MS = 5_000;

export function describeXenstoreContract(
  name: string,
  makeStore: () => Promise<ContractStore>,
  options: { readonly skip: string | false },
): void {
  describe(`Xenstore on ${name}`, { skip: options.skip }, () => {
    let there: ContractStore;
    const opened: Xenstore[] = [];
    const changes: (string | null)[] = [];
    const failures: XenstoreError[] = [];
    let wake: () => void = () => {};

    before(async () => {
      there = await makeStore();
    });
    after(async () => {
      await there.stop();
    });
    afterEach(() => {
      for (const store of opened.splice(0)) {
        store.close();
      }
      changes.length = 0;
      failures.length = 0;
      there.remove("/t");
    });

    async function until(isSo: () => boolean): Promise<void> {
      const giveUpAt = Date.now() + WITHIN_MS;
      const deadline = setTimeout(() => wake(), WITHIN_MS);
      while (!isSo()) {
        assert.ok(Date.now() < giveUpAt, `it did not come to pass: ${JSON.stringify(changes)}`);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      clearTimeout(deadline);
    }

    async function ready(watches: readonly string[] = []): Promise<Xenstore> {
      // So that it can be removed, and watched.
      there.write("/t", "");
      const store = openXenstore({
        socketPath: there.socketPath,
        watches,
        deadlineMs: 1_000,
        onChange(path) {
          changes.push(path);
          wake();
        },
        onFailure(error) {
          failures.push(error);
          wake();
        },
      });
      opened.push(store);
      await until(() => store.connected);
      return store;
    }

    test("reads what was written, lists, and removes with all below", async () => {
      const store = await ready();
      assert.equal(await store.read("/t/a/b"), null);
      assert.equal(await store.list("/t/a"), null);
      await store.write("/t/a/b", "of dom0: ü\n");
      assert.equal(await store.read("/t/a/b"), "of dom0: ü\n");
      assert.equal(await store.read("/t/a"), "");
      await store.write("/t/a/c", "");
      assert.equal(await store.read("/t/a/c"), "");
      assert.deepEqual((await store.list("/t/a"))?.toSorted(), ["b", "c"]);
      assert.deepEqual(await store.list("/t/a/c"), []);
      await store.remove("/t/a");
      assert.equal(await store.read("/t/a/b"), null);
      await store.remove("/t/a");
    });

    test("sees what others write", async () => {
      const store = await ready();
      there.write("/t/vif", "10.0.0.10");
      assert.equal(await store.read("/t/vif"), "10.0.0.10");
      there.remove("/t/vif");
      assert.equal(await store.read("/t/vif"), null);
    });

    test("lists more names than one message holds", async () => {
      const store = await ready();
      const names = Array.from({ length: 900 }, (_, index) => `child-number-${index}`);
      await Promise.all(names.map((child) => store.write(`/t/many/${child}`, "")));
      assert.deepEqual((await store.list("/t/many"))?.toSorted(), names.toSorted());
    });

    test("tells who can have written a node", async () => {
      const store = await ready();
      assert.equal(await store.permissions("/t/a"), null);
      await store.write("/t/a", "");
      const own = await store.permissions("/t/a");
      assert.deepEqual(own, { ownerDomainId: 0, others: "none", domains: new Map() });
      assert.equal(isWrittenByDom0Only(own), true);
      const cases: readonly (readonly [permissions: readonly string[], dom0Only: boolean])[] = [
        [["n0", "r5"], true],
        [["r0"], true],
        [["n0", "r5", "b7"], false],
        [["n0", "w5"], false],
        [["w0"], false],
        [["n5"], false],
        [["b5", "r0"], false],
      ];
      for (const [permissions, dom0Only] of cases) {
        there.setPermissions("/t/a", ...permissions);
        const told = await store.permissions("/t/a");
        assert.ok(told !== null);
        assert.equal(isWrittenByDom0Only(told), dom0Only, permissions.join(" "));
      }
    });

    test("tells what changes below the nodes it watches", async () => {
      const store = await ready(["/t/watched"]);
      assert.equal(changes[0], null);
      there.write("/t/watched/1/ipv4", "10.0.0.10");
      await until(() => changes.includes("/t/watched/1/ipv4"));
      await store.write("/t/other", "");
      await store.watch("/t/other");
      await store.watch("/t/other");
      await store.write("/t/other/x", "");
      await until(() => changes.includes("/t/other/x"));
      there.remove("/t/watched");
      await until(() => changes.includes("/t/watched"));
      await store.unwatch("/t/other");
      await store.unwatch("/t/other");
      changes.length = 0;
      await store.write("/t/other/x", "again");
      await store.write("/t/watched/2", "");
      await until(() => changes.includes("/t/watched/2"));
      assert.equal(changes.includes("/t/other/x"), false);
    });

    test("does several things at one moment", async () => {
      const store = await ready();
      const other = await ready(["/t/pair"]);
      const result = await store.transact(async (transaction) => {
        await transaction.write("/t/pair/a", "1");
        assert.equal(await other.read("/t/pair/a"), null);
        await transaction.write("/t/pair/b", "2");
        assert.deepEqual((await transaction.list("/t/pair"))?.toSorted(), ["a", "b"]);
        return await transaction.read("/t/pair/a");
      });
      assert.equal(result, "1");
      assert.equal(await other.read("/t/pair/b"), "2");
      await until(() => changes.includes("/t/pair/b"));
    });

    test("does it again when others have changed the same meanwhile", async () => {
      const store = await ready();
      await store.write("/t/counter", "1");
      let attemptCount = 0;
      await store.transact(async (transaction) => {
        attemptCount += 1;
        const count = Number(await transaction.read("/t/counter"));
        if (attemptCount === 1) {
          there.write("/t/counter", "10");
        }
        await transaction.write("/t/counter", String(count + 1));
      });
      assert.equal(attemptCount, 2);
      assert.equal(await store.read("/t/counter"), "11");
    });

    test("gives up when others always do", async () => {
      const store = await ready();
      const other = await ready();
      let attemptCount = 0;
      const never = store.transact(async (transaction) => {
        attemptCount += 1;
        await transaction.write("/t/counter", await transaction.read("/t/counter").then(String));
        await other.write("/t/counter", String(attemptCount));
      });
      await assert.rejects(never, { reason: "conflict", errno: "EAGAIN" });
      assert.ok(attemptCount > 5);
    });

    test("changes nothing when the work fails", async () => {
      const store = await ready();
      const work = store.transact(async (transaction) => {
        await transaction.write("/t/a", "");
        throw new Error("changed its mind");
      });
      await assert.rejects(work, { message: "changed its mind" });
      assert.equal(await store.read("/t/a"), null);
    });

    const refusals: readonly (readonly [path: string, value: string, errno: string])[] = [
      ["/t//a", "", "EINVAL"],
      ["/t/a/", "", "EINVAL"],
      ["/t/ü", "", "EINVAL"],
      ["/t/a\0/t/b", "", "EINVAL"],
      ["/t/a", "x".repeat(5_000), "E2BIG"],
    ];
    for (const [path, value, errno] of refusals) {
      test(`says ${errno} of ${JSON.stringify(path)} and goes on`, async () => {
        const store = await ready();
        await assert.rejects(store.write(path, value), {
          code: "VNETD_XENSTORE_FAILED",
          reason: "refused",
          errno,
          message: `xenstored cannot write ${path}: ${errno}`,
        });
        assert.equal(await store.read("/t"), "");
      });
    }

    test("refuses to watch what cannot be watched", async () => {
      const store = await ready();
      await assert.rejects(store.watch("/t//a"), { reason: "refused", errno: "EINVAL" });
      await assert.rejects(store.watch("/t\0"), { reason: "refused", errno: "EINVAL" });
    });

    test("asks many things at once", async () => {
      const store = await ready();
      const values = Array.from({ length: 200 }, (_, index) => String(index));
      await Promise.all(values.map((value) => store.write(`/t/${value}`, value)));
      const read = await Promise.all(values.map((value) => store.read(`/t/${value}`)));
      assert.deepEqual(read, values);
    });

    test("is without a connection when the store is killed, and watches again after", async () => {
      const store = await ready(["/t/watched"]);
      await store.watch("/t/other");
      changes.length = 0;
      const dangling = store.transact(() => there.killStore());
      await assert.rejects(dangling, { reason: "ended" });
      await until(() => failures.some(({ reason }) => reason === "no-store"));
      assert.equal(store.connected, false);
      await assert.rejects(store.read("/t"), {
        message: "There is no connection to xenstored",
        reason: "ended",
      });
      await there.startStore();
      await until(() => store.connected);
      assert.equal(JSON.stringify(changes), "[null]");
      there.write("/t/watched/1", "");
      there.write("/t/other", "");
      await until(() => changes.includes("/t/watched/1") && changes.includes("/t/other"));
    });
  });
}

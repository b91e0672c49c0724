import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PortCorrections } from "../../src/daemon/vif-corrections.ts";
import { Ofports } from "../../src/daemon/vif-ofports.ts";
import type { PortChanges } from "../../src/host/switch-database.ts";
import type { SwitchInterface, SwitchView } from "../../src/host/switch-view.ts";

/** A switch that has these numbers. */
function viewOf(...ofports: readonly number[]): SwitchView {
  const interfaces = ofports.map((ofport): [string, SwitchInterface] => [
    `p${ofport}`,
    { ofport, ofportRequest: null } as SwitchInterface,
  ]);
  return { interfaces: new Map(interfaces) } as unknown as SwitchView;
}

describe("Ofports", () => {
  test("goes upwards from the highest, so that a number that was freed is not used at once", () => {
    const ofports = new Ofports();
    assert.equal(ofports.choose(viewOf(1, 7), []), 8);
    assert.equal(ofports.choose(viewOf(1, 7), []), 9);
    assert.equal(ofports.choose(viewOf(1), [10]), 11);
  });

  test("passes over what is taken, begins anew above the last one, and leaves out reserved ones", () => {
    assert.equal(new Ofports().choose(viewOf(1, 2, 0xfffe), [3]), 4);
    assert.equal(new Ofports().choose(viewOf(1, 0xfeff), []), 2);
    assert.equal(new Ofports().choose(null, []), 1);
  });
});

describe("PortCorrections", () => {
  test("what is asked for while one is made, is made together", async () => {
    const made: (readonly string[])[] = [];
    const corrections = new PortCorrections(async (changes) => {
      made.push([...changes.keys()]);
      await new Promise(setImmediate);
    });
    const change: PortChanges = {};
    const names = Array.from({ length: 100 }, (_, index) => `p${index}`);
    await Promise.all(names.map((name) => corrections.make(name, change)));
    assert.deepEqual(made, [["p0"], names.slice(1)]);
  });

  test("what fails is told to those whose change it was", async () => {
    const corrections = new PortCorrections(async (changes) => {
      if (changes.has("bad")) {
        throw new Error("no such port");
      }
    });
    const [first, second] = [corrections.make("good", {}), corrections.make("bad", {})];
    await first;
    await assert.rejects(second, /no such port/);
    await corrections.make("good", {});
  });
});

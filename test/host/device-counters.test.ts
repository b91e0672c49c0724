import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { parseDeviceCounters, readDeviceCounters } from "../../src/host/device-counters.ts";

describe("parseDeviceCounters()", () => {
  test("reads what the kernel wrote, also where a long name leaves no blank", async () => {
    // dist/test/host/ is three folders below the checkout.
    const file = new URL("../../../test/host/recorded/proc-net-dev.txt", import.meta.url);
    const counters = parseDeviceCounters(await readFile(file, "utf8"));
    assert.deepEqual([...counters.keys()], ["lo", "vif123456789012", "vnif0010"]);
    assert.deepEqual(counters.get("vif123456789012"), {
      ...{ receivedOctets: 1234567890123, receivedPackets: 987654321 },
      ...{ sentOctets: 42, sentPackets: 7, droppedPackets: 14 },
    });
  });

  test("finds the devices of this machine", async () => {
    assert.ok((await readDeviceCounters()).has("lo"));
  });
});

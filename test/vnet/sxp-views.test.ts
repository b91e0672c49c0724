import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseIpAddress } from "../../src/net/ip-address.ts";
import { parseMacAddress } from "../../src/net/mac-address.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import { parseSexprs } from "../../src/vnet/sexpr.ts";
import {
  printPeerList,
  printVarpList,
  printVifList,
  printVnetList,
} from "../../src/vnet/sxp-views.ts";

const ID = parseVnetId("97");
const LONG_ID = "0000:0000:0000:0000:0000:0000:0000:0097";
const MAC = parseMacAddress("00:16:3e:00:00:01");

describe("the original's listings", () => {
  test("vnet.list is a line a vnet", () => {
    const vnet = { id: ID, vnetif: "vnif0097", security: "none" } as const;
    assert.equal(
      printVnetList([
        { ...vnet, encapsulation: "udp" },
        { ...vnet, encapsulation: "etherip" },
      ]),
      `(vnet (id ${LONG_ID}) (vnetif vnif0097) (security none) (header 64))\n` +
        `(vnet (id ${LONG_ID}) (vnetif vnif0097) (security none) (header 52))\n`,
    );
  });

  test("vif.list has the table, then the vifs", () => {
    assert.equal(
      printVifList([{ vnet: ID, mac: MAC, ageMs: 12_999 }], { vifTtlMs: 60_000 }),
      `(viftable
 (table_ttl 60)
 (entry_ttl 60)
 (sweeps 0)
)
(vif
 (vnet ${LONG_ID})
 (vmac 00:16:3e:00:00:01)
 (age 12)
)
`,
    );
  });

  test("peer.list has the counters", () => {
    assert.equal(
      printPeerList([{ address: "10.0.0.1", udpPort: 1798, forwardedOut: 3, forwardedIn: 4 }]),
      "(vnet_peer\n (addr 10.0.0.1)\n (port 1798)\n (tx_packets 3)\n (rx_packets 4)\n)\n",
    );
  });

  test("varp.list has the settings, then the entries", () => {
    const host = { address: parseIpAddress("10.0.0.2"), udpPort: 1798 };
    const text = printVarpList({
      device: "eth0",
      multicastGroup: "224.10.0.1",
      address: "10.0.0.1",
      udpPort: 1798,
      fdbTtlMs: 60_000,
      entries: [
        { vnet: ID, mac: MAC, state: "reachable", host, ageMs: 5000 },
        { vnet: ID, mac: MAC, state: "asking", host: null, ageMs: 500 },
      ],
    });
    assert.equal(
      text,
      `(varp
 (device eth0)
 (mcast_addr 224.10.0.1)
 (ucast_addr 10.0.0.1)
 (port 1798)
 (encapsulation etherip_in_udp)
 (entry_ttl 60)
)
(ventry
 (ref 1)
 (state reachable)
 (flags -)
 (addr 10.0.0.2)
 (queue 0)
 (age 5)
 (vmac 00:16:3e:00:00:01)
 (vnet ${LONG_ID})
)
(ventry
 (ref 1)
 (state incomplete)
 (flags P)
 (addr 0.0.0.0)
 (queue 0)
 (age 0)
 (vmac 00:16:3e:00:00:01)
 (vnet ${LONG_ID})
)
`,
    );
    assert.equal(parseSexprs(text).length, 3);
  });

  test("without an underlay there are zero addresses in their places", () => {
    const none = { device: null, multicastGroup: null, address: null, entries: [] };
    const text = printVarpList({ ...none, udpPort: 1798, fdbTtlMs: 60_000 });
    assert.match(text, /\(device none\)\n \(mcast_addr 0\.0\.0\.0\)\n \(ucast_addr 0\.0\.0\.0\)/);
  });
});

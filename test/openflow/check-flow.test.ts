import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseIpAddress } from "../../src/net/ip-address.ts";
import { parseMacAddress } from "../../src/net/mac-address.ts";
import { parsePrefix } from "../../src/net/prefix.ts";
import type { Action } from "../../src/openflow/action.ts";
import { findFlowFault, findFlowsFault } from "../../src/openflow/check-flow.ts";
import type { Flow } from "../../src/openflow/flow.ts";
import type { Match } from "../../src/openflow/match.ts";
import { VIF_PIPELINE } from "../../src/openflow/pipeline.ts";
import { OPEN_PIPELINE } from "./flow-arbitraries.ts";

const MAC = parseMacAddress("02:00:00:00:00:10");
const BROADCAST = parseMacAddress("ff:ff:ff:ff:ff:ff");
const GROUP_BIT = parseMacAddress("01:00:00:00:00:00");
const IP4 = parseIpAddress("10.0.0.10");
const IP6 = parseIpAddress("fd00::10");

function flow(changes: Partial<Flow>): Flow {
  return { cookie: 1n, table: 0, priority: 1, match: {}, actions: [], ...changes };
}

const FAULTY_MATCHES: readonly (readonly [Match, RegExp])[] = [
  [{ arpOp: 1 }, /arpOp needs protocol arp, rarp/],
  [{ protocol: "ip", ipv6Src: IP6 }, /ipv6Src needs protocol ipv6, /],
  [{ protocol: "arp", nwTtl: 255 }, /nwTtl needs protocol/],
  [{ protocol: "ip", tpDst: 67 }, /tpDst needs protocol tcp, /],
  [{ protocol: "ip", icmpType: 8 }, /icmpType needs protocol icmp, icmp6/],
  [{ protocol: "icmp6", icmpType: 135, ndTarget: IP6 }, /ndTarget needs .* icmpCode 0/],
  [{ protocol: "icmp6", icmpType: 136, icmpCode: 0, ndSll: MAC }, /ndSll needs icmpType 135/],
  [{ protocol: "icmp6", icmpType: 135, icmpCode: 0, ndTll: MAC }, /ndTll needs icmpType 136/],
  [{ protocol: "udp", ipFragment: "later", tpSrc: 67 }, /tpSrc is not in later fragments/],
  [{ protocol: "arp", dlType: 0x0806 }, /exclude each other/],
  [{ dlType: 0x0800 }, /protocol ip says it/],
  [{ protocol: "ip", nwProto: 6 }, /protocol tcp says it/],
  [{ protocol: "tcp", nwProto: 6 }, /nwProto needs protocol ip, ipv6/],
  [{ protocol: "ip", nwSrc: IP6 }, /nwSrc is no address of IPv4/],
  [{ protocol: "ip", nwSrc: parsePrefix("10.0.0.10/32") }, /nwSrc has a prefix of 32 bits/],
  [{ protocol: "ipv6", ipv6Src: parsePrefix("::/0") }, /ipv6Src has a prefix of 0 bits/],
  [{ dlDst: { address: MAC, mask: GROUP_BIT } }, /dlDst has bits beyond its mask/],
  [{ dlDst: { address: MAC, mask: BROADCAST } }, /dlDst has a mask of nothing or all/],
  [{ reg0: { value: 4, mask: 3 } }, /reg0 has bits beyond its mask/],
  [{ reg0: { value: 0, mask: 0 } }, /reg0 has a mask of nothing or all/],
  [{ reg0: -1 }, /reg0 has more than 32 bits/],
  [{ vlan: 4096 }, /vlan is not in 0…4095/],
  [{ inPort: 0 }, /inPort 0 is no port/],
  [{ inPort: 0xffff_fffa }, /inPort 4294967290 is no port/],
  [{ protocol: "udp", tpSrc: 65_536 }, /tpSrc is not in 0…65535/],
  [{ conjId: 1.5 }, /conjId is not in/],
];

const conjunction = { kind: "conjunction", id: 1, clause: 1, clauseCount: 2 } as const;
const controller = { kind: "controller", maxBytes: 128, userdata: "7601" } as const;

const FAULTY_ACTIONS: readonly (readonly [readonly Action[], RegExp])[] = [
  [[{ kind: "resubmit", table: 0 }], /"table 0" does not lead to table 0/],
  [[{ kind: "clone", actions: [{ kind: "resubmit", table: 12 }] }], /does not lead to table 12/],
  [[{ kind: "clone", actions: [] }], /clone has no actions/],
  [[{ kind: "load", register: 1, value: 2 ** 32 }], /load has more than 32 bits/],
  [[{ kind: "output", port: 0xffff_fffd }], /which is no port/],
  [[conjunction, { kind: "normal" }], /conjunction goes with no other action/],
  [[{ ...conjunction, clause: 3 }], /no clause 3 of 2/],
  [[{ ...conjunction, clauseCount: 1 }], /no clause 1 of 1/],
  [[{ kind: "strip-vlan" }], /strip-vlan needs a match of a VLAN id or of any tag/],
  [[{ ...controller, userdata: "7" }], /userdata/],
  [[{ ...controller, meterId: 0 }], /no meter 0/],
];

describe("findFlowFault", () => {
  for (const [match, fault] of FAULTY_MATCHES) {
    test(`refuses a match: ${fault.source}`, () => {
      assert.match(findFlowFault(flow({ match }), OPEN_PIPELINE) ?? "", fault);
    });
  }

  for (const [actions, fault] of FAULTY_ACTIONS) {
    test(`refuses actions: ${fault.source}`, () => {
      assert.match(findFlowFault(flow({ actions }), OPEN_PIPELINE) ?? "", fault);
    });
  }

  test("refuses a tag removed twice", () => {
    const strip = { kind: "strip-vlan" } as const;
    const twice = flow({
      match: { vlan: 5 },
      actions: [strip, { kind: "clone", actions: [strip] }],
    });
    assert.match(findFlowFault(twice, OPEN_PIPELINE) ?? "", /twice/);
    assert.equal(findFlowFault({ ...twice, actions: [strip] }, OPEN_PIPELINE), null);
  });

  test("refuses numbers that the wire has no room for", () => {
    assert.match(findFlowFault(flow({ priority: 65_536 }), OPEN_PIPELINE) ?? "", /priority 65536/);
    assert.match(findFlowFault(flow({ cookie: 2n ** 64n }), OPEN_PIPELINE) ?? "", /cookie/);
    assert.match(findFlowFault(flow({ cookie: 2n ** 64n - 1n }), OPEN_PIPELINE) ?? "", /cookie/);
  });

  test("says the table, what is wrong, and the flow", () => {
    assert.equal(
      findFlowFault(flow({ table: 5, match: { reg1: 7 } }), VIF_PIPELINE),
      "Flow is wrong, the pipeline has no table 5: cookie=0x1, table=5, priority=1,reg1=0x7 actions=drop",
    );
    assert.match(
      findFlowFault(flow({ table: 50, match: { protocol: "ip" } }), VIF_PIPELINE) ?? "",
      /flows of "deliver" may not match protocol: /,
    );
    assert.match(
      findFlowFault(flow({ table: 20, actions: [{ kind: "normal" }] }), VIF_PIPELINE) ?? "",
      /flows of "destination policy of isolated VIFs" may not normal: /,
    );
  });
});

describe("findFlowsFault", () => {
  test("refuses a second flow with the same match, which would replace the first", () => {
    const one = flow({ match: { protocol: "ip", nwDst: IP4 } });
    const other = flow({ match: { nwDst: IP4, protocol: "ip" }, actions: [{ kind: "normal" }] });
    assert.equal(findFlowsFault([one, flow({})], OPEN_PIPELINE), null);
    assert.match(
      findFlowsFault([one, other], OPEN_PIPELINE) ?? "",
      /another one has the same match/,
    );
  });
});

describe("VIF_PIPELINE", () => {
  test("leads from each table to later ones of its own only, so that no frame goes round", () => {
    for (const [number, { next }] of VIF_PIPELINE) {
      for (const table of next) {
        assert.ok(table > number && VIF_PIPELINE.has(table), `${number} leads to ${table}`);
      }
    }
  });
});

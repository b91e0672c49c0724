import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { formatEndpoint } from "../../src/net/endpoint.ts";
import { parseIpAddress } from "../../src/net/ip-address.ts";
import { parseMacAddress } from "../../src/net/mac-address.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import type { DataplaneCommand } from "../../src/vnet/dataplane-messages.ts";
import { type AppliedState, type DataplaneTarget, planDataplane } from "../../src/vnet/plan.ts";

const NOTHING: AppliedState = { underlay: null, ages: null, vnets: [], peers: [], vifs: [] };

const UNDERLAY = {
  kind: "set-underlay",
  deviceIndex: 2,
  mtuBytes: 1500,
  sourceAddress4: parseIpAddress("10.0.0.1"),
  sourceAddress6: null,
  group4: parseIpAddress("224.10.0.1"),
  group6: null,
  multicastTtl: 1,
  multicast: true,
  localAddresses: [parseIpAddress("10.0.0.1"), parseIpAddress("127.0.0.1")],
  guestSideDevices: [5, 7],
  localPrefixLengths: [24, 8],
} as const;

const AGES = {
  kind: "set-ages",
  fdbTtlMs: 60_000,
  vifTtlMs: 60_000,
  refreshAfterMs: 30_000,
} as const;
const PEER = { address: parseIpAddress("10.9.0.1"), udpPort: 1798 };
const TARGET: DataplaneTarget = {
  underlay: UNDERLAY,
  ages: AGES,
  vnets: [vnet("2", "vnif0002"), vnet("3", "vnif0003")],
  peers: [PEER],
  pinnedVifs: [pin("2", 1), pin("3", 1)],
};

describe("planDataplane", () => {
  test("brings everything to a data plane that knows nothing", () => {
    assert.deepEqual(kinds(planDataplane(TARGET, NOTHING)), [
      "set-underlay",
      "set-ages",
      "set-vnet",
      "set-vnet",
      "set-peer",
      "pin-vif",
      "pin-vif",
    ]);
  });

  test("says nothing to a data plane that does it all, whatever the order of its lists", () => {
    const state = apply(NOTHING, planDataplane(TARGET, NOTHING));
    const shuffled: DataplaneTarget = {
      ...TARGET,
      underlay: {
        ...UNDERLAY,
        localAddresses: UNDERLAY.localAddresses.toReversed(),
        localPrefixLengths: UNDERLAY.localPrefixLengths.toReversed(),
        guestSideDevices: [7, 5, 7],
      },
      vnets: TARGET.vnets.toReversed(),
      pinnedVifs: TARGET.pinnedVifs.toReversed(),
    };
    assert.deepEqual(planDataplane(shuffled, state), []);
  });

  test("attaches a vnet whose TAP was lost", () => {
    const state = apply(NOTHING, planDataplane(TARGET, NOTHING));
    const vnets = state.vnets.map((one, index) => ({ ...one, attached: index !== 0 }));
    assert.deepEqual(planDataplane(TARGET, { ...state, vnets }), [TARGET.vnets[0]]);
  });

  test("changes a vnet in place, but makes it anew with its pins for another TAP", () => {
    const state = apply(NOTHING, planDataplane(TARGET, NOTHING));
    const [first, second] = TARGET.vnets;
    assert.ok(first && second);
    const wider = { ...first, mtuBytes: 9000 };
    assert.deepEqual(planDataplane({ ...TARGET, vnets: [wider, second] }, state), [wider]);

    const swapped = [
      { ...first, deviceName: second.deviceName },
      { ...second, deviceName: first.deviceName },
    ];
    assert.deepEqual(kinds(planDataplane({ ...TARGET, vnets: swapped }, state)), [
      "delete-vnet",
      "delete-vnet",
      "set-vnet",
      "set-vnet",
      "pin-vif",
      "pin-vif",
    ]);
  });

  test("leaves learned vifs alone and unpins what is not wanted", () => {
    const state = apply(NOTHING, planDataplane(TARGET, NOTHING));
    const learned = { kind: "vif-entry", ...pin("2", 9), ageMs: 5, pinned: false } as const;
    const target = { ...TARGET, pinnedVifs: [pin("2", 1)] };
    assert.deepEqual(planDataplane(target, { ...state, vifs: [...state.vifs, learned] }), [
      { kind: "delete-vif", ...pin("3", 1) },
    ]);
  });

  test("replaces a peer whose port changed, and pins nothing on a vnet that is not carried", () => {
    const state = apply(NOTHING, planDataplane(TARGET, NOTHING));
    const moved = { ...PEER, udpPort: 1799 };
    const target = { ...TARGET, peers: [moved], pinnedVifs: [...TARGET.pinnedVifs, pin("9", 1)] };
    assert.deepEqual(planDataplane(target, state), [
      { kind: "delete-peer", host: PEER },
      { kind: "set-peer", host: moved },
    ]);
  });

  test("leaves the underlay as it is while none is known", () => {
    const state = apply(NOTHING, planDataplane(TARGET, NOTHING));
    assert.deepEqual(planDataplane({ ...TARGET, underlay: null }, state), []);
  });

  const differences = [
    { deviceIndex: 3 },
    { mtuBytes: 9000 },
    { sourceAddress4: null },
    { sourceAddress6: parseIpAddress("2001:db8::1") },
    { group4: parseIpAddress("239.0.0.1") },
    { group6: parseIpAddress("ff15::1798") },
    { multicastTtl: 2 },
    { multicast: false },
    { localAddresses: [parseIpAddress("10.0.0.1")] },
    { localPrefixLengths: [8, 24] },
    { guestSideDevices: [5, 8] },
  ];
  for (const difference of differences) {
    test(`tells of an underlay with another ${Object.keys(difference)}`, () => {
      const state = apply(NOTHING, planDataplane(TARGET, NOTHING));
      const underlay = { ...UNDERLAY, ...difference };
      assert.deepEqual(planDataplane({ ...TARGET, underlay }, state), [underlay]);
    });
  }

  test("is empty once it is done, from any state to any target", () => {
    fc.assert(
      fc.property(anyTarget(), anyTarget(), (before, after) => {
        const state = apply(NOTHING, planDataplane(before, NOTHING));
        const plan = planDataplane(after, state);
        assert.deepEqual(planDataplane(after, apply(state, plan)), []);
      }),
      { numRuns: 500 },
    );
  });
});

function anyTarget(): fc.Arbitrary<DataplaneTarget> {
  const ids = ["2", "3", "4"];
  const devices = fc.shuffledSubarray(["a", "b", "c"], { minLength: 3 });
  return fc.record({
    underlay: fc
      .option(fc.record({ mtuBytes: fc.constantFrom(1400, 1500) }), { nil: null })
      .map((change) => change && { ...UNDERLAY, ...change }),
    ages: fc.constantFrom(AGES, { ...AGES, fdbTtlMs: 5000 }),
    vnets: fc
      .tuple(fc.subarray(ids), devices, fc.constantFrom(1400, 1500))
      .map(([some, names, mtuBytes]) =>
        some.map((id, index) => ({ ...vnet(id, names[index] ?? ""), mtuBytes })),
      ),
    peers: fc.subarray([
      PEER,
      { ...PEER, udpPort: 1799 },
      { address: parseIpAddress("::2"), udpPort: 1 },
    ]),
    pinnedVifs: fc.subarray(ids.flatMap((id) => [pin(id, 1), pin(id, 2)])),
  });
}

/** A data plane in a few lines: refuses what vnet-dp refuses, for the plan must not ask for it. */
function apply(state: AppliedState, commands: readonly DataplaneCommand[]): AppliedState {
  return commands.reduce(applyOne, state);
}

function applyOne(state: AppliedState, command: DataplaneCommand): AppliedState {
  switch (command.kind) {
    case "set-underlay":
      return { ...state, underlay: { ...command, kind: "underlay-state" } };
    case "set-ages":
      return { ...state, ages: { ...command, kind: "ages-state" } };
    case "set-vnet": {
      const others = state.vnets.filter((one) => one.vnet !== command.vnet);
      assert.ok(!others.some(({ deviceName }) => deviceName === command.deviceName), "TAP is busy");
      const counts = { fdbCount: 0, vifCount: 0 };
      const added = { ...command, ...counts, kind: "vnet-state", attached: true } as const;
      return { ...state, vnets: [...others, added] };
    }
    case "delete-vnet":
      return {
        ...state,
        vnets: state.vnets.filter((one) => one.vnet !== command.vnet),
        vifs: state.vifs.filter((one) => one.vnet !== command.vnet),
      };
    case "set-peer": {
      const added = { ...command, kind: "peer-state", forwardedOut: 0n, forwardedIn: 0n } as const;
      return { ...state, peers: [...state.peers, added] };
    }
    case "delete-peer":
      return {
        ...state,
        peers: state.peers.filter(
          ({ host }) =>
            !host || !command.host || formatEndpoint(host) !== formatEndpoint(command.host),
        ),
      };
    case "pin-vif": {
      assert.ok(
        state.vnets.some((one) => one.vnet === command.vnet),
        "unknown vnet",
      );
      const added = { ...command, kind: "vif-entry", ageMs: 0, pinned: true } as const;
      return { ...state, vifs: [...state.vifs, added] };
    }
    case "delete-vif":
      return {
        ...state,
        vifs: state.vifs.filter((one) => one.vnet !== command.vnet || one.mac !== command.mac),
      };
    default:
      return assert.fail(`not a command of a plan: ${command.kind}`);
  }
}

function vnet(id: string, deviceName: string) {
  return {
    kind: "set-vnet",
    vnet: parseVnetId(id),
    deviceName,
    encapsulation: 0,
    mtuBytes: 1500,
    fdbLimit: 4096,
    vifLimit: 1024,
    security: 0,
  } as const;
}

function pin(id: string, lastOctet: number) {
  return { vnet: parseVnetId(id), mac: parseMacAddress(`02:0:0:0:0:${lastOctet}`) };
}

function kinds(commands: readonly DataplaneCommand[]): readonly string[] {
  return commands.map(({ kind }) => kind);
}

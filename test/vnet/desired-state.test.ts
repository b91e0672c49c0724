import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseIpAddress } from "../../src/net/ip-address.ts";
import { parseMacAddress } from "../../src/net/mac-address.ts";
import { ALL_VNETS, parseVnetId } from "../../src/net/vnet-id.ts";
import {
  addPeer,
  addVnets,
  type DesiredChange,
  type DesiredState,
  deletePeer,
  deleteVnets,
  EMPTY_DESIRED_STATE,
  findVnet,
  PEERS_MAX,
  PINNED_VIFS_PER_VNET_MAX,
  pinVif,
  setMulticastGroup,
  unpinVif,
  VNETS_MAX,
} from "../../src/vnet/desired-state.ts";
import { completeVnetConfig, type VnetOptions } from "../../src/vnet/vnet-config.ts";

const MAC = parseMacAddress("00:16:3e:00:00:01");

describe("addVnets and deleteVnets", () => {
  test("add and delete", () => {
    const two = done(addVnets(EMPTY_DESIRED_STATE, [vnet("2"), vnet("3", { bridge: "b3" })]));
    assert.deepEqual(
      two.vnets.map(({ vnetif }) => vnetif),
      ["vnif0002", "vnif0003"],
    );
    assert.deepEqual(
      done(
        deleteVnets(
          two,
          two.vnets.map(({ id }) => id),
        ),
      ),
      EMPTY_DESIRED_STATE,
    );
  });

  test("deleting a vnet deletes its pinned vifs and no others", () => {
    const [one, other] = [parseVnetId("2"), parseVnetId("3")];
    let state = done(addVnets(EMPTY_DESIRED_STATE, [vnet("2"), vnet("3")]));
    state = done(pinVif(state, { vnet: one, mac: MAC }));
    state = done(pinVif(state, { vnet: other, mac: MAC }));
    assert.deepEqual(done(deleteVnets(state, [one])).pinnedVifs, [{ vnet: other, mac: MAC }]);
  });

  const state = done(addVnets(EMPTY_DESIRED_STATE, [vnet("2", { bridge: "b2" })]));
  const refused = [
    ["id 1", vnet("1"), "VNETD_RESERVED_VNET_ID", /reserved for the physical network/],
    ["the same id", vnet("2", { vnetif: "x" }), "VNETD_VNET_EXISTS", /vnet 2 exists already/],
    ["a vnet interface's name", vnet("1:2"), "VNETD_NAME_TAKEN", /vnif0002 belongs to vnet 2/],
    ["a bridge as vnet interface", vnet("3", { vnetif: "b2" }), "VNETD_NAME_TAKEN", /^b2 belongs/],
    ["a vnet interface as bridge", vnet("3", { bridge: "vnif0002" }), "VNETD_NAME_TAKEN", /./],
    ["a bridge of another vnet", vnet("3", { bridge: "b2" }), "VNETD_NAME_TAKEN", /^b2 belongs/],
  ] as const;
  for (const [what, added, code, message] of refused) {
    test(`refuse ${what}, and add none of the others`, () => {
      const change = addVnets(state, [vnet("4"), added]);
      assert.ok(change.kind === "refused" && change.code === code && message.test(change.message));
    });
  }

  test("refuse two of the same in one call, and id 0", () => {
    assert.equal(codeOf(addVnets(state, [vnet("3"), vnet("3")])), "VNETD_VNET_EXISTS");
    const zero = completeVnetConfig({ id: ALL_VNETS });
    assert.equal(codeOf(addVnets(state, [zero])), "VNETD_RESERVED_VNET_ID");
  });

  test("refuse an unknown vnet and delete none of the others", () => {
    const change = deleteVnets(state, [parseVnetId("2"), parseVnetId("9")]);
    assert.equal(codeOf(change), "VNETD_UNKNOWN_VNET");
  });

  test("refuse more than a host can have", () => {
    const many = Array.from({ length: VNETS_MAX }, (_, index) =>
      vnet(`1:${index.toString(16)}`, { vnetif: `v${index}` }),
    );
    const full = done(addVnets(EMPTY_DESIRED_STATE, many));
    assert.equal(codeOf(addVnets(full, [vnet("2")])), "VNETD_LIMIT");
  });
});

describe("findVnet", () => {
  const state = done(
    addVnets(EMPTY_DESIRED_STATE, [vnet("97", { vnetif: "98" }), vnet("98", { vnetif: "v" })]),
  );
  const cases = [
    ["97", "97"],
    ["0:97", "97"],
    ["v", "98"],
    ["98", "98"],
    ["1:97", null],
    ["vnif0097", null],
    ["", null],
  ] as const;
  for (const [ref, id] of cases) {
    test(`${JSON.stringify(ref)} is ${id}`, () => {
      assert.equal(findVnet(state, ref)?.id ?? null, id && parseVnetId(id));
    });
  }
});

describe("pinVif and unpinVif", () => {
  const id = parseVnetId("2");
  const state = done(addVnets(EMPTY_DESIRED_STATE, [vnet("2")]));

  test("undo each other", () => {
    const pinned = done(pinVif(state, { vnet: id, mac: MAC }));
    assert.deepEqual(pinned.pinnedVifs, [{ vnet: id, mac: MAC }]);
    assert.deepEqual(done(unpinVif(pinned, { vnet: id, mac: MAC })), state);
  });

  test("refuse what is there, what is not, and what no interface can have", () => {
    const pinned = done(pinVif(state, { vnet: id, mac: MAC }));
    assert.equal(codeOf(pinVif(pinned, { vnet: id, mac: MAC })), "VNETD_VIF_EXISTS");
    assert.equal(codeOf(pinVif(state, { vnet: parseVnetId("3"), mac: MAC })), "VNETD_UNKNOWN_VNET");
    assert.equal(codeOf(unpinVif(state, { vnet: id, mac: MAC })), "VNETD_UNKNOWN_VIF");
    for (const text of ["00:00:00:00:00:00", "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff"]) {
      const mac = parseMacAddress(text);
      assert.equal(codeOf(pinVif(state, { vnet: id, mac })), "VNETD_PARSE");
    }
  });

  test("refuse more than a vnet can have", () => {
    let full = state;
    for (let index = 0; index < PINNED_VIFS_PER_VNET_MAX; index++) {
      const mac = parseMacAddress(
        `02:0:0:0:${(index >> 8).toString(16)}:${(index & 255).toString(16)}`,
      );
      full = done(pinVif(full, { vnet: id, mac }));
    }
    assert.equal(codeOf(pinVif(full, { vnet: id, mac: MAC })), "VNETD_LIMIT");
  });
});

describe("peers and the group", () => {
  const endpoint = { address: parseIpAddress("10.0.0.1"), udpPort: 1798 };
  const peer = { endpoint, name: "host-a" };

  test("addPeer and deletePeer undo each other", () => {
    const state = done(addPeer(EMPTY_DESIRED_STATE, peer));
    assert.deepEqual(state.peers, [peer]);
    assert.deepEqual(done(deletePeer(state, endpoint.address)), EMPTY_DESIRED_STATE);
  });

  test("a host is one peer, whatever its port", () => {
    const state = done(addPeer(EMPTY_DESIRED_STATE, peer));
    const again = { endpoint: { ...endpoint, udpPort: 1799 }, name: null };
    assert.equal(codeOf(addPeer(state, again)), "VNETD_PEER_EXISTS");
    assert.equal(codeOf(deletePeer(EMPTY_DESIRED_STATE, endpoint.address)), "VNETD_UNKNOWN_PEER");
  });

  test("a host has no more peers than it can replay", () => {
    const peers = Array.from({ length: PEERS_MAX }, (_, index) => ({
      endpoint: { address: parseIpAddress(`10.1.${index >> 8}.${index & 255}`), udpPort: 1798 },
      name: null,
    }));
    assert.equal(codeOf(addPeer({ ...EMPTY_DESIRED_STATE, peers }, peer)), "VNETD_LIMIT");
  });

  test("setMulticastGroup takes groups only", () => {
    const group = parseIpAddress("239.1.2.3");
    assert.equal(done(setMulticastGroup(EMPTY_DESIRED_STATE, group)).multicastGroup, group);
    assert.equal(
      codeOf(setMulticastGroup(EMPTY_DESIRED_STATE, parseIpAddress("10.0.0.1"))),
      "VNETD_PARSE",
    );
  });
});

function vnet(id: string, options: Omit<VnetOptions, "id"> = {}) {
  return completeVnetConfig({ id: parseVnetId(id), ...options });
}

function done(change: DesiredChange): DesiredState {
  assert.ok(change.kind === "changed", change.kind === "refused" ? change.message : "");
  return change.state;
}

function codeOf(change: DesiredChange): string {
  return change.kind === "refused" ? change.code : "changed";
}

/** Any flow that check-flow.ts accepts in a pipeline that allows everything. */
import fc from "fast-check";
import { decodeIpAddress } from "../../src/net/ip-address.ts";
import { decodeMacAddress } from "../../src/net/mac-address.ts";
import { parsePrefix } from "../../src/net/prefix.ts";
import type { Action } from "../../src/openflow/action.ts";
import type { Flow } from "../../src/openflow/flow.ts";
import {
  type FragmentMatch,
  LOCAL_PORT,
  type MacMatch,
  type Match,
  type MatchField,
  PROTOCOLS,
  type Protocol,
  type RegisterNumber,
} from "../../src/openflow/match.ts";
import type { Pipeline } from "../../src/openflow/pipeline.ts";

const REGISTERS = Array.from({ length: 16 }, (_, index) => index as RegisterNumber);
const REGISTER_FIELDS = REGISTERS.map((number) => `reg${number}` as const);

const FIELDS: readonly MatchField[] = [
  ...REGISTER_FIELDS,
  ...(["conjId", "inPort", "dlSrc", "dlDst", "vlan", "protocol", "dlType", "nwProto"] as const),
  ...(["nwSrc", "nwDst", "ipv6Src", "ipv6Dst", "arpOp", "arpSpa", "arpTpa", "arpSha"] as const),
  ...(["arpTha", "nwTtl", "ipFragment", "tpSrc", "tpDst", "icmpType", "icmpCode"] as const),
  ...(["ndTarget", "ndSll", "ndTll"] as const),
];

/** Tables 0…9, every field, every action, and on to all later tables. */
export const OPEN_PIPELINE: Pipeline = new Map(
  Array.from({ length: 10 }, (_, table) => [
    table,
    {
      name: `table ${table}`,
      fields: FIELDS,
      actions: [
        ...(["resubmit", "load", "strip-vlan", "push-vlan", "output"] as const),
        ...(["output-register"] as const),
        ...(["normal", "conjunction", "clone", "controller"] as const),
      ],
      next: Array.from({ length: 10 }, (_unused, next) => next).filter((next) => next > table),
    },
  ]),
);

const u8 = fc.integer({ min: 0, max: 0xff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const octets = (count: number) => fc.uint8Array({ minLength: count, maxLength: count });
const port = fc.oneof(fc.integer({ min: 1, max: 0xfeff }), fc.constant(LOCAL_PORT));

const mac: fc.Arbitrary<MacMatch> = fc.oneof(
  octets(6).map((bytes) => decodeMacAddress(bytes)),
  fc
    .tuple(octets(6), octets(6))
    .filter(([, mask]) => mask.some((octet) => octet !== 0) && mask.some((octet) => octet !== 0xff))
    .map(([bytes, mask]) => ({
      address: decodeMacAddress(bytes.map((octet, at) => octet & (mask[at] ?? 0))),
      mask: decodeMacAddress(mask),
    })),
);

function ip(family: 4 | 6) {
  const count = family === 4 ? 4 : 16;
  // Addresses in octets 00:00…ff:ff would be read as IPv4.
  const address = octets(count).filter((bytes) => family === 4 || bytes[0] !== 0);
  const prefix = fc
    .tuple(address, fc.integer({ min: 8, max: count * 8 - 1 }))
    .map(([bytes, length]) => {
      const network = bytes.map(
        (octet, at) => octet & (0xff00 >> Math.min(8, Math.max(0, length - at * 8))),
      );
      return parsePrefix(`${decodeIpAddress(network)}/${length}`);
    });
  return fc.oneof(
    address.map((bytes) => decodeIpAddress(bytes)),
    prefix,
  );
}

const register = fc.oneof(
  u32,
  fc
    .tuple(u32, fc.integer({ min: 1, max: 0xffff_fffe }))
    .map(([value, mask]) => ({ value: (value & mask) >>> 0, mask })),
);

/** Fields that say nothing about the protocol. */
const common = fc.record(
  {
    ...{ conjId: u32, inPort: port, dlSrc: mac, dlDst: mac },
    vlan: fc.oneof(fc.constantFrom("untagged", "tagged"), fc.integer({ min: 0, max: 4095 })),
    ...{ reg0: register, reg5: register, reg15: register },
  },
  { requiredKeys: [] },
) as fc.Arbitrary<Match>;

const ipFields = {
  nwTtl: u8,
  ipFragment: fc.constantFrom<FragmentMatch>("no", "yes", "first", "later", "not_later"),
};
const address4 = { nwSrc: ip(4), nwDst: ip(4) };
const address6 = { ipv6Src: ip(6), ipv6Dst: ip(6) };
const arp = { arpOp: u8, arpSpa: ip(4), arpTpa: ip(4), arpSha: mac, arpTha: mac };
const ports = { tpSrc: u16, tpDst: u16 };
const icmp = { icmpType: u8, icmpCode: u8 };

type Fields = Record<string, fc.Arbitrary<unknown>>;

function under(protocol: Protocol, fields: Fields, required: readonly string[] = []) {
  return fc
    .record(
      { protocol: fc.constant(protocol), ...fields },
      {
        requiredKeys: ["protocol", ...required] as never,
      },
    )
    .map((record) => record as unknown as Match);
}

function discovery(type: 135 | 136, link: "ndSll" | "ndTll") {
  const kind = { icmpType: fc.constant(type), icmpCode: fc.constant(0) };
  const fields = { ...ipFields, ...address6, ...kind, ndTarget: ip(6), [link]: mac };
  return under("icmp6", fields, ["icmpType", "icmpCode"]);
}

const unnamedIpProto = u8.filter((number) => ![1, 6, 17, 58, 132].includes(number));
const unnamedType = u16.filter(
  (number) => number >= 0x600 && !Object.values(PROTOCOLS).some(([type]) => type === number),
);

const network: fc.Arbitrary<Match> = fc.oneof(
  fc.constant({}),
  // MPLS and VLAN types as dl_type are other matters for a switch.
  unnamedType
    .filter((type) => ![0x8847, 0x8848, 0x8100, 0x88a8, 0x894f].includes(type))
    .map((dlType) => ({ dlType })),
  under("arp", arp),
  under("rarp", arp),
  under("ip", { ...ipFields, ...address4, nwProto: unnamedIpProto }),
  under("ipv6", { ...ipFields, ...address6, nwProto: unnamedIpProto }),
  ...(["tcp", "udp", "sctp"] as const).map((name) =>
    under(name, { ...ipFields, ...address4, ...ports }),
  ),
  ...(["tcp6", "udp6", "sctp6"] as const).map((name) =>
    under(name, { ...ipFields, ...address6, ...ports }),
  ),
  under("icmp", { ...ipFields, ...address4, ...icmp }),
  under("icmp6", { ...ipFields, ...address6, ...icmp }),
  discovery(135, "ndSll"),
  discovery(136, "ndTll"),
);

export const anyMatch: fc.Arbitrary<Match> = fc
  .tuple(common, network)
  .map(([one, other]) => withoutHeader({ ...one, ...other }));

/** Later fragments have no transport header. */
function withoutHeader(match: Match): Match {
  const { ipFragment, ...rest } = match;
  const looks = ["tpSrc", "tpDst", "icmpType", "icmpCode"].some((field) => field in match);
  return ipFragment === "later" && looks ? rest : match;
}

const anyRegister = fc.constantFrom(...REGISTERS);

const plainAction: fc.Arbitrary<Action> = fc.oneof(
  fc.record({ kind: fc.constant("resubmit"), table: fc.constant(9) }),
  fc.record({ kind: fc.constant("load"), register: anyRegister, value: u32 }),
  fc.record({ kind: fc.constant("output"), port }),
  fc.record({ kind: fc.constant("output-register"), register: anyRegister }),
  fc.constant({ kind: "normal" } as const),
  fc.record(
    {
      kind: fc.constant("controller"),
      maxBytes: u16,
      userdata: fc
        .uint8Array({ minLength: 1, maxLength: 20 })
        .map((bytes) => Buffer.from(bytes).toString("hex")),
      meterId: fc.constant(1),
    },
    { requiredKeys: ["kind", "maxBytes", "userdata"] },
  ),
) as fc.Arbitrary<Action>;

const conjunctions: fc.Arbitrary<Action[]> = fc.uniqueArray(
  fc.record({
    kind: fc.constant("conjunction"),
    id: u32,
    clause: fc.integer({ min: 1, max: 2 }),
    clauseCount: fc.integer({ min: 2, max: 64 }),
  }) as fc.Arbitrary<Action>,
  {
    minLength: 1,
    maxLength: 3,
    selector: (action) => (action.kind === "conjunction" ? action.id : 0),
  },
);

const plainActions = fc.array(plainAction, { maxLength: 4 });

const anyActions: fc.Arbitrary<Action[]> = fc.oneof(
  { weight: 3, arbitrary: plainActions },
  { weight: 1, arbitrary: conjunctions },
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        plainActions.filter((list) => list.length > 0),
        plainActions,
      )
      .map(([inner, after]) => [{ kind: "clone", actions: inner } as const, ...after]),
  },
);

const STRIP_VLAN = { kind: "strip-vlan" } as const;

const pushVlan = fc
  .integer({ min: 1, max: 4094 })
  .map((vlan): Action => ({ kind: "push-vlan", vlan }));

/** A tag that is there for sure may be removed, and one may be added where none is. */
function withTags([match, actions, strip, push]: [Match, Action[], boolean, Action | null]) {
  const isPlain = actions[0]?.kind !== "conjunction";
  const isTagged = match.vlan !== undefined && match.vlan !== "untagged";
  const strips = strip && isTagged && isPlain ? [STRIP_VLAN] : [];
  const isBare = strips.length > 0 || match.vlan === "untagged";
  const pushes = push !== null && isBare && isPlain ? [push] : [];
  return { match, actions: [...strips, ...pushes, ...actions] };
}

export const anyFlow: fc.Arbitrary<Flow> = fc
  .tuple(
    fc.record({
      cookie: fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_fffen }),
      table: fc.integer({ min: 0, max: 8 }),
      priority: u16,
    }),
    fc.tuple(anyMatch, anyActions, fc.boolean(), fc.option(pushVlan)).map(withTags),
  )
  .map(([head, rest]) => ({ ...head, ...rest }));

/**
 * Bad input from people and machines: a one-line error that says what was wrong, the right exit
 * status, and nothing changed.
 *
 *     host a ── u1 ── segment        vnet 97 on it, and devices that are not ours
 */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Lab, REPOSITORY, SKIP_REASON } from "./lab.ts";
import { Host } from "./lab-host.ts";
import { tryRun } from "./programs.ts";
import { assertRefused, snapshot } from "./snapshot.ts";
import { AS_NOBODY, programForAnyone } from "./unprivileged.ts";
import { eventually } from "./wait.ts";

/** A command line of `vn`, its exit status, and its error without `vn: ` and the line's end. */
type Case = readonly [args: readonly string[], status: number, error: string | RegExp];

const UNREACHABLE =
  /^cannot reach vnetd: is it running\? start vnetd as root with the same --run-dir \(.*\)$/;

const IDS: readonly Case[] = [
  [["vnet-create", "0"], 2, 'vnet-create: Vnet id 0 names no vnet ("0")'],
  [["vnet-create", "0:0:0"], 2, 'vnet-create: Vnet id 0 names no vnet ("0:0:0")'],
  [
    ["vnet-create", "1"],
    2,
    /^cannot create vnet 1: vnet id 1 is reserved for the physical network$/,
  ],
  [["vnet-create", "12345"], 2, /^vnet-create: Not a vnet id \(.*\) \("12345"\)$/],
  [["vnet-create", "1:2:3:4:5:6:7:8:9"], 2, /^vnet-create: Not a vnet id .* \("1:2:.*:9"\)$/],
  [["vnet-create", "::2"], 2, /^vnet-create: Not a vnet id .* \("::2"\)$/],
  [["vnet-create", "xyz"], 2, 'cannot read the vnet file: no such file or directory ("xyz")'],
  [["vnet-create", "97"], 1, "cannot create vnet 97: vnet 97 exists already"],
  [["vnet-create", "0:0:97"], 1, "cannot create vnet 97: vnet 97 exists already"],
  [["eval", "(vnet.add (id 97))"], 1, "cannot create vnet 97: vnet 97 exists already"],
  [["eval", "(vnet.add (id 1))"], 2, /^cannot create vnet 1: .* reserved .*$/],
];

const NAMES: readonly Case[] = [
  [
    ["vnet-create", "-v", "sixteen-octets-x", "98"],
    2,
    'vnet-create: Interface name must be 1 … 15 bytes long ("sixteen-octets-x")',
  ],
  [["vnet-create", "-b", "sixteen-octets-x", "98"], 2, /must be 1 … 15 bytes long/],
  [["vnet-create", "-v", "ääääääää", "98"], 2, /must be 1 … 15 bytes long/],
  [
    ["vnet-create", "-v", "a/b", "98"],
    2,
    'vnet-create: Interface name must not contain "/" ("a/b")',
  ],
  [["vnet-create", "-v", "a b", "98"], 2, /must not contain " "/],
  [["vnet-create", "-v", "..", "98"], 2, 'vnet-create: Not an interface name ("..")'],
  [["vnet-create", "-v", "", "98"], 2, /must be 1 … 15 bytes long \(""\)/],
  [["vnet-create", "-v", "same", "-b", "same", "98"], 2, /cannot have its vnet interface's name/],
  [
    ["vnet-create", "-v", "card0", "98"],
    1,
    "cannot create vnet 98: interface name card0 is taken by a device that is not ours (kind veth)",
  ],
  [["vnet-create", "-v", "u1", "98"], 1, /u1 is taken by a device that is not ours/],
  [["vnet-create", "-v", "theirs", "98"], 1, /theirs is taken .* \(a tap, persistent\)$/],
  [["vnet-create", "-v", "vnif0097", "98"], 1, /vnif0097 belongs to vnet 97$/],
  [["vnet-create", "-v", "vnet0097", "98"], 1, /vnet0097 belongs to vnet 97$/],
  [["vnet-create", "-b", "vnif0097", "98"], 1, /vnif0097 belongs to vnet 97$/],
  [["vnet-create", "-b", "card0", "98"], 1, /card0 is taken by a device that is no bridge/],
  [["vnet-create", "-b", "lo", "98"], 1, /lo is taken by a device that is no bridge/],
];

const OPTIONS: readonly Case[] = [
  [[], 2, /no command is given/],
  [["frobnicate"], 2, "unknown command 'frobnicate' (see vn --help)"],
  [["vnet-create"], 2, /missing required argument/],
  [["vnet-create", "98", "99"], 2, /too many arguments/],
  [["vnet-create", "--colour", "98"], 2, /unknown option '--colour'/],
  [["vnet-create", "--mtu", "67", "98"], 2, 'vnet-create: MTU of a vnet must be 68 … 65467 ("67")'],
  [["vnet-create", "--mtu", "65468", "98"], 2, /MTU of a vnet must be 68 … 65467/],
  [["vnet-create", "--mtu", "1e3", "98"], 2, /Not an MTU/],
  [["vnet-create", "-s", "conf", "98"], 2, /Security conf needs the file of a key/],
  [
    ["vnet-create", "-s", "conf", "--key-file", "/nonexistent", "98"],
    2,
    /^cannot use key file "\/nonexistent": no such file or directory$/,
  ],
  [
    ["vnet-create", "-s", "conf", "--key-file", "/etc/passwd", "98"],
    2,
    /^cannot use key file "\/etc\/passwd": others can use it, its mode is 0644 and must be 0600$/,
  ],
  [["vnet-create", "-s", "auth", "--key-file", "/dev/zero", "98"], 2, /it is not a regular file$/],
  [
    ["vnet-create", "-s", "auth", "--suite", "aes128-gcm", "--key-file", "/k", "98"],
    2,
    /Not a suite of security auth/,
  ],
  [["vnet-key-add", "97", "/nonexistent"], 2, /^cannot use key file/],
  [["vnet-keys", "97"], 1, /Vnet 97 has no keys: its security is none/],
  [["sa-export", "97", "--yes"], 1, /Vnet 97 has no keys/],
  [["sa-export", "97"], 2, /nobody is there to be asked: say --yes/],
  [["vnet-create", "-s", "some", "98"], 2, /Not a security level \(none, auth, conf\) \("some"\)$/],
  [["vnet-create", "--ovs", "98"], 2, /Open vSwitch bridge was asked for without its name/],
  [["vnets", "-o", "xml"], 2, /'xml' is invalid. Allowed choices are table, json, sxp/],
];

const UNKNOWN: readonly Case[] = [
  [["vnet-delete", "98"], 1, 'vnet-delete: No vnet "98" on this host'],
  // All or none: 97 is there.
  [["vnet-delete", "97", "98"], 1, 'vnet-delete: No vnet "98" on this host'],
  [["vnet-delete", "-b", "nope"], 1, 'vnet-delete: No vnet "nope" on this host'],
  [["vnet-delete", ""], 2, /Neither a vnet id nor the name of a vnet interface \(""\)$/],
  [["vnets", "98"], 1, 'vnets: No vnet "98" on this host'],
  [["stats", "98"], 1, 'stats: No vnet "98" on this host'],
  [["vifs", "98"], 1, 'vifs: No vnet "98" on this host'],
  [["vif-add", "98", "02:00:00:00:00:01"], 1, 'vif-add: No vnet "98" on this host'],
  [["vif-add", "97", "02:00:00:00:00"], 2, /Not a MAC address \(six hex octets\)/],
  [["vif-add", "97", "03:00:00:00:00:01"], 2, /is not the MAC address of one interface$/],
  [["vif-add", "97", "00:00:00:00:00:00"], 2, /is not the MAC address of one interface$/],
  [["vif-add", "-i", "97", "nosuch"], 1, 'vif-add: No device "nosuch" on this host'],
  [["vif-delete", "97", "02:00:00:00:00:01"], 1, /^cannot delete vif 02:.*: no vif .* was added/],
  [["eval", "(vnet.del (id 98))"], 1, /^eval: No vnet .* on this host$/],
];

/** With the host's own addresses, which are known when it is there. */
function peerCases(host: Host): readonly Case[] {
  return [
    [["peer-add", host.address], 2, /^cannot add peer .*: it is an address of this host$/],
    [["peer-add", host.address6], 2, /^cannot add peer .*: it is an address of this host$/],
    [["peer-add", "127.0.0.1"], 2, /^cannot add peer .*: it is an address of this host$/],
    [["peer-add", "::1"], 2, /^cannot add peer .*: it is an address of this host$/],
    [["eval", `(peer.add (addr ${host.address}))`], 2, /: it is an address of this host$/],
    // Invalid by its definition (RFC 6761 §6.4), whatever the resolver's words for it.
    [["peer-add", "host.invalid"], 1, /^cannot add peer "host.invalid": .*host.invalid.*$/],
    [["peer-add", "224.10.0.1"], 2, /224.10.0.1 is not the address of one host$/],
    [["peer-add", "0.0.0.0"], 2, /0.0.0.0 is not the address of one host$/],
    [["peer-add", "255.255.255.255"], 2, /255.255.255.255 is not the address of one host$/],
    [["peer-add", "-x.example"], 2, /unknown option '-x.example'/],
    [["peer-add", "a b"], 2, 'peer-add: Not an address or a host name ("a b")'],
    [["peer-add", ""], 2, 'peer-add: Not an address or a host name ("")'],
    [["peer-add", "10.0.0.1", "--port", "0"], 2, 'peer-add: Not a UDP port (1 … 65535) ("0")'],
    [["peer-add", "10.0.0.1", "--port", "65536"], 2, /Not a UDP port/],
    [["peer-delete", "10.0.0.1"], 1, 'cannot delete peer "10.0.0.1": 10.0.0.1 is not a peer'],
  ];
}

/** A file's octets, and what follows its name in the error. */
const FILES: readonly (readonly [content: string | Buffer, status: number, error: string])[] = [
  [
    "(vnet (id 98)\n  (bridge x",
    2,
    ":2:12: unexpected end, the list from line 2, column 3 is not closed",
  ],
  ["(vnet (id 98))\n  )", 2, ":2:3: unexpected )"],
  ["(vnet (id 98))\n(vnet (id 0))", 2, ':2:11: Vnet id 0 names no vnet ("0")'],
  ["(vnet (id 98) (colour red))", 2, ':1:16: unknown key "colour" in (vnet …)'],
  ["(vnet (id 98) (id 99))", 2, ':1:16: key "id" is given twice in (vnet …)'],
  [
    '(vnet (id 98) (bridge "x))',
    2,
    ":1:27: unexpected end, the string from line 1, column 23 is not closed",
  ],
  ["(".repeat(100), 2, ":1:65: lists are nested deeper than 64"],
  [
    "(vnet (id 98) (vnetif sixteen-octets-x))",
    2,
    ':1:23: Interface name must be 1 … 15 bytes long ("sixteen-octets-x")',
  ],
  ["(peer.add (addr 10.0.0.1))", 2, ':1:2: unknown command "peer.add"'],
  ["", 2, ": No vnet in the file: (vnet (id …) …) was expected"],
];

const EXPRESSIONS: readonly Case[] = [
  [
    ["eval", "(vnet.add (id 98)"],
    2,
    /^eval: line 1, column 18: unexpected end, the list .* is not closed$/,
  ],
  [["eval", "(nonsense)"], 2, 'eval: line 1, column 2: unknown command "nonsense"'],
  [["eval", "(vif.add (vnet 97))"], 2, "eval: line 1, column 2: (vif.add …) needs (vmac …)"],
  [["eval", "\n\n (vnet.add (id q))"], 2, /^eval: line 3, column 16: Not a vnet id/],
  [
    ["eval", "(varp.mcaddr (addr 10.0.0.1))"],
    2,
    /^eval: line 1, column 20: Not a multicast address/,
  ],
  [["eval", ""], 2, "eval: No command: an expression like (vnet.list) was expected"],
  [["eval", "(vnet.list)(vnet.list)"], 2, /^eval: line 1, column 12: one command was expected/],
  [
    ["eval", "vnet.list"],
    2,
    /^eval: line 1, column 1: a list that begins with a name was expected$/,
  ],
];

describe("bad input to vn", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let host: Host;

  before(async () => {
    lab = await Lab.create();
    host = await Host.create(lab, "a", [await lab.segment()]);
    await lab.batch(host.namespace, [
      "link add name card0 type veth peer name card1",
      "tuntap add dev theirs mode tap",
    ]);
    await host.start();
    await host.vnet("97");
  });
  after(() => lab?.close());

  async function holds([args, status, error]: Case): Promise<void> {
    const before = await snapshot(host);
    assertRefused("vn", await host.tryVn(...args), { status, error });
    assert.deepEqual(await snapshot(host), before);
  }

  for (const [what, cases] of [
    ["vnet ids", IDS],
    ["names", NAMES],
    ["options", OPTIONS],
    ["what is not there", UNKNOWN],
    ["expressions", EXPRESSIONS],
  ] as const) {
    test(`${what}: ${cases.length} ways`, async (t) => {
      for (const one of cases) {
        await t.test(`vn ${one[0].join(" ")}`, () => holds(one));
      }
    });
  }

  test("peers", async (t) => {
    for (const one of peerCases(host)) {
      await t.test(`vn ${one[0].join(" ")}`, () => holds(one));
    }
  });

  test("malformed files, with line and column", async (t) => {
    for (const [index, [content, status, error]] of FILES.entries()) {
      const file = join(lab.folder, `malformed-${index}.sxp`);
      writeFileSync(file, content);
      await t.test(error, () =>
        holds([["vnet-create", file], status, `vnet-create: ${file}${error}`]),
      );
    }
  });

  test("a file of vnets of which one cannot be made makes none", async () => {
    const file = join(lab.folder, "two.sxp");
    for (const second of ["(vnet (id 97))", "(vnet (id 98))", "(vnet (id 99) (vnetif card0))"]) {
      writeFileSync(file, `(vnet (id 98) (bridge br98))\n${second}\n`);
      await holds([
        ["vnet-create", file],
        1,
        /^cannot create 2 vnets: .*(exists already|taken).*$/,
      ]);
    }
  });

  test("files that are none", async () => {
    const binary = join(lab.folder, "binary.sxp");
    writeFileSync(binary, Buffer.from([0xff, 0xfe, 0x00, 0x80]));
    await holds([["vnet-create", binary], 2, /^cannot read the vnet file: it is not UTF-8/]);
    await holds([["vnet-create", lab.folder], 2, /^cannot read the vnet file: .* directory/]);
    await holds([["vnet-create", "/dev/zero"], 2, /./]);
  });

  test("a user who may not is told so", async (t) => {
    const vn = programForAnyone(t, "vn");
    const finished = await tryRun("env", [...AS_NOBODY, vn, "--run-dir", host.runDir, "vnets"]);
    assertRefused("vn", finished, {
      status: 3,
      error: /^cannot reach vnetd: permission denied, be root or .*$/,
    });
  });

  test("no daemon", async () => {
    const absent = join(lab.folder, "absent");
    mkdirSync(absent);
    for (const command of [["status"], ["vnets"], ["vnet-create", "98"], ["eval", "(vnet.list)"]]) {
      const finished = await tryRun(join(REPOSITORY, "bin/vn"), ["--run-dir", absent, ...command]);
      assertRefused("vn", finished, { status: 3, error: UNREACHABLE });
    }
  });

  test("an underlay without an address", async () => {
    await lab.batch(host.namespace, ["addr flush dev u1"]);
    await eventually("vnetd has noticed", async () =>
      (await host.vn("vnets", "-l")).includes("u1 has no address"),
    );
    await holds([
      ["vnet-create", "-b", "br98", "98"],
      1,
      /^cannot create vnet 98: .*u1 has no address$/,
    ]);
  });
});

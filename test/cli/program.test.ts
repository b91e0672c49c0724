import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import type { ControlApi } from "../../src/control/api.ts";
import { ControlError } from "../../src/control/control-error.ts";
import { parseIpAddress } from "../../src/net/ip-address.ts";
import { parseMacAddress } from "../../src/net/mac-address.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import { FakeControlApi } from "../control/fake-control-api.ts";
import { runVn } from "./fake-io.ts";

const FULL_97 = "0000:0000:0000:0000:0000:0000:0000:0097";
const GOOD_FILE = `
# two vnets
(vnet (id 97) (bridge br97)
      (vnetif vnif97) (security none))
(vnet (id 98) (mtu 1400))
`;
const FILES = {
  "good.sxp": GOOD_FILE,
  "-": "(vnet (id 99))",
  "./97": "(vnet (id abc))",
  "broken.sxp": "(vnet (id 97)\n  (bridge x y))",
  "open.sxp": "(vnet (id 97)",
  "secure.sxp": "(vnet (id 97) (security auth))",
  "conf/97.sxp": "(vnet (id 97) (security conf) (keyfile k97)) (vnet (id 98))",
  "old.key": "",
  "empty.sxp": "# nothing\n",
  "binary.sxp": Uint8Array.from([0x28, 0xff, 0xfe]),
};

describe("vn refuses bad usage and bad input with status 2 and one line, without asking the daemon", () => {
  const CASES: readonly (readonly [command: string, line: RegExp])[] = [
    ["", /^vn: no command is given \(see vn --help\)$/],
    ["--run-dir /run/elsewhere", /^vn: no command is given \(see vn --help\)$/],
    ["nonsense", /^vn: unknown command 'nonsense' \(see vn --help\)$/],
    ["vnet-creat", /^vn: unknown command .* \(Did you mean vnet-create\?\)/],
    ["vnets --nonsense", /^vn: vnets: unknown option '--nonsense' \(see vn vnets --help\)$/],
    ["vnets -o xml", /^vn: vnets: .*'xml' is invalid\. Allowed choices are table, json, sxp\./],
    ["vnets --json -o sxp", /^vn: vnets: .*cannot be used with/],
    ["vnets a/b", /^vn: vnets: Neither a vnet id nor .* \("a\/b"\)$/],
    ["peers --run-dir", /^vn: peers: .*argument missing/],
    ["status now", /^vn: status: too many arguments/],
    ["vnet-create", /^vn: vnet-create: missing required argument/],
    ["vnet-create 0", /^vn: vnet-create: Vnet id 0 names no vnet \("0"\)$/],
    ["vnet-create 12345", /^vn: vnet-create: Not a vnet id .* \("12345"\)$/],
    ["vnet-create 1:2:3:4:5:6:7:8:9", /^vn: vnet-create: Not a vnet id/],
    [
      "vnet-create none.sxp",
      /^vn: cannot read the vnet file: no such file or directory \("none.sxp"\)$/,
    ],
    ["vnet-create broken.sxp", /^vn: vnet-create: broken\.sxp:2:3: \(key value\) was expected$/],
    ["vnet-create open.sxp", /^vn: vnet-create: open\.sxp:1:14: unexpected end/],
    [
      "vnet-create secure.sxp",
      /^vn: vnet-create: secure\.sxp:1:2: Security auth needs the file of a key/,
    ],
    ["vnet-create empty.sxp", /^vn: vnet-create: empty\.sxp: No vnet in the file/],
    ["vnet-create binary.sxp", /^vn: cannot read the vnet file: it is not UTF-8/],
    [
      "vnet-create -b br1 good.sxp",
      /^vn: vnet-create: --bridge does not go with a file.*\(good\.sxp\)$/,
    ],
    ["vnet-create -s auth 97", /^vn: vnet-create: Security auth needs .* \(--key-file\)$/],
    ["vnet-create -s conf 97", /^vn: vnet-create: Security conf needs .* \(--key-file\)$/],
    ["vnet-create --key-file k 97", /^vn: vnet-create: A vnet without security has no key \("\//],
    ["vnet-create --suite hmac96 97", /^vn: vnet-create: A vnet without security has no suite/],
    ["vnet-create -s conf --suite rot13 97", /^vn: vnet-create: Not a suite \(.*\("rot13"\)$/],
    [
      "vnet-create -s auth --suite aes128-gcm --key-file k 97",
      /^vn: vnet-create: Not a suite of security auth .* \("aes128-gcm"\)$/,
    ],
    [
      "vnet-create -s conf --key-file k --encapsulation etherip 97",
      /^vn: vnet-create: Encapsulation etherip has no security \("conf"\)$/,
    ],
    [
      "vnet-create --key-file k good.sxp",
      /^vn: vnet-create: --key-file does not go with a file.*\(good\.sxp\)$/,
    ],
    ["vnet-create -s high 97", /^vn: vnet-create: Not a security level .* \("high"\)$/],
    [
      "vnet-create -v abcdefghijklmnop 97",
      /^vn: vnet-create: Interface name .*15 bytes.*"abcdefghijklmnop"/,
    ],
    ["vnet-create -b a/b 97", /^vn: vnet-create: Interface name .*"a\/b"/],
    ["vnet-create -b x -v x 97", /^vn: vnet-create: .*"x"/],
    [
      "vnet-create --ovs 97",
      /^vn: vnet-create: An Open vSwitch bridge was asked for without its name/,
    ],
    ["vnet-create --mtu 67 97", /^vn: vnet-create: MTU of a vnet must be 68 .* \("67"\)$/],
    ["vnet-create --mtu 1e3 97", /^vn: vnet-create: Not an MTU .* \("1e3"\)$/],
    ["vnet-create --encapsulation gre 97", /^vn: vnet-create: .*Allowed choices are udp, etherip/],
    ["vnet-delete", /^vn: vnet-delete: missing required argument 'vnet'/],
    ["vif-add 97", /^vn: vif-add: missing required argument 'vmac'/],
    ["vif-add 97 00:16:3e", /^vn: vif-add: Not a MAC address .* \("00:16:3e"\)$/],
    ["vif-add -i 97 a/b", /^vn: vif-add: Interface name/],
    ["vif-delete 97 tap0", /^vn: vif-delete: Not a MAC address/],
    ["peer-add 192.0.2.1 --port 0", /^vn: peer-add: Not a UDP port .* \("0"\)$/],
    ["peer-add 192.0.2.1 --port 65536", /^vn: peer-add: Not a UDP port/],
    ["peer-add $HOST", /^vn: peer-add: Not an address or a host name \("\$HOST"\)$/],
    ["completion tcsh", /^vn: completion: .*Allowed choices are bash, zsh, fish/],
    ["eval", /^vn: eval: missing required argument 'expr'/],
    ["key-generate", /^vn: key-generate: missing required argument 'file'/],
    ["vnet-key-add 97", /^vn: vnet-key-add: missing required argument 'file'/],
    ["vnet-key-activate 97 12345", /^vn: vnet-key-activate: Not a key id .* \("12345"\)$/],
    ["vnet-key-delete 97 xyz0", /^vn: vnet-key-delete: Not a key id .* \("xyz0"\)$/],
    ["pcap 97 -s 0", /^vn: pcap: Not a number of octets, 1 … 65535 \("0"\)$/],
  ];
  for (const [command, line] of CASES) {
    test(`vn ${command}`, async () => {
      const outcome = await runVn(words(command), { api: null, files: FILES });
      assert.equal(outcome.status, 2);
      assert.equal(outcome.stdout, "");
      assert.match(outcome.stderr, /^[^\n]+\n$/);
      assert.match(outcome.stderr.trimEnd(), line);
    });
  }
});

describe("vn without a daemon ends with status 3 and says what to do", () => {
  const COMMANDS = [
    "vnets",
    "vnet-list -a",
    "vnet-create 97",
    "vnet-create good.sxp",
    "vnet-delete 97",
    "vifs",
    "vif-add 97 02:00:00:00:00:01",
    "vif-delete -i 97 tap0",
    "peers",
    "peer-add host7",
    "peer-delete 192.0.2.1",
    "varp",
    "varp-flush",
    "eval (vnet.list)",
    "status",
    "stats",
    "vnet-create -s conf --key-file k 97",
    "vnet-keys",
    "vnet-key-add 97 new.key",
    "vnet-key-activate 97 1a2b",
    "vnet-key-delete 97 1a2b",
  ];
  for (const command of COMMANDS) {
    test(`vn ${command}`, async () => {
      const outcome = await runVn(words(command), { api: null, files: FILES });
      assert.deepEqual([outcome.status, outcome.stdout], [3, ""]);
      assert.match(outcome.stderr, /^vn: cannot reach vnetd: is it running\? start vnetd .*\)\n$/);
    });
  }
});

describe("vn and a daemon", () => {
  let api: FakeControlApi;
  const vn = async (command: string) => await runVn(words(command), { api, files: FILES });
  const ok = async (command: string) => {
    const outcome = await vn(command);
    assert.deepEqual([outcome.status, outcome.stderr], [0, ""], command);
    return outcome.stdout;
  };
  beforeEach(() => {
    api = new FakeControlApi();
  });

  test("vnet-create makes a vnet from options and says nothing", async () => {
    assert.equal(
      await ok("vnet-create -s none -b br97 -v vnif97 --mtu 1400 --ovs --encapsulation etherip 97"),
      "",
    );
    const [vnet] = await api.listVnets([]);
    assert.deepEqual(
      [vnet?.id, vnet?.vnetif, vnet?.bridge, vnet?.mtu, vnet?.ovs, vnet?.encapsulation],
      [FULL_97, "vnif97", "br97", 1400, true, "etherip"],
    );
  });

  test("vnet-create reads a file, standard input, and a file that is named like an id", async () => {
    assert.equal(await ok("vnet-create good.sxp"), "");
    assert.equal(await ok("vnet-create -"), "");
    assert.equal(await ok("vnet-create ./97"), "");
    assert.deepEqual(
      (await api.listVnets([])).map(({ id, vnetif, bridge, mtu }) => [
        id.slice(-4),
        vnetif,
        bridge,
        mtu,
      ]),
      [
        ["0097", "vnif97", "br97", 1500],
        ["0098", "vnif0098", "vnet0098", 1400],
        ["0099", "vnif0099", "vnet0099", 1500],
        ["0abc", "vnif0abc", "vnet0abc", 1500],
      ],
    );
  });

  test("vnet-create makes secure vnets, and asks for key files by absolute paths", async () => {
    const asked: unknown[] = [];
    const { createVnets } = api;
    api.createVnets = async (vnets) => {
      asked.push(...vnets.map(({ security, suite, keyFile }) => [security, suite, keyFile]));
      return await createVnets.call(api, vnets);
    };
    assert.equal(await ok("vnet-create -s conf --key-file k --suite aes256-gcm 96"), "");
    assert.equal(await ok("vnet-create conf/97.sxp"), "");
    assert.deepEqual(asked, [
      ["conf", "aes256-gcm", `${process.cwd()}/k`],
      ["conf", undefined, `${process.cwd()}/conf/k97`],
      [undefined, undefined, undefined],
    ]);
    assert.match(await ok("vnets -l"), /^96 .* conf .* aes256-gcm /m);
  });

  test("key-generate writes a key once, and never over a file", async () => {
    const written = new Map<string, string>();
    const generate = (file: string) =>
      runVn(["key-generate", file], { api: null, files: FILES, written });
    assert.deepEqual(await generate("a.key"), {
      ...{ status: 0, stdout: "", stderr: "", socketPath: null },
    });
    await generate("b.key");
    const keys = [...written.values()].map((text) => Buffer.from(text.trimEnd(), "base64"));
    assert.deepEqual(
      keys.map(({ length }) => length),
      [32, 32],
    );
    assert.notDeepEqual(keys[0], keys[1]);
    const again = await generate("old.key");
    assert.deepEqual(
      [again.status, again.stderr],
      [1, 'vn: cannot write the key file: it exists ("old.key")\n'],
    );
  });

  test("a key is added, activated and deleted; vnet-keys names who lags", async () => {
    await ok("vnet-create -s conf --key-file /k 97");
    await ok("vnet-create 98");
    assert.equal(await ok("vnet-key-add 97 new.key"), "");
    const [first, second] = await api.keys.list([]);
    assert.equal(await ok(`vnet-key-activate 97 ${second?.keyId}`), "");
    assert.equal(
      await ok("vnet-keys"),
      [
        "VNET  KEY   STATE   HELD  USED  MISSING-AT",
        `97    ${first?.keyId}  held    0/0   0/0   -`,
        `97    ${second?.keyId}  active  0/0   0/0   -`,
        "",
      ].join("\n"),
    );
    assert.match(
      await ok("vnet-keys 97 -o sxp"),
      /^\(key \(vnet 0000:.*\(state held\) \(hosts 0\)/,
    );
    assert.equal((await vn(`vnet-key-delete 97 ${second?.keyId}`)).status, 1);
    assert.equal(await ok(`vnet-key-delete 97 ${first?.keyId}`), "");
    assert.equal((await vn("vnet-keys 98")).status, 1);
    assert.equal((await vn("vnet-key-add 97 /missing")).status, 2);
    const { list } = api.keys;
    const host = { address: parseIpAddress("192.0.2.2"), udpPort: 1798 };
    const lagging = { ...host, address: parseIpAddress("192.0.2.3") };
    api.keys.list = async (vnets) =>
      (await list.call(api.keys, vnets)).map((key) => ({
        ...{ ...key, hostCount: 2, heldBy: [host], usedBy: [], missingAt: [lagging] },
      }));
    assert.match(await ok("vnet-keys"), / active {2}1\/2 {3}0\/2 {3}192\.0\.2\.3:1798$/m);
  });

  test("pcap writes a capture to a file or a pipe, never to a terminal", async () => {
    await ok("vnet-create 97");
    assert.equal(await ok("pcap 97"), "4d3cb2a102000400");
    const written = new Map<string, string>();
    const outcome = await runVn(["pcap", "97", "-w", "x.pcap"], { api, written });
    assert.deepEqual([outcome.status, outcome.stdout], [0, ""]);
    assert.equal(written.get("x.pcap"), "4d3cb2a102000400");
    const terminal = await runVn(["pcap", "97"], { api, isTerminal: true });
    assert.deepEqual([terminal.status, terminal.stdout], [2, ""]);
    assert.match(terminal.stderr, /^vn: pcap: a capture is not for a terminal/);
    assert.equal((await vn("pcap 98")).status, 1);
  });

  test("sa-export prints Wireshark's lines of each suite, once it is confirmed", async () => {
    await ok("vnet-create -s conf --key-file /k 97");
    const { file } = await api.keys.exportSas("97");
    const sa = { direction: "receive", spi: 0x1000_0001, keyId: 1, epoch: 1 };
    const host = { address: "192.0.2.2", udpPort: 1798 };
    const keysOf = (bytes: number) =>
      Array.from({ length: bytes }, (_, index) => index.toString(16).padStart(2, "0")).join("");
    const content = JSON.stringify([
      { ...sa, direction: "send", suite: "aes128-gcm", host: null, keys: keysOf(20) },
      { ...sa, suite: "hmac-sha256-128", host, keys: keysOf(32) },
      { ...sa, suite: "hmac96", host: { ...host, address: "2001:db8::2" }, keys: keysOf(20) },
      { ...sa, suite: "aes128-hmac96", host, keys: keysOf(52) },
    ]);
    const files = { [file]: content };
    const removed: string[] = [];
    const lines = [
      `"IPv4","*","*","0x10000001","AES-GCM with 16 octet ICV [RFC4106]","0x${keysOf(20)}","NULL",""`,
      `"IPv6","*","*","0x10000001","AES-GCM with 16 octet ICV [RFC4106]","0x${keysOf(20)}","NULL",""`,
      `"IPv4","192.0.2.2","*","0x10000001","NULL","","HMAC-SHA-256-128 [RFC4868]","0x${keysOf(32)}"`,
      `"IPv6","2001:db8::2","*","0x10000001","NULL","","HMAC-SHA-1-96 [RFC2404]","0x${keysOf(20)}"`,
      `"IPv4","192.0.2.2","*","0x10000001","AES-CBC [RFC3602]","0x${keysOf(16)}",` +
        `"HMAC-SHA-1-96 [RFC2404]","0x${keysOf(52).slice(64)}"`,
    ];
    const confirmed = await runVn(["sa-export", "97"], { api, files, removed, answer: "y\n" });
    assert.deepEqual([confirmed.status, removed], [0, [file]]);
    const printed = confirmed.stdout.split("\n");
    assert.deepEqual(printed.slice(0, 3), [
      "# -d udp.port==1798,udpencap",
      "# -o esp.enable_encryption_decode:TRUE",
      "# -o esp.enable_authentication_check:TRUE",
    ]);
    assert.deepEqual(printed.slice(3), [
      ...lines.map((line) => `# -o 'uat:esp_sa:${line}'`),
      ...lines,
      "",
    ]);
    assert.equal(
      (await runVn(["sa-export", "97", "--yes"], { api, files })).stdout.split("\n").length,
      14,
    );
    const doubtful = await runVn(["sa-export", "97"], { api, files, answer: "\n" });
    assert.deepEqual([doubtful.status, doubtful.stdout], [2, ""]);
    const unattended = await runVn(["sa-export", "97"], { api, files });
    assert.deepEqual([unattended.status, unattended.stdout], [2, ""]);
    const unreadable = await runVn(["sa-export", "97", "--yes"], { api, files: {} });
    assert.equal(unreadable.status, 1);
    assert.match(
      unreadable.stderr,
      /^vn: cannot read the keys: .*, be root \(\/run\/vnetd\/sa-export-/,
    );
  });

  test("vnet-create fails with status 1 when the vnet exists, and 2 for the reserved id", async () => {
    await ok("vnet-create 97");
    const again = await vn("vnet-create 97");
    assert.deepEqual(
      [again.status, again.stderr],
      [1, "vn: cannot create the vnet: it exists: 97\n"],
    );
    assert.equal((await vn("vnet-create 1")).status, 2);
    assert.equal((await api.listVnets([])).length, 1);
  });

  test("vnet-delete takes several, all or none, and -b", async () => {
    const asked: unknown[] = [];
    await ok("vnet-create good.sxp");
    const failed = await vn("vnet-delete 97 nothere");
    assert.deepEqual(
      [failed.status, failed.stderr],
      [1, 'vn: vnet-delete: No such vnet ("nothere")\n'],
    );
    assert.equal((await api.listVnets([])).length, 2);
    const { deleteVnets } = api;
    api.deleteVnets = async (vnets, options) => {
      asked.push(options);
      await deleteVnets.call(api, vnets, options);
    };
    assert.equal(await ok("vnet-delete vnif97"), "");
    assert.equal(await ok("vnet-delete -b 98"), "");
    assert.deepEqual(asked, [{ bridge: false }, { bridge: true }]);
    assert.deepEqual(await api.listVnets([]), []);
  });

  test("vnets prints a table, long and short, of all and of the ones named", async () => {
    await ok("vnet-create good.sxp");
    assert.equal(
      await ok("vnets"),
      [
        "VNET  VNETIF    BRIDGE    SECURITY  STATE",
        "97    vnif97    br97      none      up",
        "98    vnif0098  vnet0098  none      up",
        "",
      ].join("\n"),
    );
    assert.equal(await ok("vnet-list"), await ok("vnets"));
    assert.equal(
      await ok("vnets -l vnif97"),
      [
        "VNET  VNETIF  BRIDGE  SECURITY  STATE  MTU   SUITE  ENCAPSULATION  SWITCH  PORTS  ERROR",
        "97    vnif97  br97    none      up     1500  -      udp            linux   -      -",
        "",
      ].join("\n"),
    );
    assert.equal((await vn("vnets 4711")).status, 1);
  });

  test("a listing of nothing is a header, an empty array, or nothing", async () => {
    assert.match(await ok("vnets"), /^VNET .*\n$/);
    assert.equal(await ok("vnets --json"), "[]\n");
    assert.equal(await ok("vnets -o sxp"), "");
    assert.match(await ok("vifs"), /^VNET .*\n$/);
    assert.match(await ok("peers"), /^ADDRESS .*\n$/);
    assert.match(await ok("varp"), /^VNET .*\n$/);
  });

  test("vnets -a adds vifs and varp entries in each format", async () => {
    await ok("vnet-create 97");
    await ok("vif-add 97 02:00:00:00:00:01");
    api.learn({
      vnet: parseVnetId("97"),
      mac: parseMacAddress("02:00:00:00:00:02"),
      state: "reachable",
      host: { address: parseIpAddress("192.0.2.2"), udpPort: 1798 },
      ageMs: 5_000,
      pinned: false,
    });
    assert.equal(
      await ok("vnets -a"),
      [
        "VNET  VNETIF    BRIDGE  SECURITY  STATE",
        "97    vnif0097  -       none      up",
        "",
        "VNET  MAC                PINNED  AGE",
        "97    02:00:00:00:00:01  yes     0s",
        "",
        "VNET  MAC                HOST            STATE      PINNED  AGE",
        "97    02:00:00:00:00:02  192.0.2.2:1798  reachable  no      5s",
        "",
      ].join("\n"),
    );
    const [vnet] = JSON.parse(await ok("vnets -a --json")) as readonly {
      vifs: readonly { mac: string }[];
      varp: readonly { mac: string }[];
    }[];
    assert.deepEqual(
      [vnet?.vifs[0]?.mac, vnet?.varp[0]?.mac],
      ["02:00:00:00:00:01", "02:00:00:00:00:02"],
    );
    const sxp = await ok("vnets -a -o sxp");
    assert.match(sxp, /^\(vnet \(id 0000:.*:0097\) \(vnetif vnif0097\) \(security none\)/);
    assert.match(sxp, /\(vif\n \(vnet 0000:.*:0097\)\n \(vmac 02:00:00:00:00:01\)/);
    assert.match(sxp, /\(addr 192\.0\.2\.2\)/);
  });

  test("vif-add and vif-delete take a MAC in any form, or a device with -i", async () => {
    await ok("vnet-create 97");
    assert.equal(await ok("vif-add vnif0097 2-0-0-0-0-A"), "");
    assert.equal(await ok("vif-add --pin -i 97 tap0"), "");
    assert.equal(
      await ok("vifs 97"),
      [
        "VNET  MAC                PINNED  AGE",
        "97    02:00:00:00:00:0a  yes     0s",
        "97    00:16:3e:00:00:aa  yes     0s",
        "",
      ].join("\n"),
    );
    assert.match(await ok("vifs 97 -o sxp"), /^\(vif\n.*\n \(vmac 02:00:00:00:00:0a\)\n/);
    assert.equal(await ok("vif-delete 97 02:00:00:00:00:0a"), "");
    assert.equal(await ok("vif-delete --interface 97 tap0"), "");
    assert.deepEqual(await api.listVifs([]), []);
    assert.equal((await vn("vif-delete 97 02:00:00:00:00:0a")).status, 1);
    assert.equal((await vn("vif-add -i 97 tap99")).status, 1);
  });

  test("peer-add and peer-delete take addresses and names", async () => {
    assert.equal(await ok("peer-add 192.0.2.9"), "");
    assert.equal(await ok("peer-add host7.example -p 1799"), "");
    assert.equal(
      await ok("peers"),
      [
        "ADDRESS       PORT  NAME           OUT  IN  MTU  VNETS",
        "192.0.2.9     1798  -              12   34  -    -",
        "198.51.100.7  1799  host7.example  12   34  -    -",
        "",
      ].join("\n"),
    );
    const { listPeers } = api;
    api.listPeers = async () => {
      const common = { sinceMs: 125_000, heardMs: 1_000, keyId: "1a2b", senderId: "00".repeat(16) };
      const vnets = [
        { ...common, vnet: parseVnetId("97"), state: "up" },
        { ...common, vnet: parseVnetId("98"), state: "unreachable" },
      ] as const;
      const heard = { address: "192.0.2.8", udpPort: 1798, name: null, configured: false };
      const forwarded = { forwardedOut: 0, forwardedIn: 0 };
      return [...(await listPeers.call(api)), { ...heard, ...forwarded, pathMtu: 1400, vnets }];
    };
    assert.match(
      await ok("peers"),
      /^192\.0\.2\.8 +1798 +- +0 +0 +1400 +97 up, 98 unreachable since 2m$/m,
    );
    assert.doesNotMatch(await ok("peers -o sxp"), /192\.0\.2\.8/);
    assert.match(await ok("peers -o sxp"), /^\(vnet_peer\n \(addr 192\.0\.2\.9\)\n \(port 1798\)/);
    assert.equal(await ok("peer-delete host7.example"), "");
    assert.equal(await ok("peer-delete 192.0.2.9"), "");
    const unknown = await vn("peer-add nowhere.invalid");
    assert.deepEqual(
      [unknown.status, unknown.stderr],
      [1, "vn: cannot add the peer: cannot resolve: nowhere.invalid\n"],
    );
  });

  test("varp-flush forgets, eval answers the daemon's text, status 2 for no command", async () => {
    assert.equal(await ok("varp-flush"), "");
    assert.equal(await ok("eval (varp.flush)"), "");
    assert.equal(await ok("eval (vnet.list)"), "(vnets 0)\n");
    assert.equal((await vn("eval (vnet.explode)")).status, 2);
  });

  test("vifs and varp as S-expressions are the original's whole answer", async () => {
    const evaluated: string[] = [];
    api.evaluate = async (expression) => {
      evaluated.push(expression);
      return "(whole)\n";
    };
    assert.equal(await ok("vifs -o sxp"), "(whole)\n");
    assert.equal(await ok("varp -o sxp"), "(whole)\n");
    assert.deepEqual(evaluated, ["(vif.list)", "(varp.list)"]);
  });

  test("status is one screen, and status 1 when the daemon does not serve", async () => {
    assert.equal(
      await ok("status"),
      [
        "vnetd         serving, version 0.1.0, pid 4242, up 1d",
        "data plane    up, pid 4243, tap offload on, udp segmentation on, udp coalescing off",
        "underlay      eth0, mtu 1500, udp port 1798, 192.0.2.1 2001:db8::1",
        "multicast     224.10.0.1, ttl 1",
        "open vswitch  not running",
        "vif rules     no bridge",
        "vnets         0",
        "vifs          0",
        "peers         0",
        "varp          0",
        "",
      ].join("\n"),
    );
    assert.equal((JSON.parse(await ok("status --json")) as { pid: number }).pid, 4242);
    assert.match(
      await ok("status -o sxp"),
      /^\(status \(version 0\.1\.0\) \(pid 4242\).*\(addresses 192\.0\.2\.1 2001:db8::1\)/,
    );
    const { status } = api;
    api.status = async () => {
      const view = await status.call(api);
      return {
        ...view,
        serving: false,
        dataplane: { ...view.dataplane, state: "down", pid: null, error: "killed by SIGSEGV" },
        underlay: {
          ...view.underlay,
          device: null,
          addresses: [],
          multicastGroup: null,
          error: "no device",
        },
      };
    };
    const outcome = await vn("status");
    assert.equal(outcome.status, 1);
    assert.match(outcome.stdout, /NOT SERVING/);
    assert.match(outcome.stdout, /down, no process, .*error: killed by SIGSEGV/);
    assert.match(outcome.stdout, /none, .*no address, error: no device/);
    assert.match(outcome.stdout, /^multicast +off$/m);
  });

  test("stats prints one name a line, of the host or of one vnet", async () => {
    await ok("vnet-create 97");
    assert.equal(
      await ok("stats vnif0097"),
      [
        "COUNTER          VALUE  VNET",
        "outbound-frames  7      97",
        "drop-short       0      97",
        "",
      ].join("\n"),
    );
    assert.match(await ok("stats"), /^outbound-frames +7 +-$/m);
    assert.equal(
      await ok("stats 97 -o sxp"),
      `(stats (vnet ${FULL_97}) (outbound-frames 7) (drop-short 0))\n`,
    );
    assert.equal((JSON.parse(await ok("stats --json")) as unknown[]).length, 2);
  });

  test("an answer of 400 is status 2, of 404, 409 and 500 status 1", async () => {
    const failures = [
      ["VNETD_PEER_IS_SELF", 2],
      ["VNETD_UNKNOWN_HOST", 1],
      ["VNETD_LIMIT", 1],
      ["VNETD_DATAPLANE_FAILED", 1],
      ["VNETD_STOPPING", 1],
    ] as const;
    for (const [code, status] of failures) {
      api.addPeer = async () => {
        throw new ControlError(code, "Cannot add the peer:\nit failed: 192.0.2.1");
      };
      const outcome = await vn("peer-add 192.0.2.1");
      assert.deepEqual(
        [outcome.status, outcome.stderr],
        [status, "vn: cannot add the peer: it failed: 192.0.2.1\n"],
      );
    }
  });

  test("a defect is status 1 and one line", async () => {
    const broken: ControlApi = api;
    broken.listPeers = async () => {
      throw new TypeError("boom");
    };
    const outcome = await vn("peers");
    assert.deepEqual([outcome.status, outcome.stderr], [1, "vn: peers: boom\n"]);
  });
});

describe("vn asks the daemon of --run-dir, of VNETD_RUN_DIR, or of /run/vnetd", () => {
  const CASES: readonly (readonly [command: string, runDir: string | undefined, socket: string])[] =
    [
      ["peers", undefined, "/run/vnetd/vnetd.sock"],
      ["peers", "", "/run/vnetd/vnetd.sock"],
      ["peers", "/tmp/a", "/tmp/a/vnetd.sock"],
      ["--run-dir /tmp/b peers", "/tmp/a", "/tmp/b/vnetd.sock"],
      ["peers --run-dir=/tmp/b", "/tmp/a", "/tmp/b/vnetd.sock"],
    ];
  for (const [command, runDir, socket] of CASES) {
    test(`${runDir === undefined ? "" : `VNETD_RUN_DIR=${runDir} `}vn ${command}`, async () => {
      const host = { api: new FakeControlApi(), ...(runDir === undefined ? {} : { runDir }) };
      assert.equal((await runVn(words(command), host)).socketPath, socket);
    });
  }
});

describe("vn --help", () => {
  test("lists every command of this version and none of another", async () => {
    const { stdout, status } = await runVn(["--help"], { api: null });
    const listed = [...stdout.matchAll(/^ {2}([a-z][a-z|-]+) /gm)].map(([, name]) => name);
    assert.equal(status, 0);
    assert.deepEqual(
      listed.filter((name) => name !== "vn"),
      [
        "vnets|vnet-list",
        "vnet-create",
        "vnet-delete",
        "key-generate",
        "vnet-keys",
        "vnet-key-add",
        "vnet-key-activate",
        "vnet-key-delete",
        "sa-export",
        "pcap",
        "vifs",
        "vif-add",
        "vif-delete",
        "peers",
        "peer-add",
        "peer-delete",
        "varp",
        "varp-flush",
        ...["vif-set", "vif-clear", "vif-show", "vif-explain", "vif-log", "vif-rules"],
        ...["groups", "group-set", "group-delete", "nets", "net-set", "net-delete"],
        "status",
        "stats",
        "top",
        "watch",
        "doctor",
        "eval",
        "completion",
        "help",
      ],
    );
  });

  test("of each command has a description, an example and no line above 100 columns", async () => {
    const names = [
      "vnets",
      "vnet-create",
      "vnet-delete",
      "key-generate",
      "vnet-keys",
      "vnet-key-add",
      "vnet-key-activate",
      "vnet-key-delete",
      "sa-export",
      "pcap",
      "vifs",
      "vif-add",
      "vif-delete",
      "peers",
      "peer-add",
      "peer-delete",
      "varp",
      "varp-flush",
      "status",
      "stats",
      "top",
      "watch",
      "doctor",
      "eval",
      "completion",
    ];
    for (const name of names) {
      const { stdout, stderr, status } = await runVn([name, "--help"], { api: null });
      assert.deepEqual([status, stderr], [0, ""], name);
      assert.match(stdout, new RegExp(`^Usage: vn ${name}`), name);
      assert.match(stdout, /\nExamples:\n {2}\S/, name);
      assert.ok(
        stdout.split("\n").every((line) => line.length <= 100 && line === line.trimEnd()),
        name,
      );
      assert.equal((await runVn(["help", name], { api: null })).stdout, stdout, name);
    }
  });

  test("--version prints the version", async () => {
    const outcome = await runVn(["--version"], { api: null });
    assert.equal(outcome.status, 0);
    assert.match(outcome.stdout, /^\d+\.\d+\.\d+\n$/);
  });
});

/** Words as a shell parts them; no case here needs quotes. */
function words(command: string): readonly string[] {
  return command.split(" ").filter((word) => word !== "");
}

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Config, readConfig } from "../../src/daemon/config.ts";
import { ConfigError } from "../../src/daemon/config-error.ts";
import { parseCommandLine } from "../../src/daemon/options.ts";

let folder = "";
before(() => {
  folder = mkdtempSync(join(tmpdir(), "vnetd-config-"));
});
after(() => {
  rmSync(folder, { recursive: true });
});

function read(argv: readonly string[], toml = ""): Config {
  const file = join(folder, "vnetd.toml");
  writeFileSync(file, toml);
  const commandLine = parseCommandLine(["--config", file, ...argv], "1.2.3");
  assert.equal(commandLine.kind, "run");
  return readConfig(commandLine);
}

describe("readConfig", () => {
  test("everything has a default", () => {
    assert.deepEqual(read([]), {
      stateDirectory: "/var/lib/vnetd",
      keyDirectory: "/etc/vnetd/keys",
      runDirectory: "/run/vnetd",
      ovsRunDirectory: "/var/run/openvswitch",
      policyDirectory: "/etc/vnetd",
      vifPattern: /^(vif|tap|vnet)[0-9]/,
      trustVmData: false,
      underlay: { kind: "automatic" },
      udpPort: 1798,
      multicast: true,
      multicastGroup: "224.10.0.1",
      multicastTtl: 1,
      startupFile: null,
      metrics: null,
      statusPage: false,
      logLevel: "info",
      logFormat: null,
      stopDataplane: false,
      dataplane: null,
      dataplaneService: false,
      user: null,
      tapOffload: true,
      udpSegmentation: true,
      udpCoalescing: true,
      rekeyPackets: 2_147_483_648,
      fdbLimit: 131_072,
      vifLimit: 4_096,
      fdbTtlMs: 60_000,
    });
  });

  test("the keys of VIF rules may be spelled as their documents spell them", () => {
    const config = read([], 'trust_vm_data = true\nvif_pattern = "^port"\npolicy-dir = "/p"\n');
    assert.deepEqual(
      [config.trustVmData, config.vifPattern, config.policyDirectory],
      [true, /^port/, "/p"],
    );
    assert.deepEqual(read(["--vif-pattern", "^x", "--trust-vm-data"]).vifPattern, /^x/);
  });

  test("the file sets, the command line overrides", () => {
    const toml = 'port = 1799\nmcast-ttl = 4\nudp-gso = false\nunderlay = "eth1"\n';
    const config = read(["--port", "1800", "--underlay", "10.0.0.1"], toml);
    assert.equal(config.udpPort, 1800);
    assert.equal(config.multicastTtl, 4);
    assert.equal(config.udpSegmentation, false);
    assert.deepEqual(config.underlay, { kind: "address", address: "10.0.0.1" });
  });

  test("every switch and value of the command line arrives", () => {
    const config = read(
      (
        "--state-dir /s --key-dir /k --run-dir /r --ovs-run-dir /o --underlay none --mcast-group 224.10.0.2 " +
        "--no-multicast -f /f --metrics 127.0.0.1:9000 --status-page --log-level debug --log-format json " +
        "--stop-dataplane --dataplane /d --dataplane-service --user u --no-tap-offload --no-udp-gso --no-udp-gro " +
        "--fdb-limit 100 --vif-limit 50 --fdb-ttl 10 --mcast-ttl 2 --rekey-packets 5000 " +
        "--policy-dir /p --vif-pattern ^p --trust-vm-data"
      ).split(" "),
    );
    assert.deepEqual(config, {
      ...{
        stateDirectory: "/s",
        keyDirectory: "/k",
        runDirectory: "/r",
        ovsRunDirectory: "/o",
        udpPort: 1798,
      },
      ...{ policyDirectory: "/p", vifPattern: /^p/, trustVmData: true },
      ...{ underlay: { kind: "none" }, multicast: false, multicastGroup: "224.10.0.2" },
      ...{ multicastTtl: 2, startupFile: "/f", logLevel: "debug", logFormat: "json" },
      ...{ metrics: { address: "127.0.0.1", udpPort: 9000 }, stopDataplane: true },
      ...{ statusPage: true },
      ...{ dataplane: "/d", dataplaneService: true },
      ...{ user: "u", tapOffload: false, udpSegmentation: false },
      ...{
        udpCoalescing: false,
        rekeyPackets: 5_000,
        fdbLimit: 100,
        vifLimit: 50,
        fdbTtlMs: 10_000,
      },
    });
    assert.ok(Object.isFrozen(config));
  });

  test("the status page is for loopback addresses only", () => {
    for (const address of ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1"]) {
      assert.equal(read(["--metrics", address, "--status-page"]).statusPage, true);
    }
    for (const metrics of [[], ["--metrics", "0.0.0.0:1"], ["--metrics", "[::]:1"]]) {
      assert.throws(
        () => read([...metrics, "--status-page"]),
        /^ConfigError: --status-page: it needs --metrics with a loopback address/,
      );
    }
    const toml = 'metrics = "192.0.2.1:9798"\nstatus-page = true\n';
    assert.throws(() => read([], toml), /--status-page: .* \("192\.0\.2\.1:9798"\)$/);
  });

  const badFiles: readonly (readonly [toml: string, message: RegExp])[] = [
    ["prot = 1799", /vnetd\.toml: unknown key "prot" \(1799\)$/],
    ["[port]\nx = 1", /vnetd\.toml: "port": .*number.* \(\{"x":1\}\)$/],
    ['port = "1799"', /vnetd\.toml: "port": .*expected number.* \("1799"\)$/],
    ["port = 65536", /vnetd\.toml: "port": .*65535 \(65536\)$/],
    ["port = 17.5", /vnetd\.toml: "port": .* \(17\.5\)$/],
    ['underlay = "a b"', /"underlay": Interface name .* \("a b"\)$/],
    ['mcast-group = "10.0.0.1"', /"mcast-group": Not a multicast address \("10\.0\.0\.1"\)$/],
    ['metrics = "9000"', /"metrics": .* \("9000"\)$/],
    ['vif-pattern = "("', /"vif-pattern": Not a regular expression \("\("\)$/],
    ["rekey-packets = 999", /"rekey-packets": .*1000 \(999\)$/],
    ["rekey-packets = 2147483649", /"rekey-packets": .*2147483648 \(2147483649\)$/],
    ["fdb-ttl = 9", /"fdb-ttl": at least 10, or MACs in use would be forgotten \(9\)$/],
    ["fdb-limit = 99999999", /"fdb-limit": /],
    ['log-level = "loud"', /"log-level": .*debug.* \("loud"\)$/],
    ["port = = 1", /vnetd\.toml:1:8: /],
  ];
  for (const [toml, message] of badFiles) {
    test(`refuses the file ${JSON.stringify(toml)} with key and value`, () => {
      assert.throws(
        () => read([], toml),
        (error: unknown) =>
          error instanceof ConfigError &&
          message.test(error.message) &&
          !error.message.includes("\n"),
      );
    });
  }

  test("a wrong value on the command line is told by its flag", () => {
    assert.throws(() => read(["--port", "0"]), /^ConfigError: --port: .* \(0\)$/);
    assert.throws(() => read(["--underlay", "x/y"]), /^ConfigError: --underlay: .*"x\/y"\)$/);
  });

  test("a file that was named has to be there; the usual one need not", () => {
    const missing = join(folder, "none.toml");
    const named = (): Config => readConfig({ configFile: missing, settings: {} });
    assert.throws(named, /Cannot read configuration file .*none\.toml: ENOENT/);
  });
});

describe("parseCommandLine", () => {
  test("prints help and version", () => {
    const help = parseCommandLine(["--help"], "1.2.3");
    assert.ok(help.kind === "print" && help.text.startsWith("Usage: vnetd [options]"));
    assert.deepEqual(parseCommandLine(["--version"], "1.2.3"), { kind: "print", text: "1.2.3\n" });
  });

  for (const [argv, message] of [
    [["--prot", "1"], /unknown option '--prot'/],
    [["--port"], /argument missing/],
    [["--port", "http"], /option '--port <n>' argument 'http' is invalid\. It is not a number/],
    [["start"], /too many arguments/],
  ] as const) {
    test(`refuses ${argv.join(" ")}`, () => {
      assert.throws(() => parseCommandLine(argv, "1"), ConfigError);
      assert.throws(() => parseCommandLine(argv, "1"), message);
    });
  }
});

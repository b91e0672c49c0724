/**
 * The completion scripts in real shells: what a user gets for a line that ends where Tab is hit.
 * `vn` in these shells is the compiled program beside a fake daemon.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseMacAddress } from "../../src/net/mac-address.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import { readNetworkPolicy, readVifPolicy } from "../../src/vifrules/policy-document.ts";
import { fakeKeyId } from "../control/fake-keys-api.ts";
import { type FakeDaemon, runProgram, startFakeDaemon, VN } from "./vn-process.ts";

const { PATH } = process.env;
const HAS_FISH = spawnSync("fish", ["--version"]).status === 0;
const HAS_ZSH = spawnSync("zsh", ["-c", "zmodload zsh/zpty"]).status === 0;

/** In the sources: three folders above dist/test/cli/. */
const ZSH_DRIVER = fileURLToPath(new URL("../../../test/cli/complete.zsh", import.meta.url));

const VN_NOTIFY = fileURLToPath(new URL("../../../bin/vn-notify", import.meta.url));

const KEY_FILE = "/root/98.key";

const COMMANDS = [
  "completion",
  "doctor",
  "eval",
  ...["group-delete", "group-set", "groups"],
  "help",
  "key-generate",
  ...["net-delete", "net-set", "nets"],
  "pcap",
  "peer-add",
  "peer-delete",
  "peers",
  "sa-export",
  "stats",
  "status",
  "top",
  "varp",
  "varp-flush",
  "vif-add",
  "vif-clear",
  "vif-delete",
  ...["vif-explain", "vif-log", "vif-rules", "vif-set", "vif-show"],
  "vifs",
  "vnet-create",
  "vnet-delete",
  "vnet-key-activate",
  "vnet-key-add",
  "vnet-key-delete",
  "vnet-keys",
  "vnet-list",
  "vnets",
  "watch",
];

/** Each holds in all shells; a colon in a word is the shells' own business, below. */
const CASES: readonly (readonly [line: string, words: readonly string[]])[] = [
  ["vn ", COMMANDS],
  [
    "vn vnet-",
    [
      "vnet-create",
      "vnet-delete",
      ...["vnet-key-activate", "vnet-key-add", "vnet-key-delete", "vnet-keys"],
      "vnet-list",
    ],
  ],
  ["vn --run", ["--run-dir"]],
  ["vn vnet-delete ", ["97", "98", "vnif0098", "vnifa"]],
  ["vn vnet-delete 97 vnif0", ["vnif0098"]],
  ["vn vnets -o ", ["json", "sxp", "table"]],
  ["vn vnets --output s", ["sxp"]],
  ["vn vnets --al", ["--all"]],
  ["vn vnet-create --enc", ["--encapsulation"]],
  ["vn vnet-create --encapsulation ", ["etherip", "udp"]],
  ["vn vnet-create two", ["two.sxp"]],
  ["vn stats vnifa", ["vnifa"]],
  ["vn peer-delete host", ["host7.example"]],
  ["vn completion ", ["bash", "fish", "zsh"]],
  ["vn vif-set vif5.0 --mode ", ["disabled", "isolated", "locked", "unlocked"]],
  ["vn help peer-", ["peer-add", "peer-delete"]],
  ["vn vif-show ", ["vif5.0", "vif6.0"]],
  ["vn vif-explain vif6", ["vif6.0"]],
  ["vn vif-set vif7.0 --group d", ["db"]],
  ["vn group-delete ", ["db", "web"]],
  ["vn net-delete ", ["xenbr0"]],
  ["vn vnet-key-activate 98 ", [fakeKeyId(KEY_FILE)]],
  ["vn --run-dir RUNDIR vnet-delete 9", ["97", "98"]],
];

async function addVifRules(api: FakeDaemon["api"]["vifRules"]): Promise<void> {
  const bridge = "xenbr0";
  for (const vif of ["vif5.0", "vif6.0"]) {
    const policy = { vif, bridge, mac: "00:16:3e:00:00:05", mode: "isolated", groups: ["db"] };
    await api.setVifRules(readVifPolicy(policy));
  }
  await api.setGroup({ group: "web", members: [] });
  await api.setNetwork(readNetworkPolicy({ bridge, vlan: 0 }));
}

describe("vn completion", () => {
  let daemon: FakeDaemon;
  before(async () => {
    daemon = await startFakeDaemon();
    const { api, runDir } = daemon;
    await api.createVnets([
      { id: parseVnetId("97"), vnetif: "vnifa" },
      { id: parseVnetId("98"), security: "conf", keyFile: KEY_FILE },
    ]);
    await api.addVif("97", { mac: parseMacAddress("00:16:3e:00:00:01") });
    await api.addVif("97", { mac: parseMacAddress("00:16:3e:00:01:02") });
    await api.addVif("98", { mac: parseMacAddress("00:16:3e:ff:00:01") });
    await api.addPeer("192.0.2.9", null);
    await api.addPeer("host7.example", null);
    await addVifRules(api.vifRules);
    await mkdir(join(runDir, "files"));
    await writeFile(join(runDir, "files", "two.sxp"), "");
    await mkdir(join(runDir, "bin"));
    await writeFile(
      join(runDir, "bin", "vn"),
      `#!/bin/sh\nexec "${process.execPath}" "${VN}" "$@"\n`,
      { mode: 0o755 },
    );
    // What asks the daemon for names; scripts/build made it.
    await symlink(VN_NOTIFY, join(runDir, "bin", "vn-notify"));
    for (const shell of ["bash", "zsh", "fish"]) {
      const { stdout, status } = await runProgram(process.execPath, [VN, "completion", shell]);
      assert.equal(status, 0);
      await writeFile(join(runDir, `vn.${shell}`), stdout);
    }
  });
  after(async () => {
    await daemon.close();
  });
  /** Names that are only known now. */
  const known = (text: string) => text.replace("RUNDIR", daemon.runDir);
  const shell = async (program: string, args: readonly string[]) =>
    await runProgram(program, args, {
      env: {
        VNETD_RUN_DIR: daemon.runDir,
        PATH: `${daemon.runDir}/bin:${PATH}`,
        LC_ALL: "C.UTF-8",
        // fish makes folders there.
        HOME: daemon.runDir,
      },
      cwd: join(daemon.runDir, "files"),
    });

  describe("in bash", () => {
    const complete = async (line: string): Promise<readonly string[]> => {
      // What bash itself does on Tab, less the terminal: it sets the line and calls the function.
      const script = `
        compopt() { :; }
        source "$1"
        COMP_LINE=$2 COMP_POINT=\${#2}
        $(complete -p vn | sed -E 's/.*-F ([^ ]+) .*/\\1/')
        printf '%s\\n' "\${COMPREPLY[@]}"`;
      const { stdout, stderr } = await shell("bash", [
        "-c",
        script,
        "bash",
        `${daemon.runDir}/vn.bash`,
        line,
      ]);
      assert.equal(stderr, "");
      return stdout
        .split("\n")
        .filter((word) => word !== "")
        .sort();
    };
    for (const [line, expected] of CASES) {
      test(`${line}<Tab>`, async () => {
        assert.deepEqual(await complete(known(line)), expected);
      });
    }

    test("completes after the colons that bash parts words at", async () => {
      assert.deepEqual(await complete("vn vif-delete 97 00:16:3e:00:"), ["00:01", "01:02"]);
      assert.deepEqual(await complete("vn vif-delete 98 "), ["00:16:3e:ff:00:01"]);
    });

    test("offers devices of this host for a bridge", async () => {
      assert.ok((await complete("vn vnet-create -b l")).includes("lo"));
    });

    test("offers nothing, and says nothing, without a daemon", async () => {
      assert.deepEqual(await complete("vn --run-dir /nonexistent vnet-delete "), []);
      assert.deepEqual(await complete("vn nonsense "), []);
    });

    test("is taken by shellcheck", {
      skip: spawnSync("shellcheck", ["--version"]).status !== 0,
    }, async () => {
      const { stdout, status } = await shell("shellcheck", [
        "--shell=bash",
        `${daemon.runDir}/vn.bash`,
      ]);
      assert.equal(stdout, "");
      assert.equal(status, 0);
    });
  });

  describe("in zsh", { skip: HAS_ZSH ? false : "zsh is not installed" }, () => {
    const complete = async (line: string): Promise<readonly string[]> => {
      const { stdout, stderr, status } = await shell("zsh", [
        "-f",
        ZSH_DRIVER,
        `${daemon.runDir}/vn.zsh`,
        line,
        daemon.runDir,
      ]);
      assert.equal(status, 0, stderr);
      return [...new Set(stdout.split("\n").filter((word) => word !== ""))].sort();
    };
    for (const [line, expected] of CASES) {
      test(`${line}<Tab>`, async () => {
        assert.deepEqual(await complete(known(line)), expected);
      });
    }

    test("completes MAC addresses of the vnet that is named", async () => {
      assert.deepEqual(await complete("vn vif-delete 97 00:16:3e:00:"), [
        "00:16:3e:00:00:01",
        "00:16:3e:00:01:02",
      ]);
    });
  });

  describe("in fish", { skip: HAS_FISH ? false : "fish is not installed" }, () => {
    const complete = async (line: string): Promise<readonly string[]> => {
      const script = 'source $argv[1]; complete -C "$argv[2]"';
      const file = `${daemon.runDir}/vn.fish`;
      const { stdout, stderr } = await shell("fish", ["--no-config", "-c", script, file, line]);
      assert.equal(stderr, "");
      const words = stdout.split("\n").map((match) => match.split("\t")[0] ?? "");
      return words.filter((word) => word !== "").sort();
    };
    for (const [line, expected] of CASES) {
      test(`${line}<Tab>`, async () => {
        assert.deepEqual(await complete(known(line)), expected);
      });
    }

    test("knows of each command which of its options a word follows", async () => {
      assert.deepEqual(await complete("vn vnet-delete -b 9"), ["97", "98"]);
      assert.deepEqual(await complete("vn vnet-create -b nowhere --ov"), ["--ovs"]);
    });

    test("offers nothing, and says nothing, without a daemon", async () => {
      assert.deepEqual(await complete("vn --run-dir /nonexistent vnet-delete "), []);
    });
  });
});

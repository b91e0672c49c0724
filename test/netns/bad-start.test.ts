/**
 * A vnetd that cannot start says why in one line, exits with 1 or, where nothing was tried, with 2,
 * and leaves the host as it was: devices, state directory, processes.
 *
 *     host a ── u1 ── segment
 */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { Lab, REPOSITORY, SKIP_REASON } from "./lab.ts";
import { Host } from "./lab-host.ts";
import { FRAME_TOOL } from "./link-tools.ts";
import { LineProgram, run, tryRun } from "./programs.ts";
import { assertRefused, stillSnapshot } from "./snapshot.ts";
import { AS_NOBODY, programForAnyone } from "./unprivileged.ts";

const STATE = '{"schema":1,"vnets":[],"peers":[],"pinnedVifs":[],"multicastGroup":null}\n';
const VNETD = join(REPOSITORY, "bin/vnetd");
/** What a vnetd that serves is ended by, so that a wrong success fails and does not hang. */
const DEADLINE = ["timeout", "10"];

type Case = readonly [args: readonly string[], status: number, error: RegExp];

const FLAGS: readonly Case[] = [
  [["--port", "0"], 2, /^--port: .*\(0\)$/],
  [["--port", "65536"], 2, /^--port: .*\(65536\)$/],
  [["--port", "abc"], 2, /'abc' is invalid\. It is not a number\.$/],
  [["--mcast-group", "10.0.0.1"], 2, /^--mcast-group: Not a multicast address \("10\.0\.0\.1"\)$/],
  [["--mcast-ttl", "0"], 2, /^--mcast-ttl: .*\(0\)$/],
  [["--log-level", "loud"], 2, /^--log-level: .*\("loud"\)$/],
  [["--underlay", "sixteen-octets-x"], 2, /^--underlay: .*1 … 15 bytes.*"sixteen-octets-x"/],
  [["--user", "nobody-here"], 2, /^No such user: nobody-here/],
  [["--user", "root"], 1, /: vnet-dp does not run as root; .*--user$/],
  [["--fdb-limit", "1"], 2, /^--fdb-limit: .*\(1\)$/],
  [["--metrics", "here"], 2, /^--metrics: .*\("here"\)$/],
  [["--metrics", "10.200.0.9:9100"], 1, /10\.200\.0\.9:9100/],
  [["--dataplane", "/nonexistent"], 1, /^Cannot start \/nonexistent: /],
  [["--dataplane", "/bin/false"], 1, /^Cannot start \/bin\/false: it ended with 1$/],
  [["--colour"], 2, /unknown option '--colour'$/],
  [["stray"], 2, /too many arguments/],
];

/** `FILE` in the error stands for the file's path. */
const CONFIGURATIONS: readonly (readonly [text: string, error: string])[] = [
  ["port = \n", "FILE:1:8: Invalid TOML document: invalid value"],
  ["\nprot = 1\n", 'FILE: unknown key "prot" (1)'],
  ["underlay = 5\n", 'FILE: "underlay": Invalid input: expected string, received number (5)'],
];

const STARTUP_FILES: readonly (readonly [text: string, status: number, error: RegExp])[] = [
  ["(vnet.add (id 97))\n(", 2, /line 2, column 2: unexpected end, the list .* is not closed$/],
  ["(vnet.add (id 97) (colour red))", 2, /line 1, column 20: unknown key "colour"/],
  ["(vnet.add (id 97) (vnetif u1))", 1, /^Cannot create vnet 97: interface name u1 is taken/],
  ["(peer.add (addr 127.0.0.1))", 1, /^Cannot add peer "127\.0\.0\.1": it is an address of this/],
];

const STATES: readonly (readonly [what: string, text: string, error: RegExp])[] = [
  ["empty", "", /: it is not whole JSON; repair it, or move it away to start without vnets$/],
  ["half written", STATE.slice(0, 40), /: it is not whole JSON; /],
  ["zeros", "\0\0\0\0\0\0\0\0", /: it is not whole JSON; /],
  ["of a later version", STATE.replace(":1", ":2"), /: its schema version is 2, this vnetd reads/],
  ["of no version", "[]", /: it has no schema version, /],
  ["with a key too many", STATE.replace("{", '{"x":1,'), /: at its top: Unrecognized key: "x"; /],
  [
    "with a broken vnet",
    STATE.replace('"vnets":[]', '"vnets":[{"id":"0"}]'),
    /: at vnets\.0\.\w+: /,
  ],
];

describe("a vnetd that cannot start", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let host: Host;
  let statePath: string;

  before(async () => {
    lab = await Lab.create();
    host = await Host.create(lab, "a", [await lab.segment()]);
    statePath = join(host.stateDir, "state.json");
  });
  after(() => lab?.close());
  beforeEach(() => {
    rmSync(statePath, { recursive: true, force: true });
  });

  async function refuses(
    [args, status, error]: readonly [readonly string[], number, string | RegExp],
    program: readonly string[] = [VNETD],
  ): Promise<void> {
    const before = await stillSnapshot(host);
    const finished = await tryRun("ip", [
      ...["netns", "exec", host.namespace, ...DEADLINE, ...program],
      ...["--run-dir", host.runDir, "--state-dir", host.stateDir, "--log-format", "json"],
      ...(args.includes("--underlay") ? [] : ["--underlay", "u1"]),
      ...args,
    ]);
    assertRefused("vnetd", finished, { status, error });
    assert.deepEqual(await stillSnapshot(host), before);
    assert.equal(await run("ip", ["netns", "pids", host.namespace]), "", "no process is left");
    assert.deepEqual(readdirSync(host.runDir), []);
  }

  for (const one of FLAGS) {
    test(`vnetd ${one[0].join(" ")}`, () => refuses(one));
  }

  test("a configuration file that is wrong or is not there", async () => {
    const file = join(lab.folder, "vnetd.toml");
    await refuses([["--config", file], 2, /^Cannot read configuration file .*no such file/]);
    for (const [text, error] of CONFIGURATIONS) {
      writeFileSync(file, text);
      await refuses([["--config", file], 2, error.replace("FILE", file)]);
    }
  });

  test("a start-up file that is wrong or is not there", async () => {
    const file = join(lab.folder, "startup.sxp");
    await refuses([["-f", file], 2, /^Cannot use start-up file .*no such file/]);
    for (const [text, status, error] of STARTUP_FILES) {
      writeFileSync(file, text);
      await refuses([["-f", file], status, error]);
    }
  });

  for (const [what, text, error] of STATES) {
    test(`a state file that is ${what}`, async () => {
      writeFileSync(statePath, text);
      await refuses([[], 1, error]);
    });
  }

  test("a state file that cannot be read", async () => {
    mkdirSync(statePath);
    await refuses([[], 1, /^Cannot read state file .*state\.json: EISDIR/]);
  });

  test("directories that are files", async () => {
    const file = join(lab.folder, "file");
    writeFileSync(file, "");
    await refuses([["--run-dir", file], 1, /^Cannot use run directory .*: EEXIST/]);
    await refuses([["--state-dir", file], 1, /^Cannot create the folder of state file .*: EEXIST/]);
  });

  for (const address of ["0.0.0.0", "::", "127.0.0.1"]) {
    test(`port 1798 in use on ${address}`, async () => {
      const owner = await LineProgram.start("ip", [
        ...["netns", "exec", host.namespace, FRAME_TOOL, "datagrams", address, "1798"],
      ]);
      try {
        const before = await stillSnapshot(host);
        const finished = await tryRun("ip", [
          ...["netns", "exec", host.namespace, ...DEADLINE, VNETD, "--underlay", "u1"],
          ...["--run-dir", host.runDir, "--state-dir", host.stateDir],
        ]);
        const error = /Cannot bind UDP .*:1798: Address already in use; .* --port$/;
        assertRefused("vnetd", finished, { status: 1, error });
        assert.deepEqual(await stillSnapshot(host), before);
        assert.deepEqual(readdirSync(host.runDir), []);
      } finally {
        await owner.finish();
      }
    });
  }

  test("no /dev/net/tun", async () => {
    const empty = 'mount -t tmpfs none /dev/net && exec "$@"';
    await refuses(
      [[], 1, /Cannot open \/dev\/net\/tun: No such file or directory; .*modprobe tun$/],
      ["unshare", "--mount", "sh", "-c", empty, "sh", VNETD],
    );
  });

  test("vnet-dp that carries frames already goes on when a start fails", async () => {
    await host.start();
    const pid = await host.dataplanePid();
    await host.stop();
    const finished = await tryRun("ip", [
      ...["netns", "exec", host.namespace, ...DEADLINE, VNETD, "--underlay", "u1"],
      ...["--run-dir", host.runDir, "--state-dir", host.stateDir, "--log-format", "json"],
      ...["--metrics", "10.200.0.9:9100"],
    ]);
    assertRefused("vnetd", finished, { status: 1, error: /10\.200\.0\.9:9100/ });
    await host.start("--stop-dataplane");
    assert.equal(await host.dataplanePid(), pid);
    await host.stop();
  });

  test("no permission", async (t) => {
    const unprivileged = [...AS_NOBODY, programForAnyone(t, "vnetd")];
    await refuses([[], 1, /^Cannot use run directory .*: EACCES/], unprivileged);
    for (const folder of [lab.folder, join(host.runDir, ".."), host.runDir, host.stateDir]) {
      chmodSync(folder, 0o777);
    }
    await refuses(
      [[], 1, /not permitted \(no CAP_NET_ADMIN\); start vnetd as root$/],
      unprivileged,
    );
  });
});

import assert from "node:assert/strict";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { type FileSource, openFileSource } from "../../src/metadata/file-source.ts";
import type { SourcedDocument } from "../../src/metadata/source.ts";

const MAC = "00:16:3e:00:00:05";
const isRoot = process.getuid?.() === 0;

let directory = "";
let source: FileSource | null = null;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "vnetd-policies-"));
  for (const folder of ["vifs", "groups", "networks"]) {
    mkdirSync(join(directory, folder), { mode: 0o755 });
  }
});
afterEach(() => {
  source?.close();
  source = null;
  rmSync(directory, { recursive: true });
});

const ownerUid = process.getuid?.() ?? 0;
async function open(more: object = {}): Promise<FileSource> {
  // Looked at every hour: what the tests see, the kernel has said.
  source = await openFileSource({ directory, ownerUid, rescanMs: 3_600_000, ...more });
  return source;
}

function vifText(fields: object = {}): string {
  return JSON.stringify({ vif: "vif5.0", bridge: "xenbr0", mac: MAC, mode: "locked", ...fields });
}

function write(path: string, text: string): void {
  writeFileSync(join(directory, path), text, { mode: 0o644 });
}

function vifsOf(of: FileSource): readonly string[] {
  return of
    .snapshot()
    .documents.flatMap((document) =>
      document.kind === "vif" ? [`${document.policy.vif} ${document.policy.ipv4.join(",")}`] : [],
    );
}

function problemsOf(of: FileSource): readonly string[] {
  return of.snapshot().problems.map(({ message }) => message.replaceAll(directory, "DIR"));
}

async function until(of: FileSource, condition: () => boolean): Promise<void> {
  const signal = AbortSignal.timeout(5_000);
  while (!condition()) {
    await new Promise<void>((resolve, reject) => {
      const stop = of.onChange(() => {
        stop();
        resolve();
      });
      signal.addEventListener("abort", () => reject(new Error("nothing was noticed in 5 s")), {
        once: true,
      });
    });
  }
}

describe("FileSource", () => {
  test("each folder's files are documents of its kind, other names are not", async () => {
    write("vifs/a.json", vifText());
    write("vifs/a.json~", "rubbish");
    write("vifs/.b.json", "rubbish");
    write("groups/web.json", `{"group":"web","members":["10.0.0.1"]}`);
    write("networks/n.json", `{"bridge":"xenbr0","vlan":7}`);
    const { documents, problems } = (await open()).snapshot();
    assert.deepEqual(
      documents.map(({ kind, origin }) => [kind, origin.slice(directory.length)]),
      [
        ["group", "/groups/web.json"],
        ["network", "/networks/n.json"],
        ["vif", "/vifs/a.json"],
      ],
    );
    assert.deepEqual(problems, []);
  });

  test("a file that is written, replaced or extended is noticed", async () => {
    const files = await open();
    write("vifs/a.json", vifText());
    await until(files, () => vifsOf(files).length === 1);
    write("vifs/a.json.new", vifText({ ipv4: ["10.0.0.5"] }));
    renameSync(join(directory, "vifs/a.json.new"), join(directory, "vifs/a.json"));
    await until(files, () => vifsOf(files)[0] === "vif5.0 10.0.0.5");
    write("vifs/a.json", vifText({ ipv4: ["10.0.0.6"] }));
    await until(files, () => vifsOf(files)[0] === "vif5.0 10.0.0.6");
    assert.deepEqual(problemsOf(files), []);
  });

  test("the second of two writes of one length in one moment is not missed", async () => {
    write("vifs/a.json", vifText({ ipv4: ["10.0.0.1"] }));
    const files = await open();
    for (let last = 2; last < 9; last += 1) {
      write("vifs/a.json", vifText({ ipv4: [`10.0.0.${last}`] }));
      await files.refresh();
      assert.deepEqual(vifsOf(files), [`vif5.0 10.0.0.${last}`]);
    }
  });

  test("a hotplug script's call sees what was written just before it", async () => {
    const files = await open();
    for (let last = 1; last < 30; last += 1) {
      write("vifs/a.json", vifText({ ipv4: [`10.0.0.${last}`] }));
      await files.refresh({ vif: "vif5.0" });
      assert.deepEqual(vifsOf(files), [`vif5.0 10.0.0.${last}`]);
    }
    rmSync(join(directory, "vifs"), { recursive: true });
    await files.refresh({ vif: "vif5.0" });
    assert.deepEqual(problemsOf(files), ["DIR/vifs cannot be read: it is not there"]);
    mkdirSync(join(directory, "vifs"));
    write("vifs/a.json", vifText({ ipv4: ["10.0.0.99"] }));
    await files.refresh({ vif: "vif5.0" });
    assert.deepEqual(vifsOf(files), ["vif5.0 10.0.0.99"]);
  });

  const malformed: readonly [name: string, text: string, problem: RegExp][] = [
    ["half-written", vifText().slice(0, 30), /^DIR\/vifs\/a\.json: Not JSON: /],
    ["empty", "", /^DIR\/vifs\/a\.json: Empty$/],
    ["an unknown key", vifText({ ipv5: [] }), /^DIR\/vifs\/a\.json: .*"ipv5"/],
    ["a bad address", vifText({ ipv4: ["10.0.0.300"] }), /a\.json: .*"ipv4\[0\]".*"10\.0\.0\.300"/],
    ["an octal address", vifText({ ipv4: ["010.0.0.1"] }), /"ipv4\[0\]".*"010\.0\.0\.1"/],
    ["a short address", vifText({ ipv4: ["10.1"] }), /"ipv4\[0\]".*"10\.1"/],
    ["a long MAC", vifText({ mac: "00:16:3e:00:00:005" }), /"mac".*"00:16:3e:00:00:005"/],
    ["a list for a word", vifText({ mode: ["locked"] }), /"mode"/],
    ["another kind's", `{"group":"web"}`, /a\.json: Unknown key "group"/],
    ["a list of documents", `[${vifText()}]`, /a\.json: A policy: Not an object/],
  ];
  for (const [name, text, problem] of malformed) {
    test(`a file that becomes ${name} keeps its last good document and is named`, async () => {
      write("vifs/a.json", vifText({ ipv4: ["10.0.0.5"] }));
      const files = await open();
      write("vifs/a.json", text);
      await until(files, () => problemsOf(files).length === 1);
      assert.match(problemsOf(files)[0] ?? "", problem);
      assert.equal(files.snapshot().problems[0]?.keptLastGood, true);
      assert.deepEqual(vifsOf(files), ["vif5.0 10.0.0.5"]);
      write("vifs/a.json", vifText({ ipv4: ["10.0.0.6"] }));
      await until(files, () => vifsOf(files)[0] === "vif5.0 10.0.0.6");
      assert.deepEqual(problemsOf(files), []);
    });
  }

  test("a file that was never good is no policy", async () => {
    write("vifs/a.json", vifText().slice(0, 30));
    const files = await open();
    assert.deepEqual(vifsOf(files), []);
    assert.equal(files.snapshot().problems[0]?.keptLastGood, false);
  });

  test("text that is not UTF-8, and a file above the limit, are refused", async () => {
    writeFileSync(join(directory, "vifs/a.json"), Buffer.from([0x22, 0xff, 0x22]), { mode: 0o644 });
    write("vifs/b.json", "");
    truncateSync(join(directory, "vifs/b.json"), 9 * 1024 * 1024);
    assert.deepEqual(problemsOf(await open()), [
      "DIR/vifs/a.json cannot be read: it is not UTF-8",
      "DIR/vifs/b.json is above 8388608 bytes: 9437184",
    ]);
  });

  test("a file that others may write to is not read, and its last good document stays", async () => {
    write("vifs/a.json", vifText());
    const files = await open();
    chmodSync(join(directory, "vifs/a.json"), 0o664);
    await until(files, () => problemsOf(files).length === 1);
    const why = "others may write to it (mode 0664)";
    assert.deepEqual(problemsOf(files), [`DIR/vifs/a.json is not trusted: ${why}`]);
    assert.equal(vifsOf(files).length, 1);
  });

  test("another user's file is not read", { skip: isRoot ? false : "needs root" }, async () => {
    write("vifs/a.json", vifText());
    chownSync(join(directory, "vifs/a.json"), 65_534, 0);
    const files = await open();
    const why = "its owner is 65534, not root";
    assert.deepEqual(problemsOf(files), [`DIR/vifs/a.json is not trusted: ${why}`]);
    assert.deepEqual(vifsOf(files), []);
  });

  test("a symbolic link is not followed, and a folder is no file", async () => {
    write("a.json", vifText());
    symlinkSync(join(directory, "a.json"), join(directory, "vifs/a.json"));
    mkdirSync(join(directory, "vifs/b.json"));
    const files = await open();
    assert.deepEqual(problemsOf(files), [
      "DIR/vifs/a.json cannot be read: it is a symbolic link",
      "DIR/vifs/b.json is not a regular file",
    ]);
    assert.deepEqual(vifsOf(files), []);
  });

  for (const folder of ["", "vifs"]) {
    test(`the folder "${folder}" that others may write to is not read`, async () => {
      write("vifs/a.json", vifText());
      chmodSync(join(directory, folder), 0o777);
      const files = await open();
      assert.deepEqual(vifsOf(files), []);
      assert.match(problemsOf(files)[0] ?? "", /is not trusted: others may write to it/);
    });
  }

  test("a file that is gone stays in force until the operator's word", async () => {
    write("vifs/a.json", vifText());
    write("vifs/b.json", vifText({ vif: "vif6.0" }));
    const files = await open();
    rmSync(join(directory, "vifs/a.json"));
    rmSync(join(directory, "vifs/b.json"));
    await until(files, () => problemsOf(files).length === 2);
    assert.deepEqual(vifsOf(files), ["vif5.0 ", "vif6.0 "]);
    files.forget("vif vif5.0");
    assert.deepEqual(vifsOf(files), ["vif6.0 "]);
    await files.reload();
    assert.deepEqual(files.snapshot(), { documents: [], problems: [] });
  });

  test("what is in a file still is not forgotten", async () => {
    write("vifs/a.json", vifText());
    const files = await open();
    files.forget("vif vif5.0");
    assert.equal(vifsOf(files).length, 1);
  });

  test("a folder that is gone keeps all of its documents, at SIGHUP too", async () => {
    write("vifs/a.json", vifText());
    const files = await open();
    renameSync(join(directory, "vifs"), join(directory, "elsewhere"));
    await files.reload();
    assert.equal(vifsOf(files).length, 1);
    assert.deepEqual(problemsOf(files), ["DIR/vifs cannot be read: it is not there"]);
    mkdirSync(join(directory, "vifs"));
    write("vifs/a.json", vifText({ ipv4: ["10.0.0.7"] }));
    await files.refresh();
    assert.deepEqual(vifsOf(files), ["vif5.0 10.0.0.7"]);
    // The new folder is watched, too.
    write("vifs/b.json", vifText({ vif: "vif6.0" }));
    await until(files, () => vifsOf(files).length === 2);
  });

  test("without the folders there is nothing, and no problem", async () => {
    for (const folder of ["vifs", "groups", "networks"]) {
      rmSync(join(directory, folder), { recursive: true });
    }
    assert.deepEqual((await open()).snapshot(), { documents: [], problems: [] });
  });

  test("what was good last outlives a restart, also when the file is bad by then", async () => {
    let saved: readonly SourcedDocument[] = [];
    const store = {
      load: async () => saved,
      save: async (documents: readonly SourcedDocument[]) => {
        saved = documents;
      },
    };
    write("vifs/a.json", vifText({ ipv4: ["10.0.0.5"] }));
    const files = await open({ store });
    files.close();
    assert.equal(saved.length, 1);
    write("vifs/a.json", "{");
    const again = await open({ store });
    assert.deepEqual(vifsOf(again), ["vif5.0 10.0.0.5"]);
    assert.equal(again.snapshot().problems[0]?.keptLastGood, true);
    again.close();
    const elsewhere = await open({ store, directory: join(directory, "groups") });
    assert.deepEqual(elsewhere.snapshot().documents, []);
  });

  test("the same document again is no change", async () => {
    write("vifs/a.json", vifText());
    const files = await open();
    const before = files.snapshot();
    write("vifs/a.json", `\n${vifText()}`);
    await files.refresh();
    assert.equal(files.snapshot(), before);
  });
});

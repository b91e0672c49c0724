/** `scripts/mutate`: every check that is taken out must be missed by its tests. */
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Mutation, SECURE_MUTATIONS } from "./secure.ts";
import { attackTable, testOf } from "./table.ts";

const USAGE = `usage: scripts/mutate [options]

Copies the checkout, takes one check after the other out of the copy, and runs the tests that must
fail without it (test/mutations/secure.ts). Before that they must pass. About half an hour for all;
tests with network namespaces need root. Exit status 1: a test did not miss its check.

  --only TEXT    only where attack, check or file has this text
  --tests TEXT   only tests in whose file's path this text is
  --list         what there is
  --table        write docs/ATTACKS.md
`;

type Outcome = "passed" | "failed" | "ran nothing";

const TABLE_FILE = "docs/ATTACKS.md";
const NATIVE_TEST = /^native\/test\/(.*)\.cc$/;
const TEST_TIMEOUT_MS = 300_000;

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    tests: { type: "string", default: "" },
    list: { type: "boolean", default: false },
    table: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});

const wanted = SECURE_MUTATIONS.flatMap(([, mutations]) => mutations)
  .filter(({ attack, check, file }) => [attack, check, file].join("\n").includes(values.only))
  .map((mutation) => ({
    ...mutation,
    tests: mutation.tests.filter((test) => testOf(test).file.includes(values.tests)),
  }))
  .filter(({ tests }) => tests.length > 0);

if (values.help) {
  process.stdout.write(USAGE);
} else if (values.table) {
  writeFileSync(TABLE_FILE, attackTable());
} else if (values.list) {
  for (const { attack, check, file } of wanted) {
    process.stdout.write(`${attack}: ${check} (${file})\n`);
  }
} else {
  process.exitCode = runAll(wanted);
}

function runAll(mutations: readonly Mutation[]): number {
  const copy = mkdtempSync(join(tmpdir(), "vnt-mutate."));
  try {
    copyCheckout(copy);
    return checkTests(copy, mutations) + mutateAll(copy, mutations) === 0 ? 0 : 1;
  } finally {
    rmSync(copy, { recursive: true });
  }
}

function copyCheckout(copy: string): void {
  const list = execFileSync("git", ["ls-files", "-z", "-co", "--exclude-standard"]);
  for (const file of list.toString().split("\0").filter(Boolean)) {
    cpSync(file, join(copy, file), { preserveTimestamps: true });
  }
  symlinkSync(join(process.cwd(), "node_modules"), join(copy, "node_modules"));
}

/** How many do not pass as things are. */
function checkTests(copy: string, mutations: readonly Mutation[]): number {
  const tests = new Set(mutations.flatMap((mutation) => mutation.tests));
  let wrongCount = 0;
  for (const test of tests) {
    build(copy, test);
    const outcome = runTest(copy, test);
    if (outcome !== "passed") {
      wrongCount += 1;
      process.stdout.write(`WRONG   ${outcome} with every check in place: ${test}\n`);
    }
  }
  process.stdout.write(`${tests.size} tests, ${wrongCount} do not pass as things are\n`);
  return wrongCount;
}

/** How many tests passed without their check. */
function mutateAll(copy: string, mutations: readonly Mutation[]): number {
  let survivedCount = 0;
  for (const { attack, check, file, text, without, tests } of mutations) {
    const path = join(copy, file);
    const whole = readFileSync(path, "utf8");
    writeFileSync(
      path,
      whole.replace(text, () => without),
    );
    process.stdout.write(`\n${attack}\n  without: ${check} (${file})\n`);
    for (const test of tests) {
      build(copy, test);
      const outcome = runTest(copy, test);
      survivedCount += outcome === "failed" ? 0 : 1;
      process.stdout.write(
        `  ${outcome === "failed" ? "failed, as it must" : "SURVIVED"}: ${test}\n`,
      );
    }
    writeFileSync(path, whole);
  }
  process.stdout.write(
    `\n${mutations.length} checks, ${survivedCount} tests that do not miss theirs\n`,
  );
  return survivedCount;
}

/** @throws Error when the copy does not compile: the mutation is wrong, and not the test right */
function build(copy: string, test: string): void {
  const { file } = testOf(test);
  const native = NATIVE_TEST.exec(file)?.[1];
  if (native !== undefined) {
    compile(copy, "scripts/compile-native", "asan", native);
    return;
  }
  compile(copy, "scripts/compile-tests");
  if (file.startsWith("test/netns/")) {
    compile(copy, "scripts/build");
    compile(copy, "scripts/compile-native", "release", "vnet-frames");
  }
}

function compile(copy: string, script: string, ...args: readonly string[]): void {
  // Where ccache is used, what the checkout has compiled already is found again.
  const env = { ...process.env, CCACHE_BASEDIR: copy };
  execFileSync(join(copy, script), args, {
    cwd: copy,
    env,
    stdio: ["ignore", "ignore", "inherit"],
  });
}

function runTest(copy: string, test: string): Outcome {
  const { file, name } = testOf(test);
  const native = NATIVE_TEST.exec(file)?.[1];
  if (native !== undefined) {
    const { status } = spawnSync(join(copy, "native/build/asan", native), { cwd: copy });
    return status === 0 ? "passed" : "failed";
  }
  const program = join("dist", file.replace(/\.ts$/, ".js"));
  const pattern = `^${name.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")}$`;
  const { stdout } = spawnSync(
    process.execPath,
    ["--test", "--test-reporter=tap", `--test-name-pattern=${pattern}`, program],
    { cwd: copy, timeout: TEST_TIMEOUT_MS, encoding: "utf8", env: withoutTestContext() },
  );
  const count = (what: string): number =>
    Number(new RegExp(`^# ${what} (\\d+)$`, "m").exec(stdout)?.[1] ?? 0);
  if (count("fail") + count("cancelled") > 0) {
    return "failed";
  }
  return count("pass") > 0 ? "passed" : "ran nothing";
}

/** A test runner that is started by another one reports to that. */
function withoutTestContext(): NodeJS.ProcessEnv {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  return env;
}

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ProgramError, runProgram } from "../../src/host/child.ts";

const node = process.execPath;

describe("runProgram", () => {
  test("hands over arguments and input, and gives both outputs", async () => {
    const script =
      "process.stdin.pipe(process.stdout); process.stderr.write(process.argv.slice(1).join())";
    const result = await runProgram({
      program: node,
      args: ["-e", script, "--", "a b", "$c"],
      input: "in\n",
    });
    assert.deepEqual(result, { exitStatus: 0, stdout: "in\n", stderr: "a b,$c" });
  });

  test("an exit status is an answer", async () => {
    const { exitStatus } = await runProgram({ program: node, args: ["-e", "process.exit(7)"] });
    assert.equal(exitStatus, 7);
  });

  test("a program that does not read its input is no failure", async () => {
    const input = "x".repeat(1_000_000);
    const { exitStatus } = await runProgram({ program: node, args: ["-e", ""], input });
    assert.equal(exitStatus, 0);
  });

  test("a missing program is told by its reason", async () => {
    await assert.rejects(
      runProgram({ program: "/nonexistent/ip", args: [] }),
      (error: unknown) =>
        error instanceof ProgramError &&
        error.reason === "ENOENT" &&
        error.message === "Cannot run /nonexistent/ip: it is not installed",
    );
  });

  test("a program that does not end is killed at its deadline", async () => {
    const forever = { program: node, args: ["-e", "setInterval(() => {}, 1000)"], deadlineMs: 200 };
    await assert.rejects(runProgram(forever), /it did not end within 200 ms/);
  });

  test("a program that dies by a signal is an error", async () => {
    const script = "process.kill(process.pid, 'SIGTERM'); setInterval(() => {}, 1000)";
    await assert.rejects(runProgram({ program: node, args: ["-e", script] }), /ended by SIGTERM/);
  });

  test("messages are in English whatever the caller's language", async () => {
    const script = "process.stdout.write(process.env.LC_ALL)";
    assert.equal((await runProgram({ program: node, args: ["-e", script] })).stdout, "C");
  });
});

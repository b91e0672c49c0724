/** Moves octets over TCP between two VMs and compares the SHA-256 of what went in and came out. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Vm } from "./lab-host.ts";
import { LineProgram, run } from "./programs.ts";

const PROGRAM = fileURLToPath(new URL("./transfer-program.js", import.meta.url));
const TCP_PORT = "7001";

export type Transfer = {
  readonly from: Vm;
  readonly to: Vm;
  readonly address: string;
  readonly bytes: number;
  readonly timeoutMs?: number;
};

/** @throws AssertionError when a single bit differs */
export async function transfer({ from, to, address, bytes, timeoutMs }: Transfer): Promise<void> {
  const receiver = await LineProgram.start("ip", [
    ...["netns", "exec", to.namespace, process.execPath, PROGRAM, "receive", TCP_PORT],
  ]);
  try {
    const sent = await run(
      "ip",
      [
        ...["netns", "exec", from.namespace, process.execPath, PROGRAM],
        ...["send", address, TCP_PORT, `${bytes}`],
      ],
      { timeoutMs: timeoutMs ?? 60_000 },
    );
    await receiver.end();
    assert.equal(receiver.lines.at(-1), sent.trim(), `${bytes} octets to ${address}`);
  } finally {
    await receiver.kill("SIGKILL");
  }
}

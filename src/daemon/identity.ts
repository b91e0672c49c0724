/**
 * Who this installation is to the hosts of its secure vnets: a random sender id, and a boot counter
 * that is greater at every start. Both are in the state directory; a machine that was copied has
 * the same ones, which is how the others find out.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { SENDER_ID_BYTES } from "../encap/key-schedule.ts";
import { StateFileError } from "./durable-document.ts";
import { readSecretFile, writeSecretFile } from "./secret-file.ts";

export type Identity = {
  readonly senderId: Uint8Array;
  readonly bootCounter: bigint;
};

export type IdentityOptions = {
  readonly stateDirectory: string;
  readonly randomBytes: (count: number) => Uint8Array;
  /** Unix time in seconds; it may be wrong, and only ever makes the counter greater. */
  readonly unixSeconds: () => number;
};

const SENDER_ID_FORM = /^([0-9a-f]{32})\n$/;
const BOOT_COUNTER_FORM = /^(\d{1,19})\n$/;
const STATE_DIRECTORY_MODE = 0o700;

/**
 * The identity of this start: the sender id that is stored, or a new one where none can be read,
 * and a boot counter that was stored before it is used.
 *
 * @throws StateFileError
 */
export async function startIdentity(options: IdentityOptions): Promise<Identity> {
  const { stateDirectory, randomBytes, unixSeconds } = options;
  try {
    await mkdir(stateDirectory, { recursive: true, mode: STATE_DIRECTORY_MODE });
    const stored = await readLine(senderIdPath(stateDirectory), SENDER_ID_FORM);
    // A new one is always safe: the others take this host for one that they have not met.
    const senderId = stored === null ? randomBytes(SENDER_ID_BYTES) : Buffer.from(stored, "hex");
    if (stored === null) {
      await storeSenderId(stateDirectory, senderId);
    }
    const counterPath = join(stateDirectory, "boot-counter");
    const former = BigInt((await readLine(counterPath, BOOT_COUNTER_FORM)) ?? 0);
    const now = BigInt(Math.max(0, Math.floor(unixSeconds())));
    const bootCounter = former + 1n > now ? former + 1n : now;
    await writeSecretFile(counterPath, Buffer.from(`${bootCounter}\n`));
    return { senderId: new Uint8Array(senderId), bootCounter };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StateFileError(`Cannot use this host's identity in ${stateDirectory}: ${why}`, {
      cause,
    });
  }
}

/** @throws the system's error */
export async function storeSenderId(stateDirectory: string, senderId: Uint8Array): Promise<void> {
  const text = `${Buffer.from(senderId).toString("hex")}\n`;
  await writeSecretFile(senderIdPath(stateDirectory), Buffer.from(text));
}

function senderIdPath(stateDirectory: string): string {
  return join(stateDirectory, "sender-id");
}

/** Null when there is no file, or another text in it. */
async function readLine(path: string, form: RegExp): Promise<string | null> {
  try {
    return form.exec((await readSecretFile(path)).toString("latin1"))?.[1] ?? null;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") {
      return null;
    }
    throw error;
  }
}

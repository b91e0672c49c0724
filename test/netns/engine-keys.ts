/** SAs between `EngineHost`s: what vnetd would derive is drawn at random here. */
import { randomBytes } from "node:crypto";
import { parseIpAddress } from "../../src/net/ip-address.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import type { DataplaneAnswer, DataplaneCommand } from "../../src/vnet/dataplane-messages.ts";
import type { EngineHost } from "./engine-host.ts";

export const SECURE_VNET = "5ec";

export const AUTH = 1;
export const CONF = 2;

export const SUITES = {
  "aes128-gcm": { suite: 1, security: CONF, keyBytes: 20, icvBytes: 16 },
  "aes256-gcm": { suite: 2, security: CONF, keyBytes: 36, icvBytes: 16 },
  "hmac-sha256-128": { suite: 3, security: AUTH, keyBytes: 32, icvBytes: 16 },
  hmac96: { suite: 4, security: AUTH, keyBytes: 20, icvBytes: 12 },
  "aes128-hmac96": { suite: 5, security: CONF, keyBytes: 52, icvBytes: 12 },
} as const;

export type SuiteName = keyof typeof SUITES;

export type TestSa = {
  readonly spi: number;
  readonly suite: number;
  readonly keys: Uint8Array;
};

/** At most 2^32 - 2^16. */
export const LAST_COUNTER = 0xffff0000n;

let spiCount = 0;

export function drawSa(name: SuiteName): TestSa {
  spiCount += 1;
  const { suite, keyBytes } = SUITES[name];
  return { spi: 0x2000_0000 + spiCount, suite, keys: randomBytes(keyBytes) };
}

type SetSendSa = Extract<DataplaneCommand, { kind: "set-send-sa" }>;
type SetReceiveSa = Extract<DataplaneCommand, { kind: "set-receive-sa" }>;
export type SaState = Extract<DataplaneAnswer, { kind: "sa-state" }>;

export async function sendWith(
  host: EngineHost,
  sa: TestSa,
  changes: Partial<SetSendSa> = {},
): Promise<void> {
  await host.client.request({
    ...{ kind: "set-send-sa", vnet: parseVnetId(SECURE_VNET), ...sa },
    ...{ context: Buffer.from("sender"), rekeyAt: 1n << 31n, stopAt: LAST_COUNTER },
    ...changes,
  });
}

export async function receiveFrom(
  host: EngineHost,
  sender: { readonly address: string },
  sa: TestSa,
  changes: Partial<SetReceiveSa> = {},
): Promise<void> {
  await host.client.request({
    ...{ kind: "set-receive-sa", vnet: parseVnetId(SECURE_VNET), ...sa },
    host: endpointOf(sender),
    ...{ context: Buffer.from("receiver"), seenUpTo: 0n, checksumPartial: false },
    ...changes,
  });
}

export async function listSas(host: EngineHost): Promise<readonly SaState[]> {
  const answers = await host.client.request({
    kind: "list-sas",
    vnet: parseVnetId(SECURE_VNET),
    spi: 0,
  });
  return answers.filter((answer) => answer.kind === "sa-state");
}

export function endpointOf({ address }: { readonly address: string }) {
  return { address: parseIpAddress(address), udpPort: 1798 };
}

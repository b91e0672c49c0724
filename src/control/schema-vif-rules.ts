/** What the routes of vif-rules take besides policies, read strictly. */
import { z } from "zod";
import { parseInterfaceName } from "../net/interface-name.ts";
import { parseVmUuid } from "../vifrules/policy-value.ts";
import { check, parsedBy } from "./schema.ts";
import { parseBackend } from "./vif-references.ts";
import type { ExplainRequest, VifHotplug } from "./vif-rules-api.ts";

const DEVID_MAX = 65_535;
/** A jumbo frame in hex digits, and some. */
const FRAME_CHARACTERS_MAX = 20_000;

const interfaceName = parsedBy(parseInterfaceName);

const vifHotplug = z.strictObject({
  vif: interfaceName,
  action: z.enum(["add", "remove"]),
  bridge: interfaceName.exactOptional(),
  vm: parsedBy(parseVmUuid).exactOptional(),
  devid: z.int().min(0).max(DEVID_MAX).exactOptional(),
  backend: parsedBy(parseBackend).exactOptional(),
});

const explainRequest = z.strictObject({
  frame: z.string().min(1).max(FRAME_CHARACTERS_MAX),
  direction: z.enum(["from", "to"]).default("from"),
});

const logRequest = z.strictObject({ enabled: z.boolean() });

/** @throws ControlError */
export function parseVifHotplug(body: unknown): VifHotplug {
  return check(vifHotplug, body);
}

/** @throws ControlError */
export function parseExplainRequest(body: unknown): Omit<ExplainRequest, "vif"> {
  return check(explainRequest, body);
}

/** @throws ControlError */
export function parseLogRequest(body: unknown): boolean {
  return check(logRequest, body).enabled;
}

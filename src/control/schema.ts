/**
 * What the server takes: bodies, path segments and query values, read strictly.
 * Every field ends in a parser of net/, so what passes is what the core trusts.
 */
import { z } from "zod";
import { parseHost } from "../net/host-name.ts";
import { parseInterfaceName } from "../net/interface-name.ts";
import { type MacAddress, parseMacAddress } from "../net/mac-address.ts";
import { ParseError, quoteValue } from "../net/parse-error.ts";
import { parseVnetId } from "../net/vnet-id.ts";
import { parseVnetSecurity, parseVnetSuite } from "../vnet/vnet-security.ts";
import type { VnetRef, VnetRequest } from "./api.ts";
import { ControlError } from "./control-error.ts";
import { parseAbsolutePath, parseVnetRef } from "./references.ts";

/** Room for a bridge and its tunnel below it; the daemon knows the true limits of the underlay. */
const MTU_MIN = 68;
const MTU_MAX = 65_535;
const UDP_PORT_MAX = 65_535;
const EXPRESSION_CHARACTERS_MAX = 65_536;
const ISSUES_SHOWN_MAX = 5;

const vnetId = parsedBy(parseVnetId);
const interfaceName = parsedBy(parseInterfaceName);
const macAddress = parsedBy(parseMacAddress);
const vnetSecurity = parsedBy(parseVnetSecurity);
const vnetSuite = parsedBy(parseVnetSuite);
const absolutePath = parsedBy(parseAbsolutePath);
const vnetRef = parsedBy(parseVnetRef);
const host = parsedBy(parseHost);

const vnetRequest = z.strictObject({
  id: vnetId,
  vnetif: interfaceName.exactOptional(),
  bridge: interfaceName.exactOptional(),
  ovs: z.boolean().exactOptional(),
  security: vnetSecurity.exactOptional(),
  suite: vnetSuite.exactOptional(),
  keyFile: absolutePath.exactOptional(),
  mtu: z.int().min(MTU_MIN).max(MTU_MAX).exactOptional(),
  encapsulation: z.enum(["udp", "etherip"]).exactOptional(),
});

const vnetRequests = z.array(vnetRequest).min(1);

const vifByMac = z.strictObject({ vnet: vnetRef, mac: macAddress });
const vifByDevice = z.strictObject({ vnet: vnetRef, device: interfaceName });

const peerRequest = z.strictObject({
  host,
  udpPort: z.int().min(1).max(UDP_PORT_MAX).nullable().exactOptional(),
});

const evalRequest = z.strictObject({ expression: z.string().max(EXPRESSION_CHARACTERS_MAX) });

export type VifRequest = {
  readonly vnet: VnetRef;
  readonly vif: { readonly mac: MacAddress } | { readonly device: string };
};

/** One vnet, or an array of them that are made all or none. */
export function parseVnetRequests(body: unknown): readonly VnetRequest[] {
  return Array.isArray(body) ? check(vnetRequests, body) : [check(vnetRequest, body)];
}

export function parseVifRequest(body: unknown): VifRequest {
  if (isObject(body) && "device" in body) {
    const { vnet, device } = check(vifByDevice, body);
    return { vnet, vif: { device } };
  }
  const { vnet, mac } = check(vifByMac, body);
  return { vnet, vif: { mac } };
}

export function parsePeerRequest(body: unknown): {
  readonly host: string;
  readonly udpPort: number | null;
} {
  const request = check(peerRequest, body);
  return { host: request.host, udpPort: request.udpPort ?? null };
}

export function parseEvalRequest(body: unknown): string {
  return check(evalRequest, body).expression;
}

/** @throws ParseError */
export function parseFlag(text: string): boolean {
  if (text !== "true" && text !== "false") {
    throw new ParseError(`Neither true nor false: ${quoteValue(text)}`);
  }
  return text === "true";
}

/** A schema of a string that `parse` reads; its ParseError becomes the issue. */
export function parsedBy<T>(parse: (text: string) => T) {
  return z.string().transform((text, context): T => {
    try {
      return parse(text);
    } catch (error) {
      if (!(error instanceof ParseError)) {
        throw error;
      }
      context.addIssue(error.message);
      return z.NEVER;
    }
  });
}

/** @throws ControlError */
export function check<Schema extends z.ZodType>(schema: Schema, body: unknown): z.output<Schema> {
  const result = schema.safeParse(body);
  if (result.success) {
    return result.data;
  }
  const { issues } = result.error;
  // A value that a net/ parser refused is told apart from a body of the wrong shape.
  const code = issues[0]?.code === "custom" ? "VNETD_PARSE" : "VNETD_BAD_REQUEST";
  const shown = issues.slice(0, ISSUES_SHOWN_MAX).map(describeIssue);
  throw new ControlError(code, `Bad request: ${shown.join("; ")}`);
}

function describeIssue({ path, message }: z.core.$ZodIssue): string {
  const at = path.map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("");
  return at === "" ? message : `${at.replace(/^\./, "")}: ${message}`;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

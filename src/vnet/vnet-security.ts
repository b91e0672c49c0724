/**
 * The security levels of a vnet, and the suites that do what each level promises: `auth` keeps
 * others from forging frames, `conf` also from reading them.
 */
import { type SecurityLevel, SUITES, type SuiteName } from "../encap/key-schedule.ts";
import { ParseError, quoteValue } from "../net/parse-error.ts";

export type VnetSecurity = "none" | SecurityLevel;

export type VnetSuite = SuiteName;

/** What is used unless another one is asked for. */
const DEFAULT_SUITES: Readonly<Record<SecurityLevel, VnetSuite>> = {
  auth: "hmac-sha256-128",
  conf: "aes128-gcm",
};

/** @throws ParseError */
export function parseVnetSecurity(text: string): VnetSecurity {
  if (text !== "none" && text !== "auth" && text !== "conf") {
    throw new ParseError(`Not a security level (none, auth, conf): ${quoteValue(text)}`);
  }
  return text;
}

/** @throws ParseError */
export function parseVnetSuite(text: string): VnetSuite {
  const suite = SUITES.find(({ name }) => name === text);
  if (suite === undefined) {
    const names = SUITES.map(({ name }) => name).join(", ");
    throw new ParseError(`Not a suite (${names}): ${quoteValue(text)}`);
  }
  return suite.name;
}

/**
 * The suite of a vnet: the one that was asked for, or the level's own.
 *
 * @returns null for `none`
 * @throws ParseError when that suite does not give what the level promises
 */
export function chooseSuite(security: VnetSecurity, asked: VnetSuite | null): VnetSuite | null {
  if (security === "none") {
    if (asked !== null) {
      throw new ParseError(`A vnet without security has no suite: ${quoteValue(asked)}`);
    }
    return null;
  }
  if (asked === null) {
    return DEFAULT_SUITES[security];
  }
  const names = SUITES.filter(({ level }) => level === security).map(({ name }) => name);
  if (!names.includes(asked)) {
    throw new ParseError(
      `Not a suite of security ${security} (${names.join(", ")}): ${quoteValue(asked)}`,
    );
  }
  return asked;
}

/** As the data plane's messages say it (native/control/messages.def, SetVnet). */
export function securityNumber(security: VnetSecurity): number {
  return { none: 0, auth: 1, conf: 2 }[security];
}

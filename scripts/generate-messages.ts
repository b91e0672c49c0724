/**
 * Writes the TypeScript face of native/control/messages.def and counters.def:
 * src/vnet/dataplane-messages.ts and src/vnet/counters.ts.
 *
 *     node dist/scripts/generate-messages.js [--check] [ROOT]
 *
 * With --check nothing is written: exit status 1 says that a committed file is not what the
 * tables give. ROOT is the checkout, by default the current folder.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

type Field = { readonly type: string; readonly name: string };

type Message = {
  readonly name: string;
  readonly number: number;
  readonly fields: readonly Field[];
  /** The comment lines right above the row. */
  readonly comment: readonly string[];
};

type Counter = { readonly name: string; readonly help: string };

const FIELD_TYPES: ReadonlyMap<string, string> = new Map([
  ["u8", "number"],
  ["u16", "number"],
  ["u32", "number"],
  ["u64", "bigint"],
  ["flag", "boolean"],
  ["mac", "MacAddress"],
  ["vnet", "VnetId"],
  ["address", "IpAddress | null"],
  ["endpoint", "Endpoint | null"],
  ["name", "string"],
  ["text", "string"],
  ["bytes", "Uint8Array"],
  ["secret", "Uint8Array"],
  ["addresses", "readonly IpAddress[]"],
  ["indexes", "readonly number[]"],
  ["counters", "readonly bigint[]"],
]);

/** Message numbers: commands below, answers from here, events from there. */
const FIRST_ANSWER = 64;
const FIRST_EVENT = 128;

const ROW =
  /((?:^\/\/[^\n]*\n)*)^VNETD_MESSAGE\((\w+),\s*(\d+),((?:\s*VNETD_FIELD\(\w+,\s*\w+\))*)\s*\)$/gm;
const FIELD = /VNETD_FIELD\((\w+),\s*(\w+)\)/g;
const COUNTER_ROW = /^VNETD_COUNTER\((\w+), "([a-z0-9-]+)", "([^"\\]+)"\)$/gm;
// "// ---- answers, up ----" divides the table; it belongs to no message.
const DIVIDER = /^\/\/ -{4}/;

function parseMessages(table: string): readonly Message[] {
  const messages = [...table.matchAll(ROW)].map((row): Message => {
    const [, comment = "", name = "", number = "", fields = ""] = row;
    return {
      name,
      number: Number(number),
      fields: [...fields.matchAll(FIELD)].map(([, type = "", field = ""]) => ({
        type,
        name: field,
      })),
      comment: comment
        .split("\n")
        .filter((line) => line !== "" && !DIVIDER.test(line))
        .map((line) => line.replace(/^\/\/ ?/, "")),
    };
  });
  // A row that the pattern does not understand must not vanish silently.
  assertRowCount("messages.def", table.match(/^VNETD_MESSAGE\(/gm), messages.length);
  assertDistinct(messages.map((message) => String(message.number)));
  assertDistinct(messages.map((message) => message.name));
  return messages;
}

function parseCounters(table: string): readonly Counter[] {
  const counters = [...table.matchAll(COUNTER_ROW)].map(
    ([, , name = "", help = ""]): Counter => ({ name, help }),
  );
  assertRowCount("counters.def", table.match(/^VNETD_COUNTER\(/gm), counters.length);
  assertDistinct(counters.map((counter) => counter.name));
  return counters;
}

function assertRowCount(
  file: string,
  found: readonly string[] | null,
  understoodCount: number,
): void {
  const foundCount = found?.length ?? 0;
  if (foundCount === 0 || foundCount !== understoodCount) {
    throw new Error(`${file}: ${understoodCount} of ${foundCount} rows understood`);
  }
}

function assertDistinct(values: readonly string[]): void {
  const doubled = values.find((value, index) => values.indexOf(value) !== index);
  if (doubled !== undefined) {
    throw new Error(`messages.def or counters.def: ${doubled} stands there twice`);
  }
}

function printMessages(messages: readonly Message[]): string {
  const commands = messages.filter(({ number }) => number < FIRST_ANSWER);
  const answers = messages.filter(({ number }) => number >= FIRST_ANSWER && number < FIRST_EVENT);
  const events = messages.filter(({ number }) => number >= FIRST_EVENT);
  return `/**
 * The messages between vnetd and vnet-dp. GENERATED from native/control/messages.def by
 * scripts/generate-messages.ts: change that table and run \`npm run generate\`.
 */
import type { Endpoint } from "../net/endpoint.ts";
import type { IpAddress } from "../net/ip-address.ts";
import type { MacAddress } from "../net/mac-address.ts";
import type { VnetId } from "../net/vnet-id.ts";

/** What vnetd tells the data plane. */
${printUnion("DataplaneCommand", commands)}
/** What the data plane answers to a command; \`result\` ends every answer. */
${printUnion("DataplaneAnswer", answers)}
/** What the data plane says unasked. */
${printUnion("DataplaneEvent", events)}
export type DataplaneMessage = DataplaneCommand | DataplaneAnswer | DataplaneEvent;

/** How the fields of each kind stand in a message: in this order, as this type of messages.def. */
export const DATAPLANE_MESSAGES = {
${messages.map(printSpec).join("")}} as const;
`;
}

function printUnion(name: string, messages: readonly Message[]): string {
  return `export type ${name} =\n${messages.map(printMember).join("\n")};\n`;
}

function printMember({ name, fields, comment }: Message): string {
  const lines = [
    ...(comment.length === 0 ? [] : ["  /**", ...comment.map((line) => `   * ${line}`), "   */"]),
    "  | {",
    `      readonly kind: "${kebabCase(name)}";`,
    ...fields.map((field) => `      readonly ${field.name}: ${typeScriptType(field.type)};`),
    "    }",
  ];
  return lines.join("\n");
}

function printSpec({ name, number, fields }: Message): string {
  const kind = kebabCase(name);
  const key = kind.includes("-") ? `"${kind}"` : kind;
  const table =
    fields.length === 0
      ? "{}"
      : `{\n${fields.map((field) => `      ${field.name}: "${field.type}",\n`).join("")}    }`;
  return `  ${key}: {\n    number: ${number},\n    fields: ${table},\n  },\n`;
}

function printCounters(counters: readonly Counter[]): string {
  const rows = counters.map(
    ({ name, help }) => `  {\n    name: "${name}",\n    help: "${help}",\n  },\n`,
  );
  return `/**
 * The data plane's counters, in the order of its \`counters\` message. GENERATED from
 * native/control/counters.def by scripts/generate-messages.ts: change that table and run
 * \`npm run generate\`.
 */
export const COUNTERS = [
${rows.join("")}] as const;
`;
}

function kebabCase(name: string): string {
  return name.replace(/(?<=[a-z0-9])[A-Z]/g, (letter) => `-${letter}`).toLowerCase();
}

function typeScriptType(type: string): string {
  const typeScript = FIELD_TYPES.get(type);
  if (typeScript === undefined) {
    throw new Error(`messages.def: unknown field type ${type}`);
  }
  return typeScript;
}

function main(args: readonly string[]): number {
  const isCheck = args.includes("--check");
  const root = args.find((arg) => !arg.startsWith("-")) ?? ".";
  const readTable = (file: string): string =>
    readFileSync(join(root, "native", "control", file), "utf8");
  const outputs = [
    {
      path: "src/vnet/dataplane-messages.ts",
      text: printMessages(parseMessages(readTable("messages.def"))),
    },
    { path: "src/vnet/counters.ts", text: printCounters(parseCounters(readTable("counters.def"))) },
  ];
  for (const { path, text } of outputs) {
    if (!isCheck) {
      writeFileSync(join(root, path), text);
    } else if (readFileSync(join(root, path), "utf8") !== text) {
      console.error(`${path} is not what the tables give: run npm run generate`);
      return 1;
    }
  }
  return 0;
}

process.exitCode = main(process.argv.slice(2));

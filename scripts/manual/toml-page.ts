/** vnetd.toml(5), from the options of `vnetd` and the schema that the file is held to. */
import type { Option } from "commander";
import { z } from "zod";
import { VERSION } from "../../src/control/version.ts";
import { settingsSchema } from "../../src/daemon/config.ts";
import { declareOptions } from "../../src/daemon/options.ts";
import { visibleOptions } from "./command-lines.ts";
import {
  type Item,
  list,
  literal,
  paragraphs,
  prose,
  renderPage,
  seeAlso,
  sentence,
} from "./mdoc.ts";

type Field = {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly anyOf?: readonly Field[];
};

export function tomlPage(): string {
  return renderPage({
    ...{ name: "vnetd.toml", section: 5 },
    about: "configuration of vnetd",
    body: [
      ".Sh DESCRIPTION",
      ...paragraphs(
        "This file in TOML configures vnetd(8). It need not be there: every key has a default, which stands in parentheses below. A key is an option of the command line without its dashes; the option counts more. Unknown keys, and values that cannot be, keep the daemon from starting, and it says which.",
      ),
      ".Pp",
      "The keys are:",
      ...list(settings()),
      ...[
        ".Sh FILES",
        ...list([{ head: "Pa /etc/vnetd/vnetd.toml", body: ["Read once, at the start."] }]),
      ],
      ...[".Sh EXAMPLES", ...literal(EXAMPLE)],
      ...seeAlso("vn(1)", "vnetd(8)"),
    ],
  });
}

/** @throws Error when a key of the schema is no option, or an option no key */
function settings(): readonly Item[] {
  const schema = z.toJSONSchema(settingsSchema, { io: "input", unrepresentable: "any" });
  const fields = new Map(Object.entries(schema.properties as Record<string, Field>));
  const options = visibleOptions(declareOptions(VERSION)).filter(
    ({ long }) => !NO_KEYS.has(long ?? ""),
  );
  const keys = options.map(keyOf);
  const missing = [...fields.keys()].filter((key) => !keys.includes(key));
  if (missing.length > 0) {
    throw new Error(`These keys of vnetd.toml are no options of vnetd: ${missing.join(", ")}`);
  }
  return options.map((option) => {
    const field = fields.get(keyOf(option));
    if (field === undefined) {
      throw new Error(`This option of vnetd is no key of vnetd.toml: ${option.flags}`);
    }
    return {
      head: `Cm ${keyOf(option).replaceAll("-", "\\-")} No = Ar ${typeOf(field)}`,
      body: [...describe(option), ...rangeOf(field)],
    };
  });
}

const NO_KEYS: ReadonlySet<string> = new Set(["--config", "--help", "--version"]);

const EXAMPLE = [
  "# /etc/vnetd/vnetd.toml",
  'underlay = "eth1"           # the network between the hosts',
  "mcast-ttl = 4               # it has routers that pass multicast",
  'metrics = "127.0.0.1:9798"  # for a Prometheus on this host',
];

function keyOf({ long = "" }: Option): string {
  return long.replace(/^--(no-)?/, "");
}

/** Of a `--no-x`, what `x = false` says. */
function describe(option: Option): readonly string[] {
  const off = option.long?.startsWith("--no-");
  return off ? prose(`False: ${option.description} (true).`) : sentence(option.description);
}

function typeOf(field: Field): string {
  const { type } = partOf(field);
  return { string: "string", integer: "number", boolean: "boolean" }[type ?? ""] ?? "string";
}

function rangeOf(field: Field): readonly string[] {
  const { type, minimum, maximum } = partOf(field);
  return type === "integer" && minimum !== undefined ? prose(`From ${minimum} to ${maximum}.`) : [];
}

/** What may be null, too, is `anyOf` itself and null. */
function partOf(field: Field): Field {
  return field.anyOf?.find(({ type }) => type !== "null") ?? field;
}

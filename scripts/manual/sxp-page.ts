/** vnet.sxp(5), from the forms that the readers of S-expressions know. */
import { EVAL_REFERENCE } from "../../src/vnet/eval.ts";
import {
  type FormReference,
  KEY_REFERENCE,
  type SexprKey,
  VNET_REFERENCE,
} from "../../src/vnet/sexpr-reference.ts";
import { type Item, list, literal, paragraphs, renderPage, seeAlso, sentence } from "./mdoc.ts";

export function sxpPage(): string {
  return renderPage({
    ...{ name: "vnet.sxp", section: 5 },
    about: "vnets and commands as S-expressions",
    body: [
      ".Sh DESCRIPTION",
      ...paragraphs(
        "These expressions are what the original vnet tools wrote and read. A vnet file, for `vn vnet-create`, has one or more vnets; all are created, or none. A start-up file, for `vnetd --file`, has commands, which are run in order at every start; what they ask for and is there already is passed over. `vn eval` runs one command.",
        "A list stands in round brackets, its first word is a name, and the rest are lists of a key and a value, in any order, each key once. White space parts words and means nothing else; # begins a comment, which ends with the line. A word with white space, brackets or quotes in it stands in single or double quotes, in which the escapes of C hold.",
      ),
      ".Ss Vnet files",
      ...list([formItem(VNET_REFERENCE)]),
      ".Ss Commands",
      ...list(EVAL_REFERENCE.map(formItem)),
      ".Ss Keys",
      ...paragraphs(
        "A default stands after a semicolon. What square brackets are around, above, may be left out.",
      ),
      ...list(
        Object.entries(KEY_REFERENCE).map(([key, { value, meaning }]) => ({
          head: `Pq Cm ${key} Ar ${value}`,
          body: sentence(meaning),
        })),
      ),
      ...[".Sh EXAMPLES", "A vnet file:", ...literal(VNET_FILE)],
      ...[".Pp", "A start-up file:", ...literal(STARTUP_FILE)],
      ...seeAlso("vn(1)", "vnetd(8)"),
    ],
  });
}

const VNET_FILE = [
  "# the web servers' network",
  "(vnet (id 97) (bridge web) (security none))",
  "(vnet (id 2001:db8::97) (security conf) (keyfile web.key))".replace("::", ":0:0:0:0:0:"),
];

const STARTUP_FILE = ["(peer.add (addr 198.51.100.7))", "(vnet.add (id 97) (bridge web))"];

function formItem(form: FormReference): Item {
  return {
    head: ["Xo", `.Po Ic ${form.name}`, ...form.keys.map((key) => `.${keyUse(form, key)}`)]
      .concat(".Pc", ".Xc")
      .join("\n"),
    body: sentence(form.meaning),
  };
}

function keyUse({ needs }: FormReference, key: SexprKey): string {
  const use = `Pq Cm ${key} Ar ${KEY_REFERENCE[key].value}`;
  return needs.includes(key) ? use : `Op ${use}`;
}

/**
 * S-expressions, the language of vnet files and of the original's control protocol:
 *
 *     # a comment, to the end of the line
 *     (vnet (id 97) (bridge "vnet97"))
 *
 * White space parts tokens and has no other meaning. An atom ends at white space, at a comment or
 * at one of {}()<>[]!;"' (those but the brackets and quotes may begin one). A string stands in
 * single or double quotes, may span lines, and knows the escapes of C: \n … \\ \" \' \x7f \177.
 * Left out of the original's grammar are its length-counted data (`<*5*hello`): nothing wrote them.
 *
 * The reader keeps its own stack, so hostile nesting meets a limit and not the machine's.
 */
import { ParseError, quoteValue } from "../net/parse-error.ts";

/** Both from 1; a column is a UTF-16 unit. */
export type SexprPosition = { readonly line: number; readonly column: number };

export type SexprAtom = {
  readonly kind: "atom";
  readonly text: string;
  readonly at: SexprPosition;
};

export type SexprList = {
  readonly kind: "list";
  readonly items: readonly Sexpr[];
  readonly at: SexprPosition;
};

export type Sexpr = SexprAtom | SexprList;

/** An expression without positions, as printSexpr takes it. */
export type SexprText = string | readonly SexprText[];

/** The `(key value)` parts of a command, by key. */
export type SexprFields<Key extends string> = { readonly [key in Key]?: SexprAtom };

export type SexprCommand<Key extends string> = {
  readonly name: SexprAtom;
  readonly fields: SexprFields<Key>;
};

/** What may stand in a command. */
export type SexprForm<Key extends string> = { readonly keys: readonly Key[] };

export const SEXPR_CHARACTERS_MAX = 1_048_576;
export const SEXPR_DEPTH_MAX = 64;

const SPACE = /[ \t\r\n\f\v]/;
const QUOTE = /["']/;
const ATOM_START = /[A-Za-z0-9!$%&*+,\-./:;=>?@[\]^_`{|}~]/;
// Ends an atom: white space, a comment, a separator, and control characters, which are no text.
const ATOM_END = /[\s#{}()<>[\]!;"'\p{Cc}]/u;
const BARE_ATOM = /^[A-Za-z0-9$%&*+,\-./:=?@^_`|~]+$/;
const HEX_ESCAPE = /[0-9A-Fa-f]{1,2}/y;
const OCTAL_ESCAPE = /[0-7]{1,3}/y;

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["a", "\x07"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
  ["v", "\v"],
  ["\\", "\\"],
  ["'", "'"],
  ['"', '"'],
]);

/** Where the reader is; it moves forward only. */
type Cursor = { readonly text: string; index: number; line: number; lineStartIndex: number };

type OpenList = { readonly items: Sexpr[]; readonly at: SexprPosition };

/**
 * All expressions of `text`, in order.
 *
 * @throws ParseError with line and column
 */
export function parseSexprs(text: string): readonly Sexpr[] {
  if (text.length > SEXPR_CHARACTERS_MAX) {
    throw new ParseError(
      `S-expression has ${text.length} characters, at most ${SEXPR_CHARACTERS_MAX} are read`,
    );
  }
  const cursor: Cursor = { text, index: 0, line: 1, lineStartIndex: 0 };
  const all: Sexpr[] = [];
  const open: OpenList[] = [];
  for (let char = nextToken(cursor); char !== undefined; char = nextToken(cursor)) {
    if (char === "(") {
      openList(cursor, open);
    } else {
      const sexpr = char === ")" ? closeList(cursor, open) : readAtom(cursor, char);
      (open.at(-1)?.items ?? all).push(sexpr);
    }
  }
  const unclosed = open.at(-1);
  if (unclosed !== undefined) {
    const { line, column } = unclosed.at;
    throw sexprError(
      position(cursor),
      `unexpected end, the list from line ${line}, column ${column} is not closed`,
    );
  }
  return all;
}

/**
 * Takes `(name (key value) …)` apart. `formOf` gives the form that goes with a name; null for a
 * name that is not known.
 *
 * @throws ParseError with line and column, for a key that is unknown or given twice, too
 */
export function readSexprCommand<Key extends string, Form extends SexprForm<Key>>(
  sexpr: Sexpr,
  formOf: (name: string) => Form | null,
): SexprCommand<Key> & { readonly form: Form } {
  const [name, ...rest] = sexpr.kind === "list" ? sexpr.items : [];
  if (name?.kind !== "atom") {
    throw sexprError(sexpr.at, "a list that begins with a name was expected");
  }
  const form = formOf(name.text);
  if (form === null) {
    throw sexprError(name.at, `unknown command ${quoteValue(name.text)}`);
  }
  const fields: { [key in Key]?: SexprAtom } = {};
  for (const field of rest) {
    const { keyAtom, value } = readField(field);
    const key = form.keys.find((known) => known === keyAtom.text);
    if (key === undefined) {
      throw sexprError(keyAtom.at, `unknown key ${quoteValue(keyAtom.text)} in (${name.text} …)`);
    }
    if (fields[key] !== undefined) {
      throw sexprError(keyAtom.at, `key ${quoteValue(key)} is given twice in (${name.text} …)`);
    }
    fields[key] = value;
  }
  return { name, fields, form };
}

/**
 * The value of an atom as `parse` reads it.
 *
 * @throws ParseError with line and column; what else `parse` throws goes through
 */
export function parseSexprAtom<T>(atom: SexprAtom, parse: (text: string) => T): T {
  try {
    return parse(atom.text);
  } catch (error) {
    if (error instanceof ParseError) {
      throw sexprError(atom.at, error.message, { cause: error });
    }
    throw error;
  }
}

export function sexprError(
  { line, column }: SexprPosition,
  message: string,
  options?: ErrorOptions,
): ParseError {
  return new ParseError(`line ${line}, column ${column}: ${message}`, options);
}

/** On one line; atoms that would not read back as they are stand in double quotes. */
export function printSexpr(sexpr: SexprText): string {
  if (typeof sexpr !== "string") {
    return `(${sexpr.map(printSexpr).join(" ")})`;
  }
  return BARE_ATOM.test(sexpr) ? sexpr : `"${sexpr.replace(/["\\\p{Cc}]/gu, printEscape)}"`;
}

function readField(sexpr: Sexpr): { readonly keyAtom: SexprAtom; readonly value: SexprAtom } {
  const [keyAtom, value, ...rest] = sexpr.kind === "list" ? sexpr.items : [];
  if (keyAtom?.kind !== "atom" || value?.kind !== "atom" || rest.length > 0) {
    throw sexprError(sexpr.at, "(key value) was expected");
  }
  return { keyAtom, value };
}

/** Passes white space and comments; the first character of the next token, or undefined at the end. */
function nextToken(cursor: Cursor): string | undefined {
  let inComment = false;
  for (;;) {
    const char = cursor.text[cursor.index];
    if (char === undefined) {
      return undefined;
    }
    inComment = char === "#" || (inComment && char !== "\n");
    if (!inComment && !SPACE.test(char)) {
      return char;
    }
    step(cursor, char);
  }
}

/** Moves past `char`, the one the cursor is at. */
function step(cursor: Cursor, char: string): void {
  cursor.index += 1;
  if (char === "\n") {
    cursor.line += 1;
    cursor.lineStartIndex = cursor.index;
  }
}

function position(cursor: Cursor): SexprPosition {
  return { line: cursor.line, column: cursor.index - cursor.lineStartIndex + 1 };
}

function openList(cursor: Cursor, open: OpenList[]): void {
  const at = position(cursor);
  if (open.length >= SEXPR_DEPTH_MAX) {
    throw sexprError(at, `lists are nested deeper than ${SEXPR_DEPTH_MAX}`);
  }
  step(cursor, "(");
  open.push({ items: [], at });
}

function closeList(cursor: Cursor, open: OpenList[]): SexprList {
  const list = open.pop();
  if (list === undefined) {
    throw sexprError(position(cursor), "unexpected )");
  }
  step(cursor, ")");
  return { kind: "list", items: list.items, at: list.at };
}

function readAtom(cursor: Cursor, first: string): SexprAtom {
  if (QUOTE.test(first)) {
    return readString(cursor, first);
  }
  const at = position(cursor);
  if (!ATOM_START.test(first)) {
    throw sexprError(at, `unexpected character ${quoteValue(first)}`);
  }
  const startIndex = cursor.index;
  step(cursor, first);
  for (;;) {
    const char = cursor.text[cursor.index];
    if (char === undefined || ATOM_END.test(char)) {
      return { kind: "atom", text: cursor.text.slice(startIndex, cursor.index), at };
    }
    step(cursor, char);
  }
}

function readString(cursor: Cursor, quote: string): SexprAtom {
  const at = position(cursor);
  step(cursor, quote);
  const parts: string[] = [];
  for (;;) {
    const char = cursor.text[cursor.index];
    if (char === undefined) {
      throw sexprError(
        position(cursor),
        `unexpected end, the string from line ${at.line}, column ${at.column} is not closed`,
      );
    }
    if (char === "\\") {
      parts.push(readEscape(cursor));
      continue;
    }
    step(cursor, char);
    if (char === quote) {
      return { kind: "atom", text: parts.join(""), at };
    }
    parts.push(char);
  }
}

/** The cursor is at the backslash. */
function readEscape(cursor: Cursor): string {
  const at = position(cursor);
  step(cursor, "\\");
  const char = cursor.text[cursor.index] ?? "";
  const escaped = ESCAPES.get(char);
  if (escaped !== undefined) {
    step(cursor, char);
    return escaped;
  }
  if (char === "x") {
    step(cursor, char);
  }
  const digits = matchAt(cursor, char === "x" ? HEX_ESCAPE : OCTAL_ESCAPE);
  const code = digits === null ? Number.NaN : Number.parseInt(digits, char === "x" ? 16 : 8);
  if (digits === null || code > 0xff) {
    throw sexprError(at, `invalid escape ${quoteValue(`\\${char}${digits ?? ""}`)}`);
  }
  cursor.index += digits.length;
  return String.fromCharCode(code);
}

function matchAt(cursor: Cursor, sticky: RegExp): string | null {
  sticky.lastIndex = cursor.index;
  return sticky.exec(cursor.text)?.[0] ?? null;
}

function printEscape(char: string): string {
  const code = char.charCodeAt(0);
  return char === '"' || char === "\\" ? `\\${char}` : `\\x${code.toString(16).padStart(2, "0")}`;
}

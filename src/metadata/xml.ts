/**
 * Reads XML 1.0 with namespaces as far as libvirt's domain descriptions need it, and no further:
 * a document type is refused, so there are no entities but the five of the language, and nothing
 * of the text can name a file or grow. No recursion; every size is bounded.
 */
import { ParseError, quoteValue } from "../net/parse-error.ts";

export type XmlElement = {
  /** Without its prefix. */
  readonly name: string;
  /** What the prefix stands for; null without one. */
  readonly namespace: string | null;
  /** Those without a prefix. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
  /** All text directly in it. */
  readonly text: string;
};

export const XML_CHARACTERS_MAX = 4 * 1024 * 1024;
const DEPTH_MAX = 64;
const ELEMENT_COUNT_MAX = 50_000;
const ATTRIBUTE_COUNT_MAX = 256;

/** An element whose end has not been read. */
type Open = {
  readonly qualifiedName: string;
  readonly name: string;
  readonly namespace: string | null;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: XmlElement[];
  text: string;
  /** The prefixes that are known within it; the empty one is the default. */
  readonly prefixes: ReadonlyMap<string, string>;
};

const NAME = "[A-Za-z_][A-Za-z0-9_.-]*";
const START_TAG = new RegExp(`<(${NAME}(?::${NAME})?)`, "y");
const ATTRIBUTE = new RegExp(`\\s+(${NAME}(?::${NAME})?)\\s*=\\s*(?:"([^"<]*)"|'([^'<]*)')`, "y");
const START_TAG_END = /\s*(\/?)>/y;
const END_TAG = new RegExp(`</(${NAME}(?::${NAME})?)\\s*>`, "y");
const DECLARATION = /^\uFEFF?<\?xml\s[^?]*\?>/;
const REFERENCE = /&([^;&<\s]{0,10});?/g;
const PREDEFINED: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
};
const FIXED_PREFIXES: ReadonlyMap<string, string> = new Map([
  ["xml", "http://www.w3.org/XML/1998/namespace"],
]);

/**
 * The root element of a document.
 *
 * @throws ParseError with the line; also for what is XML and is not read here
 */
export function parseXml(text: string): XmlElement {
  if (text.length > XML_CHARACTERS_MAX) {
    throw new ParseError(`XML above ${XML_CHARACTERS_MAX} characters: ${text.length}`);
  }
  return new Reader(text).read();
}

class Reader {
  readonly #text: string;
  readonly #open: Open[] = [];
  #at: number;
  #elementCount = 0;
  #root: XmlElement | null = null;

  constructor(text: string) {
    this.#text = text;
    this.#at = DECLARATION.exec(text)?.[0].length ?? 0;
  }

  read(): XmlElement {
    while (this.#at < this.#text.length) {
      if (this.#text[this.#at] !== "<") {
        this.#readText();
      } else if (!this.#skipUnread() && !this.#readEndTag()) {
        this.#readStartTag();
      }
    }
    const open = this.#open.at(-1);
    if (open !== undefined || this.#root === null) {
      throw this.#fault(open === undefined ? "no element" : `<${open.qualifiedName}> has no end`);
    }
    return this.#root;
  }

  #readText(): void {
    const end = this.#text.indexOf("<", this.#at);
    const raw = this.#text.slice(this.#at, end === -1 ? undefined : end);
    const parent = this.#open.at(-1);
    if (parent !== undefined) {
      parent.text += this.#resolve(raw);
    } else if (raw.trim() !== "") {
      throw this.#fault("text outside of the root element");
    }
    this.#at += raw.length;
  }

  /** Comments, instructions and CDATA sections. */
  #skipUnread(): boolean {
    if (this.#skipTo("<!--", "-->") !== null || this.#skipTo("<?", "?>") !== null) {
      return true;
    }
    const data = this.#skipTo("<![CDATA[", "]]>");
    const parent = this.#open.at(-1);
    if (data !== null && parent !== undefined) {
      parent.text += data;
      return true;
    }
    if (this.#text.startsWith("<!", this.#at)) {
      throw this.#fault("a document type or declaration, which is refused");
    }
    return false;
  }

  #skipTo(begin: string, end: string): string | null {
    if (!this.#text.startsWith(begin, this.#at)) {
      return null;
    }
    const from = this.#at + begin.length;
    const to = this.#text.indexOf(end, from);
    if (to === -1) {
      throw this.#fault(`${begin} has no end`);
    }
    this.#at = to + end.length;
    return this.#text.slice(from, to);
  }

  #readEndTag(): boolean {
    if (!this.#text.startsWith("</", this.#at)) {
      return false;
    }
    const name = this.#take(END_TAG)?.[1];
    const open = this.#open.pop();
    if (name === undefined || open?.qualifiedName !== name) {
      throw this.#fault(`an end tag that does not belong to <${open?.qualifiedName ?? ""}>`);
    }
    this.#close(open);
    return true;
  }

  #readStartTag(): void {
    const qualifiedName = this.#take(START_TAG)?.[1];
    this.#elementCount += 1;
    if (qualifiedName === undefined || (this.#open.length === 0 && this.#root !== null)) {
      throw this.#fault("no element where one has to be");
    }
    if (this.#open.length >= DEPTH_MAX || this.#elementCount > ELEMENT_COUNT_MAX) {
      throw this.#fault(`more than ${DEPTH_MAX} levels or ${ELEMENT_COUNT_MAX} elements`);
    }
    const written = this.#readAttributes(qualifiedName);
    const isEmpty = this.#take(START_TAG_END)?.[1];
    if (isEmpty === undefined) {
      throw this.#fault(`the tag <${qualifiedName}> is not well-formed`);
    }
    const open = this.#begin(qualifiedName, written);
    if (isEmpty === "") {
      this.#open.push(open);
    } else {
      this.#close(open);
    }
  }

  #readAttributes(qualifiedName: string): ReadonlyMap<string, string> {
    const written = new Map<string, string>();
    for (let found = this.#take(ATTRIBUTE); found !== null; found = this.#take(ATTRIBUTE)) {
      const [, name = "", quoted, apostrophed] = found;
      if (written.has(name) || written.size >= ATTRIBUTE_COUNT_MAX) {
        throw this.#fault(`<${qualifiedName}> has an attribute twice, or too many: ${name}`);
      }
      written.set(name, this.#resolve(quoted ?? apostrophed ?? ""));
    }
    return written;
  }

  #begin(qualifiedName: string, written: ReadonlyMap<string, string>): Open {
    const declared = [...written].filter(([name]) => /^xmlns(?::|$)/.test(name));
    const around = this.#open.at(-1)?.prefixes ?? FIXED_PREFIXES;
    const prefixes =
      declared.length === 0
        ? around
        : new Map([...around, ...declared.map(([name, uri]) => [name.slice(6), uri] as const)]);
    const [prefix, name] = splitName(qualifiedName);
    const namespace = prefixes.get(prefix);
    if (prefix !== "" && namespace === undefined) {
      throw this.#fault(`the prefix of <${qualifiedName}> stands for nothing`);
    }
    const attributes = [...written].filter(([key]) => !key.includes(":") && key !== "xmlns");
    return {
      ...{ qualifiedName, name, namespace: namespace || null, prefixes },
      ...{ attributes: new Map(attributes), children: [], text: "" },
    };
  }

  #close({ name, namespace, attributes, children, text }: Open): void {
    const element = { name, namespace, attributes, children, text };
    const parent = this.#open.at(-1);
    if (parent === undefined) {
      this.#root = element;
    } else {
      parent.children.push(element);
    }
  }

  #resolve(raw: string): string {
    return raw.replace(REFERENCE, (reference, name: string) => {
      const numeric = /^#(?:(\d{1,7})|x([0-9A-Fa-f]{1,6}))$/.exec(name);
      const code = Number.parseInt(numeric?.[1] ?? numeric?.[2] ?? "", numeric?.[1] ? 10 : 16);
      const resolved = Number.isNaN(code) ? PREDEFINED[name] : characterOf(code);
      if (resolved === undefined || !reference.endsWith(";")) {
        throw this.#fault(`an entity that is not known: ${quoteValue(reference)}`);
      }
      return resolved;
    });
  }

  #take(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found !== null) {
      this.#at += found[0].length;
    }
    return found;
  }

  #fault(what: string): ParseError {
    const line = this.#text.slice(0, this.#at).split("\n").length;
    return new ParseError(`XML, line ${line}: ${what}`);
  }
}

function splitName(qualifiedName: string): readonly [prefix: string, name: string] {
  const [first = "", second] = qualifiedName.split(":");
  return second === undefined ? ["", first] : [first, second];
}

/** XML 1.0 §2.2; others are not allowed even as a reference. */
function characterOf(code: number): string | undefined {
  const allowed =
    code === 0x9 ||
    code === 0xa ||
    code === 0xd ||
    (code >= 0x20 && code <= 0xd7ff) ||
    (code >= 0xe000 && code <= 0xfffd) ||
    (code >= 0x1_0000 && code <= 0x10_ffff);
  return allowed ? String.fromCodePoint(code) : undefined;
}

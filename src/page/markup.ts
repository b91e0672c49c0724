/** HTML and SVG as values: whatever is put into a template is text, unless it is markup itself. */

export type Markup = { readonly markup: string };

type Part = Markup | string | number | readonly Markup[];

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Attributes have to be in quotes: `title="${text}"`. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  const markup = strings.map((text, index) => {
    const part = parts[index];
    return part === undefined ? text : `${text}${textOf(part)}`;
  });
  return { markup: markup.join("") };
}

export const NOTHING: Markup = { markup: "" };

function textOf(part: Part): string {
  if (typeof part === "string" || typeof part === "number") {
    return escapeText(String(part));
  }
  return "markup" in part ? part.markup : part.map(({ markup }) => markup).join("");
}

/** Also what no document may contain, and what turns the direction of the text that follows. */
function escapeText(text: string): string {
  return text
    .replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? "")
    .replaceAll(/[\p{Cc}\p{Cf}\p{Cs}]/gu, "\ufffd");
}

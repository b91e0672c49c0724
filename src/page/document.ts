/** The status page as one document: nothing is loaded, nothing but what is in it may run. */
import { html } from "./markup.ts";
import { SCRIPT } from "./script.ts";
import { SECTION_IDS, type Sections } from "./sections.ts";
import { STYLE } from "./style.ts";

export type PageDocument = {
  readonly text: string;
  /** The text of the one element of each kind, whose hashes its policy allows. */
  readonly style: string;
  readonly script: string;
};

export function writeDocument(sections: Sections, title: string): PageDocument {
  const { markup } = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${{ markup: STYLE }}</style>
</head>
<body>
<p id="connection" role="status">As of when this page was opened.</p>
<header id="host">${sections.host}</header>
<main>${SECTION_IDS.filter((id) => id !== "host").map(
    (id) => html`<section id="${id}">${sections[id]}</section>
`,
  )}</main>
<script>${{ markup: SCRIPT }}</script>
</body>
</html>
`;
  return { text: markup, style: STYLE, script: SCRIPT };
}

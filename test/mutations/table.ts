/** docs/ATTACKS.md: the list of mutations as a table, the sources and tests as links. */
import { type Mutation, SECURE_MUTATIONS } from "./secure.ts";

const HEAD = `# Attacks

What can be tried against a secure vnet ([SECURITY.md](SECURITY.md)), the check that stops it, and the tests that fail on
a build without that check. \`scripts/mutate\` takes the checks out of a copy of the checkout, one after the other, and runs
those tests. This page is written by \`scripts/mutate --table\`, from \`test/mutations/secure.ts\`.
`;

export function attackTable(): string {
  const parts = SECURE_MUTATIONS.map(([title, mutations]) =>
    [
      `## ${title}`,
      "",
      "| attack | check | tests that fail without it |",
      "|---|---|---|",
      ...mutations.map(row),
      "",
    ].join("\n"),
  );
  return [HEAD, ...parts].join("\n");
}

function row({ attack, check, file, tests }: Mutation): string {
  return `| ${attack} | ${check}: [${nameOf(file)}](../${file}) | ${tests.map(linkOf).join("; ")} |`;
}

function linkOf(test: string): string {
  const { file, name } = testOf(test);
  return `[${nameOf(file)}](../${file})${name === "" ? "" : `: ${name}`}`;
}

function nameOf(file: string): string {
  return file.split("/").at(-1) ?? file;
}

/** `FILE: name` in its parts; the name is empty where the whole file is meant. */
export function testOf(test: string): { readonly file: string; readonly name: string } {
  const [file = "", ...name] = test.split(": ");
  return { file, name: name.join(": ") };
}

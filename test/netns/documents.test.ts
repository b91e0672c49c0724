/**
 * The documents, typed: every command of README.md, CONTRIBUTING.md and docs/*.md is run in the lab
 * of its page, in the order of the page, and prints what the page shows. What cannot be run here says why.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { type Block, type Command, findBlocks, outputHasForm } from "../documents/blocks.ts";
import { DocumentLab } from "./document-lab.ts";
import { REPOSITORY, SKIP_REASON } from "./lab.ts";
import { eventually } from "./wait.ts";

/** Whose commands another test runs. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  "docs/CONTROL.md": "test/control/documentation.test.ts",
  "docs/INSTALL.md": "scripts/stages/packages",
};

/** A page's outputs come true within that: hosts hear of each other, links come up. */
const COMES_TRUE_WITHIN_MS = 10_000;

const pages = [
  ...["README.md", "CONTRIBUTING.md"],
  ...readdirSync(join(REPOSITORY, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
]
  .filter((page) => ELSEWHERE[page] === undefined)
  .map((page) => ({ page, blocks: findBlocks(readFileSync(join(REPOSITORY, page), "utf8")) }))
  .filter(({ blocks }) => blocks.length > 0);

describe("what the documents say to type", { skip: SKIP_REASON, concurrency: 2 }, () => {
  for (const { page, blocks } of pages) {
    const ran = blocks.filter(({ notRun }) => notRun === null);
    if (ran.length > 0) {
      test(`${page}: ${ran.length} blocks do what is shown`, async () => await typeAll(page, ran));
    }
  }

  test("is run, or says why it is not", (context) => {
    const left = pages.flatMap(({ page, blocks }) =>
      blocks.filter(({ notRun }) => notRun !== null).map((block) => ({ page, block })),
    );
    for (const { page, block } of left) {
      context.diagnostic(`${page}:${block.line}: not run: ${block.notRun}`);
      assert.notEqual(block.notRun, "", `${page}:${block.line} does not say why it is not run`);
    }
    const all = pages.flatMap(({ blocks }) => blocks);
    context.diagnostic(`${all.length - left.length} blocks run, ${left.length} not`);
    const empty = all.filter(({ commands }) => commands.length === 0);
    assert.deepEqual(empty, [], "a block without commands is marked as something else");
  });
});

async function typeAll(page: string, blocks: readonly Block[]): Promise<void> {
  const lab = await DocumentLab.create();
  try {
    for (const command of blocks.flatMap(({ commands }) => commands)) {
      for (const place of command.places) {
        await typeOne(lab, { page, place, command });
      }
    }
  } finally {
    await lab.close();
  }
}

async function typeOne(
  lab: DocumentLab,
  { page, place, command }: { page: string; place: string; command: Command },
): Promise<void> {
  const where = `${page}:${command.line}: ${place}# ${command.text}`;
  const { text, output } = command;
  const fails = output?.some((line) => /^(vn|vnetd): /.test(line)) ?? false;
  let seen = "";
  const once = async (): Promise<boolean> => {
    const { status, stdout, stderr } = await lab.type(place, text);
    seen = `${stdout}${stderr}`;
    if ((status !== 0) !== fails) {
      assert.notEqual(output, null, `${where}\nexited ${status}:\n${seen}`);
      return false;
    }
    const lines = seen.split("\n").filter((line) => line.trim() !== "");
    return (
      output === null ||
      outputHasForm(
        lines,
        output.filter((line) => line.trim() !== ""),
      )
    );
  };
  if (await once()) {
    if (/^\S*vnetd .*&\s*$/.test(text)) {
      // A reader's next line comes later than a program's.
      await eventually(
        "vnetd serves",
        async () => (await lab.type(place, "vn status")).status === 0,
        COMES_TRUE_WITHIN_MS,
      );
    }
    return;
  }
  await eventually(where, once, COMES_TRUE_WITHIN_MS).catch((error: unknown) => {
    const shown = output?.join("\n");
    throw new Error(`${where}\nprinted:\n${seen}\nand not the like of:\n${shown}`, {
      cause: error,
    });
  });
}

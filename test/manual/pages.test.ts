/** The manual pages name everything that the programs know: none of it is written twice. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { sxpPage } from "../../scripts/manual/sxp-page.ts";
import { tomlPage } from "../../scripts/manual/toml-page.ts";
import { describeVn, vnPage } from "../../scripts/manual/vn-page.ts";
import { vnetdPage } from "../../scripts/manual/vnetd-page.ts";
import type { VnCommand } from "../../src/cli/command.ts";
import { settingsSchema } from "../../src/daemon/config.ts";
import { declareOptions } from "../../src/daemon/options.ts";
import { EVAL_REFERENCE } from "../../src/vnet/eval.ts";
import { VNET_KEYS } from "../../src/vnet/vnet-config.ts";

/** The text of a page, less the marks that keep it from being macros. */
function plain(page: string): string {
  return page.replaceAll("\\-", "-").replaceAll("\\&", "").replaceAll('"', "");
}

/** The part of vn(1) about one command. */
function partOf(page: string, command: VnCommand): string {
  const [, ...parts] = page.split(/^\.It Xo\n\.Ic /m);
  const part = parts.find((text) => text.split(/[ \n]/)[0] === command.name());
  return part ?? assert.fail(`vn(1) has no ${command.name()}`);
}

describe("vn(1)", () => {
  const vn = describeVn();
  const page = plain(vnPage(vn));

  for (const command of vn.commands as readonly VnCommand[]) {
    test(`has all of vn ${command.name()}`, () => {
      const part = partOf(page, command);
      for (const { short, long } of command.options) {
        const use = (short ?? long ?? "").slice(1);
        assert.match(part, new RegExp(`Fl ${use}[ \\n]`), use);
        assert.ok(page.includes(`Fl ${(long ?? "").slice(1)}`), long);
      }
      for (const argument of command.registeredArguments) {
        assert.ok(part.includes(`.It Ar ${argument.name()}`), argument.name());
      }
      for (const [example] of command.exampleLines) {
        assert.ok(part.includes(example.replaceAll("…", "\\[u2026]").replaceAll('"', "")), example);
      }
    });
  }

  test("says of every command, argument and option what it is", () => {
    const described = [
      vn,
      ...vn.commands.flatMap((command) => [
        command,
        ...command.options,
        ...command.registeredArguments,
      ]),
    ].map((thing) =>
      typeof thing.description === "function" ? thing.description() : thing.description,
    );
    assert.deepEqual(
      described.filter((text) => text.trim().length < 4),
      [],
    );
  });

  test("has the exit statuses that the help has", () => {
    const [, statuses = ""] = page.split(".Sh EXIT STATUS");
    assert.deepEqual(
      Array.from(statuses.matchAll(/^\.It (\d)$/gm), ([, status]) => status),
      ["0", "1", "2", "3"],
    );
  });
});

describe("vnetd(8) and vnetd.toml(5)", () => {
  test("have every option and every key", () => {
    const page = plain(vnetdPage());
    for (const { long = "" } of declareOptions("0").options) {
      assert.ok(page.includes(`Fl ${long.slice(1)}`), long);
    }
    const toml = plain(tomlPage());
    for (const key of Object.keys(settingsSchema.unwrap().shape)) {
      assert.ok(toml.includes(`.It Cm ${key} No =`), key);
    }
  });
});

describe("vnet.sxp(5)", () => {
  test("has every command and every key", () => {
    const page = plain(sxpPage());
    for (const { name, keys } of EVAL_REFERENCE) {
      const [, part = ""] = page.split(`.Po Ic ${name}\n`);
      assert.ok(
        keys.every((key) => part.split(".Pc")[0]?.includes(`Pq Cm ${key} Ar`)),
        name,
      );
    }
    for (const key of VNET_KEYS) {
      assert.ok(page.includes(`.It Pq Cm ${key} Ar`), key);
    }
  });
});

describe("text in a page", () => {
  test("is never a macro", async () => {
    const { literal, prose, word } = await import("../../scripts/manual/mdoc.ts");
    assert.deepEqual(prose(".Sh is text"), ["\\&.Sh is text"]);
    assert.deepEqual(literal(["'br"])[1], "\\&'br");
    assert.equal(word("Op"), "\\&Op");
    assert.equal(word("a b"), '"a b"');
    assert.deepEqual(prose("a\\b…"), ["a\\eb\\[u2026]"]);
  });
});

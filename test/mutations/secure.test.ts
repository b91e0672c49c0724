import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { SECURE_MUTATIONS } from "./secure.ts";
import { attackTable, testOf } from "./table.ts";

const CHECKOUT = fileURLToPath(new URL("../../../", import.meta.url));
const MUTATIONS = SECURE_MUTATIONS.flatMap(([, mutations]) => mutations);

const read = (file: string): string => readFileSync(join(CHECKOUT, file), "utf8");

describe("mutations of secure vnets", () => {
  test("each has one place in its file", () => {
    for (const { file, text, without } of MUTATIONS) {
      assert.equal(read(file).split(text).length, 2, `${file}: ${text}`);
      assert.notEqual(text, without);
    }
  });

  test("their tests are there", () => {
    for (const { file, name } of MUTATIONS.flatMap(({ tests }) => tests.map(testOf))) {
      // A test that is made for each suite has only the rest of its name in the file.
      const fixed = name.replace(/^(aes|hmac)[a-z0-9-]+: /, ": ");
      assert.ok(read(file).includes(fixed), `${file}: ${name}`);
    }
  });

  test("docs/ATTACKS.md has them", () => {
    assert.equal(read("docs/ATTACKS.md"), attackTable(), "scripts/mutate --table writes it");
  });
});

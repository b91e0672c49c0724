import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { formatAge, printTable } from "../../src/cli/print.ts";

describe("printTable()", () => {
  const columns = [
    { title: "NAME", cell: ({ name }: { name: string | null }) => name },
    { title: "LENGTH", cell: ({ name }: { name: string | null }) => name?.length ?? null },
  ];

  test("aligns by characters, fills empty cells, and leaves no blanks at the end", () => {
    const rows = [{ name: "brücke" }, { name: "" }, { name: null }, { name: "a" }];
    assert.equal(
      printTable(columns, rows),
      "NAME    LENGTH\nbrücke  6\n-       0\n-       -\na       1\n",
    );
  });

  test("prints 200,000 rows", () => {
    const rows = Array.from({ length: 200_000 }, (_, index) => ({ name: `row${index}` }));
    const text = printTable(columns, rows);
    assert.ok(text.endsWith("\nrow199999  9\n"));
  });
});

describe("formatAge()", () => {
  const CASES = [
    [0, "0s"],
    [999, "0s"],
    [59_999, "59s"],
    [60_000, "1m"],
    [3_599_999, "59m"],
    [3_600_000, "1h"],
    [86_400_000, "1d"],
    [864_000_000, "10d"],
  ] as const;
  for (const [ageMs, text] of CASES) {
    test(`${ageMs} ms is ${text}`, () => {
      assert.equal(formatAge(ageMs), text);
    });
  }
});

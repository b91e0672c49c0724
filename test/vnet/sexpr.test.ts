import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ParseError } from "../../src/net/parse-error.ts";
import {
  parseSexprs,
  printSexpr,
  readSexprCommand,
  SEXPR_CHARACTERS_MAX,
  SEXPR_DEPTH_MAX,
  type Sexpr,
  type SexprText,
} from "../../src/vnet/sexpr.ts";

describe("parseSexprs", () => {
  const good: readonly (readonly [text: string, sexprs: readonly SexprText[]])[] = [
    ["", []],
    [" \t\r\n\f\v # only a comment", []],
    ["a", ["a"]],
    ["(a)(b)c", [["a"], ["b"], "c"]],
    ["()", [[]]],
    ["(vnet (id 97) (bridge vnet97))", [["vnet", ["id", "97"], ["bridge", "vnet97"]]]],
    ["(a#comment ) ( \n b)", [["a", "b"]]],
    ["# one\n# two\n(a) # three", [["a"]]],
    [`("a b" 'c"d' "e'f")`, [["a b", 'c"d', "e'f"]]],
    ['a"b"c', ["a", "b", "c"]],
    ['""', [""]],
    ['"two\nlines"', ["two\nlines"]],
    ['"\\a\\b\\f\\n\\r\\t\\v\\\\\\"\\\'"', ["\x07\b\f\n\r\t\v\\\"'"]],
    ['"\\x7e\\x7E\\x9!\\176\\60\\0"', ["~~\t!~0\0"]],
    ["{a};b!c[d]", ["{a", "}", ";b", "!c", "[d", "]"]],
  ];
  for (const [text, sexprs] of good) {
    test(`reads ${JSON.stringify(text)}`, () => {
      assert.deepEqual(parseSexprs(text).map(withoutPositions), sexprs);
    });
  }

  test("knows where each part stands", () => {
    const [list] = parseSexprs("\n\n  (a\n\t(b))");
    assert.deepEqual(list, {
      kind: "list",
      at: { line: 3, column: 3 },
      items: [
        { kind: "atom", text: "a", at: { line: 3, column: 4 } },
        {
          kind: "list",
          at: { line: 4, column: 2 },
          items: [{ kind: "atom", text: "b", at: { line: 4, column: 3 } }],
        },
      ],
    });
  });

  const bad = [
    [")", "line 1, column 1: unexpected )"],
    ["(a))", "line 1, column 4: unexpected )"],
    ["(a\n (b)", "line 2, column 5: unexpected end, the list from line 1, column 1 is not closed"],
    [
      '(a "b\nc)',
      "line 2, column 3: unexpected end, the string from line 1, column 4 is not closed",
    ],
    ['"a\\', "line 1, column 3: invalid escape"],
    ['"\\q"', "line 1, column 2: invalid escape"],
    ['"\\xg"', "line 1, column 2: invalid escape"],
    ['"\\777"', "line 1, column 2: invalid escape"],
    ["(a <*5*hello)", 'line 1, column 4: unexpected character "<"'],
    ["(\\)", "line 1, column 2: unexpected character"],
    ["(a \u0000)", "line 1, column 4: unexpected character"],
    ["(a\n  ü)", 'line 2, column 3: unexpected character "ü"'],
  ] as const;
  for (const [text, message] of bad) {
    test(`refuses ${JSON.stringify(text)} with its place`, () => {
      assert.throws(
        () => parseSexprs(text),
        (error) => error instanceof ParseError && error.message.startsWith(message),
      );
    });
  }

  test("nests to its limit and no deeper", () => {
    const nested = (depth: number) => "(".repeat(depth) + ")".repeat(depth);
    assert.equal(parseSexprs(nested(SEXPR_DEPTH_MAX)).length, 1);
    assert.throws(() => parseSexprs(nested(SEXPR_DEPTH_MAX + 1)), /column 65: .*deeper than 64/);
    assert.throws(() => parseSexprs("(".repeat(SEXPR_CHARACTERS_MAX)), /deeper than 64/);
  });

  test("reads a megabyte and no more", () => {
    assert.equal(parseSexprs("a ".repeat(SEXPR_CHARACTERS_MAX / 2)).length, 524_288);
    assert.throws(() => parseSexprs(" ".repeat(SEXPR_CHARACTERS_MAX + 1)), ParseError);
  });

  test("throws nothing but a ParseError that names a place", () => {
    const text = fc.array(fc.constantFrom("(", ")", '"', "'", "\\", "x", "7", "#", "\n", " ", "é"));
    fc.assert(
      fc.property(text, (parts) => {
        try {
          parseSexprs(parts.join(""));
        } catch (error) {
          assert.ok(error instanceof ParseError, String(error));
          assert.match(error.message, /^line \d+, column \d+: /);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("printSexpr", () => {
  test("quotes what would not read back, and only that", () => {
    assert.equal(printSexpr(["vnet", ["id", "0:97"], ["a b", ""]]), '(vnet (id 0:97) ("a b" ""))');
    assert.equal(printSexpr(['"', "\\", "\n", "#"]), '("\\"" "\\\\" "\\x0a" "#")');
  });

  test("reads back as it was", () => {
    const { tree } = fc.letrec<{ tree: SexprText }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 5 },
        fc.string({ unit: "binary" }),
        fc.array(tie("tree"), { maxLength: 5 }),
      ),
    }));
    fc.assert(
      fc.property(tree, (sexpr) => {
        assert.deepEqual(parseSexprs(printSexpr(sexpr)).map(withoutPositions), [sexpr]);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("readSexprCommand", () => {
  const FORM = { keys: ["to", "by"] } as const;
  const read = (text: string) => {
    const [sexpr] = parseSexprs(text);
    assert.ok(sexpr);
    return readSexprCommand<"to" | "by", typeof FORM>(sexpr, (name) =>
      name === "go" ? FORM : null,
    );
  };

  test("gives the values by key", () => {
    const { name, fields } = read("(go (by night) (to 'the sea'))");
    assert.equal(name.text, "go");
    assert.equal(fields.to?.text, "the sea");
    assert.equal(fields.by?.text, "night");
  });

  const bad = [
    ["go", "line 1, column 1: a list that begins with a name"],
    ["()", "line 1, column 1: a list that begins with a name"],
    ["((go))", "line 1, column 1: a list that begins with a name"],
    ["(stay)", 'line 1, column 2: unknown command "stay"'],
    ["(go (from a))", 'line 1, column 6: unknown key "from" in (go …)'],
    ["(go (to a)\n (to b))", 'line 2, column 3: key "to" is given twice'],
    ["(go to)", "line 1, column 5: (key value) was expected"],
    ["(go (to))", "line 1, column 5: (key value) was expected"],
    ["(go (to a b))", "line 1, column 5: (key value) was expected"],
    ["(go (to (a)))", "line 1, column 5: (key value) was expected"],
    ["(go (to a) (constructor b))", 'line 1, column 13: unknown key "constructor"'],
  ] as const;
  for (const [text, message] of bad) {
    test(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => read(text),
        (error) => error instanceof ParseError && error.message.startsWith(message),
      );
    });
  }
});

function withoutPositions(sexpr: Sexpr): SexprText {
  return sexpr.kind === "atom" ? sexpr.text : sexpr.items.map(withoutPositions);
}

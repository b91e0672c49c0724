import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { findBlocks, hasForm, outputHasForm } from "./blocks.ts";

const DOCUMENT = `# A page

\`\`\`sh
vnetd &                # on each host
vn vnet-create \\
  -b red 10            # a bridge
# nothing
vn peers               # on host2, later
\`\`\`

<!-- not run: needs xapi -->
\`\`\`sh
xe vm-list
\`\`\`

\`\`\`json
{}
\`\`\`

\`\`\`console
host2# vn vnets
VNET  STATE
10    up
vm1# true
\`\`\`
`;

describe("findBlocks", () => {
  test("finds commands, where they are typed, and what they print", () => {
    assert.deepEqual(findBlocks(DOCUMENT), [
      {
        line: 3,
        notRun: null,
        commands: [
          { line: 4, places: ["host1", "host2"], text: "vnetd &", output: null },
          { line: 5, places: ["host1"], text: "vn vnet-create   -b red 10", output: null },
          { line: 8, places: ["host2"], text: "vn peers", output: null },
        ],
      },
      {
        line: 12,
        notRun: "needs xapi",
        commands: [{ line: 13, places: ["host1"], text: "xe vm-list", output: null }],
      },
      {
        line: 20,
        notRun: null,
        commands: [
          { line: 21, places: ["host2"], text: "vn vnets", output: ["VNET  STATE", "10    up"] },
          { line: 24, places: ["vm1"], text: "true", output: [] },
        ],
      },
    ]);
  });
});

describe("the form of an output", () => {
  const alike = [
    ["VNET  STATE", "VNET    STATE"],
    ["vnetd  serving, version 0.1.0, pid 12", "vnetd       serving, version 0.1.0, pid 98765"],
    ["error: …", "error: (whatever) *"],
    ["key <keyid> held", "key 1a2b held"],
  ] as const;
  for (const [documented, line] of alike) {
    test(`${documented}: also ${line}`, () => assert.ok(hasForm(line, documented)));
  }

  const other = [
    ["VNET  STATE", "VNET  BRIDGE  STATE"],
    ["10  up", "10  error"],
    ["10  up", "red  up"],
    ["a.b", "axb"],
    ["key <keyid> held", "key 1a 2b held"],
  ] as const;
  for (const [documented, line] of other) {
    test(`${documented}: not ${line}`, () => assert.ok(!hasForm(line, documented)));
  }

  test("has as many lines, but for those that are left out", () => {
    assert.ok(outputHasForm(["a", "b"], ["a", "b"]));
    assert.ok(!outputHasForm(["a", "b"], ["a"]));
    assert.ok(!outputHasForm(["a"], ["a", "b"]));
    assert.ok(outputHasForm(["a", "x", "y", "b"], ["a", "…", "b"]));
    assert.ok(outputHasForm(["a", "b"], ["a", "…", "b"]));
    assert.ok(!outputHasForm(["a", "x"], ["a", "…", "b"]));
  });
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { paint } from "../../src/cli/paint.ts";
import { drawTop, type TopModel } from "../../src/cli/top-screen.ts";
import {
  createTopState,
  partsShown,
  pressKey,
  splitKeys,
  TOP_VIEWS,
  type TopState,
} from "../../src/cli/top-state.ts";
import { findProblems } from "../../src/control/problems.ts";
import { addReading } from "../../src/control/rates.ts";
import {
  carried,
  hostTraffic,
  traffic,
  vifTraffic,
  vnetTraffic,
} from "../control/traffic-samples.ts";
import { TerminalScreen } from "./terminal-screen.ts";

const IDS = ["10", "20", "30"];
const [DOWN, UP, ESCAPE, ENTER] = ["\x1b[B", "\x1b[A", "\x1b", "\r"];

/** Vnet 30 is the busiest, 20 is in error. */
function reading(atMs: number) {
  return traffic({
    atMs,
    carried: carried(6 * atMs),
    vnets: IDS.map((id, index) =>
      vnetTraffic(id, {
        carried: carried(index * 2 * atMs),
        ...(id === "20" ? { state: "error", error: "no device\x1b[31m" } : {}),
      }),
    ),
    vifs: [vifTraffic("vif5.0", { carried: carried(atMs), dropped: { mac: atMs / 100 } })],
    hosts: [hostTraffic("192.0.2.2", { opened: atMs })],
  });
}

function modelOf(more: Partial<TopModel> = {}): TopModel {
  const history = addReading(addReading(null, reading(1_000)), reading(2_000));
  return {
    ...{ history, problems: findProblems(history.latest, history.rates), trouble: null },
    ...{ state: createTopState("vnets"), hostName: "host-a", size: { columns: 80, rows: 24 } },
    ...more,
  };
}

/** The state after these keys, each pressed on the screen that the one before has left. */
function press(...keys: readonly string[]): TopState {
  return keys.reduce(
    (state, key) => pressKey(state, key, drawTop(modelOf({ state })).context),
    createTopState("vnets"),
  );
}

function show(model: TopModel): string {
  return drawTop(model)
    .lines.map(({ text }) => text.trimEnd())
    .join("\n")
    .trimEnd();
}

describe("drawTop()", () => {
  test("shows at 80 columns what matters most, the busiest first", () => {
    assert.equal(
      show(modelOf()).split("\n").slice(0, 8).join("\n"),
      `\
host-a  vnetd 0.1.0 up 1d  data plane up  underlay eth0 192.0.2.1
out 4.80M bit/s 6.00k frames/s   in 4.80M bit/s 6.00k frames/s   dropped 0/s
! 2 problems: vnet 20: no device?[31m
[1 vnets 3]  2 VIFs 1   3 hosts 1   4 problems 2
  VNET  STATE  INTERFACE  OUT-BIT/Sv  OUT-PKT/S  IN-BIT/S  IN-PKT/S  DROP/S
  30    up     vnif30          3.20M      4.00k     3.20M     4.00k       0
! 20    error  vnif20          1.60M      2.00k     1.60M     2.00k       0
  10    up     vnif10              0          0         0         0       0`,
    );
  });

  test("leaves out columns where it is narrow, and has more where it is wide", () => {
    const header = (columns: number): string =>
      show(modelOf({ size: { columns, rows: 24 } })).split("\n")[4] ?? "";
    assert.equal(header(40), "  VNET  STATE  OUT-BIT/Sv  IN-BIT/S");
    assert.match(header(200), /SECURITY +LOCAL +REMOTE +BRIDGE +ERROR/);
  });

  test("says that there is no answer, and keeps what is known", () => {
    const text = show(modelOf({ trouble: "vnetd has gone" }));
    assert.match(text, /^! no answer, trying again: vnetd has gone$/m);
    assert.match(text, /^ {2}30 +up/m);
  });

  test("shows a vnet closely: its figures, drops, VIFs and hosts", () => {
    const text = show(modelOf({ state: press(ENTER) }));
    assert.match(text, /^vnet 30\n {2}id +0000:.*:0030\n {2}state +up$/m);
    assert.match(text, /^dropped: nothing\nVIFs: 0\nhosts: 0$/m);
    const vif = show(modelOf({ state: press("2", ENTER) }));
    assert.match(vif, /^dropped: 10\/s\n {2}mac {5}10\/s {2}20 in all$/m);
  });

  test("fits every screen, whatever is shown and whatever names are made of", () => {
    const key = fc.constantFrom(..."1234?/<>rjkGgqab ", DOWN, UP, ESCAPE, ENTER, "\t", "\x7f");
    const size = fc.record({
      columns: fc.integer({ min: 1, max: 250 }),
      rows: fc.integer({ min: 1, max: 60 }),
    });
    const name = fc.string({ unit: "binary", maxLength: 30 });
    fc.assert(
      fc.property(fc.array(key), size, name, (keys, screen, vif) => {
        const now = { ...reading(2_000), vifs: [vifTraffic(vif, { error: vif, state: "error" })] };
        const history = addReading(addReading(null, reading(1_000)), now);
        const problems = findProblems(history.latest, history.rates);
        const model = modelOf({ history, problems, state: press(...keys), size: screen });
        const { lines } = drawTop(model);
        assert.equal(lines.length, screen.rows);
        for (const { text } of lines) {
          assert.ok(text.length <= screen.columns, text);
          assert.match(text, /^[\x20-\x7e\u00a1-\u058f]*$/);
        }
      }),
    );
  });

  test("shows the chosen one of a thousand rows, and formats only the page", () => {
    const vnets = Array.from({ length: 1_000 }, (_, index) =>
      vnetTraffic((index + 2).toString(16)),
    );
    const history = addReading(null, traffic({ vnets }));
    const state = { ...createTopState("vnets"), selected: vnets[500]?.vnet ?? null };
    const { lines } = drawTop(modelOf({ history, problems: [], state }));
    const chosen = lines.filter(({ style }) => style === "selected");
    assert.deepEqual(
      chosen.map(({ text }) => text.trim().split(/ +/)[0]),
      ["1f6"],
    );
  });
});

describe("pressKey()", () => {
  const CASES: readonly (readonly [keys: readonly string[], Partial<TopState>])[] = [
    [["q"], { hasQuit: true }],
    [["\x03"], { hasQuit: true }],
    [["?", "\x03"], { hasQuit: true }],
    [["/", "q"], { hasQuit: false, filter: "q", isTyping: true }],
    [["/", "a", "b", "\x7f", ENTER, "3"], { filter: "a", isTyping: false, view: "hosts" }],
    [["/", "a", ESCAPE], { filter: "", isTyping: false }],
    [["?", "x"], { isHelping: false }],
    [["\t"], { view: "vifs" }],
    [["\x1b[Z"], { view: "problems" }],
    [["4", "1"], { view: "vnets" }],
    [[ENTER, ESCAPE], { detail: null }],
    [["\x1b[15~", "\x1bOP", "x"], { view: "vnets", hasQuit: false }],
  ];
  for (const [keys, expected] of CASES) {
    test(`${JSON.stringify(keys)} makes ${JSON.stringify(expected)}`, () => {
      const state = press(...keys);
      assert.deepEqual({ ...state, ...expected }, state);
    });
  }

  test("chooses rows by where they are, and stays with one when rows change places", () => {
    assert.match(press(DOWN).selected ?? "", /0020$/);
    assert.match(press(DOWN, DOWN, DOWN, DOWN, UP).selected ?? "", /0020$/);
    assert.match(press("G").selected ?? "", /0010$/);
    assert.match(press("G", "g").selected ?? "", /0030$/);
    assert.match(press(DOWN, "r").selected ?? "", /0020$/);
  });

  test("sorts by the next column, by the one before, and the other way round", () => {
    const sorted = (...keys: readonly string[]) => press(...keys).sort.vnets;
    assert.deepEqual(sorted(">"), { column: "OUT-PKT/S", reversed: false });
    assert.deepEqual(sorted("<", "<"), { column: "STATE", reversed: false });
    assert.deepEqual(sorted("r"), { column: "OUT-BIT/S", reversed: true });
    const first = show(modelOf({ state: press("r") })).split("\n")[5];
    assert.match(first ?? "", /^ {2}10 /);
  });

  test("digs from a problem into what it is about", () => {
    const { detail } = press("4", ENTER);
    assert.equal(detail?.part, "vnets");
    assert.match(detail?.key ?? "", /0020$/);
  });

  test("filters by what rows show", () => {
    const text = show(modelOf({ state: press("/", ..."vnif2".split(""), ENTER) }));
    assert.match(text, /filter: vnif2, 1 rows/);
    assert.doesNotMatch(text, /^ {2}30 /m);
  });

  test("asks for what is on the screen only", () => {
    assert.deepEqual(partsShown(press("2")), ["vifs"]);
    assert.deepEqual(partsShown(press(ENTER)), ["vnets", "vifs", "hosts"]);
    assert.deepEqual(partsShown(press("4")), ["vnets", "vifs", "hosts"]);
  });

  test("takes keys apart that come at once", () => {
    assert.deepEqual(splitKeys("q\x1b[A\x1bOB\x1b[15~\x1b\u{1f4a9}"), [
      ...["q", "\x1b[A", "\x1bOB", "\x1b[15~", "\x1b", "\u{1f4a9}"],
    ]);
    assert.ok(TOP_VIEWS.length <= 9, "each has a digit");
  });
});

describe("paint()", () => {
  const linesOf = (...texts: readonly string[]) =>
    texts.map((text) => ({ text, style: text.startsWith("!") ? "fault" : "plain" }) as const);

  test("turns any screen into any other", () => {
    const screen = fc.array(fc.stringMatching(/^[!a-z ]{0,12}[a-z]$/), { maxLength: 6 });
    fc.assert(
      fc.property(fc.array(screen, { minLength: 1 }), (screens) => {
        const terminal = new TerminalScreen();
        let before: ReturnType<typeof linesOf> | null = null;
        for (const texts of screens) {
          terminal.write(paint(before, linesOf(...texts), { color: true }));
          before = linesOf(...texts);
          assert.equal(terminal.text, texts.join("\n"));
        }
      }),
    );
  });

  test("writes only lines that differ", () => {
    const before = linesOf("one", "two", "three");
    assert.equal(paint(before, before, { color: true }), "");
    const text = paint(before, linesOf("one", "TWO", "three"), { color: true });
    assert.deepEqual([text.includes("TWO"), /one|three/.test(text)], [true, false]);
  });

  test("uses no colour when there shall be none", () => {
    for (const color of [true, false]) {
      const terminal = new TerminalScreen();
      terminal.write(paint(null, linesOf("! fault", "plain"), { color }));
      assert.equal(terminal.sawColor, color);
    }
  });
});

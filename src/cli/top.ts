/** `vn top`: what is carried now and what is wrong, live. */
import { Option } from "commander";
import type { ControlApi } from "../control/api.ts";
import { restAfter } from "../control/pace.ts";
import { findProblems, type Problem } from "../control/problems.ts";
import { addReading, type TrafficHistory } from "../control/rates.ts";
import { TRAFFIC_PARTS, type TrafficPart } from "../control/traffic-api.ts";
import { ParseError, quoteValue } from "../net/parse-error.ts";
import type { VnCommand } from "./command.ts";
import { type CliContext, UsageError } from "./context.ts";
import { paint, type ScreenLine } from "./paint.ts";
import type { Terminal } from "./terminal.ts";
import { printTop, printTopJson } from "./top-once.ts";
import { drawTop, type TopScreen } from "./top-screen.ts";
import {
  createTopState,
  partsShown,
  pressKey,
  splitKeys,
  TOP_VIEWS,
  type TopState,
  type TopView,
} from "./top-state.ts";

type TopOptions = {
  readonly once?: true;
  readonly json?: true;
  readonly view?: TopView;
  readonly delay: number;
};

const MS_PER_S = 1_000;
const DELAY_S_MIN = 0.2;
const DELAY_S_MAX = 60;
/** How many readings are of what is shown only, between two of everything: problems are everywhere. */
const PARTIAL_READINGS = 9;

export function addTopCommand(program: VnCommand, { io, control }: CliContext): void {
  program
    .command("top")
    .description("watch what vnets, VIFs and other hosts carry and drop, and what is wrong")
    .option("--once", "print it once, as text, and end")
    .option("--json", "with --once: counters, rates and problems as JSON")
    .addOption(
      new Option("--view <view>", "what to show first; with --once: only that").choices(TOP_VIEWS),
    )
    .option("-d, --delay <seconds>", "between two looks", parseDelay, 1)
    .addHelpText("after", "\nKeys: q quits, ? lists the others. No colours when NO_COLOR is set.")
    .examples(
      ["vn top", "live, in a terminal"],
      ["vn top --once", "the rates of one second, for a script"],
      ["vn top --once --view problems", "only what is wrong"],
      ["ssh -t root@host vn top --view hosts", "the other hosts that host knows"],
    )
    .action(async (options: TopOptions) => {
      const { once, json, view, delay } = options;
      const delayMs = delay * MS_PER_S;
      if (once === true) {
        const history = await readTwice(control(), delayMs);
        io.stdout(json === true ? printTopJson(history) : printTop(history, view ?? null));
        return;
      }
      if (json === true) {
        throw new UsageError("--json needs --once");
      }
      const api = control();
      // Before the terminal is touched: without a daemon this is a line and exit status 3.
      const history = addReading(null, await api.traffic.read(TRAFFIC_PARTS));
      const terminal = io.openTerminal();
      if (terminal === null) {
        throw new UsageError("this is no terminal that can be drawn on: say --once");
      }
      try {
        await new Top({ api, terminal, history, delayMs, view: view ?? "vnets" }).run();
      } finally {
        terminal.close();
      }
    });
}

async function readTwice(api: ControlApi, delayMs: number): Promise<TrafficHistory> {
  const first = addReading(null, await api.traffic.read(TRAFFIC_PARTS));
  await new Promise((resolve) => setTimeout(resolve, delayMs));
  return addReading(first, await api.traffic.read(TRAFFIC_PARTS));
}

/** @throws ParseError */
function parseDelay(text: string): number {
  const seconds = /^\d{1,2}(?:\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (seconds < DELAY_S_MIN || seconds > DELAY_S_MAX) {
    throw new ParseError(
      `Not a number of seconds, ${DELAY_S_MIN} … ${DELAY_S_MAX}: ${quoteValue(text)}`,
    );
  }
  return seconds;
}

type TopParts = {
  readonly api: ControlApi;
  readonly terminal: Terminal;
  readonly history: TrafficHistory;
  readonly delayMs: number;
  readonly view: TopView;
};

/** One run on one terminal: reads in its own time, draws at once when a key says so. */
class Top {
  readonly #parts: TopParts;
  #state: TopState;
  #history: TrafficHistory;
  #problems: readonly Problem[];
  #trouble: string | null = null;
  #shown: readonly ScreenLine[] | null = null;
  #screen: TopScreen;
  /** Readings since one of everything; the first two are, because rates need two. */
  #partialReadings = PARTIAL_READINGS;
  /** Ends the pause between two readings. */
  #wake: () => void = () => undefined;

  constructor(parts: TopParts) {
    this.#parts = parts;
    this.#state = createTopState(parts.view);
    this.#history = parts.history;
    this.#problems = findProblems(parts.history.latest, parts.history.rates);
    this.#screen = this.#draw();
  }

  /** Until the user quits or the terminal has gone. */
  async run(): Promise<void> {
    const { terminal, delayMs } = this.#parts;
    terminal.onRedraw(() => {
      this.#shown = null;
      this.#draw();
    });
    terminal.onInput((text) => this.#take(text));
    let restMs = delayMs;
    while (!this.#state.hasQuit) {
      await this.#pause(restMs);
      if (!this.#state.hasQuit) {
        restMs = await this.#read();
      }
    }
  }

  #take(text: string | null): void {
    const before = partsShown(this.#state);
    if (text === null) {
      this.#state = { ...this.#state, hasQuit: true };
    }
    for (const key of splitKeys(text ?? "")) {
      this.#state = pressKey(this.#state, key, this.#screen.context);
      this.#screen = this.#draw();
    }
    const isMore = partsShown(this.#state).some((part) => !before.includes(part));
    if (this.#state.hasQuit || isMore) {
      this.#wake();
    }
  }

  /** @returns how long to leave the daemon alone, in milliseconds */
  async #read(): Promise<number> {
    const startedAt = performance.now();
    const parts = this.#partsToRead();
    try {
      this.#history = addReading(this.#history, await this.#parts.api.traffic.read(parts));
      this.#trouble = null;
      this.#problems = findProblems(this.#history.latest, this.#history.rates);
    } catch (error) {
      // Whatever it is: it is told on the screen, and tried again.
      this.#trouble = error instanceof Error ? error.message : String(error);
      this.#partialReadings = PARTIAL_READINGS;
    }
    this.#screen = this.#draw();
    return restAfter(performance.now() - startedAt, this.#parts.delayMs);
  }

  #partsToRead(): readonly TrafficPart[] {
    if (this.#partialReadings >= PARTIAL_READINGS) {
      this.#partialReadings = 0;
      return TRAFFIC_PARTS;
    }
    this.#partialReadings += 1;
    return partsShown(this.#state);
  }

  #draw(): TopScreen {
    const { terminal } = this.#parts;
    const screen = drawTop({
      ...{ state: this.#state, history: this.#history, problems: this.#problems },
      ...{ trouble: this.#trouble, hostName: terminal.hostName, size: terminal.size() },
    });
    const text = paint(this.#shown, screen.lines, { color: terminal.hasColor });
    if (text !== "") {
      terminal.write(text);
    }
    this.#shown = screen.lines;
    return screen;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** The terminal that `vn` runs in, as one whole screen; given back as it was, however `vn` ends. */
import { writeSync } from "node:fs";
import { hostname } from "node:os";

export type Terminal = {
  /** Of the machine, for whoever has several terminals open. */
  readonly hostName: string;
  readonly hasColor: boolean;
  size(): ScreenSize;
  write(text: string): void;
  /** What was typed, as the terminal sends it; null: the terminal has gone. */
  onInput(take: (text: string | null) => void): void;
  /** Another size, or another program had the screen in between: draw all of it. */
  onRedraw(draw: () => void): void;
  close(): void;
};

export type ScreenSize = { readonly columns: number; readonly rows: number };

const STDOUT_FD = 1;
/** Alternate screen, no cursor, no wrapping at the last column. */
const ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
const LEAVE = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";
const CTRL_Z = "\x1a";
const SIGNALS = ["SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT"] as const;
/** Where a terminal does not tell. */
const DEFAULT_SIZE: ScreenSize = { columns: 80, rows: 24 };

/** Takes the terminal; null when input or output is none, or one that cannot be drawn on. */
export function openTerminal(environment: NodeJS.ProcessEnv): Terminal | null {
  const { stdin, stdout } = process;
  const { TERM, NO_COLOR } = environment;
  if (!stdin.isTTY || !stdout.isTTY || TERM === undefined || TERM === "" || TERM === "dumb") {
    return null;
  }
  let isOpen = false;
  let draw = (): void => undefined;
  const enter = (): void => {
    isOpen = true;
    stdin.setRawMode(true);
    writeSync(STDOUT_FD, ENTER);
  };
  const leave = (): void => {
    if (isOpen) {
      isOpen = false;
      stdin.setRawMode(false);
      // Not by the stream: at the end of a process nobody would wait for it.
      writeSync(STDOUT_FD, LEAVE);
    }
  };
  const dieOf = (signal: NodeJS.Signals): void => {
    close();
    process.kill(process.pid, signal);
  };
  const resume = (): void => {
    enter();
    draw();
  };
  const onResize = (): void => draw();
  const close = (): void => {
    leave();
    stdin.pause();
    stdin.removeAllListeners("data").removeAllListeners("end");
    stdout.off("resize", onResize);
    process.off("exit", leave).off("SIGCONT", resume);
    for (const signal of SIGNALS) {
      process.off(signal, dieOf);
    }
  };
  enter();
  process.on("exit", leave).on("SIGCONT", resume);
  for (const signal of SIGNALS) {
    process.on(signal, dieOf);
  }
  stdout.on("resize", onResize);
  return {
    hostName: hostname(),
    // no-color.org: whatever its value is, unless it is empty.
    hasColor: NO_COLOR === undefined || NO_COLOR === "",
    size: () => ({
      columns: stdout.columns || DEFAULT_SIZE.columns,
      rows: stdout.rows || DEFAULT_SIZE.rows,
    }),
    write: (text) => stdout.write(text),
    onInput(take) {
      stdin.setEncoding("utf8").on("data", (text: string) => {
        if (text === CTRL_Z) {
          leave();
          process.kill(process.pid, "SIGTSTP");
        } else {
          take(text);
        }
      });
      stdin.once("end", () => take(null));
    },
    onRedraw(redraw) {
      draw = redraw;
    },
    close,
  };
}

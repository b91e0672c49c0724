/** `vn watch`: what happens, as it happens. */
import { ControlError } from "../control/control-error.ts";
import { parseEventFilter } from "../control/event-filter.ts";
import { EVENT_KINDS, type EventView } from "../control/events-api.ts";
import type { VnCommand } from "./command.ts";
import type { CliContext } from "./context.ts";

const LINE_WIDTH_MAX = 90;
const FILTERS = `
Filters: of each kind given, one must fit.
  an event, or its first word (peer, vnet, vif, …):
    ${inLines(EVENT_KINDS)}
  vnet=VNET   vif=VIF   peer=ADDRESS`;

const KIND_WIDTH = Math.max(...EVENT_KINDS.map((kind) => kind.length));
const CLOCK_FROM = "2026-01-01T".length;
const CLOCK_TO = "2026-01-01T00:00:00.000".length;

export function addWatchCommand(program: VnCommand, { io, control }: CliContext): void {
  program
    .command("watch")
    .description("print events as they happen, until it is interrupted")
    .argument("[filter...]", "an event, vnet=VNET, vif=VIF or peer=ADDRESS")
    .option("--json", "a JSON object a line, with all fields")
    .addHelpText("after", FILTERS)
    .examples(
      ["vn watch", "everything"],
      ["vn watch vif vif=vif5.0", "what becomes of one VIF"],
      ["vn watch --json clone key-mismatch | logger -t vnet", "for another program"],
    )
    .action(async (words: readonly string[], { json }: { readonly json?: true }) => {
      const lines = linesOf(await control().watchEvents(parseEventFilter(words)));
      io.endOnInterrupt();
      for await (const line of lines) {
        await io.print(json === true ? `${line}\n` : formatEvent(JSON.parse(line) as EventView));
      }
      throw new ControlError("VNETD_STOPPING", "vnetd has gone");
    });
}

/** `20:01:57.114 ! mac-duplicate    two hosts seem to have …`; times of the day in UTC. */
function formatEvent({ at, level, event, message }: EventView): string {
  const mark = level === "warning" ? "!" : " ";
  return `${at.slice(CLOCK_FROM, CLOCK_TO)} ${mark} ${event.padEnd(KIND_WIDTH)}  ${message}\n`;
}

async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

function inLines(words: readonly string[]): string {
  const lines = [""];
  for (const word of words) {
    const line = `${lines.at(-1)} ${word}`.trim();
    if (line.length <= LINE_WIDTH_MAX) {
      lines[lines.length - 1] = line;
    } else {
      lines.push(word);
    }
  }
  return lines.join("\n    ");
}

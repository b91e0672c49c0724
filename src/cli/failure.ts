/** What becomes of a failure: `vn: what failed: why (the value)`, and the exit status. */
import { NoDaemonError } from "../control/client.ts";
import { ControlError } from "../control/control-error.ts";
import { ParseError } from "../net/parse-error.ts";
import { UsageError } from "./context.ts";

const EXIT_FAILED = 1;
const EXIT_BAD_INPUT = 2;
const EXIT_NO_DAEMON = 3;

/** A message that says itself what could not be done. */
const SAYS_WHAT_FAILED = /^[Cc]annot /;
/** The value at the end of a message, `…: "x"`. */
const VALUE_AT_END = /: ("(?:[^"\\]|\\.)*")$/;

export function describeFailure(
  error: unknown,
  command: string | null,
): { readonly line: string; readonly exitStatus: number } {
  const message = error instanceof Error ? error.message : String(error);
  // Whatever a program of the host or a file name has in it: this is one line.
  const text = message.replaceAll(/\s*[\r\n]+\s*/g, " ").replace(VALUE_AT_END, " ($1)");
  const line = SAYS_WHAT_FAILED.test(text)
    ? `vn: c${text.slice(1)}`
    : ["vn", ...(command === null ? [] : [command]), text].join(": ");
  return { line, exitStatus: exitStatusOf(error) };
}

function exitStatusOf(error: unknown): number {
  if (error instanceof NoDaemonError) {
    return EXIT_NO_DAEMON;
  }
  if (error instanceof ControlError) {
    return error.status === 400 ? EXIT_BAD_INPUT : EXIT_FAILED;
  }
  const badInput = error instanceof UsageError || error instanceof ParseError;
  return badInput ? EXIT_BAD_INPUT : EXIT_FAILED;
}

/** `vn eval`: the control protocol of the original, one expression at a time. */
import { EVAL_REFERENCE } from "../vnet/eval.ts";
import { formText } from "../vnet/sexpr-reference.ts";
import type { VnCommand } from "./command.ts";
import type { CliContext } from "./context.ts";

const HELP_COLUMNS = 76;

const COMMANDS = `
Commands, what may be left out in square brackets:
${EVAL_REFERENCE.map((form) => formText(form, HELP_COLUMNS).replaceAll(/^/gm, "  ")).join("\n")}`;

export function addEvalCommand(program: VnCommand, { io, control }: CliContext): void {
  program
    .command("eval")
    .description("run one low-level command of the original control protocol")
    .argument("<expr>", "an S-expression; quote it for the shell")
    .addHelpText("after", COMMANDS)
    .examples(
      ["vn eval '(vnet.list)'", "the vnets"],
      ["vn eval '(varp.mcaddr (addr 224.10.0.2))'", "use another multicast group"],
    )
    .action(async (expression: string) => {
      const text = await control().evaluate(expression);
      io.stdout(text === "" || text.endsWith("\n") ? text : `${text}\n`);
    });
}

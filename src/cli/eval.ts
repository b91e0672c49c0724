/** `vn eval`: the control protocol of the original, one expression at a time. */
import type { VnCommand } from "./command.ts";
import type { CliContext } from "./context.ts";

const COMMANDS = `
Commands:
  (vnet.add (id ID) [(vnetif NAME)] [(bridge NAME)] [(security none)])
  (vnet.del (id ID))        (vnet.list)
  (vif.add (vnet ID) (vmac MAC))
  (vif.del (vnet ID) (vmac MAC))        (vif.list)
  (peer.add (addr ADDR) [(port PORT)])
  (peer.del (addr ADDR))    (peer.list)
  (varp.list)  (varp.flush)  (varp.print)  (varp.mcaddr (addr GROUP))`;

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

/** `vn completion`: the scripts that complete `vn`'s command lines, made from its own commands. */
import { Argument } from "commander";
import type { VnCommand } from "./command.ts";
import { describeCommands } from "./command-tree.ts";
import { bashCompletion } from "./completion-bash.ts";
import { fishCompletion } from "./completion-fish.ts";
import { zshCompletion } from "./completion-zsh.ts";
import type { CliContext } from "./context.ts";

const SHELLS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;

export function addCompletionCommand(program: VnCommand, { io }: CliContext): void {
  program
    .command("completion")
    .description("print the completion script of a shell")
    .addArgument(new Argument("<shell>", "the shell").choices(["bash", "zsh", "fish"]))
    .examples(
      ["source <(vn completion bash)", "for this shell"],
      ["vn completion bash >/etc/bash_completion.d/vn", "for everybody"],
      ["vn completion zsh >/usr/share/zsh/site-functions/_vn", "for everybody, in zsh"],
      ["vn completion fish >~/.config/fish/completions/vn.fish", "for you, in fish"],
    )
    .action((shell: keyof typeof SHELLS) => {
      io.stdout(SHELLS[shell](describeCommands(program)));
    });
}

/** The zsh script of `vn completion zsh`. */
import {
  type ArgumentNode,
  type CommandNode,
  type CommandTree,
  NAME_KINDS,
  type OptionNode,
  type WordKind,
} from "./command-tree.ts";
import { ASK_DAEMON } from "./completion-names.ts";

/** One `_arguments` call for `vn` and one for each command; live names come from functions. */
export function zshCompletion(tree: CommandTree): string {
  return `#compdef vn
# zsh completion for vn; made by \`vn completion zsh\`.

# Names of kind $1, of vnet $2 where it matters, asked of the daemon in run directory $3.
_vn_ask() {
${ASK_DAEMON}
}

_vn_names() {
  local -a names
  names=(\${(f)"$(_vn_ask $1 "$line[1]" \${\${(Q)opt_args[--run-dir]}:-\${VNETD_RUN_DIR:-/run/vnetd}})"})
  compadd -a names
}

${NAME_KINDS.map((kind) => `_vn_${kind}() { _vn_names ${kind}; }`).join("\n")}

_vn_device() { compadd -- /sys/class/net/*(N:t); }

_vn_command() {
  local -a commands=(
${tree.commands.flatMap(commandLines).join("")}  )
  _describe -t commands command commands
}

_vn() {
  local curcontext=$curcontext state
  local -a line
  local -A opt_args
  _arguments -C \\
${[...tree.options.map(optionSpec), "'1:command:_vn_command'", "'*::argument:->arguments'"]
  .map((spec) => `    ${spec}`)
  .join(" \\\n")} && return
  [[ $state == arguments ]] || return 1
  case $line[1] in
${tree.commands.map((command) => commandCase(command, tree.options)).join("")}  esac
}

if [[ $funcstack[1] == _vn ]]; then
  _vn "$@"
else
  compdef _vn vn
fi
`;
}

function commandLines({ names, description }: CommandNode): string[] {
  return names.map((name) => `    ${quote(`${name}:${description}`)}\n`);
}

function commandCase(command: CommandNode, common: readonly OptionNode[]): string {
  const specs = [...command.options, ...common].map(optionSpec);
  const places = command.arguments.map(argumentSpec);
  const own = [...new Set([...specs, ...places])];
  const lines = own.map((spec) => `        ${spec}`).join(" \\\n");
  return `    ${command.names.join(" | ")})\n      _arguments -S \\\n${lines}\n      ;;\n`;
}

function optionSpec({ flags, description, value }: OptionNode): string {
  const text = `[${description.replaceAll(/[[\]:]/g, " ")}]`;
  const action = value === null ? "" : `:value:${actionOf(value)}`;
  if (flags.length === 1) {
    return quote(`${flags[0]}${text}${action}`);
  }
  // `'(-o --output)'{-o,--output}'[…]'`: one of them is enough.
  return `'(${flags.join(" ")})'{${flags.join(",")}}${quote(text + action)}`;
}

function argumentSpec({ name, repeated, value }: ArgumentNode): string {
  return quote(`${repeated ? "*" : ""}:${name.replaceAll("|", " or ")}:${actionOf(value)}`);
}

function actionOf(value: WordKind): string {
  switch (value.kind) {
    case "choices":
      return `(${value.words.join(" ")})`;
    case "file":
      return "_files";
    case "directory":
      return "_files -/";
    case "any":
      return " ";
    default:
      return `_vn_${value.kind}`;
  }
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

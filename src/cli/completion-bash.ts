/** The bash script of `vn completion bash`. */
import type { CommandTree, OptionNode, WordKind } from "./command-tree.ts";
import { ASK_DAEMON } from "./completion-names.ts";

/**
 * Three tables (options, what follows an option, what stands in a place) as functions of `case`s,
 * and one function that asks them. The words are taken from COMP_LINE and not from COMP_WORDS,
 * because bash parts MAC addresses and vnet ids at their colons.
 */
export function bashCompletion(tree: CommandTree): string {
  const names = tree.commands.flatMap((command) => command.names);
  return `# bash completion for vn; made by \`vn completion bash\`.

_vn_commands() { printf '%s\\n' ${names.join(" ")}; }

# Options of command $1; without one, those that go with all.
_vn_options() {
  case $1 in
${tree.commands.map(optionsCase).join("")}  esac
  printf '%s\\n' ${flagsOf(tree.options)}
}

# What follows option $2 of command $1, as a kind; fails when nothing does.
_vn_option_value() {
  case "$1 $2" in
${tree.commands.flatMap(({ names: own, options }) => valueCases(own, options)).join("")}  esac
  case $2 in
${valueCases(null, tree.options).join("")}    *) return 1 ;;
  esac
}

# What stands in place $2, from 0, of command $1, as a kind.
_vn_place() {
  case "$1 $2" in
${tree.commands.flatMap(placeCases).join("")}    *) echo any ;;
  esac
}

${BASH_TAIL}`;
}

const BASH_TAIL = `# The words of kind $1, one a line. $2: the vnet that stands before, $3: vnetd's run directory.
_vn_words() {
  case $1 in
    choices:*) printf '%s\\n' "\${1#choices:}" | tr , '\\n' ;;
    device) for device in /sys/class/net/*; do echo "\${device##*/}"; done ;;
    any) ;;
    *)
${ASK_DAEMON}
      ;;
  esac
}

_vn() {
  local line=\${COMP_LINE:0:COMP_POINT} current command='' kind='' place=0 vnet='' word i
  local -a words
  local run_dir=\${VNETD_RUN_DIR:-/run/vnetd}
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  current=\${words[-1]}
  for ((i = 1; i < \${#words[@]} - 1; i++)); do
    word=\${words[i]}
    if [[ $word == -* ]]; then
      if _vn_option_value "$command" "$word" >/dev/null; then
        # Live names are asked for where the line asks.
        [[ $word == --run-dir ]] && run_dir=\${words[i + 1]}
        ((i++))
      fi
    elif [[ -z $command ]]; then
      command=$word
    else
      ((place == 0)) && vnet=$word
      ((++place))
    fi
  done
  COMPREPLY=()
  if ((i == \${#words[@]})); then
    kind=$(_vn_option_value "$command" "\${words[i - 2]}")
  elif [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_vn_options "$command")" -- "$current")
    return
  elif [[ -z $command ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_vn_commands)" -- "$current")
    return
  else
    kind=$(_vn_place "$command" "$place")
  fi
  case $kind in
    file)
      compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      ;;
    directory)
      compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -d -- "$current")
      ;;
    *)
      mapfile -t COMPREPLY < <(compgen -W "$(_vn_words "$kind" "$vnet" "$run_dir")" -- "$current")
      ;;
  esac
  if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then
    COMPREPLY=("\${COMPREPLY[@]#"\${current%"\${current##*:}"}"}")
  fi
}

complete -F _vn vn
`;

function optionsCase({ names, options }: CommandTree["commands"][number]): string {
  return options.length === 0
    ? ""
    : `    ${names.join(" | ")}) printf '%s\\n' ${flagsOf(options)} ;;\n`;
}

function valueCases(names: readonly string[] | null, options: readonly OptionNode[]): string[] {
  return options.flatMap(({ flags, value }) => {
    if (value === null) {
      return [];
    }
    const patterns =
      names === null ? flags : names.flatMap((name) => flags.map((flag) => `"${name} ${flag}"`));
    const result = names === null ? `echo ${kindWord(value)}` : `echo ${kindWord(value)} && return`;
    return [`    ${patterns.join(" | ")}) ${result} ;;\n`];
  });
}

function placeCases(command: CommandTree["commands"][number]): string[] {
  return command.arguments.map((argument, index) => {
    const place = argument.repeated ? "*" : String(index);
    const patterns = command.names.map((name) => `"${name} "${place}`);
    return `    ${patterns.join(" | ")}) echo ${kindWord(argument.value)} ;;\n`;
  });
}

function kindWord(value: WordKind): string {
  return value.kind === "choices" ? `choices:${value.words.join(",")}` : value.kind;
}

function flagsOf(options: readonly OptionNode[]): string {
  return options.flatMap(({ flags }) => flags).join(" ");
}

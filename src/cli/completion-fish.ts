/** The fish script of `vn completion fish`. */
import type { CommandNode, CommandTree, OptionNode, WordKind } from "./command-tree.ts";

/** One `complete` for each command, option and place; live names come from a function. */
export function fishCompletion(tree: CommandTree): string {
  return `# fish completion for vn; made by \`vn completion fish\`.

# The words on the line that are neither options nor their values, without vn.
function __vn_words
    set -l words (commandline -opc)
    set -l valued ${valued(tree.options)}
    set -l command ''
    set -l skip 0
    for word in $words[2..-1]
        if test $skip = 1
            set skip 0
        else if contains -- $word $valued
            set skip 1
        else if not string match -q -- '-*' $word
            echo $word
            if test -z "$command"
                set command $word
                switch $command
${tree.commands.map(valuedCase).join("")}                end
            end
        end
    end
end

# Whether the command on the line is one of the names.
function __vn_is
    set -l words (__vn_words)
    test (count $words) -gt 0; and contains -- $words[1] $argv
end

# Whether the command is one of the names from the second on, and place $1, from 1, comes next.
function __vn_at
    set -l words (__vn_words)
    test (count $words) -eq $argv[1]; and contains -- $words[1] $argv[2..-1]
end

function __vn_none
    test (count (__vn_words)) -eq 0
end

# Names of kind $1, from the daemon whose --run-dir stands on the line. By vn-notify, which is
# beside vn or where packages put it, because it answers before vn has started.
function __vn_names
    set -l run_dir /run/vnetd
    set -q VNETD_RUN_DIR[1]; and test -n "$VNETD_RUN_DIR"; and set run_dir $VNETD_RUN_DIR
    set -l line (commandline -opc)
    set -l at (contains -i -- --run-dir $line); and set run_dir $line[(math $at + 1)]
    set -l query "/names?kind=$argv[1]"
    if contains -- $argv[1] mac key
        set -l words (__vn_words)
        set query "$query&vnet=$words[2]"
    end
    set -l places (dirname (realpath (command -s vn)))/vn-notify /usr/libexec/vnetd/vn-notify \\
        /usr/lib/vnetd/vn-notify /usr/local/libexec/vnetd/vn-notify
    for program in $places
        if test -x $program
            $program --run-dir $run_dir --deadline-ms 500 --get $query 2>/dev/null
            return
        end
    end
end

complete -c vn -f
${tree.options.map((option) => optionLine(option, null)).join("")}
${tree.commands.map(({ names: own, description }) => own.map((name) => `complete -c vn -n __vn_none -a ${name} -d ${quote(description)}\n`).join("")).join("")}
${tree.commands.map(commandLines).join("")}`;
}

/** The options that a word follows. */
function valued(options: readonly OptionNode[]): string {
  return options
    .filter(({ value }) => value !== null)
    .flatMap(({ flags }) => flags)
    .join(" ");
}

function valuedCase({ names, options }: CommandNode): string {
  const flags = valued(options);
  const indent = " ".repeat(20);
  return flags === ""
    ? ""
    : `${indent}case ${names.join(" ")}\n${indent}    set -a valued ${flags}\n`;
}

function commandLines(command: CommandNode): string {
  const names = command.names.join(" ");
  const options = command.options.map((option) => optionLine(option, `__vn_is ${names}`));
  const places = command.arguments.flatMap(({ repeated, value }, index) => {
    const words = wordsOf(value);
    const when = repeated ? `__vn_is ${names}` : `__vn_at ${index + 1} ${names}`;
    return words === "" ? [] : [`complete -c vn -n ${quote(when)} ${words}\n`];
  });
  return [...options, ...places].join("");
}

function optionLine({ flags, description, value }: OptionNode, when: string | null): string {
  const parts = flags.map((flag) =>
    flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`,
  );
  // -x: a word has to follow, and it is no file unless wordsOf says so.
  const words = value === null ? "" : `${value.kind === "file" ? "-r" : "-x"} ${wordsOf(value)}`;
  const condition = when === null ? [] : [`-n ${quote(when)}`];
  const all = ["complete -c vn", ...condition, ...parts, words, `-d ${quote(description)}`];
  return `${all
    .map((part) => part.trimEnd())
    .filter((part) => part !== "")
    .join(" ")}\n`;
}

function wordsOf(value: WordKind): string {
  switch (value.kind) {
    case "choices":
      return `-a ${quote(value.words.join(" "))}`;
    case "file":
      return "-F";
    case "directory":
      return `-a ${quote("(__fish_complete_directories)")}`;
    case "device":
      return `-a ${quote("(command ls /sys/class/net)")}`;
    case "any":
      return "";
    default:
      return `-a ${quote(`(__vn_names ${value.kind})`)}`;
  }
}

function quote(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

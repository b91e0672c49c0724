#!/usr/bin/env zsh
# Prints what zsh would offer for a line on which Tab is hit: one match a line.
#
# usage: zsh -f complete.zsh SCRIPT LINE DIR
#   SCRIPT  the completion script;  DIR  a folder for this program's own files
#
# Completion works in the line editor only, so there is an inner zsh on a pseudo-terminal. In it
# compadd, through which every match goes, writes the matches to a file instead of adding them.
emulate -R zsh
zmodload zsh/zpty
script=$1 line=$2 dir=$3
rm -f $dir/matches
cat >$dir/.zshrc <<END
PROMPT='' RPROMPT=''
unsetopt prompt_cr prompt_sp zle_bracketed_paste 2>/dev/null
autoload -Uz compinit
compinit -D -u
source ${(q)script}
matches=${(q)dir}/matches
END
cat >>$dir/.zshrc <<'END'
compadd() {
  # -A, -O and -D ask compadd a question and add nothing.
  if [[ -n ${(M)@:#-(A|O|D)} ]]; then
    builtin compadd "$@"
    return
  fi
  local -a found
  builtin compadd -A found "$@"
  (( $#found )) || return 1
  print -rl -- $found >>$matches
}
zle -C offer list-choices _main_complete
show() { zle offer; print -r -- "offer-is-done" }
zle -N show
bindkey '^T' show
print -r -- "inner-is-ready"
END
export ZDOTDIR=$dir
zpty inner zsh -d -i
zpty -r inner output '*inner-is-ready*' || exit 1
zpty -w -n inner "$line"$'\x14'
zpty -r inner output '*offer-is-done*' || exit 1
zpty -d inner
[[ ! -e $dir/matches ]] || cat $dir/matches

/** Shells that there is a script for. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

/*
 * Each script asks the program itself, `completion <shell> -- <words…>`, the last word being what is
 * typed. It answers a line for each candidate, its value and after a tab what it is; `:files` says that
 * a path may stand there too.
 */

/**
 * Bash breaks words at `@`, `:` and `=`, and replaces only what comes after the last one: the words are
 * read from the line itself, and of each candidate the part that stands already is taken off.
 */
const BASH = `# completion of lastgood and mlops for bash
_lastgood() {
  local line="\${COMP_LINE:0:COMP_POINT}" files= value kept= breaks="\${COMP_WORDBREAKS//[^@:=]/}"
  local -a words
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  local current="\${words[\${#words[@]} - 1]}"
  [ -n "$breaks" ] && kept="\${current%"\${current##*[$breaks]}"}"
  COMPREPLY=()
  compopt -o nosort 2>/dev/null
  while IFS= read -r value; do
    value="\${value%%$'\\t'*}"
    if [ "$value" = ":files" ]; then
      files=yes
    else
      [[ $value == *[@=] ]] && compopt -o nospace 2>/dev/null
      COMPREPLY+=("\${value#"$kept"}")
    fi
  done < <("$1" completion bash -- "\${words[@]:1}" 2>/dev/null)
  if [ -n "$files" ]; then
    compopt -o filenames -o default 2>/dev/null
    while IFS= read -r value; do COMPREPLY+=("$value"); done < <(compgen -f -- "$current")
  fi
}
complete -F _lastgood lastgood mlops`;

const ZSH = `#compdef lastgood mlops
# completion of lastgood and mlops for zsh
_lastgood() {
  local line value files=
  local -a values shown open
  for line in "\${(@f)$("\${words[1]}" completion zsh -- "\${(@Q)words[2,CURRENT]}" 2>/dev/null)}"; do
    value="\${line%%$'\\t'*}"
    case "$value" in
      '') ;;
      :files) files=yes ;;
      *[@=]) open+=("$value") ;;
      *)
        values+=("$value")
        [[ "$line" == *$'\\t'?* ]] && shown+=("$value  \${line#*$'\\t'}") || shown+=("$value")
        ;;
    esac
  done
  local added=1
  (( \${#open} )) && compadd -V lastgood-open -S '' -a open && added=0
  (( \${#values} )) && compadd -V lastgood -l -d shown -a values && added=0
  [[ -n "$files" ]] && _files && added=0
  return added
}
if [ "\${funcstack[1]}" = "_lastgood" ]; then _lastgood "$@"; else compdef _lastgood lastgood mlops; fi`;

const FISH = `# completion of lastgood and mlops for fish
function __lastgood_complete
    set -l typed (commandline -opc)
    set -l current (commandline -ct)
    for line in ($typed[1] completion fish -- $typed[2..-1] "$current" 2>/dev/null)
        if test "$line" = :files
            __fish_complete_path "$current"
        else
            echo $line
        end
    end
end
complete -c lastgood -k -f -a '(__lastgood_complete)'
complete -c mlops -k -f -a '(__lastgood_complete)'`;

/** A script for the shell that completes verbs, flags, and the names that the server knows. */
export function completionScript(shell: (typeof SHELLS)[number]): string {
  return { bash: BASH, zsh: ZSH, fish: FISH }[shell];
}

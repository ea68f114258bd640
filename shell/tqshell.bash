# Completion of tqshell's arguments in bash: options and what belongs behind them, database files, commands.
# tests/shell/surface.py holds the options against `tqshell -help`.
_tqshell_files() { # <word> <regular expression>: files whose names end so, and folders
    local file
    while IFS= read -r file; do
        if [ -d "$file" ] || [[ $file =~ $2 ]]; then COMPREPLY+=("$file"); fi
    done < <(compgen -f -- "$1")
}

_tqshell() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} at database="" options
    options="-bail -batch -box -cmd -column -csv -echo -header -help -html -init -interactive -json -jsonl -line -list
        -markdown -newline -noheader -nullvalue -quote -readonly -safe -separator -table -tabs -version"
    COMPREPLY=()
    case $before in
    -init | --init)
        _tqshell_files "$word" ""
        compopt -o filenames 2>/dev/null || : # it fails where nobody waits for completions
        return
        ;;
    -cmd | --cmd | -newline | --newline | -nullvalue | --nullvalue | -separator | --separator) return ;;
    esac
    for ((at = 1; at < COMP_CWORD; at++)); do
        case ${COMP_WORDS[at]} in
        -cmd | --cmd | -init | --init | -newline | --newline | -nullvalue | --nullvalue | -separator | --separator) at=$((at + 1)) ;;
        -*) ;;
        *) database=${COMP_WORDS[at]} ;;
        esac
    done
    if [ -n "$database" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$("${COMP_WORDS[0]}" :memory: .help 2>/dev/null |
            sed -n 's/^\(\.[a-z]*\).*/\1/p')" -- "$word")
    elif [[ $word == --* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "${options//-/--}" -- "$word")
    elif [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
    else
        _tqshell_files "$word" '\.(db|db3|s3db|sqlite|sqlite3)$'
        compopt -o filenames 2>/dev/null || :
    fi
}

complete -F _tqshell tqshell

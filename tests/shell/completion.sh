#!/bin/bash
# Completion of tqshell's arguments in bash. tests/shell/completion.sh <build folder>
set -euo pipefail

PATH=$(cd "$1" && pwd):$PATH
here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
source "$here/../../shell/tqshell.bash"
mkdir folder
touch words.db words.txt "two words.sqlite" start.sql
passed=0
failed=0

completes() { # <words, "|" between them> <the last word of the line> <what comes before it>...
    local want=$1 got
    COMP_WORDS=(tqshell "${@:3}" "$2")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _tqshell
    got=$(printf '%s\n' "${COMPREPLY[@]+"${COMPREPLY[@]}"}" | sort | paste -sd '|')
    if [ "$got" = "$want" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: tqshell ${*:3} $2<Tab>: '$got', not '$want'" >&2
    fi
}

completes '-header|-help' -he
completes '--header|--help' --he
completes '-readonly' -r
completes '-table|-tabs' -ta -csv
completes '' -nonsense
completes 'folder|two words.sqlite|words.db' ''
completes 'words.db' wo -json
completes 'two words.sqlite' two
completes 'start.sql' st -init
completes '' st -cmd
completes 'words.db' w -cmd .tables
completes '.import|.indexes|.info' .i words.db
completes '.import' .im -nullvalue NULL words.db
completes '' SEL words.db
complete -p tqshell | grep -q -- '-F _tqshell'

echo "completion: $passed passed, $failed failed"
test "$failed" -eq 0

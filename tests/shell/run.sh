#!/bin/bash
# tqshell without a terminal: sessions whose output is known (*.tqs, *.expected), failures, exit statuses, bad files.
#   tests/shell/run.sh <build folder>       TQ_ACCEPT=1 writes the *.expected anew: read what git diff says then
set -euo pipefail

shell=$(cd "$1" && pwd)/tqshell
here=$(cd "$(dirname "$0")" && pwd)
. "$here/checks.bash"

session() { # <file.tqs>
    local name status=0
    name=$(basename "$1" .tqs)
    "$shell" "$name.db" <"$1" >"$name.raw" 2>&1 || status=$?
    { constant <"$name.raw" && echo "status $status"; } >"$name.out"
    if [ -n "${TQ_ACCEPT:-}" ]; then cp "$name.out" "$here/$name.expected"; fi
    status=0
    diff -u "$here/$name.expected" "$name.out" >&2 || status=1
    note "$name.tqs" "$status"
}

export TQ_GPU=off
for file in "$here"/*.tqs; do session "$file"; done

# ---- Options ----
prints '1' -csv :memory: 'SELECT 1'
prints $'a\n1' -csv -header :memory: 'SELECT 1 AS a'
prints '[{"a":1}]' --json :memory: 'SELECT 1 AS a'
prints '[]' -json :memory: 'SELECT 1 WHERE 0'
prints $'1\n2' -csv :memory: 'SELECT 1' 'SELECT 2;'
prints 'a = 1' -line -- :memory: 'SELECT 1 AS a'
prints '1' -column -noheader :memory: 'SELECT 1 AS a'
prints "tqshell $("$shell" -csv :memory: 'SELECT tq_version()'), SQLite $(
    "$shell" -csv :memory: 'SELECT sqlite_version()')" -version
"$shell" -help | grep -q '^usage: tqshell'
note "-help" $?
fails 2 'unknown option -nonsense' -nonsense
fails 1 'no such column: bogus' :memory: 'SELECT bogus' 'SELECT 2'
test ! -s fails.out
note "nothing runs behind a failure" $?
fails 1 'incomplete input' :memory: 'SELECT'
fails 1 'unable to open database file' missing/x.db 'SELECT 1'
fails 1 'file is not a database' "$here/run.sh" 'SELECT 1'
fails 1 'unable to open' -readonly absent.db 'SELECT 1'
test ! -e absent.db
note "-readonly makes no file" $?
prints '' readonly.db 'CREATE TABLE t(x)'
fails 1 'attempt to write a readonly database' -readonly readonly.db 'INSERT INTO t VALUES(1)'
status=0
"$shell" :memory: 'SELECT 1' >/dev/full 2>fails.err || status=$?
if [ $status -eq 1 ] && grep -q 'No space left' fails.err; then status=0; else status=1; fi
note "a full disk is a failure" $status

status=0
timeout --preserve-status -s INT 1 "$shell" :memory: 'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)
    SELECT count(*) FROM c' 2>fails.err || status=$?
if [ $status -eq 130 ] && grep -q 'interrupted' fails.err; then status=0; else status=1; fi
note "Ctrl-C in a script" $status

# ---- Commands ----
fails 1 'unknown command ".bogus"; .help lists them' :memory: '.bogus'
fails 1 'ambiguous command ".ex"' :memory: '.ex'
fails 1 'it must be table, box, column, markdown, line, list, tabs, csv, json, jsonl, quote, insert or html' :memory: \
    '.mode ascii'
fails 1 'usage: .timer on|off' :memory: '.timer maybe'
fails 1 'a quote is not closed' :memory: ".read 'x"
fails 1 'missing.sql: No such file' :memory: '.read missing.sql'
fails 1 '.: Is a directory' :memory: '.read .'
fails 1 'no such table: t' :memory: '.schema t'
fails 1 'no such table' :memory: '.info t'
fails 1 'not a tq table' :memory: 'CREATE TABLE t(x); SELECT 1' '.info t'
fails 1 'no tq table has been queried yet' :memory: '.explain'
printf 'SELECT 1;\n\nSELECT\n  bogus;\n' >wrong.sql
fails 1 'wrong.sql:3: no such column: bogus' :memory: '.read wrong.sql'
echo '.read loop.sql' >loop.sql
fails 1 '.read is nested more than' :memory: '.read loop.sql'
for file in missing/x.db "$here/run.sh"; do
    fails 1 "$file: " :memory: 'CREATE TABLE kept(x)' ".open $file"
done

done_with shell

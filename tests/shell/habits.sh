#!/bin/bash
# What people know from sqlite3: scripts that go on, where results go, modes, options, and text as it comes.
#   tests/shell/habits.sh <build folder>
set -euo pipefail

shell=$(cd "$1" && pwd)/tqshell
here=$(cd "$(dirname "$0")" && pwd)
. "$here/checks.bash"

feeds() { # <status> <output and messages> <standard input> <argument of tqshell>...
    local status=0 got want=$2
    got=$(printf "$3" | "$shell" "${@:4}" 2>&1) || status=$?
    if [ "$status" -eq "$1" ] && [ "$got" = "$want" ]; then
        note "$3" 0
    else
        note "$(printf 'input:\n%s\nstatus %d, not %d; wanted:\n%s\ngot:\n%s' "$3" "$status" "$1" "$want" "$got")" 1
    fi
}

mark='  SELECT bogus;
         ^--- error here'

# ---- Scripts go on, arguments stop ----
feeds 1 "stdin:1: no such column: bogus
$mark
2" 'SELECT bogus;\nSELECT 2;\n' -list
feeds 1 "stdin:1: no such column: bogus
$mark" 'SELECT bogus;\nSELECT 2;\n' -list -bail
feeds 1 "2
stdin:3: no such column: bogus
$mark" 'SELECT 2;\n.bail on\nSELECT bogus;\nSELECT 3;\n' -list
feeds 1 "1
stdin:1: no such column: bogus
  SELECT bogus; SELECT 3;
         ^--- error here
4" 'SELECT 1; SELECT bogus; SELECT 3;\nSELECT 4;' -list
printf 'SELECT bogus;\nSELECT 2;\n' >wrong.sql
feeds 1 "wrong.sql:1: no such column: bogus
$mark
2
3" '.read wrong.sql\nSELECT 3;\n' -list
feeds 1 "wrong.sql:1: no such column: bogus
$mark" '.read wrong.sql\nSELECT 3;\n' -list -bail
fails 1 'wrong.sql:1: no such column: bogus' :memory: '.read wrong.sql' 'SELECT 3'
feeds 0 $'1\n3' '.read "|echo SELECT 1;"\n.read "|echo .quit; echo SELECT 2"\nSELECT 3;' -list
fails 1 'the program failed' :memory: '.read "|echo; exit 3"'
echo '.read loop.sql' >loop.sql
echo '.read loop.sql' >>loop.sql
fails 1 'loop.sql:1: .read is nested more than 16 deep' :memory: '.read loop.sql'
test "$(wc -l <fails.err)" -eq 1
note 'scripts that read themselves end at once' $?
status=0
"$shell" :memory: .print '.exit 7' '.print never' >exit.out || status=$?
if [ "$status" -eq 7 ] && [ ! -s exit.out ] || [ "$(cat exit.out)" = '' ]; then status=0; fi
note '.exit STATUS' $status
printf '.exit 4\nSELECT 1;\n' >exit.sql
feeds 4 '' '.read exit.sql\nSELECT 2;\n'
fails 1 'exit status is 256; it must be 0 to 255' :memory: '.exit 256'
feeds 1 'stdin:2: unknown command ".nope"; .help lists them
notice: a transaction was not committed; it is rolled back' 'BEGIN;\n.nope\n' -bail

# ---- Places of errors ----
feeds 1 'stdin:3: no such column: wrong
  SELECT a,  wrong FROM (SELECT 1 AS a);
             ^--- error here' '\n\nSELECT a,\n\twrong FROM (SELECT 1 AS a);' -list
feeds 1 "stdin:1: no such column: wrong
  本語', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', wrong;
                                      error here ---^" \
    "SELECT 'größe 日本語', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', wrong;" -list
feeds 1 'stdin:1: no such table: t' 'SELECT * FROM t;' -list

# ---- Text as it comes ----
feeds 0 $'1\n2' '\xef\xbb\xbfSELECT 1;\r\nSELECT\r\n2;\r\n' -list
feeds 0 'a' '\xef\xbb\xbf.print a\n'
feeds 1 'stdin:2: byte 8 of the line is NUL, which ends no text
3' 'SELECT\n 1, '"'"'a;\x00b;\nSELECT 3;' -list
feeds 0 $'1;\n;2\n3' "SELECT '1;\n;2';\n/* ; \n ; */ SELECT 3; -- ;\n" -list
feeds 0 '1|2' 'SELECT 1 AS [x;y"], 2;' -list
python3 -c "print(\"SELECT length('\" + 'x;' * 5000000 + \"');\")" >long.sql
python3 -c "print(\"SELECT length('\" + 'x;\n' * 300000 + \"');\")" >>long.sql
prints $'10000000\n900000' -list :memory: '.read long.sql'
feeds 1 'stdin:1: a blank is missing behind a quote' '.print "a"b\n'
feeds 0 $'it\'s a\tb \\t a"b c d' ".print 'it''s' \"a\\\\tb\" '\\\\t' \"a\\\\\"b\" c\\\\ d\n"

# ---- Where results go ----
feeds 0 $'1\n4' ".once one.txt\nSELECT 2;\nSELECT 1;\n.output two.txt\nSELECT 3;\n.print x\n.output\nSELECT 4;\n" -list
test "$(cat one.txt two.txt)" = $'2\n3\nx'
note '.once and .output' $?
feeds 0 $'     1\t5' '.once "|cat -n"\nSELECT 5;\n' -list
feeds 0 $'12345head 1' '.once |head -c 5\nSELECT 123456;\n.print "head 1"\n' -list
feeds 0 '0' '.output "|head -c 2"
WITH RECURSIVE c(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c LIMIT 100000;\n' \
    -list
fails 1 'missing/x.txt: No such file' :memory: '.output missing/x.txt'
fails 1 '.: Is a directory' :memory: '.once .'
fails 1 'usage: .output [FILE]' :memory: '.output ""'
fails 1 'usage: .once [FILE]' :memory: '.once a b'
fails 1 'usage: .shell PROGRAM' :memory: '.shell ""'
fails 1 'No space left' :memory: '.output /dev/full' 'SELECT 1' 'SELECT 2'
for command in .help .show .tables .schema .dump .databases .version '.print x' .indexes .limit '.param list' .mode; do
    got=$("$shell" :memory: '.param set :a 1' 'CREATE TABLE t(a UNIQUE)' '.output all.txt' "$command" 2>&1)
    if [ -z "$got" ] && [ -s all.txt ]; then status=0; else status=1; fi
    note "$command goes where .output says" $status
done

# ---- Options ----
feeds 0 $'first\n1' 'SELECT 1;' -list -cmd '.print first'
echo '.print initial' >init.sql
echo '.mode csv' >>init.sql
prints $'initial\n"a,b"' -init init.sql :memory: "SELECT 'a,b'"
prints $'initial\na,b' -init init.sql -list :memory: "SELECT 'a,b'"
fails 1 'absent.sql: No such file' -bail -init absent.sql :memory: 'SELECT 1'
prints 'a;b' -list -separator ';' :memory: "SELECT 'a', 'b'"
# A ; behind a command ends it, as it ends SQL, but where it is the word that the command needs.
prints 'a;b' -list :memory: '.separator ;' "SELECT 'a', 'b'"
prints 't' -list :memory: 'CREATE TABLE t(a)' '.tables t;' '.echo off ;'
fails 1 'usage: .separator COLUMN [ROW]' :memory: '.separator;'
feeds 0 $'1\nhash' '#!/usr/bin/tqshell -init\nSELECT 1;\n# a comment\n.print hash\n' -list
prints $'a\tb--' -newline '--' -separator '\t' -list :memory: "SELECT 'a', 'b'"
prints 'none' -list -nullvalue none :memory: 'SELECT NULL'
prints $'SELECT 1\n1' -list -echo :memory: 'SELECT 1'
prints $'1\n2' x.db -list 'SELECT 1' 'SELECT 2'
prints '1' -list :memory: '-- a comment, no option
SELECT 1'
fails 2 'a value is missing behind -cmd' -cmd
versions=$("$shell" -list :memory: "SELECT tq_version() || ', SQLite ' || sqlite_version()")
feeds 0 "tqlite $versions, database :memory:; .help lists commands
tq> 1
tq> ...> 2
tq> " 'SELECT 1;\nSELECT\n2;\n' -interactive -list
feeds 0 '1' 'SELECT 1;' -interactive -batch -list
HOME=$tmp feeds 0 '1' 'SELECT 1;' -list
echo '.print mine' >.tqshellrc
test "$(HOME=$tmp "$shell" -interactive -list </dev/null | grep -c mine)" -eq 1
note '.tqshellrc is read for those who type' $?
HOME=$tmp feeds 0 '1' 'SELECT 1;' -list

# ---- -safe ----
for command in '.read x' '.output x' '.once x' '.open x' '.shell true' '.system true' '.load x' '.cd /' \
    '.import a b' '.export a b' '.backup a'; do
    fails 1 'is not allowed with -safe' -safe :memory: "$command"
done
fails 1 'not authorized' -safe :memory: "ATTACH 'x' AS y"
fails 1 'authorization denied' -safe :memory: "VACUUM INTO 'x'"
fails 1 'not authorized' -safe :memory: "SELECT tq_backup('x')"
prints '3' -safe -list safe.db 'CREATE TABLE t(x)' VACUUM '.param set :x 3' 'SELECT :x'

# ---- Commands ----
prints 'TMP/scripts' :memory: '.shell mkdir scripts' '.cd scripts' '.shell pwd'
fails 1 'nowhere: No such file' :memory: '.cd nowhere'
prints "a b  c'd" :memory: ".shell echo 'a b ' \"c'd\""
fails 1 'false ended with status 1' :memory: '.system false'
prints $'changes: 0   total_changes: 0\nchanges: 2   total_changes: 2' :memory: '.changes on' 'CREATE TABLE t(x)' \
    'INSERT INTO t VALUES(1), (2)'
prints $'QUERY PLAN\n`--SCAN t\nQUERY PLAN\n`--SCAN t\n1|SCAN t' -list plan.db 'CREATE TABLE t(x)' '.eqp on' \
    'SELECT * FROM t' 'EXPLAIN QUERY PLAN SELECT * FROM t' '.eqp off' '.mode csv' '.separator |' "SELECT 1, 'SCAN t'"
prints 'main: "" r/w
a: "" r/w' :memory: "ATTACH ':memory:' AS a" .databases
prints $'t_x\nx.u_y' :memory: 'CREATE TABLE t(a); CREATE INDEX t_x ON t(a)' "ATTACH ':memory:' AS x" \
    'CREATE TABLE x.u(a); CREATE INDEX x.u_y ON u(a)' .indexes
prints $'t_x' :memory: 'CREATE TABLE t(a); CREATE INDEX t_x ON t(a); CREATE TABLE u(a); CREATE INDEX u_x ON u(a)' \
    '.indexes t'
prints $'tea\ntin' :memory: 'CREATE TABLE tea(a); CREATE TABLE tin(a); CREATE VIEW wood AS SELECT 1' '.tables t%'
prints 'wood' :memory: 'CREATE TABLE tea(a); CREATE VIEW wood AS SELECT 1' '.tables w*'
prints $'CREATE TABLE tea(a);\nCREATE TABLE "x".tea(b);' :memory: 'CREATE TABLE tea(a)' "ATTACH ':memory:' AS x" \
    'CREATE TABLE x.tea(b)' '.schema TE%'
prints 'CREATE TABLE "x".tea(b);' :memory: 'CREATE TABLE tea(a)' "ATTACH ':memory:' AS x" 'CREATE TABLE x.tea(b)' \
    '.schema x.tea'
fails 1 'no such table: t_no%' :memory: '.schema t_no%'
prints $'       trigger_depth 3' :memory: '.limit trigger_depth 3'
fails 1 'no limit is called "x"' :memory: '.limit x'
fails 1 'timeout is "x"; it must be a whole number' :memory: '.timeout x'
fails 1 'missing.so' :memory: '.load ./missing.so'
if [ -e "$(dirname "$shell")/tq.so" ]; then
    prints '0.5' -list :memory: ".load $(dirname "$shell")/tq sqlite3_tq_init" "SELECT tq_ip('[0.5]', '[1]')"
fi
fails 1 'not authorized' :memory: "SELECT load_extension('x')"
prints '' :memory: '.timeout 10'
fails 1 'ambiguous command ".s": .schema, ' :memory: '.s'
fails 1 'usage: .nullvalue TEXT' :memory: .nullvalue
prints '[{"1":1}]' :memory: '.mode json' 'SELECT 1'
prints 'column' :memory: '.mode col' .mode
fails 1 'mode is "tab"; it must be' :memory: '.mode tab'
fails 1 'usage: .mode' :memory: '.mode csv t'
fails 1 '--wrap is "x"' :memory: '.mode box --wrap x'
fails 1 'width is 99999; it must be -10000 to 10000' :memory: '.width 99999'
fails 1 'the prompt has 50 bytes; at most 39' :memory: ".prompt $(printf '%050d' 0)"
prints 'it' -list :memory: '.param set :a it' 'SELECT :a'
fails 1 'parameter :b has no value' :memory: '.param set :b 2' '.param unset :b' 'SELECT :b'
prints $'x\n2\nfull' -list new.db 'CREATE TABLE x(a)' .tables '.open --new new.db' \
    'CREATE TABLE full(a)' 'SELECT 2' .tables
fails 1 'attempt to write a readonly database' :memory: '.open --readonly new.db' 'DELETE FROM full'
fails 1 'has no option --old' :memory: '.open --old x'
prints '.cd DIR                   change the working folder' :memory: '.help cd'
test "$("$shell" :memory: '.help --all' | wc -l)" -gt "$("$shell" :memory: .help | wc -l)"
note '.help --all says more' $?
"$shell" :memory: '.help unicode' | grep -q '^\.mode'
note '.help finds a word in the details' $?
fails 1 'no command has to do with "xyzzy"' :memory: '.help xyzzy'

done_with habits

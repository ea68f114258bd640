#!/bin/bash
# .import and .export: what tables are made, where columns go, failures, all or nothing, and rows that come back as they
# were. tests/shell/import.sh <build folder>
set -euo pipefail

shell=$(cd "$1" && pwd)/tqshell
here=$(cd "$(dirname "$0")" && pwd)
. "$here/checks.bash"
python3 "$here/make_import.py" "$tmp"
if ! "$shell" :memory: '.import plain.csv t' 2>csv.err && grep -q 'made without' csv.err; then
    echo "skipped: built without a reader of CSV"
    exit 77
fi

# ---- Tables that are made ----
prints $'words: table made, 3 rows of 3 dimensions, key word, * s
CREATE VIRTUAL TABLE "words" USING tq("word" TEXT PRIMARY KEY, "embedding" FLOAT[3]);
0|the|[0.5,-0.25,0.001]
1|of|[1,2,3]
2|naïve|[0.1,0.2,0.3]' -list made.db '.import words.txt words' .schema \
    'SELECT rowid, word, tq_json(embedding) FROM words'
options='"id" INTEGER PRIMARY KEY, "title" TEXT, "price" REAL, "embedding" FLOAT[3]'
prints "CREATE VIRTUAL TABLE \"main\".\"rows\" USING tq($options);"$'
INSERT INTO "main"."rows"("id", "title", "price", "embedding") VALUES(?2, ?3, ?4, ?5);
rows: table made, 3 rows of 3 dimensions, key id, * s
7|a|1.5|[1,2,3]
9|b, c|2.0|[4,5,6]
12|||[0.1,0.2,0.3]' -list made.db '.import -v rows.csv rows' 'SELECT id, title, price, tq_json(embedding) FROM rows'
prints 'l2: table made, 2 rows of 3 dimensions, key id, * s' l2.db \
    '.import rows.csv l2 --aux title --columns id,title,embedding --metric l2 --bits 5 --rows f16 --limit 2'
options='"id" INTEGER PRIMARY KEY, +"title" TEXT, "embedding" FLOAT[3], metric=l2, bits=5, rows=f16'
prints "CREATE VIRTUAL TABLE \"l2\" USING tq($options);" -list l2.db .schema
prints $'notice: column rank is called rank_: tq tables have another use for its name
notice: column k is called k_: tq tables have another use for its name
rank: table made, 2 rows of 2 dimensions, rowids 0 to 1, * s
1|2|[1,2]
2|3|[3,4]' -list :memory: '.import rank.csv rank' 'SELECT rank_, k_, tq_json(embedding) FROM "rank"'
prints $'j: table made, 2 rows of 3 dimensions, key word, * s
a|1|[1,2,3]
b||[4,5,6]' -list :memory: '.import rows.jsonl j' 'SELECT word, n, tq_json(v) FROM j'
prints $'p: table made, 3 rows, * s
1|x
2|
03|y, z
CREATE TABLE "p"("a" TEXT, "b" TEXT);' -list :memory: '.import plain.csv p' 'SELECT * FROM p' .schema

# ---- An ann-benchmarks file: its queries, with neighbors as rowids ----
if "$shell" hdf5.db '.import data/tiny.hdf5 ann --no-queries' 2>hdf5.err; then
    prints $'ann1: table made, 50 rows of 8 dimensions, rowids 100 to 149, 10 queries in ann1_queries, * s
50|50|10|32|40|40
1' -list hdf5.db '.import data/tiny.hdf5 ann1 --first-id 100' "SELECT (SELECT count(*) FROM ann),
        (SELECT count(*) FROM ann1), count(*), max(length(embedding)), min(length(neighbors)), max(length(distances))
        FROM ann1_queries" \
        "SELECT q.id = 0 AND instr(hex(q.neighbors), printf('%02X000000', near.rowid)) = 1 FROM ann1_queries AS q,
        (SELECT rowid FROM ann1((SELECT embedding FROM ann1_queries WHERE id = 0)) LIMIT 1) AS near WHERE q.id = 0"
    fails 1 'table "ann1_queries" already exists' hdf5.db 'DELETE FROM ann1' '.import data/tiny.hdf5 ann1'
    prints '0' -list hdf5.db 'SELECT count(*) FROM ann1'
    prints $'one: table made, 4 rows of 8 dimensions, rowids 0 to 3, * s
0' -list hdf5.db '.import data/tiny.hdf5 one --limit 4' \
        "SELECT count(*) FROM sqlite_master WHERE name = 'one_queries'"
    fails 1 'are kept in 32 bits' hdf5.db '.import data/tiny.hdf5 far --first-id 2147483647'
    prints '0' -list hdf5.db "SELECT count(*) FROM sqlite_master WHERE name LIKE 'far%'"
else
    grep -q 'made without HDF5' hdf5.err
    note "HDF5 is left out, and that is said" $?
fi

# ---- Tables that are there ----
prints $'t: 3 rows of 3 dimensions, key id, * s
7||[1,2,3]|a' -list :memory: \
    'CREATE VIRTUAL TABLE t USING tq(id INTEGER PRIMARY KEY, other TEXT, v FLOAT[3], TITLE TEXT)' \
    '.import rows.csv t --columns id,title,embedding' 'SELECT id, other, tq_json(v), title FROM t LIMIT 1'
prints $'t: 3 rows of 3 dimensions, key word, * s
t: 1 row of 3 dimensions, key word, * s
1|the
2|of
3|naïve
4|a' -list :memory: 'CREATE VIRTUAL TABLE t USING tq(word TEXT PRIMARY KEY, v FLOAT[3])' \
    '.import words.txt t --first-id 1' '.import rows.jsonl t --columns word,v --limit 1' \
    'SELECT rowid, word FROM t ORDER BY rowid'
prints $'t: 3 rows of 2 dimensions, rowids 10 to 12, * s
10|[1,0]' -list :memory: 'CREATE VIRTUAL TABLE t USING tq(v FLOAT[2])' '.import good.npy t --first-id 10' \
    'SELECT rowid, tq_json(v) FROM t LIMIT 1'
fails 1 '--schema: there is no database "nope"; .databases lists them' edge.db '.import good.npy u --schema nope'
prints '' edge.db .tables
prints $'t: table made, 2 rows, * s\n2' -list :memory: '.import plain.csv t --schema temp --limit 2' \
    'SELECT count(*) FROM temp.t'
"$shell" edge.db '.import one.npy t --first-id 9223372036854775807' 2>/dev/null
prints '9223372036854775807' -csv edge.db 'SELECT rowid FROM t'
cat >names.sql <<'END'
.mode list
.headers off
ATTACH 'other.db' AS aux;
.import good.npy 'two words'
.import good.npy select
.import good.npy größe
.import good.npy aux.t
.import good.npy u --schema aux
SELECT (SELECT count(*) FROM "two words"), (SELECT count(*) FROM "select"), (SELECT count(*) FROM "größe"),
    (SELECT count(*) FROM aux.t), (SELECT count(*) FROM aux.u);
END
prints $'two words: table made, 3 rows of 2 dimensions, rowids 0 to 2, * s
select: table made, 3 rows of 2 dimensions, rowids 0 to 2, * s
größe: table made, 3 rows of 2 dimensions, rowids 0 to 2, * s
t: table made, 3 rows of 2 dimensions, rowids 0 to 2, * s
u: table made, 3 rows of 2 dimensions, rowids 0 to 2, * s
3|3|3|3|3' names.db '.read names.sql'

# ---- Ordinary tables: as sqlite3 does it ----
prints $'t: 4 rows, * s
t: 3 rows, * s
t: 3 rows, * s
a|b|text|text
1|x|integer|text
2||integer|null
3|y, z|integer|text' -list :memory: 'CREATE TABLE t(a INTEGER, b TEXT)' '.import plain.csv t' \
    'CREATE TABLE u AS SELECT * FROM t' \
    '.import --csv --skip 1 plain.csv t' '.import --csv plain.csv t -skip 1' 'SELECT *, typeof(a), typeof(b) FROM u'
prints $'t: 4 rows, * s
03' -list :memory: 'CREATE TABLE t(a TEXT, b TEXT)' '.import plain.csv t' "SELECT a FROM t WHERE b LIKE 'y%'"
prints $'t: 2 rows, * s
1|1.50
2|2' -list :memory: 'CREATE TABLE t(a INTEGER, b TEXT)' '.import numbers.csv t' 'SELECT * FROM t'
prints $'notice: plain.csv has 2 columns, t has 3: the last ones stay NULL
t: 4 rows, * s' :memory: 'CREATE TABLE t(a, b, c)' '.import plain.csv t'
prints $'notice: plain.csv has 2 columns, t has 1: the last ones are left out
t: 4 rows, * s' :memory: 'CREATE TABLE t(a)' '.import plain.csv t'
prints $'t: 3 rows, * s
x|1' -list :memory: 'CREATE TABLE t(b, a)' '.import plain.csv t --header' 'SELECT * FROM t LIMIT 1'

# ---- Wrong words ----
fails 1 'usage: .import FILE TABLE' :memory: '.import'
fails 1 'usage: .import FILE TABLE' :memory: '.import good.npy --skip-bad'
fails 1 '.import has no option --nonsense; it has --format' :memory: '.import good.npy t --nonsense'
fails 1 '.import: --first-id needs a value' :memory: '.import good.npy t --first-id'
fails 1 'it must be a whole number' :memory: '.import good.npy t --first-id x'
fails 1 '--batch is 0; it must be 1 to' :memory: '.import good.npy t --batch 0'
fails 1 '--skip is -1; it must be 0 to' :memory: '.import good.npy t --skip -1'
fails 1 '--header and --no-header exclude each other' :memory: '.import rows.csv t --header --no-header'
fails 1 '--csv and --format exclude each other' :memory: '.import rows.csv t --csv --format npy'
fails 1 '--separator is "ab"' :memory: '.import rows.csv t --separator ab'
fails 1 'format "xls" is none of npy' :memory: '.import good.npy t --format xls'
fails 1 '--metric is for a table that is made; t is there already' :memory: \
    'CREATE VIRTUAL TABLE t USING tq(embedding FLOAT[2])' '.import good.npy t --metric l2'
fails 1 '--bits is for tq tables, and plain.csv has no column of vectors' :memory: '.import plain.csv t --bits 4'
fails 1 '--first-id is for tq tables; t is not one' :memory: 'CREATE TABLE t(a, b)' '.import plain.csv t --first-id 4'
fails 1 'metric is "manhattan"' :memory: '.import good.npy t --metric manhattan'
"$shell" own.db 'CREATE TABLE t(e)' "INSERT INTO t VALUES ('[1,2]')"
fails 1 './own.db is open here already, as main: INSERT INTO' own.db '.import ./own.db copy'
fails 1 'own.db is open here already, as other: INSERT INTO' :memory: "ATTACH 'own.db' AS other" '.import own.db copy'
fails 1 't is a view; rows go into tables' :memory: 'CREATE VIEW t AS SELECT 1' '.import good.npy t'

# ---- Columns and tables that do not fit ----
fails 1 't has no column "price"; it has id, title, embedding. --columns names those of rows.csv' :memory: \
    'CREATE VIRTUAL TABLE t USING tq(id INTEGER PRIMARY KEY, title TEXT, embedding FLOAT[3])' '.import rows.csv t'
fails 1 't has no column "embedding"; it has a' :memory: 'CREATE TABLE t(a)' '.import good.npy t'
fails 1 't.embedding has 3 dimensions, good.npy has 2' :memory: 'CREATE VIRTUAL TABLE t USING tq(embedding FLOAT[3])' \
    '.import good.npy t'
fails 1 't has the key "word", which good.npy has not: --key' :memory: \
    'CREATE VIRTUAL TABLE t USING tq(word TEXT PRIMARY KEY, v FLOAT[2])' '.import good.npy t'
fails 1 'the key column "word" of words.txt is text, and t has no TEXT PRIMARY KEY' :memory: \
    'CREATE VIRTUAL TABLE t USING tq(v FLOAT[3])' '.import words.txt t'
fails 1 'plain.csv has no column of vectors for t' :memory: 'CREATE VIRTUAL TABLE t USING tq(v FLOAT[3])' \
    '.import plain.csv t'
fails 1 'rows.csv' :memory: '.import rows.csv t --columns id,nonsense'

# ---- Bad files ----
fails 1 'absent.npy: No such file' :memory: '.import absent.npy t'
fails 1 '.: a folder' :memory: '.import . t'
fails 1 'Fortran order' :memory: '.import fortran.npy t'
fails 1 'objects of Python' :memory: '.import object.npy t'
fails 1 'truncated.npy' :memory: '.import truncated.npy t'
fails 1 'lying.npy' :memory: '.import lying.npy t'
fails 1 'absurd.npy' :memory: '.import absurd.npy t'
fails 1 '(rows, dimensions)' :memory: '.import cube.npy t'
fails 1 'text.npy' :memory: '.import text.npy t'
fails 1 'empty.npy' :memory: '.import empty.npy t'
fails 1 'mixed.fvecs' :memory: '.import mixed.fvecs t'
fails 1 'cut.fvecs' :memory: '.import cut.fvecs t'
fails 1 'binary.txt' :memory: '.import binary.txt t'

# ---- All or nothing ----
bad() { # <part of the message> <file> [option...]: nothing stays of a table that is made, nor in one that is there
    fails 1 "$1" whole.db ".import ${*:2} made"
    prints '' whole.db .tables
}
bad 'nan.npy, row 1: made.embedding: element 0 is NaN' nan.npy
bad 'wrong.txt, line 3' wrong.txt
bad 'twice.txt, line 4: made: key '"'the'"' exists already' twice.txt
bad 'twice.csv, line 5: made: rowid 9 exists already' twice.csv --key id
bad 'wider.csv, line 5' wider.csv
bad 'fewer.csv, line 5' fewer.csv
bad 'open.csv, line 5' open.csv
bad 'wrong.jsonl, line 2' wrong.jsonl
fails 1 'good.npy, row 2: t: rowid 2 exists already; the largest is 2: use --first-id' kept.db \
    'CREATE VIRTUAL TABLE t USING tq(v FLOAT[2]); INSERT INTO t(rowid, v) VALUES(2, NULL)' '.import good.npy t'
prints $'2\n1' -csv kept.db 'SELECT rowid FROM t' 'SELECT count(*) FROM t'
fails 1 'row 2: rowids from 9223372036854775806 on do not suffice' kept.db \
    '.import good.npy t --first-id 9223372036854775806'
prints '1' -csv kept.db 'SELECT count(*) FROM t'
prints '' readonly.db 'CREATE TABLE t(x)'
fails 1 'readonly database' -readonly readonly.db '.import good.npy made'
cat >inside.sql <<'END'
.mode list
.headers off
BEGIN;
CREATE TABLE mine(x);
.import good.npy made
SELECT count(*) FROM made;
.import nan.npy made --first-id 10
SELECT count(*) FROM made;
SELECT count(*) FROM mine;
ROLLBACK;
.tables
END
{ "$shell" inside.db <inside.sql 2>&1 || true; } | constant >inside.out
diff inside.out - >&2 <<'END' && status=0 || status=1
made: table made, 3 rows of 2 dimensions, rowids 0 to 2, * s
3
stdin:7: nan.npy, row 1: made.embedding: element 0 is NaN; it must be finite
3
0
END
note "inside of a transaction a failed .import undoes itself, and no more" $status

cat >commit.sql <<'END'
CREATE TABLE mine(x);
BEGIN;
INSERT INTO mine VALUES(1);
.import data/base.f16.npy gone --first-id 9223372036854760000
COMMIT;
.tables
END
fails 1 'do not suffice' commit.db '.read commit.sql'
prints $'mine\n1' -csv -noheader commit.db .tables 'SELECT x FROM mine'

# ---- Bad rows that are passed over ----
prints $'skipped: wrong.txt, line 3, column 7: "x" is no number
skipped: wrong.txt, line 5, column 10: 2 numbers behind the word; there must be 3
w: table made, 3 rows of 3 dimensions, key word, 2 bad rows skipped, * s
0|the
1|of
3|naïve' -list :memory: '.import wrong.txt w --skip-bad' 'SELECT rowid, word FROM w ORDER BY rowid'
prints $'skipped: twice.csv, line 5: t: rowid 9 exists already
t: table made, 3 rows of 3 dimensions, key id, 1 bad row skipped, * s' :memory: \
    '.import twice.csv t --skip-bad --key id'
fails 0 'skipped: more, which are counted only' skip.db '.import many.csv t' '.import many.csv t --skip-bad'
prints '1000' -csv skip.db 'SELECT count(*) FROM t'

# ---- Batches: what is committed stays, and the rest can follow ----
fails 1 'late.csv, line 2502: t: rowid 1 exists already' batch.db '.import late.csv t --batch 1000'
grep -qF 't: 2,000 rows are in. To go on: .import late.csv t --batch 1000 --skip 2000' fails.err
note "what to type after a batch" $?
prints $'2000\nt: 500 rows of 3 dimensions, key id, * s\n2500' -list batch.db 'SELECT count(*) FROM t' \
    '.import late.csv t --batch 1000 --skip 2000 --limit 500' 'SELECT count(DISTINCT id) FROM t'
fails 1 'short.csv, line 7' batch.db '.import short.csv s --batch 2'
grep -qF 's: 4 rows are in. To go on: .import short.csv s --batch 2 --skip 4 --columns a,b' fails.err
note "columns of an ordinary table after a batch" $?
fails 0 'short.csv, line 7' batch.db '.import short.csv s --batch 2 --skip 4 --columns a,b --skip-bad'
prints '0,1,2,3,4,6' -list batch.db 'SELECT group_concat(a) FROM s'
fails 1 'late.csv, line 2502' batch.db '.import late.csv l2 --metric l2 --limit 9000 --batch 1000'
grep -qF 'To go on: .import late.csv l2 --batch 1000 --skip 2000 --limit 7000' fails.err
note "what has been used up is not in the command to go on" $?
fails 1 '--batch commits, but a transaction is open' :memory: BEGIN '.import good.npy t --batch 2'
prints $'t: table made, 2 rows of 2 dimensions, rowids 1 to 2, * s
1|[0,1]
2|[3,4]' -list :memory: '.import good.npy t --skip 1' 'SELECT rowid, tq_json(embedding) FROM t'

# ---- Ctrl-C ----
interrupted() { # <what> <argument of tqshell>...: 130, and nothing stays
    local what=$1 status=0
    shift
    timeout --preserve-status -k 20 -s INT 1 "$shell" "$@" 2>fails.err || status=$?
    if [ $status -eq 130 ] && grep -q interrupted fails.err; then status=0; else status=1; fi
    note "Ctrl-C in $what" $status
}
interrupted .import stop.db '.import endless.npy t'
prints '' stop.db .tables
interrupted '.import --batch' stop.db '.import endless.npy t --batch 20000'
grep -qE 't: [0-9,]+ rows are in. To go on: .import endless.npy t --batch 20000 --skip [0-9]+$' fails.err
note "what to type after Ctrl-C" $?
prints '1' -list stop.db 'SELECT count(*) > 0 AND count(*) % 20000 = 0 FROM t'
endless='WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c'
echo before >kept.csv
interrupted .export stop.db ".export '$endless' kept.csv"
test "$(cat kept.csv)" = before && test "$(echo kept.csv*)" = kept.csv
note "Ctrl-C leaves the file that was there, and no other" $?

# ---- A full disk ----
small() { # <blocks of 1 KiB a file may have> <argument of tqshell>...
    (trap '' XFSZ && ulimit -f "$1" && "$shell" "${@:2}" 2>fails.err)
}
status=0
"$shell" full.db '.import good.npy small' 2>/dev/null
small 2000 full.db '.import data/base.f16.npy words' && status=1
note "a full disk ends .import: $(cat fails.err)" $status
prints $'small\n3' -csv -noheader full.db .tables 'SELECT count(*) FROM small'
status=0
"$shell" full.db '.import data/base.f16.npy words' 2>/dev/null
echo before >full.csv
small 500 full.db '.export words full.csv' && status=1
test "$(cat full.csv)" = before && test "$(echo full.csv*)" = full.csv && test -s fails.err || status=1
note "a full disk ends .export, and the file before stays: $(cat fails.err)" $status

# ---- .export ----
"$shell" round.db '.import data/base.f16.npy base' '.import rows.csv rows' '.import words.txt words' 2>/dev/null
for ending in npy fvecs csv jsonl; do
    "$shell" round.db ".export base base.$ending" ".import base.$ending base_$ending" 2>round.err ||
        note "out and in again: $(cat round.err)" 1
    prints '20000' -csv round.db "SELECT count(*) FROM base AS a JOIN base_$ending AS b ON a.rowid = b.rowid
        AND a.embedding = b.embedding"
done
for ending in csv jsonl; do
    "$shell" round.db ".export rows rows.$ending" ".import rows.$ending rows_$ending" ".export words words.$ending" \
        ".import words.$ending words_$ending" 2>round.err || note "out and in again: $(cat round.err)" 1
    prints '3' -csv round.db "SELECT count(*) FROM rows AS a JOIN rows_$ending AS b ON a.id = b.id AND
        a.title IS b.title AND a.price IS b.price AND typeof(a.price) = typeof(b.price) AND a.embedding = b.embedding"
    prints '3' -csv round.db "SELECT count(*) FROM words AS a JOIN words_$ending AS b ON a.word = b.word AND
        a.embedding = b.embedding"
done
prints $'few.jsonl: 2 rows of 3 dimensions, * s' round.db \
    ".export 'SELECT word, embedding AS v, 2 AS two FROM words LIMIT 2' few.jsonl"
diff few.jsonl - >&2 <<'END' && status=0 || status=1
{"word":"the","v":[0.5,-0.25,0.001],"two":2}
{"word":"of","v":[1,2,3],"two":2}
END
note "a query's rows" $status
prints $'part.csv: 3 rows of 3 dimensions, * s' round.db '.export rows part.csv --columns embedding,id'
head -1 part.csv | grep -qx 'embedding,id'
note "--columns in their order" $?
prints $'made.fvecs: 1 row of 2 dimensions, * s' :memory: \
    ".export \"SELECT x'0000803f00000040' AS v\" made.fvecs --vector v"
prints $'bare.npy: 3 rows of 3 dimensions, * s
Rows are in the order of their rowids, which such a file has no room for; a .csv or .jsonl has them.' \
    round.db '.export rows bare.npy'
fails 1 'usage: .export TABLE|QUERY FILE' :memory: '.export t'
fails 1 'no such table: t; a query is given in quotes' :memory: '.export t t.csv'
fails 1 'name one of npy, fvecs, csv, jsonl' round.db '.export rows rows.xls'
fails 1 'format "xls" is none of' round.db '.export rows rows.csv --format xls'
fails 1 'rows has no column "x"; it has id, title, price, embedding' round.db '.export rows x.csv --columns x'
prints $'view.csv: 1 row, * s' round.db 'CREATE VIEW view AS SELECT title, id FROM rows LIMIT 1' \
    '.export view view.csv --columns id'
test "$(cat view.csv)" = $'id\n7'
note "a view is exported" $?
fails 1 '--columns is for tables' round.db ".export 'SELECT 1' x.csv --columns x"
fails 1 'the query has no column "x"' round.db ".export 'SELECT 1 AS y' x.csv --vector x"
fails 1 'column y is no vector' round.db ".export 'SELECT 1 AS y' x.csv --vector y"
fails 1 'the statement writes; .export reads' round.db ".export 'WITH a AS (SELECT 1) DELETE FROM rows' x.csv"
fails 1 'more than one statement' round.db ".export 'SELECT 1; SELECT 2' x.csv"
fails 1 'no such column: bogus' round.db ".export 'SELECT bogus' x.csv"
fails 1 'No such file or directory' round.db '.export rows missing/x.csv'
fails 1 't has no vector column; .npy and .fvecs hold nothing else' :memory: 'CREATE TABLE t(a)' '.export t t.npy'
fails 1 't has 2 vector columns, and .npy and .fvecs hold one: --columns says which' :memory: \
    'CREATE VIRTUAL TABLE t USING tq(a FLOAT[2], b FLOAT[3])' '.export t t.npy'
fails 1 'row 1: ' :memory: 'CREATE VIRTUAL TABLE t USING tq(a FLOAT[1])' \
    "INSERT INTO t(a) VALUES('[1]'), (NULL)" '.export t t.npy'
test ! -e x.csv && test ! -e t.npy
note "a failed .export leaves no file" $?

done_with import

#!/bin/bash
# .dump: what it prints makes the same database again, in tqshell and in sqlite3 with the extension.
#   tests/shell/dump.sh <build folder>
set -euo pipefail

build=$(cd "$1" && pwd)
shell=$build/tqshell
here=$(cd "$(dirname "$0")" && pwd)
. "$here/checks.bash"

cat >make.sql <<'END'
CREATE VIRTUAL TABLE docs USING tq(id INTEGER PRIMARY KEY, embedding FLOAT[3], title TEXT, price REAL,
    tenant INTEGER PARTITION KEY, +body TEXT, metric=cosine);
INSERT INTO docs VALUES(1, '[1,0,0]', 'a''b', 0.1, 1, 'x'), (5, '[4,3,0.1]', NULL, 1e300, 2, char(10, 13, 9)),
    (-3, NULL, 'n', NULL, 1, x'00ff');
CREATE VIRTUAL TABLE pages USING tq(url TEXT PRIMARY KEY, body_vec FLOAT[3],
    title_vec FLOAT[2] metric=l2 bits=3 rows=f16, bits=5);
INSERT INTO pages(rowid, url, body_vec, title_vec) VALUES(100, '/a', '[1,0,0]', '[3,4]'), (7, '/b', '[0,1,0]', '[0,1]'),
    (8, '/c', NULL, NULL);
CREATE VIRTUAL TABLE "odd ""name" USING tq("my vec" FLOAT[2]);
INSERT INTO "odd ""name"(rowid, "my vec") VALUES(9223372036854775807, '[1e-30,3e38]');
CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT, b, c GENERATED ALWAYS AS (a * 2));
INSERT INTO t(b) VALUES('x' || char(0) || 'y'), (x'c3'), (CAST(x'c3' AS TEXT)), ('it''s' || char(10) || '\n(\n0)'),
    (1.1), (0.1 + 0.2), (NULL), (9e999), (-9e999), (9223372036854775807), (-9223372036854775808), (1e15), (2.0), ('');
CREATE TABLE "select"("from" TEXT PRIMARY KEY, "größe ""x""") WITHOUT ROWID;
INSERT INTO "select" VALUES('a', 1);
CREATE TABLE docs_rows_of_mine(x); CREATE TABLE mine_rows(x); INSERT INTO mine_rows VALUES('row');
CREATE INDEX t_b ON t(b);
CREATE VIEW seen AS SELECT * FROM t;
CREATE TRIGGER fires AFTER INSERT ON "select" BEGIN INSERT INTO t(b) VALUES('fired; twice'); END;
CREATE VIRTUAL TABLE words USING fts5(text);
INSERT INTO words VALUES('hello world');
ANALYZE t;
END
"$shell" first.db <make.sql
"$shell" first.db .dump >first.sql
note '.dump' $?

same() { # <database> <what>
    local status=0
    "$shell" "$1" .dump >"$1.sql"
    diff first.sql "$1.sql" >&2 || status=1
    note "$2: the same again" $status
}
"$shell" -bail second.db <first.sql
note 'tqshell reads it' $?
same second.db tqshell
all() { # <database>: what .dump itself might hide
    "$shell" -quote "$1" 'SELECT rowid, * FROM docs' 'SELECT rowid, * FROM pages' 'SELECT rowid, * FROM "odd ""name"' \
        'SELECT *, typeof(b), hex(b) FROM t' 'SELECT * FROM "select"' 'SELECT * FROM words' \
        'SELECT * FROM sqlite_sequence' \
        "SELECT type, name, sql FROM sqlite_master WHERE sql NOT LIKE 'CREATE TABLE ''%' ORDER BY 1, 2" \
        "SELECT name, json_remove(tq_info(name), '$.folder', '$.isa', '$.indexes', '$.partitions')
            FROM (SELECT 'docs' AS name UNION SELECT 'pages' UNION SELECT 'odd \"name')" \
        "SELECT id FROM docs('[4,3,0]')" \
        "SELECT url, distance FROM pages WHERE title_vec MATCH '[0,0]'"
}
all first.db >first.all
all second.db >second.all
diff first.all second.all >&2
note 'all that is in it is the same' $?
if command -v sqlite3 >/dev/null && sqlite3 third.db -cmd ".load $build/tq" 'SELECT tq_version()' >/dev/null 2>&1; then
    sqlite3 -bail third.db -cmd ".load $build/tq" <first.sql
    note 'sqlite3 reads it' $?
    same third.db sqlite3
fi

# ---- Parts of it ----
prints "PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE mine_rows(x);
INSERT INTO mine_rows(x) VALUES('row');
COMMIT;" first.db '.dump mine_rows'
prints "INSERT INTO \"select\"(\"from\",\"größe \"\"x\"\"\") VALUES('a',1);
INSERT INTO mine_rows(rowid,x) VALUES(1,'row');" first.db \
    '.dump --data-only --preserve-rowids mine% sel*'
prints $'PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCOMMIT;' first.db '.dump nothing'
fails 1 'has no option --x' first.db '.dump --x'
prints "PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
-- rows=none: v has no vectors; these are what its codes stand for
CREATE VIRTUAL TABLE codes USING tq(v FLOAT[1] rows=none);
INSERT INTO codes(rowid,v) VALUES(1,NULL);
COMMIT;" none.db 'CREATE VIRTUAL TABLE codes USING tq(v FLOAT[1] rows=none); INSERT INTO codes VALUES(NULL)' .dump
rm -r first.db-tq
fails 1 'first.db-tq' first.db .dump
grep -q '^ROLLBACK;' fails.out
note 'a part of a database ends with ROLLBACK' $?

# ---- Real numbers, to the last bit; far beyond these SQLite itself does not read each one back ----
"$shell" real.db 'CREATE TABLE r(x REAL)' "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 5000)
    INSERT INTO r SELECT random() * pow(10, random() % 40) / 1e18 FROM c" .dump >real.sql
"$shell" again.db <real.sql
prints '5000' -list real.db "ATTACH 'again.db' AS again" \
    'SELECT count(*) FROM r JOIN again.r AS s ON r.rowid = s.rowid AND r.x = s.x'

# ---- Many rows ----
"$shell" many.db '.import data/base.f16.npy words' 2>/dev/null
"$shell" many.db .dump | "$shell" copy.db
prints $'20000|20000' -list many.db "ATTACH 'copy.db' AS copy" \
    'SELECT count(*), sum(a.embedding = b.embedding) FROM words AS a JOIN copy.words AS b ON a.rowid = b.rowid'

done_with dump

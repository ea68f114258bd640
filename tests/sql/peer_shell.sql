-- The command's own means: defensive mode, a second process.
SELECT '-- defensive mode: the tables behind are not for writing, the table is';
CREATE VIRTUAL TABLE docs USING tq(e FLOAT[1] metric=l2, tag TEXT, tenant INT PARTITION KEY, +body TEXT);
.dbconfig defensive on
INSERT INTO docs(rowid, e, tag, tenant, body) VALUES (1, '[1]', 'a', 7, 'one'), (2, '[2]', 'b', 8, 'two');
DELETE FROM docs_rows;
DELETE FROM docs_log;
DELETE FROM docs_seg;
DELETE FROM docs_gc;
DELETE FROM docs_state;
DELETE FROM docs_aux;
DELETE FROM docs_parts;
UPDATE docs_rows SET m0 = 'x';
DROP TABLE docs_aux;
INSERT INTO docs_parts VALUES (9, 9);
CREATE TABLE docs_log(a);
SELECT rowid, tag, tenant, body FROM docs ORDER BY rowid;
UPDATE docs SET tenant = 8, tag = 'c', e = '[5]', body = 'three' WHERE rowid = 1;
DELETE FROM docs WHERE rowid = 2;
INSERT INTO docs(docs) VALUES ('optimize');
ALTER TABLE docs RENAME TO papers;
ALTER TABLE papers RENAME TO docs;
VACUUM;
SELECT rowid, distance, tag, body FROM docs WHERE e MATCH '[4]' AND tenant = 8;
CREATE VIRTUAL TABLE more USING tq(v FLOAT[1], p PARTITION KEY);
INSERT INTO more VALUES ('[1]', 1);
DROP TABLE more;
SELECT count(*) FROM sqlite_master WHERE name LIKE 'more%';
.dbconfig defensive off
SELECT '-- two connections: one sees what the other has committed';
-- the other connection loads what this command was told to load
.shell xargs -0 -n1 < /proc/$PPID/cmdline | grep -o /.*tq.so | sed 's/^/.load /' > load
.shell sqlite3 -init load test.db "INSERT INTO docs(rowid, e, tag, tenant, body) VALUES (10, '[10]', 'other', 9, 'x')"
SELECT rowid, body FROM docs WHERE e MATCH '[10]' AND tenant = 9;
INSERT INTO docs(rowid, e, tag, tenant) VALUES (11, '[11]', 'mine', 9);
.shell sqlite3 -init load test.db "SELECT group_concat(rowid) FROM docs WHERE e MATCH '[11]' AND tenant = 9 AND k = 5"
BEGIN;
DELETE FROM docs WHERE rowid = 10;
UPDATE docs SET tag = 'changed' WHERE rowid = 11;
.shell sqlite3 -init load test.db "SELECT rowid, tag FROM docs WHERE e MATCH '[10]' AND tenant = 9"
.shell sqlite3 -init load test.db "INSERT INTO docs(e) VALUES ('[1]')" 2>&1 | grep -c locked
COMMIT;
.shell sqlite3 -init load test.db "SELECT rowid, tag FROM docs WHERE e MATCH '[10]' AND tenant = 9"
-- the other one changes the schema, renames, vacuums
.shell sqlite3 -init load test.db "CREATE TABLE x(a); ALTER TABLE x ADD b; VACUUM; ALTER TABLE docs RENAME TO papers"
.shell sqlite3 -init load test.db "DELETE FROM papers WHERE rowid = 11"
SELECT count(*) FROM docs;
SELECT rowid, tag FROM papers WHERE e MATCH '[10]' ORDER BY distance;
INSERT INTO papers(rowid, e, tag, tenant) VALUES (12, '[12]', 'here', 9);
.shell sqlite3 -init load test.db "SELECT rowid, tag FROM papers WHERE e MATCH '[10]' AND k = 1"

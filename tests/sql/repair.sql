-- tq_repair: what it says, what it keeps, and what ROLLBACK undoes.
ATTACH 'a.db' AS a;
CREATE VIRTUAL TABLE a.more USING tq(v FLOAT[2]);
CREATE VIRTUAL TABLE a.docs USING tq(key TEXT PRIMARY KEY, v FLOAT[2], w FLOAT[3] rows=none, tenant PARTITION KEY,
  lang TEXT INDEXED, +body TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO a.docs(key, v, w, tenant, lang, body)
SELECT 'k' || i, '[' || i || ',1]', CASE WHEN i % 2 THEN '[1,' || i || ',1]' END, i % 2, 'en', 'body ' || i FROM n;
INSERT INTO a.docs(key, v, w, tenant, lang, body) VALUES ('fresh', '[1,1]', '[1,1,1]', 0, 'de', 'new');
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)
INSERT INTO a.more(v) SELECT '[' || i || ',1]' FROM n;
CREATE VIRTUAL TABLE a.small USING tq(v FLOAT[2]);
INSERT INTO a.small(v) VALUES ('[1,2]'), ('[3,4]');
SELECT tq_check(NULL, 'full', 'a');
DETACH a;
.shell cp a.db first.db; cp -r a.db-tq first.db-tq
SELECT '-- arguments';
ATTACH 'a.db' AS a;
SELECT tq_repair('docs', 'wipe', 'a');
SELECT tq_repair('nothing', 'salvage', 'a');
SELECT tq_repair('docs_rows', 'salvage', 'a');
SELECT tq_repair('docs', 'salvage', 'nowhere');
SELECT tq_repair('docs', NULL, 'a');
SELECT tq_repair('docs', 'adopt-empty', 'a');
CREATE VIRTUAL TABLE temp.t USING tq(v FLOAT[2]);
SELECT tq_repair('t', 'salvage', 'temp');
DROP TABLE temp.t;
CREATE VIEW a.repairs AS SELECT tq_repair('docs', 'salvage', 'a');
SELECT * FROM a.repairs;
DROP VIEW a.repairs;
SELECT tq_repair('docs', 'salvage', 'a') FROM a.docs LIMIT 1;
BEGIN;
INSERT INTO a.small(v) VALUES ('[5,6]');
SELECT tq_repair('docs', 'salvage', 'a');
ROLLBACK;
SELECT '-- nothing to do';
SELECT tq_repair('docs', 'adopt-folder', 'a');
SELECT tq_repair('docs', 'salvage', 'a');
SELECT tq_check('docs', 'full', 'a'), (SELECT count(*) FROM a.docs), (SELECT count(v) + count(w) FROM a.docs);
DETACH a;
SELECT '-- a folder that is gone';
.shell rm -r a.db-tq
ATTACH 'a.db' AS a;
BEGIN;
SELECT tq_repair('docs', 'adopt-empty', 'a');
SELECT count(*), count(v), count(w), count(body) FROM a.docs;
ROLLBACK;
SELECT count(*) FROM a.docs;
SELECT count(*) FROM a.sqlite_master WHERE name = 'docs_lost';
SAVEPOINT before;
SELECT length(tq_repair('docs', 'adopt-empty', 'a')) > 0;
SELECT count(*), count(v) FROM a.docs;
ROLLBACK TO before;
SELECT count(*) FROM a.docs;
RELEASE before;
SELECT tq_repair('docs', 'adopt-empty', 'a');
SELECT count(*), count(v), count(w), count(body), count(DISTINCT key) FROM a.docs;
SELECT key, tq_json(v), tenant FROM a.docs WHERE v IS NOT NULL;
SELECT vector, why, count(*), min(id), max(id) FROM a.docs_lost GROUP BY 1, 2;
SELECT tq_check('docs', 'full', 'a');
SELECT '-- vectors are written again';
UPDATE a.docs SET v = '[' || substr(key, 2) || ',1]' WHERE rowid IN (SELECT id FROM a.docs_lost WHERE vector = 'v');
SELECT count(v) FROM a.docs;
SELECT key FROM a.docs('[7,1]', 1) WHERE tenant = 1;
SELECT '-- other tables of the database have lost theirs, too';
SELECT count(*) FROM a.more;
SELECT tq_repair('more', 'salvage', 'a');
SELECT tq_repair('small', 'adopt-empty', 'a');
SELECT tq_json(v) FROM a.small;
.shell ls -d a.db* | sort
DETACH a;
SELECT '-- one that is dropped instead takes nothing along';
.shell rm -r a.db-tq; cp first.db a.db
ATTACH 'a.db' AS a;
SELECT length(tq_repair('docs', 'adopt-empty', 'a')) > 0, length(tq_repair('small', 'adopt-empty', 'a')) > 0;
UPDATE a.docs SET v = '[' || substr(key, 2) || ',1]' WHERE rowid <= 20000;
DROP TABLE a.more;
INSERT INTO a.docs(docs) VALUES ('optimize');
INSERT INTO a.docs(docs) VALUES ('optimize');
DELETE FROM a.docs WHERE rowid IN (1, 2);
INSERT INTO a.docs(docs) VALUES ('optimize');
DELETE FROM a.docs WHERE rowid IN (3, 4);
INSERT INTO a.docs(docs) VALUES ('optimize');
INSERT INTO a.small(small) VALUES ('optimize');
SELECT tq_check(NULL, 'full', 'a'), (SELECT count(v) FROM a.docs);
DETACH a;
SELECT '-- values that are damaged';
.shell rm -r a.db-tq; cp -r first.db-tq a.db-tq; cp first.db a.db
.shell python3 -c "p='a.db-tq/data.mdb'; d=bytearray(open(p,'rb').read()); [d.__setitem__(i+4080+9*4096, d[i+4080+9*4096]^1) for i in range(16, len(d), 4096) if d[i:i+8]==b'tqchunk'+bytes(1) and d[i+40]==2]; open(p,'wb').write(d)"
ATTACH 'a.db' AS a;
SELECT replace(tq_check('docs', 'full', 'a'), char(10), ' / ');
SELECT tq_repair('docs', 'salvage', 'a');
SELECT count(*), count(v), count(w) FROM a.docs;
SELECT tq_check('docs', 'full', 'a');
SELECT count(*) FROM a.docs WHERE v IS NOT NULL AND key <> 'fresh' AND tq_json(v) <> '[' || substr(key, 2) || ',1]';
SELECT key FROM a.docs('[1,1]', 1) WHERE lang = 'de';
SELECT count(*) FROM a.more;
DETACH a;
SELECT '-- a folder that LMDB cannot follow';
.shell rm -r a.db-tq; cp -r first.db-tq a.db-tq; cp first.db a.db
.shell python3 -c "p='a.db-tq/data.mdb'; d=bytearray(open(p,'rb').read()); [d.__setitem__(i, d[i]^1) for i in range(8192, len(d), 4096) if int.from_bytes(d[i:i+8], 'little')==i//4096 and d[i+10] in (1, 2)]; open(p,'wb').write(d)"
ATTACH 'a.db' AS a;
SELECT substr(tq_check('docs', 'full', 'a'), 1, 16);
SELECT count(v) FROM a.docs;
SELECT tq_repair('docs', 'adopt-folder', 'a');
SELECT tq_repair('docs', 'salvage', 'a');
SELECT tq_check(NULL, 'full', 'a'), (SELECT count(v) + count(w) FROM a.docs), (SELECT count(v) FROM a.more);
.shell ls -d a.db* | sort
DETACH a;
SELECT '-- a folder of another time that has all that is needed';
.shell rm -r a.db-tq*; cp -r first.db-tq a.db-tq; cp first.db a.db
ATTACH 'a.db' AS a;
INSERT INTO a.more(v) SELECT '[' || value || ',2]' FROM (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1
  FROM n WHERE value < 9000) SELECT value FROM n);
INSERT INTO a.more(more) VALUES ('optimize');
DETACH a;
.shell cp -r a.db-tq between-tq
ATTACH 'a.db' AS a;
DELETE FROM a.more WHERE rowid = 1;
INSERT INTO a.more(more) VALUES ('optimize');
DELETE FROM a.more WHERE rowid = 2;
INSERT INTO a.more(more) VALUES ('optimize');
SELECT count(v) FROM a.more;
DETACH a;
.shell rm -r a.db-tq; mv between-tq a.db-tq
ATTACH 'a.db' AS a;
SELECT count(v) FROM a.more;
BEGIN;
SELECT tq_repair('more', 'adopt-folder', 'a');
SELECT count(v) FROM a.more;
ROLLBACK;
SELECT count(v) FROM a.more;
BEGIN;
SAVEPOINT before;
SELECT tq_repair('more', 'adopt-folder', 'a');
SELECT count(v) FROM a.more;
ROLLBACK TO before;
SELECT count(v) FROM a.more;
COMMIT;
SELECT tq_repair('more', 'adopt-folder', 'a');
SELECT count(v), tq_check(NULL, 'full', 'a') FROM a.more;
INSERT INTO a.more(more) VALUES ('optimize');
SELECT rowid, tq_json(v) FROM a.more('[3,1]', 1);
DETACH a;
SELECT '-- a table of that name is in the way';
.shell rm -r a.db-tq; cp first.db a.db
ATTACH 'a.db' AS a;
CREATE TABLE a.docs_lost(mine);
SELECT tq_repair('docs', 'adopt-empty', 'a');
SELECT count(*) FROM a.docs;

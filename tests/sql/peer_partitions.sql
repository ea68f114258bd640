-- Partition keys and columns apart: rows of each key are found, moved, undone and deleted as in an ordinary table.
SELECT '-- rows of two partitions';
CREATE VIRTUAL TABLE v USING tq(p INT PARTITION KEY, a FLOAT[1] metric=l2);
INSERT INTO v(rowid, p, a) VALUES (1, 100, '[1]'), (2, 100, '[2]'), (3, 200, '[3]');
SELECT rowid, p, tq_json(a) FROM v ORDER BY rowid;
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 3 ORDER
  BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 3 AND p
  = 100 ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 3 AND p
  = 200 ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 3 AND p
  = 300 ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 3 AND p
  IN (100, 300) ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 3 AND p
  IN (100, 200) ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 3 AND p
  != 100 ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 3 AND p
  > 100 ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 3 AND p
  BETWEEN 100 AND 200 ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 3 AND p
  IS NULL ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 3 AND p
  = '200' ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 3 AND p
  = 200.0 ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 3 AND p
  < 200 AND rowid > 1 ORDER BY distance);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE a MATCH '[0]' AND k = 2 AND p % 200 = 0);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE a MATCH '[0]' AND p % 200 = 0 ORDER BY distance LIMIT 2);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 3 AND
  (p = 100 OR p = 200) ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 3 AND
  (NOT p = 100) ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 3 AND p
  = NULL ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 3 AND p
  IS NOT NULL ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 3 AND p
  IS NOT 100 ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 3 AND p
  LIKE '1%' ORDER BY distance);
SELECT '-- any value is a key: text in an integer column, NULL, numbers that are equal';
INSERT INTO v(rowid, p, a) VALUES (4, 'not int', '[4]'), (5, NULL, '[5]'), (6, '100', '[6]'), (7, 100.0, '[7]'), (8,
  0.5, '[8]'),
  (9, x'31', '[9]'), (10, NULL, '[10]'), (11, '', '[11]'), (12, 200, NULL);
SELECT rowid, typeof(p), quote(p) FROM v ORDER BY rowid;
SELECT quote(p), count(*), count(a) FROM v GROUP BY p ORDER BY p;
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 20 AND
  p = 100 ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 20 AND
  p = 'not int' ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 20 AND
  p IS NULL ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 20 AND
  p = 0.5 ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 20 AND
  p = x'31' ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 20 AND
  p = '1' ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 20 AND
  p = '' ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 20 AND
  p > 100 ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 20 AND
  p IN (100, 'not int', NULL) ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 20 AND
  p IS NOT NULL ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 20 AND
  p NOT IN (100) ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 20 AND
  p = 200 ORDER BY distance);
SELECT '-- UPDATE moves rows from partition to partition';
UPDATE v SET p = 200 WHERE rowid = 1;
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 20 AND
  p = 100 ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 20 AND
  p = 200 ORDER BY distance);
UPDATE v SET p = NULL WHERE p = 200;
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 20 AND
  p = 200 ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 20 AND
  p IS NULL ORDER BY distance);
UPDATE v SET p = 7, a = '[0.5]' WHERE rowid = 3;
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 3 AND p
  = 7 ORDER BY distance);
UPDATE v SET a = '[0.25]' WHERE p = 7;
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 3 AND p
  = 7 ORDER BY distance);
UPDATE v SET rowid = 33, p = p + 1 WHERE p = 7;
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 3 AND p
  = 8 ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 3 AND p
  = 7 ORDER BY distance);
UPDATE v SET p = 9 WHERE a IS NULL;
SELECT rowid, p FROM v WHERE p = 9;
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 3 AND p
  = 9 ORDER BY distance);
UPDATE v SET a = '[12]' WHERE p = 9;
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 3 AND p
  = 9 ORDER BY distance);
UPDATE v SET p = 'all';
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 20 AND
  p = 'all' ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 20 AND
  p != 'all' ORDER BY distance);
SELECT '-- ROLLBACK puts them back';
BEGIN;
UPDATE v SET p = rowid % 3;
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 20 AND
  p = 1 ORDER BY distance);
SAVEPOINT a;
DELETE FROM v WHERE p = 1;
INSERT INTO v(rowid, p, a) VALUES (50, 77, '[0]');
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 20 AND
  p IN (1, 77) ORDER BY distance);
ROLLBACK TO a;
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 20 AND
  p IN (1, 77) ORDER BY distance);
ROLLBACK;
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 20 AND
  p = 'all' ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 3 AND p
  IN (0, 1, 2, 77) ORDER BY distance);
SELECT '-- DELETE of a whole partition, and its key again';
UPDATE v SET p = CASE WHEN rowid < 8 THEN 'A' ELSE 'B' END;
DELETE FROM v WHERE p = 'A';
SELECT changes(), count(*) FROM v;
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 20
  ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 3 AND p
  = 'A' ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 2 AND p
  = 'B' ORDER BY distance);
INSERT INTO v(rowid, p, a) VALUES (100, 'A', '[99]');
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[0]' AND k = 3 AND p
  = 'A' ORDER BY distance);
DROP TABLE v;
SELECT count(*) FROM sqlite_master WHERE name LIKE 'v%';
SELECT '-- four keys and more, with metadata between them';
CREATE VIRTUAL TABLE v USING tq(p1 INT PARTITION KEY, a FLOAT[1] metric=l2, p2 TEXT PARTITION KEY, m INT,
  p3 REAL PARTITION KEY, p4 PARTITION KEY, p5 NUMERIC PARTITION KEY, +note TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
INSERT INTO v(rowid, p1, a, p2, m, p3, p4, p5, note) SELECT i, i % 2, '[' || i || ']', i % 3, i % 7, i % 2, NULL, i %
  2, 'note ' || i FROM n;
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[30]' AND k = 4 AND
  p1 = 1 ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[30]' AND k = 4 AND
  p2 = '2' ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[30]' AND k = 4 AND
  p1 = 1 AND p2 = '2' ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[30]' AND k = 4 AND
  p1 = 0 AND p2 IN ('0', '1') AND m = 3 ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[30]' AND k = 4 AND
  p3 = 1 AND p4 IS NULL ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[30]' AND k = 4 AND
  p4 = 1 ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[30]' AND k = 4 AND
  p5 = '1' AND p1 = 1 ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[30]' AND k = 4 AND
  p1 = 1 AND p3 = 0 ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[30]' AND k = 4 AND
  m < 2 AND p2 > '0' ORDER BY distance);
SELECT group_concat(rowid || ':' || distance) FROM (SELECT rowid, distance FROM v WHERE a MATCH '[30]' AND k = 4 AND
  p1 = 1 AND rowid IN (1, 2, 3, 50, 51) ORDER BY distance);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE a MATCH '[0]' AND p1 = m ORDER BY distance LIMIT 5);
-- a number beside a column of text: whose affinity decides is not known to the search, but SQLite gets it right
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE a MATCH '[0]' AND p2 = 2 AND p1 = 1 ORDER BY distance
  LIMIT 5);
SELECT p1, p2, typeof(p3), count(*), sum(m), max(note) FROM v GROUP BY p1, p2 ORDER BY p1, p2;
SELECT rowid, note FROM v WHERE p1 = 1 AND p2 = '0' AND m = 2 ORDER BY rowid;
DROP TABLE v;
SELECT '-- many small partitions';
CREATE VIRTUAL TABLE v USING tq(a FLOAT[2] metric=l2, tenant TEXT PARTITION KEY);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)
INSERT INTO v(rowid, a, tenant) SELECT i, '[' || i || ',' || (i % 30) || ']', 'tenant ' || (i % 300) FROM n;
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE a MATCH '[300,7]' AND k = 5 AND tenant = 'tenant 7' ORDER
  BY distance);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE a MATCH '[0,0]' AND k = 3 AND tenant LIKE 'tenant 29%' AND
  rowid > 500 ORDER BY distance);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE a MATCH '[0,0]' AND k = 4 AND tenant > 'tenant 98' ORDER
  BY distance);
SELECT tenant, (SELECT rowid FROM v AS w WHERE w.a MATCH '[900,0]' AND w.tenant = t.tenant AND w.k = 1) FROM (SELECT
  DISTINCT tenant FROM v WHERE rowid < 5) AS t ORDER BY tenant;
INSERT INTO v(v) VALUES ('optimize');
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE a MATCH '[300,7]' AND k = 5 AND tenant = 'tenant 7' ORDER
  BY distance);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE a MATCH '[444.25,24]' AND k = 2 ORDER BY distance);
SELECT count(*), count(DISTINCT tenant) FROM v;
DROP TABLE v;
SELECT '-- columns apart';
CREATE VIRTUAL TABLE v USING tq(a FLOAT[1] metric=l2, +name TEXT);
INSERT INTO v(a, name) VALUES ('[1]', 'alex'), ('[2]', 'brian'), ('[3]', 'craig');
SELECT rowid, tq_json(a), name FROM v ORDER BY rowid;
SELECT rowid, name, distance FROM v WHERE a MATCH '[5]' AND k = 10;
SELECT rowid, name FROM v WHERE a MATCH '[5]' AND name = 'alex';
SELECT rowid, name FROM v WHERE a MATCH '[5]' AND name < 'craig' ORDER BY distance LIMIT 1;
-- k limits the search, which does not look at columns apart
SELECT rowid, name FROM v WHERE a MATCH '[5]' AND k = 1 AND name = 'alex';
UPDATE v SET name = 'ALEX' WHERE rowid = 1;
UPDATE v SET name = upper(name) WHERE name LIKE 'B%';
UPDATE v SET a = '[10]' WHERE name = 'craig';
UPDATE v SET rowid = 30 WHERE name = 'craig';
SELECT rowid, tq_json(a), name FROM v ORDER BY rowid;
DELETE FROM v WHERE name = 'BRIAN';
SELECT rowid, name FROM v ORDER BY rowid;
INSERT INTO v(rowid, a, name) VALUES (2, '[2]', 'again');
INSERT OR REPLACE INTO v(rowid, a, name) VALUES (1, '[1]', 'replaced'), (4, NULL, 'no vector');
SELECT rowid, name FROM v ORDER BY name;
SELECT group_concat(rowid) FROM v WHERE name = 'no vector';
DROP TABLE v;
SELECT count(*) FROM sqlite_master WHERE name LIKE 'v%';
SELECT '-- their types: as in an ordinary table';
CREATE VIRTUAL TABLE v USING tq(vector FLOAT[1], +i INTEGER, +f FLOAT, +t TEXT, +b BLOB, + "two words");
INSERT INTO v VALUES ('[1]', 1, 1.25, 'text', x'62006c', 1);
INSERT INTO v VALUES ('[1]', 'not int', 'not float', 1, 1, 'x');
INSERT INTO v VALUES ('[1]', '12', '3', NULL, 'blob', NULL);
INSERT INTO v VALUES ('[1]', NULL, NULL, NULL, NULL, NULL);
INSERT INTO v(vector) VALUES ('[1]');
SELECT rowid, quote(i), quote(f), quote(t), quote(b), quote("two words") FROM v ORDER BY rowid;
SELECT rowid FROM v WHERE i = 12;
SELECT group_concat(rowid) FROM v WHERE "two words" IS NULL;
UPDATE v SET t = 5, i = '7', "two words" = zeroblob(3) WHERE rowid = 4;
SELECT rowid, quote(i), quote(t), quote("two words") FROM v WHERE rowid = 4;
SELECT '-- large ones, rolled back and kept';
BEGIN;
UPDATE v SET b = zeroblob(1000000) WHERE rowid = 1;
SELECT sum(length(b)) FROM v;
ROLLBACK;
SELECT sum(length(b)) FROM v;
UPDATE v SET b = zeroblob(1000000), t = 'large' WHERE rowid = 1;
SELECT length(b), t, tq_json(vector) FROM v WHERE rowid = 1;
SELECT '-- what cannot be declared';
CREATE VIRTUAL TABLE w USING tq(a FLOAT[1], +b FLOAT[1]);
CREATE VIRTUAL TABLE w USING tq(a FLOAT[1], +b TEXT PARTITION KEY);
CREATE VIRTUAL TABLE w USING tq(a FLOAT[1] PARTITION KEY);
CREATE VIRTUAL TABLE w USING tq(a FLOAT[1], p INT PARTITION);
CREATE VIRTUAL TABLE w USING tq(a FLOAT[1], p TEXT INDEXED PARTITION KEY);
SELECT count(*) FROM sqlite_master WHERE name LIKE 'w%';

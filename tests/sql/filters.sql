-- How conditions are answered, and that it does not show: the path, and the same rows by another way.
CREATE VIRTUAL TABLE docs USING tq(e FLOAT[2] metric=l2, n INTEGER INDEXED, m INTEGER, word TEXT INDEXED, +note);
WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 20000)
INSERT INTO docs(rowid, e, n, m, word) SELECT i, '[' || i || ',0]', i % 100, i % 100, 'w' || (i % 10) FROM r;
SELECT '-- few pass: a bitmap; many: each row that the search finds';
SELECT group_concat(rowid) FROM (SELECT rowid FROM docs WHERE e MATCH '[0,0]' AND n = 7 ORDER BY distance LIMIT 3);
SELECT json_extract(tq_explain(), '$.filter'), json_extract(tq_explain(), '$.searches');
SELECT rowid FROM docs WHERE e MATCH '[0,0]' AND n >= 20 ORDER BY distance LIMIT 3;
SELECT json_extract(tq_explain(), '$.filter'), json_extract(tq_explain(), '$.searches');
SELECT rowid FROM docs WHERE e MATCH '[0,0]' AND n >= 21 AND k = 3;
SELECT json_extract(tq_explain(), '$.filter'), json_extract(tq_explain(), '$.searches') > 1;
SELECT group_concat(rowid) FROM (SELECT rowid FROM docs WHERE e MATCH '[0,0]' AND m IN (3, 5) ORDER BY distance LIMIT 3);
SELECT group_concat(rowid) FROM (SELECT rowid FROM docs WHERE e MATCH '[0,0]' AND rowid IN (SELECT column1 * 1000 FROM
  (VALUES (1), (2), (3), (4), (5))) ORDER BY distance LIMIT 3);
SELECT '-- none of the nearest passes, though half of all do';
SELECT group_concat(rowid) FROM (SELECT rowid FROM docs WHERE e MATCH '[0,0]' AND rowid > 10000 ORDER BY distance LIMIT 3);
SELECT group_concat(rowid) FROM (SELECT rowid FROM docs WHERE e MATCH '[0,0]' AND m + 0 = 99 AND word > 'w8' ORDER BY
  distance LIMIT 3);
SELECT '-- a list that is too long for one statement, twice';
CREATE TABLE many(id INTEGER PRIMARY KEY);
INSERT INTO many SELECT rowid FROM docs WHERE rowid % 7 = 0;
SELECT count(*), sum(rowid) FROM docs WHERE e MATCH '[0,0]' AND k = 1000 AND rowid IN (SELECT id FROM many);
SELECT count(*), sum(rowid) FROM docs WHERE rowid IN (SELECT id FROM many) AND rowid IN (SELECT id + 7 FROM many);
SELECT count(*), sum(rowid) FROM docs WHERE e MATCH '[0,0]' AND rowid IN (SELECT id FROM many) AND rowid IN (SELECT id + 7 FROM
  many);
SELECT '-- what is kept is not used when rows have changed: by this connection, by another, and undone';
UPDATE docs SET n = 7 WHERE rowid = 1;
SELECT group_concat(rowid) FROM (SELECT rowid FROM docs WHERE e MATCH '[0,0]' AND n = 7 ORDER BY distance LIMIT 3);
.shell xargs -0 -n1 < /proc/$PPID/cmdline | grep -o /.*tq.so | sed 's/^/.load /' > load
.shell sqlite3 -init load test.db "UPDATE docs SET n = 7 WHERE rowid = 2"
SELECT group_concat(rowid) FROM (SELECT rowid FROM docs WHERE e MATCH '[0,0]' AND n = 7 ORDER BY distance LIMIT 3);
BEGIN;
UPDATE docs SET n = 7 WHERE rowid = 3;
SELECT group_concat(rowid) FROM (SELECT rowid FROM docs WHERE e MATCH '[0,0]' AND n = 7 ORDER BY distance LIMIT 3);
SAVEPOINT a;
UPDATE docs SET n = 8 WHERE n = 7;
SELECT count(*) FROM (SELECT rowid FROM docs WHERE e MATCH '[0,0]' AND n = 7);
ROLLBACK TO a;
SELECT group_concat(rowid) FROM (SELECT rowid FROM docs WHERE e MATCH '[0,0]' AND n = 7 ORDER BY distance LIMIT 3);
ROLLBACK;
SELECT group_concat(rowid) FROM (SELECT rowid FROM docs WHERE e MATCH '[0,0]' AND n = 7 ORDER BY distance LIMIT 3);
DELETE FROM docs WHERE rowid = 2;
SELECT group_concat(rowid) FROM (SELECT rowid FROM docs WHERE e MATCH '[0,0]' AND n = 7 ORDER BY distance LIMIT 3);
INSERT INTO docs(rowid, e, n) VALUES (2, '[0,0]', 7);
SELECT group_concat(rowid) FROM (SELECT rowid FROM docs WHERE e MATCH '[0,0]' AND n = 7 ORDER BY distance LIMIT 3);
SELECT '-- LIKE as it is understood now';
SELECT count(*) FROM docs WHERE e MATCH '[0,0]' AND word LIKE 'W1' AND k = 100000;
PRAGMA case_sensitive_like = ON;
SELECT count(*) FROM docs WHERE e MATCH '[0,0]' AND word LIKE 'W1' AND k = 100000;
PRAGMA case_sensitive_like = OFF;
SELECT count(*) FROM docs WHERE e MATCH '[0,0]' AND word LIKE 'W1' AND k = 100000;
SELECT '-- UPDATE of other columns writes neither codes nor log';
INSERT INTO docs(docs) VALUES ('optimize');
UPDATE docs SET n = n + 1, word = 'x' WHERE rowid < 1000;
SELECT count(*), (SELECT count(*) FROM docs_log), json_extract(tq_info('docs'), '$.dead') FROM docs WHERE word = 'x';
SELECT '-- a page: rows behind a distance or a score';
SELECT group_concat(rowid) FROM docs WHERE e MATCH '[0,0]' AND k = 3 AND distance > 5000;
SELECT group_concat(rowid) FROM docs WHERE e MATCH '[0,0]' AND k = 3 AND score <= -25000000 AND n < 50;
SELECT '-- joins: one search, however many rows outside; the same query again';
CREATE TABLE big(id INTEGER PRIMARY KEY, tag TEXT);
WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 100000) INSERT INTO big SELECT i, 't' || (i % 3) FROM r;
SELECT group_concat(rowid || tag) FROM (SELECT docs.rowid, tag FROM docs, big WHERE big.id = docs.rowid AND e MATCH '[50.2,0]'
  AND tag = 't1' ORDER BY distance LIMIT 3);
SELECT json_extract(tq_explain(), '$.searches');
SELECT count(*) FROM (VALUES (1), (2), (3)) AS v CROSS JOIN docs('[50.2,0]', 4);
SELECT json_extract(tq_explain(), '$.searches'), json_extract(tq_explain(), '$.returned');
SELECT group_concat(a.rowid) FROM docs('[5.25,0]', 4) AS a JOIN docs('[7.25,0]', 4) AS b ON a.rowid = b.rowid;
SELECT '-- k and =: a condition of the search, or of the join';
SELECT rowid FROM docs WHERE e MATCH '[50.2,0]' AND k = 1 AND rowid = 7;
.parameter set :id 7
SELECT rowid FROM docs WHERE e MATCH '[50.2,0]' AND k = 1 AND rowid = :id ORDER BY distance;
SELECT v.column1, docs.rowid FROM (VALUES (50), (51), (53)) AS v LEFT JOIN docs ON e MATCH '[50.2,0]' AND k = 2 AND
  docs.rowid = v.column1;
SELECT count(*) FROM docs WHERE e MATCH '[50.2,0]' AND k IN (1, 2);
SELECT count(*) FROM docs WHERE e MATCH '[50.2,0]' AND k < 5;
SELECT '-- numbers beside text, where a parameter does not tell what is meant';
CREATE VIRTUAL TABLE mixed USING tq(e FLOAT[1] metric=l2, t TEXT, u);
INSERT INTO mixed(e, t, u) VALUES ('[1]', '5', 5), ('[2]', '10', 10), ('[3]', 'x', 'x'), ('[4]', '5.0', '5');
.parameter set :n 5
SELECT rowid FROM mixed('[0]', 1) WHERE u > :n;
SELECT rowid FROM mixed('[0]', 2) WHERE u = 5;
SELECT rowid FROM mixed('[0]', 2) WHERE t = :n;
SELECT mixed.rowid FROM (SELECT CAST(5 AS REAL) AS r) JOIN mixed ON t = r AND e MATCH '[0]';
CREATE TABLE numbers(n INTEGER);
INSERT INTO numbers VALUES (5);
SELECT mixed.rowid FROM numbers JOIN mixed ON t = n AND e MATCH '[0]';
SELECT '-- many queries: read ahead and searched together; the answers are those of one at a time';
CREATE TABLE queries(id INTEGER PRIMARY KEY, v);
WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 700)
INSERT INTO queries SELECT i, tq_f32('[' || (i * 31 % 20000) || ',' || (i % 5) || ']') FROM r;
INSERT INTO queries VALUES (701, '[3,4]');
CREATE TABLE together AS SELECT q.id, docs.rowid AS found, distance FROM queries AS q, docs(q.v, 3);
CREATE TABLE alone AS SELECT q.id, docs.rowid AS found, distance FROM (SELECT id, v FROM queries LIMIT -1 OFFSET 0) AS q, docs(q.v, 3);
SELECT count(*) FROM together;
SELECT count(*) FROM (SELECT * FROM together EXCEPT SELECT * FROM alone);
SELECT count(*), sum(docs.rowid) FROM queries AS q JOIN docs ON docs.e MATCH q.v AND k = 1 WHERE q.id IN (5, 300, 301, 650);
SELECT sum(found) FROM (SELECT min(found) AS found FROM alone WHERE id IN (5, 300, 301, 650) AND distance =
  (SELECT min(distance) FROM alone AS a WHERE a.id = alone.id) GROUP BY id);
INSERT INTO queries VALUES (302000, '[1]');
SELECT count(*) FROM queries AS q, docs(q.v, 3);
SELECT '-- NULL vectors, and what has none';
INSERT INTO docs(rowid, n) VALUES (30000, 7), (30001, 8);
SELECT group_concat(rowid) FROM docs WHERE e IS NULL;
SELECT count(*) FROM docs WHERE e IS NULL AND n = 7;
SELECT count(*) FROM docs WHERE e MATCH '[0,0]' AND n = 7 AND e IS NULL;
-- more rows without a vector than are looked at before a bitmap is made
CREATE VIRTUAL TABLE sparse USING tq(e FLOAT[2] metric=l2, n INTEGER INDEXED);
WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 3000)
INSERT INTO sparse(rowid, e, n) SELECT i, CASE WHEN i % 3 = 0 THEN '[' || i || ',0]' END, 1 FROM r;
SELECT count(*), max(rowid) FROM sparse WHERE e MATCH '[0,0]' AND n = 1 AND k = 2000;

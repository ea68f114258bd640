-- What users of other vector extensions ask for, or ran into.
CREATE VIRTUAL TABLE docs USING tq(embedding FLOAT[2] metric=l2, lang TEXT, year INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
INSERT INTO docs(rowid, embedding, lang, year) SELECT i, '[' || i || ',0]', CASE i % 10 WHEN 0 THEN 'de' ELSE 'en'
  END, 2000 + i % 25 FROM n;
CREATE TABLE d(id INTEGER PRIMARY KEY, lang TEXT, title TEXT);
INSERT INTO d SELECT rowid, lang, 'title ' || rowid FROM docs;
SELECT '-- k rows after any filter';
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' AND docs.rowid % 7 =
  0 ORDER BY distance LIMIT 3);
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' AND docs.lang || '' =
  'de' ORDER BY distance LIMIT 3);
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' AND abs(year - 2010)
  < 2 ORDER BY distance LIMIT 3);
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' AND docs.rowid > 990
  AND year % 2 ORDER BY distance LIMIT 3);
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' AND length(docs.lang)
  = 3 ORDER BY distance LIMIT 3);
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' AND (docs.lang = 'de'
  OR year = 2003) ORDER BY distance LIMIT 3);
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' AND docs.rowid IN
  (SELECT id FROM d WHERE title LIKE '%9') ORDER BY distance LIMIT 3);
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' AND docs.rowid NOT IN
  (SELECT id FROM d WHERE lang = 'en') ORDER BY distance LIMIT 3);
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' AND EXISTS (SELECT 1
  FROM d WHERE id = docs.rowid AND title LIKE '%50') ORDER BY distance LIMIT 3);
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' AND year = (SELECT
  max(year) FROM docs) ORDER BY distance LIMIT 3);
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' AND docs.rowid IN
  (999, 5, 77, 5) ORDER BY distance LIMIT 3);
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' AND docs.lang = 'de'
  AND docs.rowid IN (SELECT id FROM d WHERE id > 500) ORDER BY distance LIMIT 3);
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' AND random() IS NOT
  NULL AND docs.lang = 'de' ORDER BY distance LIMIT 3);
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs JOIN d ON d.id = docs.rowid WHERE docs.embedding MATCH
  '[0,0]' AND d.lang = 'de' ORDER BY distance LIMIT 3);
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM d JOIN docs ON d.id = docs.rowid WHERE docs.embedding MATCH
  '[0,0]' AND d.title > 'title 98' ORDER BY distance LIMIT 4);
SELECT rowid FROM docs WHERE embedding MATCH '[0,0]' AND k = 3 AND lang = 'de' AND year = 2010;
-- an expression is no part of the search: k rows, of which it takes away
SELECT rowid FROM docs WHERE embedding MATCH '[0,0]' AND k = 3 AND rowid % 2 = 1 ORDER BY rowid;
SELECT count(*) FROM docs JOIN d ON d.id = docs.rowid WHERE embedding MATCH '[0,0]' AND k = 20 AND d.lang = 'de';
SELECT '-- rowid IN (subquery), and lists of thousands';
SELECT group_concat(rowid) FROM (SELECT rowid FROM docs WHERE embedding MATCH '[0,0]' AND k = 3 AND rowid IN (SELECT
  id FROM d WHERE lang = 'de' AND id > 700) ORDER BY distance);
SELECT count(*), min(rowid) FROM docs WHERE embedding MATCH '[0,0]' AND rowid IN (WITH RECURSIVE n(i) AS (SELECT 500
  UNION ALL SELECT i + 1 FROM n WHERE i < 5500) SELECT i FROM n);
SELECT count(*) FROM docs WHERE embedding MATCH '[0,0]' AND rowid IN ();
SELECT count(*) FROM docs WHERE embedding MATCH '[0,0]' AND rowid IN (SELECT NULL);
SELECT group_concat(rowid) FROM (SELECT rowid FROM docs WHERE embedding MATCH '[0,0]' AND rowid IN (5, '7', 9.0, 'x',
  NULL, 10.5) ORDER BY distance);
SELECT count(*) FROM docs WHERE embedding MATCH '[0,0]' AND rowid IN (1, 2, 3) AND rowid IN (3, 4, 5);
SELECT count(*) FROM docs WHERE embedding MATCH '[0,0]' AND rowid NOT IN (1, 2, 3);
SELECT '-- the query from elsewhere';
WITH q(v) AS (SELECT '[300,0]') SELECT docs.rowid FROM docs, q WHERE embedding MATCH q.v ORDER BY distance LIMIT 1;
WITH q AS (SELECT embedding AS v FROM docs WHERE rowid = 700) SELECT rowid FROM docs WHERE embedding MATCH (SELECT v
  FROM q) AND k = 1;
-- more like this, not this
SELECT rowid FROM docs WHERE embedding MATCH (SELECT embedding FROM docs WHERE rowid = 500) AND rowid <> 500 AND k =
  2 ORDER BY rowid;
SELECT a.rowid, b.rowid FROM docs AS a JOIN docs AS b ON b.embedding MATCH a.embedding AND b.k = 3 AND b.rowid <>
  a.rowid WHERE a.rowid IN (1, 1000) ORDER BY 1, 2;
SELECT d.id, n.rowid FROM d, docs('[' || d.id || ',0]', 1) AS n WHERE d.id IN (3, 4) ORDER BY 1;
SELECT value, (SELECT rowid FROM docs WHERE embedding MATCH value AND lang = 'de' ORDER BY distance LIMIT 1) FROM
  json_each('["[12,0]","[998,0]"]');
SELECT (SELECT group_concat(rowid) FROM docs('[2.25,0]', 2)), (SELECT group_concat(rowid) FROM docs('[9.25,0]', 2));
SELECT rowid FROM docs WHERE embedding MATCH NULL;
SELECT rowid FROM docs WHERE embedding MATCH (SELECT embedding FROM docs WHERE rowid = 5000);
SELECT rowid FROM docs(NULL, 5);
-- of the wrong dimension, in the middle of a join: what came before it is out
SELECT column1, docs.rowid FROM (VALUES ('[5,0]'), ('[5]')) AS q, docs WHERE embedding MATCH q.column1 AND k = 1;
SELECT '-- joins: outer, inner, any side first';
SELECT d.id, docs.rowid FROM d LEFT JOIN docs ON docs.embedding MATCH '[0,0]' AND docs.rowid = d.id WHERE d.id < 3
  ORDER BY 1;
SELECT d.id, m.id FROM d LEFT JOIN (SELECT rowid AS id FROM docs WHERE embedding MATCH '[0,0]' ORDER BY distance
  LIMIT 2) AS m ON m.id = d.id WHERE d.id < 4 ORDER BY 1;
SELECT d.id, docs.rowid FROM d LEFT JOIN docs ON docs.embedding MATCH '[0,0]' AND docs.rowid = d.id AND docs.distance
  < 3 WHERE d.id < 5 ORDER BY 1;
SELECT q.column1, docs.rowid FROM (VALUES ('[7,0]'), ('[8,0]')) AS q LEFT JOIN docs ON docs.embedding MATCH q.column1
  AND k = 1 AND lang = 'en' ORDER BY 1;
SELECT title, distance FROM docs JOIN d ON d.id = docs.rowid WHERE embedding MATCH '[0,0]' AND docs.lang = 'de' ORDER
  BY distance LIMIT 2;
SELECT title, distance FROM d CROSS JOIN docs ON d.id = docs.rowid WHERE embedding MATCH '[0,0]' AND d.lang = 'de'
  ORDER BY distance LIMIT 2;
SELECT title FROM d WHERE id IN (SELECT rowid FROM docs WHERE embedding MATCH '[0,0]' AND year = 2005 AND k = 2)
  ORDER BY id;
WITH m AS MATERIALIZED (SELECT rowid AS id, distance FROM docs('[0,0]', 3)) SELECT title, m.distance FROM m JOIN d
  USING (id) ORDER BY 2;
-- two searches of four rows each, and what is in both
SELECT a.rowid FROM docs('[5.25,0]', 4) AS a JOIN docs('[7.25,0]', 4) AS b ON a.rowid = b.rowid ORDER BY 1;
SELECT rowid FROM docs('[0,0]', 2) UNION SELECT rowid FROM docs('[1000,0]', 1) ORDER BY 1;
SELECT rowid FROM docs('[0,0]', 4) EXCEPT SELECT id FROM d WHERE id % 2 ORDER BY 1;
SELECT lang, count(*), min(distance) FROM docs WHERE embedding MATCH '[0,0]' AND k = 30 GROUP BY lang ORDER BY 1;
SELECT rowid, row_number() OVER (ORDER BY distance) FROM docs WHERE embedding MATCH '[0,0]' AND lang = 'de' LIMIT 2;
SELECT rowid FROM docs WHERE NOT embedding MATCH '[0,0]';
SELECT '-- views, and views of views';
CREATE VIEW german AS SELECT docs.rowid AS id, embedding, title, year FROM docs JOIN d ON d.id = docs.rowid WHERE
  docs.lang = 'de';
CREATE VIEW near AS SELECT rowid AS id, distance, lang FROM docs('[0,0]');
CREATE VIEW near_german AS SELECT id, distance FROM near WHERE lang = 'de';
SELECT id, title FROM german WHERE embedding MATCH '[0,0]' AND year > 2010 LIMIT 2;
SELECT id FROM near WHERE lang = 'de' ORDER BY distance LIMIT 2;
SELECT id, distance FROM near_german ORDER BY distance LIMIT 1 OFFSET 1;
SELECT '-- a failed insert inside a transaction leaves nothing, and the transaction goes on';
BEGIN;
INSERT INTO docs(rowid, embedding, lang) VALUES (2001, '[2001,0]', 'fr');
INSERT INTO docs(rowid, embedding, lang) VALUES (2002, '[1]', 'fr');
INSERT INTO docs(rowid, embedding, lang) VALUES (2001, '[1,1]', 'fr');
INSERT INTO docs(rowid, embedding, lang) VALUES (2003, '[3,0]', 'fr'), (2004, '[4,0]', 'fr'), (2005, 'oops', 'fr');
UPDATE docs SET lang = 'fr', embedding = CASE rowid WHEN 3 THEN '[3]' ELSE embedding END WHERE rowid <= 3;
INSERT OR IGNORE INTO docs(rowid, embedding, lang) VALUES (2001, '[9,9]', 'it'), (2006, '[2006,0]', 'fr');
COMMIT;
SELECT rowid, lang FROM docs WHERE lang NOT IN ('en', 'de') ORDER BY rowid;
SELECT group_concat(rowid) FROM (SELECT rowid FROM docs WHERE embedding MATCH '[2003,0]' AND k = 3 ORDER BY distance);
-- OR FAIL keeps the rows before the one that fails; OR ROLLBACK undoes the transaction
INSERT OR FAIL INTO docs(rowid, embedding) VALUES (2010, '[1,0]'), (1, '[1,0]'), (2011, '[1,0]');
SELECT group_concat(rowid) FROM docs WHERE rowid > 2006;
BEGIN;
DELETE FROM docs WHERE rowid < 900;
INSERT OR ROLLBACK INTO docs(rowid, embedding) VALUES (1000, '[1,0]');
SELECT count(*) FROM docs;
DELETE FROM docs WHERE rowid > 1000;
SELECT '-- ROLLBACK undoes deletes and updates';
BEGIN;
DELETE FROM docs WHERE lang = 'en';
UPDATE docs SET embedding = '[-1,0]', lang = 'xx' WHERE rowid = 1000;
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' ORDER BY distance
  LIMIT 2);
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' AND lang = 'xx' ORDER
  BY distance LIMIT 3);
ROLLBACK;
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' ORDER BY distance
  LIMIT 2);
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' AND lang = 'xx' ORDER
  BY distance LIMIT 3);
SAVEPOINT a;
DELETE FROM docs;
SELECT count(*), (SELECT count(*) FROM docs('[0,0]')) FROM docs;
ROLLBACK TO a;
RELEASE a;
SELECT count(*), (SELECT count(*) FROM docs('[0,0]')) FROM docs;
SELECT '-- OR REPLACE, REPLACE, RETURNING';
INSERT OR REPLACE INTO docs(rowid, embedding, lang) VALUES (1, '[1,1]', 'new'), (3000, '[3000,0]', 'new');
REPLACE INTO docs(rowid, embedding, lang) VALUES (2, NULL, 'new');
SELECT rowid, tq_json(embedding), year FROM docs WHERE lang = 'new' ORDER BY rowid;
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' AND lang = 'new'
  ORDER BY distance LIMIT 3);
INSERT INTO docs(rowid, embedding, lang) VALUES (3001, '[0,0]', 'ret') RETURNING rowid, lang, tq_json(embedding);
-- SQLite has neither of these for virtual tables, nor UPSERT
UPDATE docs SET lang = upper(lang) WHERE lang = 'ret' RETURNING rowid, lang;
DELETE FROM docs WHERE lang = 'ret' RETURNING rowid, lang;
DELETE FROM docs WHERE lang IN ('new', 'ret');
INSERT INTO docs(rowid, embedding) VALUES (5, '[0,0]') ON CONFLICT DO NOTHING;
-- from a SELECT on itself, and from another table
INSERT INTO docs(rowid, embedding, lang, year) SELECT rowid + 5000, embedding, 'copy', year FROM docs WHERE rowid <= 10;
SELECT count(*), sum(rowid) FROM docs WHERE lang = 'copy';
DELETE FROM docs WHERE lang = 'copy';
UPDATE docs SET lang = d.title FROM d WHERE d.id = docs.rowid AND d.id IN (10, 20);
SELECT rowid, lang, year, tq_json(embedding) FROM docs WHERE lang LIKE 'title%' ORDER BY rowid;
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' AND lang LIKE
  'title%' ORDER BY distance LIMIT 3);
UPDATE docs SET lang = 'de' WHERE lang LIKE 'title%';
DELETE FROM docs WHERE rowid IN (SELECT id FROM d WHERE id > 990);
SELECT max(rowid) FROM docs;
DELETE FROM docs WHERE rowid IN (SELECT rowid FROM docs WHERE embedding MATCH '[3,0]' AND k = 3);
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' ORDER BY distance
  LIMIT 3);
SELECT '-- triggers';
CREATE TABLE notes(id INTEGER PRIMARY KEY, body TEXT, v);
CREATE TRIGGER note_in AFTER INSERT ON notes BEGIN INSERT INTO docs(rowid, embedding, lang) VALUES (new.id, new.v,
  'note'); END;
CREATE TRIGGER note_of AFTER UPDATE ON notes BEGIN UPDATE docs SET rowid = new.id, embedding = new.v WHERE rowid =
  old.id; END;
CREATE TRIGGER note_out AFTER DELETE ON notes BEGIN DELETE FROM docs WHERE rowid = old.id; END;
INSERT INTO notes VALUES (7001, 'one', '[7001,0]'), (7002, 'two', '[7002,0]');
SELECT rowid, tq_json(embedding) FROM docs WHERE lang = 'note' ORDER BY rowid;
UPDATE notes SET v = '[0,-7]', id = 7003 WHERE id = 7002;
SELECT rowid, tq_json(embedding) FROM docs WHERE lang = 'note' ORDER BY rowid;
DELETE FROM notes WHERE id = 7001;
SELECT rowid, tq_json(embedding) FROM docs WHERE lang = 'note' ORDER BY rowid;
INSERT INTO notes VALUES (7010, 'good', '[1,1]'), (7011, 'bad', '[1]');
SELECT (SELECT count(*) FROM notes), (SELECT count(*) FROM docs WHERE lang = 'note');
-- also if the schema is not trusted
PRAGMA trusted_schema = OFF;
INSERT INTO notes VALUES (7020, 'twenty', '[7020,0]');
SELECT rowid FROM docs WHERE lang = 'note' ORDER BY rowid;
SELECT id, distance FROM near_german LIMIT 1;
SELECT id FROM german WHERE embedding MATCH '[30,0]' LIMIT 1;
CREATE VIEW closest AS SELECT rowid AS id FROM docs ORDER BY tq_l2(embedding, '[77,0]') LIMIT 1;
SELECT id FROM closest;
PRAGMA trusted_schema = ON;
SELECT '-- VACUUM, ALTER and RENAME of this and other tables';
VACUUM;
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' AND lang = 'de' ORDER
  BY distance LIMIT 2);
ALTER TABLE d ADD COLUMN more;
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' AND lang = 'de' ORDER
  BY distance LIMIT 2);
ALTER TABLE d RENAME COLUMN more TO most;
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' AND lang = 'de' ORDER
  BY distance LIMIT 2);
ALTER TABLE notes RENAME TO remarks;
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' AND lang = 'de' ORDER
  BY distance LIMIT 2);
CREATE INDEX d_lang ON d(lang);
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' AND lang = 'de' ORDER
  BY distance LIMIT 2);
ANALYZE;
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' AND lang = 'de' ORDER
  BY distance LIMIT 2);
DROP INDEX d_lang;
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' AND lang = 'de' ORDER
  BY distance LIMIT 2);
REINDEX;
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' AND lang = 'de' ORDER
  BY distance LIMIT 2);
PRAGMA optimize;
SELECT group_concat(rowid) FROM (SELECT docs.rowid FROM docs WHERE docs.embedding MATCH '[0,0]' AND lang = 'de' ORDER
  BY distance LIMIT 2);
DROP VIEW german;
DROP VIEW near_german;
DROP VIEW near;
DROP VIEW closest;
DROP TABLE remarks;
ALTER TABLE docs RENAME TO "my docs";
SELECT rowid FROM "my docs"('[30,0]', 1);
INSERT INTO [my docs](rowid, embedding, lang) VALUES (9000, '[9000,0]', 'q');
SELECT rowid, distance FROM `my docs` WHERE `my docs`.embedding MATCH '[9000,0]' AND lang = 'q';
-- the old name is free
CREATE VIRTUAL TABLE docs USING tq(embedding FLOAT[2] metric=l2, lang TEXT);
INSERT INTO docs VALUES ('[1,1]', 'new');
SELECT lang FROM docs('[1,1]');
DROP TABLE docs;
ALTER TABLE main."my docs" RENAME TO docs;
SELECT rowid FROM main.docs WHERE main.docs.embedding MATCH '[9000,0]' AND k = 1;
DELETE FROM main.docs WHERE main.docs.rowid = 9000;
ALTER TABLE docs ADD COLUMN more TEXT;
PRAGMA integrity_check;
PRAGMA quick_check(docs_rows);
SELECT '-- names with quotes, blanks, keywords';
CREATE VIRTUAL TABLE "a ""b"" 'c' [d" USING tq("the ""vector""" FLOAT[1] metric=l2, [order] INT INDEXED, 'it''s'
  TEXT, `group` PARTITION KEY, +"select" TEXT);
INSERT INTO "a ""b"" 'c' [d" VALUES ('[1]', 1, 'one', 'g', 's1'), ('[2]', 2, 'two', 'g', 's2'), ('[3]', 3, 'three',
  'h', 's3');
SELECT rowid, "order", "it's", "group", "select" FROM "a ""b"" 'c' [d"
  WHERE "the ""vector""" MATCH '[3]' AND "group" = 'g' AND "order" > 0 ORDER BY distance;
SELECT "order" FROM "a ""b"" 'c' [d" WHERE "order" = 2 OR "it's" = 'one' ORDER BY 1;
UPDATE "a ""b"" 'c' [d" SET "group" = 'h', "select" = 'moved' WHERE "it's" = 'one';
SELECT "select" FROM "a ""b"" 'c' [d"('[0]') WHERE "group" = 'h';
ALTER TABLE "a ""b"" 'c' [d" RENAME TO "ü '"" 日本";
SELECT "select" FROM "ü '"" 日本" AS t WHERE t."the ""vector""" MATCH '[2]' AND t.k = 1;
DROP TABLE "ü '"" 日本";
SELECT count(*) FROM sqlite_master WHERE name LIKE 'ü%' OR name LIKE 'a %';
SELECT '-- ATTACH: the same name in two databases, and writes to both at once';
ATTACH 'second.db' AS "second one";
CREATE VIRTUAL TABLE "second one".docs USING tq(embedding FLOAT[2] metric=l2, lang TEXT, year INTEGER);
INSERT INTO "second one".docs(rowid, embedding, lang) SELECT rowid, embedding, 'second' FROM main.docs WHERE rowid >
  900;
SELECT lang, rowid FROM "second one".docs WHERE embedding MATCH '[900,0]' AND k = 1;
SELECT rowid FROM docs WHERE embedding MATCH '[0,0]' AND lang IN ('en', 'de', 'second') AND k = 1;
SELECT a.rowid, b.lang FROM main.docs AS a JOIN "second one".docs AS b ON b.rowid = a.rowid WHERE a.embedding MATCH
  '[890,0]' LIMIT 1;
BEGIN;
DELETE FROM "second one".docs WHERE rowid < 950;
DELETE FROM main.docs WHERE rowid < 950;
SELECT (SELECT count(*) FROM main.docs WHERE lang <> 'note'), (SELECT count(*) FROM "second one".docs WHERE rowid <
  7000);
ROLLBACK;
SELECT (SELECT count(*) FROM main.docs WHERE lang <> 'note'), (SELECT count(*) FROM "second one".docs WHERE rowid <
  7000);
DETACH "second one";
SELECT rowid FROM docs('[444,0]', 1);

-- The three ways to ask, alone and inside larger statements.
CREATE VIRTUAL TABLE words USING tq(embedding FLOAT[2], metric=cosine);
CREATE TABLE names(id INTEGER PRIMARY KEY, name TEXT, lang TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
INSERT INTO names SELECT i, 'w' || i, iif(i % 2, 'en', 'de') FROM n;
INSERT INTO words(rowid, embedding) SELECT id, '[' || (100 - id) || ',' || id || ']' FROM names;
INSERT INTO words(rowid, embedding) VALUES (1000, NULL);
SELECT '-- match';
SELECT rowid, round(score, 4), round(distance, 4) FROM words WHERE embedding MATCH '[1,1]' ORDER BY score DESC LIMIT 3;
SELECT rowid FROM words WHERE embedding MATCH '[1,1]' AND k = 3 ORDER BY distance;
SELECT rowid FROM words WHERE embedding MATCH '[1,1]' AND k = 3 ORDER BY score;
SELECT rowid FROM words('[1,1]') ORDER BY score DESC LIMIT 2 OFFSET 2;
SELECT rowid FROM words('[1,1]', 2) ORDER BY score DESC;
SELECT count(*) FROM words('[1,1]');
SELECT count(*) FROM words WHERE embedding MATCH '[1,1]' AND k = 7;
SELECT count(*) FROM words WHERE embedding MATCH '[1,1]' AND k = 0;
SELECT count(*) FROM (SELECT 1 FROM words('[1,1]') ORDER BY score DESC LIMIT -1);
SELECT count(*) FROM (SELECT 1 FROM words('[1,1]') ORDER BY score DESC LIMIT 0);
SELECT count(*) FROM (SELECT 1 FROM words('[1,1]') ORDER BY score DESC LIMIT 1000 OFFSET 95);
SELECT rowid FROM words WHERE words MATCH '[0,1]' ORDER BY score DESC LIMIT 1;
SELECT '-- with other conditions';
SELECT rowid FROM words WHERE embedding MATCH '[1,1]' AND rowid % 10 = 0 ORDER BY score DESC LIMIT 3;
SELECT rowid FROM words WHERE embedding MATCH '[1,1]' AND score < 0.9 ORDER BY score DESC LIMIT 2;
SELECT count(*) FROM words WHERE embedding MATCH '[1,1]' AND distance < 0.01;
SELECT rowid, tq_json(embedding) FROM words WHERE embedding MATCH '[1,1]' AND rowid = 50;
SELECT '-- joins';
SELECT name FROM words('[1,1]') AS w JOIN names ON id = w.rowid WHERE lang = 'en' ORDER BY score DESC LIMIT 3;
SELECT name FROM names JOIN words AS w ON id = w.rowid WHERE w.embedding MATCH '[0,1]' AND lang = 'de' ORDER BY w.score DESC
  LIMIT 2;
SELECT a.rowid, (SELECT group_concat(b.rowid) FROM (SELECT rowid FROM words(a.embedding, 3) ORDER BY score DESC) AS b)
  FROM words AS a WHERE a.rowid IN (10, 20, 30);
SELECT a.rowid, b.rowid FROM words AS a JOIN words AS b ON b.embedding MATCH a.embedding AND b.k = 2
  WHERE a.rowid IN (10, 90) ORDER BY a.rowid, b.score DESC;
SELECT a.id, b.rowid FROM names AS a LEFT JOIN words AS b ON b.embedding MATCH '[' || a.id || ',1]' AND b.k = 1
  WHERE a.id <= 3 ORDER BY a.id;
SELECT count(*) FROM words AS a, words AS b WHERE a.rowid = b.rowid;
WITH q(v) AS (SELECT embedding FROM words WHERE rowid = 42)
SELECT rowid FROM words, q WHERE embedding MATCH q.v ORDER BY score DESC LIMIT 1;
SELECT group_concat(name) FROM names WHERE id IN (SELECT rowid FROM words('[1,1]') LIMIT 4);
SELECT rowid FROM words('[1,0]', 2) UNION ALL SELECT rowid FROM words('[0,1]', 2);
SELECT '-- order by a function: the same rows whichever path is taken';
SELECT rowid FROM words ORDER BY tq_cosine(embedding, '[1,1]') DESC LIMIT 3;
SELECT json_extract(tq_explain(), '$.path');
SELECT rowid FROM words ORDER BY tq_distance(embedding, '[1,1]') NULLS LAST LIMIT 3;
SELECT json_extract(tq_explain(), '$.path');
SELECT rowid FROM words ORDER BY tq_distance(embedding, '[1,1]') LIMIT 2;
SELECT rowid FROM words ORDER BY tq_ip(embedding, '[1,1]') DESC LIMIT 3;
SELECT json_extract(tq_explain(), '$.path');
SELECT rowid, round(tq_l2('[50,50]', embedding), 3) AS d FROM words WHERE embedding NOT NULL ORDER BY d LIMIT 3;
SELECT json_extract(tq_explain(), '$.path');
SELECT rowid FROM words WHERE rowid % 10 = 0 ORDER BY tq_cosine(embedding, '[1,1]') DESC LIMIT 2;
SELECT lang, max(tq_cosine(embedding, '[1,1]')) > 0.99 FROM names JOIN words ON id = words.rowid GROUP BY lang ORDER BY 1;
WITH m AS MATERIALIZED (SELECT rowid AS id, embedding AS v FROM words) SELECT id FROM m ORDER BY tq_cosine('[1,1]', v) DESC LIMIT 1;
SELECT rowid FROM words WHERE tq_cosine(embedding, '[1,1]') > 0.9999 ORDER BY rowid;
SELECT tq_config('order_by', 'scan');
SELECT rowid FROM words ORDER BY tq_cosine(embedding, '[1,1]') DESC LIMIT 3;
SELECT json_extract(tq_explain(), '$.path');
SELECT tq_config('order_by', 'approximate');
SELECT rowid FROM words ORDER BY tq_cosine(embedding, '[1,1]') DESC LIMIT 3;
SELECT json_extract(tq_explain(), '$.path');
SELECT tq_config('order_by', 'exact');
SELECT '-- a view, a view that hides the table, a trigger';
CREATE VIEW even AS SELECT rowid AS id, embedding FROM words WHERE rowid % 2 = 0;
SELECT id FROM even ORDER BY tq_cosine(embedding, '[51,49]') DESC LIMIT 2;
CREATE TEMP VIEW words AS SELECT rowid, embedding FROM main.words WHERE rowid % 10 = 0;
SELECT rowid FROM words ORDER BY tq_cosine(embedding, '[55,45]') DESC LIMIT 2;
SELECT rowid FROM main.words ORDER BY tq_cosine(embedding, '[55,45]') DESC LIMIT 1;
SELECT json_extract(tq_explain(), '$.path');
DROP VIEW temp.words;
CREATE TABLE inbox(v);
CREATE TRIGGER inbox_in AFTER INSERT ON inbox BEGIN INSERT INTO words(embedding) VALUES (new.v); END;
INSERT INTO inbox VALUES ('[1,-1]');
SELECT rowid FROM words('[1,-1]', 1);
SELECT '-- plain tables';
CREATE TABLE plain(id INTEGER PRIMARY KEY, v BLOB);
INSERT INTO plain SELECT rowid, embedding FROM words WHERE rowid <= 100;
SELECT count(*) FROM plain JOIN words ON id = words.rowid
  WHERE tq_cosine(v, '[3,1]') = tq_cosine('[3,1]', embedding) AND tq_ip(v, '[3,1]') = tq_ip(embedding, '[3,1]')
    AND tq_l2('[3,1]', v) = tq_l2(embedding, '[3,1]');
SELECT id FROM plain ORDER BY tq_cosine(v, '[1,1]') DESC LIMIT 2;
SELECT tq_distance(v, '[1,1]') FROM plain;
SELECT '-- an empty table';
DELETE FROM words;
SELECT count(*) FROM words('[1,1]');
SELECT rowid FROM words ORDER BY tq_cosine(embedding, '[1,1]') DESC LIMIT 3;

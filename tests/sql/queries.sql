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
SELECT '-- a bar ends the search';
SELECT count(*), min(score) >= 0.75 FROM words WHERE embedding MATCH '[1,1]' AND score > 0.75;
SELECT json_extract(tq_explain(), '$.returned');
SELECT count(*) FROM words WHERE embedding MATCH '[1,1]' AND score > 0.99999;
SELECT tq_explain() LIKE '%"returned":1,%';
SELECT count(*) FROM words WHERE embedding MATCH '[1,1]' AND score >= (SELECT score FROM words('[1,1]') WHERE rowid = 40);
SELECT count(*) FROM words WHERE embedding MATCH '[1,1]' AND score > (SELECT score FROM words('[1,1]') WHERE rowid = 40);
SELECT count(*) FROM words WHERE embedding MATCH '[1,1]' AND distance <= (SELECT distance FROM words('[1,1]') WHERE rowid = 40);
SELECT count(*) FROM words WHERE embedding MATCH '[1,1]' AND distance < '0.01' AND score > 0.5 AND score < 0.9999;
SELECT count(*), (SELECT count(*) FROM words('[1,1]') WHERE score + 0 BETWEEN 0.8 AND 0.9) FROM words('[1,1]')
  WHERE score BETWEEN 0.8 AND 0.9;
SELECT (SELECT count(*) FROM words('[1,1]') WHERE score > NULL), (SELECT count(*) FROM words('[1,1]') WHERE distance < NULL),
  (SELECT count(*) FROM words('[1,1]') WHERE score > 'x'), (SELECT count(*) FROM words('[1,1]') WHERE distance < 'x'),
  (SELECT count(*) FROM words('[1,1]') WHERE score >= x'00'), (SELECT count(*) FROM words('[1,1]') WHERE distance <= x'00');
SELECT (SELECT count(*) FROM words('[1,1]') WHERE +score > 'x'), (SELECT count(*) FROM words('[1,1]') WHERE +distance < 'x');
SELECT (SELECT count(*) FROM words('[1,1]') WHERE score > -9223372036854775807), (SELECT count(*) FROM words('[1,1]')
  WHERE distance < 9223372036854775807), (SELECT count(*) FROM words('[1,1]', 5) WHERE score > 0), (SELECT count(*)
  FROM words('[1,1]', 5) WHERE score > 1);
SELECT count(*) FROM names LEFT JOIN words ON embedding MATCH '[1,1]' AND words.rowid = id AND score > 0.999 WHERE id < 60;
SELECT count(*) FROM words WHERE score > 0.5;
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
SELECT '-- the query by a subquery, and why not';
CREATE TABLE q(id INTEGER PRIMARY KEY, e);
INSERT INTO q VALUES (1, '[1,1]'), (2, '[1]');
SELECT rowid FROM words ORDER BY tq_cosine(embedding, (SELECT embedding FROM words WHERE rowid = 5)) DESC LIMIT 3;
SELECT json_extract(tq_explain(), '$.path');
SELECT rowid, round(tq_cosine(embedding, (SELECT e FROM q LIMIT 1)), 3) FROM words ORDER BY tq_cosine(embedding, (SELECT e FROM q LIMIT 1)) DESC LIMIT 2;
SELECT json_extract(tq_explain(), '$.path');
SELECT rowid, tq_l2((SELECT e FROM q WHERE id = 1), w.embedding) AS s FROM words w WHERE w.rowid <> 1000 ORDER BY s LIMIT 1;
SELECT json_extract(tq_explain(), '$.why');
SELECT rowid, tq_ip(w.embedding, tq_f32('[1,1]')) AS s FROM words w ORDER BY s DESC LIMIT 1;
SELECT json_extract(tq_explain(), '$.path');
SELECT rowid FROM words ORDER BY tq_cosine(embedding, (SELECT e FROM q WHERE id = 2)) DESC LIMIT 2;
SELECT rowid FROM words ORDER BY tq_cosine(embedding, (SELECT e FROM q WHERE id = 3)) DESC LIMIT 2;
SELECT json_extract(tq_explain(), '$.why');
SELECT rowid FROM words ORDER BY tq_cosine(embedding, (SELECT x.embedding FROM words AS x WHERE x.rowid = 101 - words.rowid)) DESC LIMIT 1;
SELECT json_extract(tq_explain(), '$.why');
SELECT count(*) FROM words;
SELECT json_extract(tq_explain(), '$.why');
SELECT rowid FROM words ORDER BY tq_cosine(embedding, '[1,0]') DESC LIMIT 2 + 1;
SELECT json_extract(tq_explain(), '$.why');
SELECT count(*) FROM (SELECT rowid FROM words ORDER BY tq_cosine(embedding, '[1,0]') DESC);
SELECT json_extract(tq_explain(), '$.why');
SELECT name FROM words, names WHERE id = words.rowid ORDER BY tq_cosine(embedding, '[1,0]') DESC LIMIT 1;
SELECT json_extract(tq_explain(), '$.why');
SELECT rowid, (SELECT name FROM names WHERE id = w.rowid) FROM words AS w ORDER BY tq_cosine(embedding, '[1,0]') DESC LIMIT 2;
SELECT json_extract(tq_explain(), '$.path');
SELECT rowid, (SELECT max(w.rowid)) FROM words AS w ORDER BY tq_cosine(embedding, '[0,1]') DESC LIMIT 2;
SELECT json_extract(tq_explain(), '$.why');
SELECT rowid, (SELECT tq_json(w.embedding) FROM words AS w WHERE w.rowid = words.rowid) FROM words('[1,0]', 2);
SELECT json_extract(tq_explain(), '$.path'), json_extract(tq_explain(), '$.returned');
SELECT count(b.rowid) FROM names JOIN words AS b ON b.embedding MATCH '[1,1]' AND k = 2 AND name <> score WHERE id < 4;
SELECT json_extract(tq_explain(), '$.path'), json_extract(tq_explain(), '$.returned');
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

-- Lists that are longer than one statement takes: rows of every run of them are found, once each.
CREATE VIRTUAL TABLE docs USING tq(embedding FLOAT[2], n INTEGER);
INSERT INTO docs(rowid, embedding, n) WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 3000)
  SELECT i, json_array(i, 1), i % 1500 FROM c;
CREATE TABLE wanted AS SELECT rowid * 2 AS id FROM docs WHERE rowid <= 1400;
SELECT count(*), sum(rowid) FROM docs WHERE rowid IN (SELECT id FROM wanted);
SELECT count(*), sum(rowid) FROM docs WHERE n IN (SELECT id FROM wanted);
SELECT count(*), sum(rowid) FROM docs WHERE n IN (SELECT id FROM wanted) AND rowid > 2;
SELECT count(*), sum(rowid) FROM docs WHERE embedding MATCH '[1,1]' AND k = 3000 AND n IN (SELECT id FROM wanted);

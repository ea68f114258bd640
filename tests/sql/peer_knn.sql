-- Nearest rows under conditions: as many as asked for, whatever the filter, the order, the page.
SELECT '-- films: filters of all kinds together';
CREATE VIRTUAL TABLE films USING tq(film_id INTEGER PRIMARY KEY, synopsis FLOAT[1] metric=l2, +title TEXT, favourite
  BOOLEAN,
  genre TEXT, reviews INT, rating FLOAT INDEXED);
INSERT INTO films(film_id, synopsis, favourite, genre, title, reviews, rating) VALUES
  (1, '[1]', 1, 'comedy', 'Film 1', 157, 1.6), (2, '[2]', 1, 'documentary', 'Film 2', 294, 3.0),
  (3, '[3]', 0, 'documentary', 'Film 3', 431, 4.4), (4, '[4]', 1, 'scifi', 'Film 4', 68, 0.8),
  (5, '[5]', 1, 'comedy', 'Film 5', 205, 2.2), (6, '[6]', 0, 'scifi', 'Film 6', 342, 3.6),
  (7, '[7]', 1, 'horror', 'Film 7', 479, 5.0), (8, '[8]', 1, 'comedy', 'Film 8', 116, 1.4),
  (9, '[9]', 0, 'fantasy', 'Film 9', 253, 2.8), (10, '[10]', 1, 'scifi', 'Film 10', 390, 4.2),
  (11, '[11]', 1, 'fantasy', 'Film 11', 27, 0.6), (12, '[12]', 0, 'scifi', 'Film 12', 164, 2.0),
  (13, '[13]', 1, 'scifi', 'Film 13', 301, 3.4), (14, '[14]', 1, 'documentary', 'Film 14', 438, 4.8),
  (15, '[15]', 0, 'fantasy', 'Film 15', 75, 1.2), (16, '[16]', 1, 'horror', 'Film 16', 212, 2.6),
  (17, '[17]', 1, 'fantasy', 'Film 17', 349, 4.0), (18, '[18]', 0, 'fantasy', 'Film 18', 486, 0.4),
  (19, '[19]', 1, 'horror', 'Film 19', 123, 1.8), (20, '[20]', 1, 'horror', 'Film 20', 260, 3.2),
  (21, '[21]', 0, 'comedy', 'Film 21', 397, 4.6), (22, '[22]', 1, 'documentary', 'Film 22', 34, 1.0),
  (23, '[23]', 1, 'documentary', 'Film 23', 171, 2.4), (24, '[24]', 0, 'scifi', 'Film 24', 308, 3.8),
  (25, '[25]', 1, 'comedy', 'Film 25', 445, 0.2);
SELECT film_id, title, genre, reviews, rating, favourite, distance FROM films WHERE synopsis MATCH '[15.25]' AND k =
  5 AND genre = 'scifi' AND reviews BETWEEN 100 AND 400 AND rating > 1.5 ORDER BY distance;
SELECT film_id, distance FROM films WHERE synopsis MATCH '[100]' AND k = 5 AND genre = 'horror' ORDER BY distance;
SELECT film_id, distance FROM films WHERE synopsis MATCH '[100]' AND k = 5 AND genre = 'comedy' ORDER BY distance;
SELECT film_id, distance FROM films WHERE synopsis MATCH '[100]' AND k = 5 AND reviews BETWEEN 100 AND 500 ORDER BY
  distance;
SELECT film_id, distance FROM films WHERE synopsis MATCH '[100]' AND k = 5 AND reviews >= 450 ORDER BY distance;
SELECT film_id, distance FROM films WHERE synopsis MATCH '[100]' AND k = 5 AND rating < 1.0 ORDER BY distance;
SELECT film_id, distance FROM films WHERE synopsis MATCH '[100]' AND k = 5 AND rating BETWEEN 4.0 AND 5.0 ORDER BY
  distance;
SELECT film_id, distance FROM films WHERE synopsis MATCH '[100]' AND k = 5 AND favourite = TRUE ORDER BY distance;
SELECT film_id, distance FROM films WHERE synopsis MATCH '[100]' AND k = 5 AND favourite != TRUE ORDER BY distance;
SELECT film_id, distance FROM films WHERE synopsis MATCH '[100]' AND k = 5 AND favourite = FALSE ORDER BY distance;
SELECT film_id, distance FROM films WHERE synopsis MATCH '[100]' AND k = 5 AND favourite != FALSE ORDER BY distance;
SELECT film_id, distance FROM films WHERE synopsis MATCH '[100]' AND k = 5 AND favourite >= 999 ORDER BY distance;
SELECT film_id, distance FROM films WHERE synopsis MATCH '[100]' AND k = 5 AND film_id > 10 AND genre IN ('scifi',
  'fantasy') ORDER BY distance;
SELECT film_id, distance FROM films WHERE synopsis MATCH '[100]' AND k = 5 AND film_id IN (1, 2, 3, 99) ORDER BY
  distance;
SELECT film_id, distance FROM films WHERE synopsis MATCH '[100]' AND k = 5 AND film_id BETWEEN 4 AND 6 ORDER BY
  distance;
SELECT film_id, distance FROM films WHERE synopsis MATCH '[100]' AND k = 5 AND rowid < 3 ORDER BY distance;
SELECT film_id, distance FROM films WHERE synopsis MATCH '[100]' AND k = 5 AND film_id = 7 AND rowid = 7 ORDER BY
  distance;
SELECT film_id, distance FROM films WHERE synopsis MATCH '[100]' AND k = 5 AND film_id = 7 AND rowid = 8 ORDER BY
  distance;
SELECT film_id FROM films WHERE synopsis MATCH '[100]' AND favourite ORDER BY distance LIMIT 5;
SELECT film_id, title FROM films('[3.25]', 3) WHERE title LIKE 'Film%' ORDER BY distance;
SELECT '-- distance as a condition';
CREATE VIRTUAL TABLE v USING tq(embedding FLOAT[1] metric=l2, is_odd BOOLEAN);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 17)
INSERT INTO v(rowid, is_odd, embedding) SELECT i, i % 2, '[' || i || ']' FROM n;
SELECT rowid, distance FROM v WHERE embedding MATCH '[1]' ORDER BY distance LIMIT 5;
SELECT rowid, distance FROM v WHERE embedding MATCH '[1]' AND distance > 5 ORDER BY distance LIMIT 5;
SELECT rowid, distance FROM v WHERE embedding MATCH '[1]' AND distance >= 5 ORDER BY distance LIMIT 5;
SELECT rowid, distance FROM v WHERE embedding MATCH '[1]' AND distance < 3 ORDER BY distance LIMIT 5;
SELECT rowid, distance FROM v WHERE embedding MATCH '[1]' AND distance <= 3 ORDER BY distance LIMIT 5;
SELECT rowid, distance FROM v WHERE embedding MATCH '[1]' AND distance > 7 AND distance <= 10 ORDER BY distance LIMIT 5;
SELECT rowid, distance FROM v WHERE embedding MATCH '[1]' AND distance BETWEEN 7 AND 10 ORDER BY distance LIMIT 5;
SELECT rowid, distance FROM v WHERE embedding MATCH '[1]' AND is_odd = TRUE AND distance BETWEEN 7 AND 10 ORDER BY
  distance LIMIT 5;
SELECT rowid, distance FROM v WHERE embedding MATCH '[1]' AND distance = 4 ORDER BY distance LIMIT 5;
SELECT rowid, distance FROM v WHERE embedding MATCH '[1]' AND distance != 0 ORDER BY distance LIMIT 5;
SELECT rowid, distance FROM v WHERE embedding MATCH '[1]' AND distance > 100 ORDER BY distance LIMIT 5;
SELECT rowid, distance FROM v WHERE embedding MATCH '[1]' AND distance < -1 ORDER BY distance LIMIT 5;
SELECT rowid, distance FROM v WHERE embedding MATCH '[1]' AND distance <= 0 ORDER BY distance LIMIT 5;
SELECT count(*) FROM v WHERE embedding MATCH '[1]' AND distance < '3';
-- without LIMIT: a radius
SELECT rowid, distance FROM v WHERE embedding MATCH '[1]' AND distance <= 3 ORDER BY distance LIMIT -1;
SELECT rowid, distance FROM v WHERE embedding MATCH '[1]' AND distance < 3 AND is_odd ORDER BY distance LIMIT -1;
SELECT rowid, distance FROM v WHERE embedding MATCH '[1]' AND distance < 1e300 AND rowid > 15 ORDER BY distance LIMIT
  -1;
SELECT rowid, distance FROM v WHERE embedding MATCH '[1]' AND distance < -1 ORDER BY distance LIMIT -1;
SELECT rowid, score FROM v WHERE embedding MATCH '[1]' AND score >= -9 ORDER BY score DESC;
-- k is a limit on the search: a lower bar of distance takes away from its rows, an upper one ends it
SELECT rowid FROM v WHERE embedding MATCH '[1]' AND k = 5 AND distance <= 3 ORDER BY distance;
SELECT rowid FROM v WHERE embedding MATCH '[1]' AND k = 2 AND distance <= 3 ORDER BY distance;
SELECT rowid FROM v WHERE embedding MATCH '[1]' AND k = 5 AND distance >= 3 ORDER BY distance;
SELECT '-- paging: by OFFSET, and by the last distance seen';
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE embedding MATCH '[1]' ORDER BY distance LIMIT 5 OFFSET 0);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE embedding MATCH '[1]' ORDER BY distance LIMIT 5 OFFSET 5);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE embedding MATCH '[1]' ORDER BY distance LIMIT 5 OFFSET 15);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE embedding MATCH '[1]' ORDER BY distance LIMIT 5 OFFSET 17);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE embedding MATCH '[1]' ORDER BY distance LIMIT 5 OFFSET 40);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE embedding MATCH '[1]' AND is_odd ORDER BY distance LIMIT 3
  OFFSET 2);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE embedding MATCH '[1]' AND distance > 4 ORDER BY distance
  LIMIT 5);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE embedding MATCH '[1]' AND k = 7 ORDER BY distance LIMIT 5
  OFFSET 4);
SELECT '-- OR between rowids and columns';
SELECT rowid, distance FROM v WHERE embedding MATCH '[1]' AND (rowid = 2 OR rowid = 5) ORDER BY distance LIMIT 3;
SELECT rowid, distance FROM v WHERE embedding MATCH '[1]' AND (rowid = 2 OR is_odd = 1) ORDER BY distance LIMIT 3;
SELECT rowid, distance FROM v WHERE embedding MATCH '[1]' AND (rowid < 3 OR rowid > 15) ORDER BY distance LIMIT 3;
SELECT rowid, distance FROM v WHERE embedding MATCH '[1]' AND (rowid IN (1, 2) OR rowid = 9) ORDER BY distance LIMIT 3;
SELECT group_concat(rowid) FROM (SELECT rowid FROM v('[1]', 4) WHERE rowid = 2 OR rowid = 3 ORDER BY distance);
SELECT '-- other orders';
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE embedding MATCH '[1]' ORDER BY distance DESC LIMIT 6);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE embedding MATCH '[1]' ORDER BY score LIMIT 6);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE embedding MATCH '[1]' ORDER BY rowid DESC LIMIT 6);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE embedding MATCH '[1]' ORDER BY is_odd, distance LIMIT 6);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE embedding MATCH '[1]' ORDER BY distance % 4, rowid DESC
  LIMIT 6);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE embedding MATCH '[1]' ORDER BY score DESC, distance LIMIT 6);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE embedding MATCH '[1]' ORDER BY distance + 0 LIMIT 6);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE embedding MATCH '[1]' ORDER BY -distance LIMIT 6);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE embedding MATCH '[1]' AND k = 4 ORDER BY distance DESC);
SELECT '-- k';
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE embedding MATCH '[1]' AND k = 0 ORDER BY distance);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE embedding MATCH '[1]' AND k = 1 ORDER BY distance);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE embedding MATCH '[1]' AND k = 3 ORDER BY distance);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE embedding MATCH '[1]' AND k = 17 ORDER BY distance);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE embedding MATCH '[1]' AND k = 18 ORDER BY distance);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE embedding MATCH '[1]' AND k = 4097 ORDER BY distance);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE embedding MATCH '[1]' AND k = 1000000 ORDER BY distance);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE embedding MATCH '[1]' AND k = 1 + 1 ORDER BY distance);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE embedding MATCH '[1]' AND k = (SELECT 2) ORDER BY distance);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE embedding MATCH '[1]' AND k = 3.0 ORDER BY distance);
SELECT count(*) FROM v WHERE embedding MATCH '[1]' AND k = 10 LIMIT 3;
SELECT rowid FROM v WHERE embedding MATCH '[1]' AND k = 10 LIMIT 2;
SELECT rowid FROM v WHERE embedding MATCH '[1]' AND k = 2 LIMIT 10;
SELECT rowid FROM v('[1]', 2) LIMIT 10 OFFSET 1;
SELECT count(*) FROM (SELECT 1 FROM v WHERE embedding MATCH '[1]' LIMIT 0);
SELECT count(*) FROM (SELECT 1 FROM v WHERE embedding MATCH '[1]' LIMIT -1);
SELECT rowid FROM v WHERE embedding MATCH '[1]' AND k = -1;
SELECT rowid FROM v WHERE embedding MATCH '[1]' AND k = 'many';
-- more than 4096, with a filter; OFFSET beyond
CREATE VIRTUAL TABLE many USING tq(e FLOAT[2] metric=l2, n INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
INSERT INTO many(rowid, e, n) SELECT i, '[' || i || ',0]', i % 10 FROM n;
SELECT count(*), min(rowid), max(rowid), max(distance) FROM many WHERE e MATCH '[0,0]' AND k = 5000;
SELECT count(*), max(rowid) FROM many WHERE e MATCH '[0,0]' AND k = 900 AND n = 3;
SELECT count(*), max(rowid) FROM (SELECT rowid FROM many WHERE e MATCH '[0,0]' AND n >= 5 ORDER BY distance LIMIT 4500);
SELECT rowid FROM many WHERE e MATCH '[0,0]' ORDER BY distance LIMIT 2 OFFSET 9998;
SELECT count(*) FROM many WHERE e MATCH '[0,0]';
SELECT count(*) FROM many WHERE e MATCH '[0,0]' AND distance <= 4100 AND n = 0;
SELECT '-- delete from many places, and what is left is found';
DELETE FROM v WHERE rowid IN (1, 3, 8, 9);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE embedding MATCH '[1]' AND k = 9 ORDER BY distance);
DELETE FROM v WHERE is_odd;
SELECT group_concat(rowid) FROM (SELECT rowid FROM v('[16]') WHERE is_odd = 0 ORDER BY distance LIMIT 3);
DELETE FROM many WHERE rowid <= 9990;
SELECT group_concat(rowid) FROM (SELECT rowid FROM many WHERE e MATCH '[0,0]' AND n < 5 ORDER BY distance);
DELETE FROM many;
SELECT count(*), (SELECT count(*) FROM many WHERE n = 3) FROM many('[0,0]');
INSERT INTO many(rowid, e, n) VALUES (100, '[9,9]', 1);
SELECT rowid, n FROM many('[9,9]', 5);
SELECT '-- metrics';
CREATE VIRTUAL TABLE m USING tq(a FLOAT[2] metric=l2, b FLOAT[2] metric=ip, c FLOAT[2]);
INSERT INTO m VALUES ('[1, 2]', '[1, 2]', '[1, 2]'), ('[3, 4]', '[3, 4]', '[3, 4]'), ('[5, 6]', '[5, 6]', '[5, 6]');
SELECT rowid, round(distance, 4), score FROM m WHERE a MATCH '[-1, -2]' ORDER BY distance;
SELECT rowid, distance, score FROM m WHERE b MATCH '[-1, -2]' ORDER BY distance;
SELECT rowid, round(distance, 4), round(score, 4) FROM m WHERE c MATCH '[-1, -2]' ORDER BY distance;
SELECT rowid FROM m('[-1, -2]', 1);

-- Columns beside the vector behave as those of an ordinary table, and filters take nothing away from k.
SELECT '-- text';
CREATE VIRTUAL TABLE v USING tq(vector FLOAT[1] metric=l2, name TEXT);
INSERT INTO v(vector, name) VALUES ('[0.11]', 'aaa'), ('[0.22]', 'bbb'), ('[0.33]', 'ccc'), ('[0.44]', 'ddd'),
  ('[0.55]', 'eee'),
  ('[0.66]', 'fff'), ('[0.77]', 'ggg'), ('[0.88]', 'hhh'), ('[0.99]', 'iii');
SELECT rowid, tq_json(vector), name FROM v ORDER BY rowid;
SELECT rowid, name, round(distance, 2) FROM v WHERE vector MATCH '[1]' AND k = 5 ORDER BY distance;
SELECT rowid, name, round(distance, 2) FROM v WHERE vector MATCH '[1]' AND k = 5 AND name < 'ddd' ORDER BY distance;
SELECT rowid, name, round(distance, 2) FROM v WHERE vector MATCH '[1]' AND k = 5 AND name <= 'ddd' ORDER BY distance;
SELECT rowid, name, round(distance, 2) FROM v WHERE vector MATCH '[1]' AND k = 5 AND name > 'fff' ORDER BY distance;
SELECT rowid, name, round(distance, 2) FROM v WHERE vector MATCH '[1]' AND k = 5 AND name >= 'fff' ORDER BY distance;
SELECT rowid, name, round(distance, 2) FROM v WHERE vector MATCH '[1]' AND k = 5 AND name = 'aaa' ORDER BY distance;
SELECT rowid, name, round(distance, 2) FROM v WHERE vector MATCH '[1]' AND k = 5 AND name == 'zzz' ORDER BY distance;
SELECT rowid, name, round(distance, 2) FROM v WHERE vector MATCH '[0.01]' AND k = 5 AND name != 'aaa' ORDER BY distance;
SELECT rowid, name, round(distance, 2) FROM v WHERE vector MATCH '[0.01]' AND k = 5 AND name <> 'aaa' AND name IS NOT
  'bbb' ORDER BY distance;
SELECT rowid, name, round(distance, 2) FROM v WHERE vector MATCH '[1]' AND k = 5 AND name BETWEEN 'bbb' AND 'ddd'
  ORDER BY distance;
SELECT rowid, name, round(distance, 2) FROM v WHERE vector MATCH '[1]' AND k = 5 AND name LIKE 'A%' ORDER BY distance;
SELECT rowid, name, round(distance, 2) FROM v WHERE vector MATCH '[1]' AND k = 5 AND name LIKE '%' ORDER BY distance;
SELECT rowid, name, round(distance, 2) FROM v WHERE vector MATCH '[1]' AND k = 5 AND name GLOB 'A*' ORDER BY distance;
SELECT rowid, name, round(distance, 2) FROM v WHERE vector MATCH '[1]' AND k = 5 AND name GLOB '[ab]*' ORDER BY
  distance;
SELECT rowid, name, round(distance, 2) FROM v WHERE vector MATCH '[1]' AND k = 5 AND name = NULL ORDER BY distance;
SELECT rowid, name, round(distance, 2) FROM v WHERE vector MATCH '[1]' AND k = 5 AND name IS NULL ORDER BY distance;
SELECT rowid, name, round(distance, 2) FROM v WHERE vector MATCH '[1]' AND k = 2 AND name IS NOT NULL ORDER BY distance;
-- SQLite keeps these to itself: k limits the search before them, LIMIT counts after them
SELECT group_concat(name) FROM (SELECT name FROM v WHERE vector MATCH '[1]' AND name NOT IN ('iii', 'hhh') ORDER BY
  distance LIMIT 4);
SELECT group_concat(name) FROM (SELECT name FROM v WHERE vector MATCH '[1]' AND name NOT LIKE 'i%' ORDER BY distance
  LIMIT 4);
SELECT group_concat(name) FROM (SELECT name FROM v WHERE vector MATCH '[1]' AND name NOT BETWEEN 'f' AND 'i' ORDER BY
  distance LIMIT 4);
SELECT group_concat(name) FROM (SELECT name FROM v WHERE vector MATCH '[1]' AND substr(name, 2) <> 'ii' ORDER BY
  distance LIMIT 4);
SELECT name FROM v WHERE vector MATCH '[1]' AND k = 4 AND name NOT IN ('iii', 'hhh') ORDER BY distance;
SELECT '-- texts of all lengths: long ones are compared to their end';
DELETE FROM v;
INSERT INTO v(rowid, vector, name) VALUES (1, '[1]', 'aaaa'), (2, '[2]', 'aaaaaaaaaaaa_aaa'), (3, '[3]', 'bbbb'),
  (4, '[4]', 'bbbbbbbbbbbb_bbb'), (5, '[5]', 'cccc'), (6, '[6]', 'cccccccccccc_ccc'), (7, '[7]', '');
SELECT 'bbbb =', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND name = 'bbbb');
SELECT 'bbbb !=', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND name !=
  'bbbb');
SELECT 'bbbb <', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND name < 'bbbb');
SELECT 'bbbb <=', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND name <=
  'bbbb');
SELECT 'bbbb >', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND name > 'bbbb');
SELECT 'bbbb >=', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND name >=
  'bbbb');
SELECT 'bb =', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND name = 'bb');
SELECT 'bb !=', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND name != 'bb');
SELECT 'bb <', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND name < 'bb');
SELECT 'bb <=', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND name <= 'bb');
SELECT 'bb >', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND name > 'bb');
SELECT 'bb >=', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND name >= 'bb');
SELECT 'bbbbbbbbbbbb_bbb =', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND
  name = 'bbbbbbbbbbbb_bbb');
SELECT 'bbbbbbbbbbbb_bbb !=', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND
  name != 'bbbbbbbbbbbb_bbb');
SELECT 'bbbbbbbbbbbb_bbb <', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND
  name < 'bbbbbbbbbbbb_bbb');
SELECT 'bbbbbbbbbbbb_bbb <=', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND
  name <= 'bbbbbbbbbbbb_bbb');
SELECT 'bbbbbbbbbbbb_bbb >', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND
  name > 'bbbbbbbbbbbb_bbb');
SELECT 'bbbbbbbbbbbb_bbb >=', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND
  name >= 'bbbbbbbbbbbb_bbb');
SELECT 'bbbbbbbbbbbb_aaa =', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND
  name = 'bbbbbbbbbbbb_aaa');
SELECT 'bbbbbbbbbbbb_aaa !=', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND
  name != 'bbbbbbbbbbbb_aaa');
SELECT 'bbbbbbbbbbbb_aaa <', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND
  name < 'bbbbbbbbbbbb_aaa');
SELECT 'bbbbbbbbbbbb_aaa <=', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND
  name <= 'bbbbbbbbbbbb_aaa');
SELECT 'bbbbbbbbbbbb_aaa >', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND
  name > 'bbbbbbbbbbbb_aaa');
SELECT 'bbbbbbbbbbbb_aaa >=', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND
  name >= 'bbbbbbbbbbbb_aaa');
SELECT 'bbbbbbbbbbbb_ccc =', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND
  name = 'bbbbbbbbbbbb_ccc');
SELECT 'bbbbbbbbbbbb_ccc !=', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND
  name != 'bbbbbbbbbbbb_ccc');
SELECT 'bbbbbbbbbbbb_ccc <', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND
  name < 'bbbbbbbbbbbb_ccc');
SELECT 'bbbbbbbbbbbb_ccc <=', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND
  name <= 'bbbbbbbbbbbb_ccc');
SELECT 'bbbbbbbbbbbb_ccc >', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND
  name > 'bbbbbbbbbbbb_ccc');
SELECT 'bbbbbbbbbbbb_ccc >=', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND
  name >= 'bbbbbbbbbbbb_ccc');
SELECT 'longlonglonglonglonglonglong =', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND
  k = 5 AND name = 'longlonglonglonglonglonglong');
SELECT 'longlonglonglonglonglonglong !=', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]'
  AND k = 5 AND name != 'longlonglonglonglonglonglong');
SELECT 'longlonglonglonglonglonglong <', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND
  k = 5 AND name < 'longlonglonglonglonglonglong');
SELECT 'longlonglonglonglonglonglong <=', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]'
  AND k = 5 AND name <= 'longlonglonglonglonglonglong');
SELECT 'longlonglonglonglonglonglong >', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND
  k = 5 AND name > 'longlonglonglonglonglonglong');
SELECT 'longlonglonglonglonglonglong >=', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]'
  AND k = 5 AND name >= 'longlonglonglonglonglonglong');
SELECT ' =', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND name = '');
SELECT ' !=', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND name != '');
SELECT ' <', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND name < '');
SELECT ' <=', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND name <= '');
SELECT ' >', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND name > '');
SELECT ' >=', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[100]' AND k = 5 AND name >= '');
SELECT '-- values that differ behind a NUL, case, accents, blanks: BINARY';
INSERT INTO v(rowid, vector, name) VALUES (11, '[11]', 'Ab'), (12, '[12]', 'ab'), (13, '[13]', 'ab '), (14, '[14]',
  'äb'),
  (15, '[15]', 'ab' || char(0) || 'x'), (16, '[16]', 'ab' || char(0) || 'y'), (17, '[17]', '😀');
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND name = 'ab' ORDER BY distance);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND name = 'ab' || char(0) || 'y' ORDER
  BY distance);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND name > 'ab' ORDER BY distance);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND name = 'AB' COLLATE NOCASE ORDER BY
  distance);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND name LIKE 'AB' ORDER BY distance);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND name LIKE 'ä_' ORDER BY distance);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND name = '😀' ORDER BY distance);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND name IN ('Ab', 'ab ', 'nothing')
  ORDER BY distance);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND length(name) = 2 ORDER BY distance);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND upper(name) = 'AB' ORDER BY distance);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND name || '' = 'ab' ORDER BY distance);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND name = 5 OR name = 'ab' ORDER BY
  distance);
SELECT '-- an update from short to long and back, and a delete by a long text';
UPDATE v SET name = '1234567890123' WHERE rowid = 3;
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND name = '1234567890123' ORDER BY
  distance);
UPDATE v SET name = '1234567890123-updated' WHERE rowid = 3;
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND name = '1234567890123-updated'
  ORDER BY distance);
UPDATE v SET name = 'short' WHERE rowid = 3;
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND name = 'short' ORDER BY distance);
UPDATE v SET name = '123456789a12' WHERE rowid = 2;
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND name = '123456789a12' ORDER BY
  distance);
UPDATE v SET name = '123456789a123' WHERE rowid = 2;
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND name = '123456789a123' ORDER BY
  distance);
SELECT rowid, name FROM v WHERE rowid < 10 ORDER BY rowid;
DELETE FROM v WHERE name = '123456789a123';
DELETE FROM v WHERE name = 'no such';
SELECT count(*), min(name), max(name) FROM v WHERE name NOT LIKE '%a%';
DROP TABLE v;
SELECT '-- types are those of an ordinary table: affinity, not strictness';
CREATE VIRTUAL TABLE v USING tq(vector FLOAT[1] metric=l2, b BOOLEAN, n INT, f FLOAT, t TEXT, d DECIMAL(10,2), x
  BLOB, any);
INSERT INTO v(rowid, vector, b, n, f, t, d, x, any) VALUES (1, '[1]', 1, 1, 1.5, 'test', 2, x'00ff', 'any');
INSERT INTO v(rowid, vector, b, n, f, t, d, x, any) VALUES (2, '[2]', 'illegal', '22', '2.5', 420, '2.50', 7, 7);
INSERT INTO v(rowid, vector, b, n, f, t, d, x, any) VALUES (3, '[3]', TRUE, 3.0, 3, 3.5, 'three', 'text', x'01');
INSERT INTO v(rowid, vector, b, n, f, t, d, x, any) VALUES (4, '[4]', 44, 'four', 'four', x'34', 4.5, 4.5, 4.5);
INSERT INTO v(rowid, vector, b, n, f, t, d, x, any) VALUES (5, '[5]', NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO v(rowid, vector, b, n, f, t, d, x, any) VALUES (6, '[6]', 0, 9223372036854775807, -1e300, '', -0.0, '', '');
INSERT INTO v(rowid, vector, b, n, f, t, d, x, any) VALUES (7, '[7]', FALSE, 1e3, 9007199254740993, '1e3', '1e3', 1,
  '1');
SELECT rowid, typeof(b), typeof(n), typeof(f), typeof(t), typeof(d), typeof(x), typeof(any) FROM v ORDER BY rowid;
SELECT rowid, b, n, f, t, d, hex(x), hex(any) FROM v ORDER BY rowid;
SELECT '-- and comparisons follow that affinity';
SELECT 'b = TRUE', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (b = TRUE) ORDER BY
  distance);
SELECT 'b = 1', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (b = 1) ORDER BY distance);
SELECT 'b IS TRUE', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (b IS TRUE) ORDER BY
  distance);
SELECT 'b != TRUE', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (b != TRUE) ORDER BY
  distance);
SELECT 'b = FALSE', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (b = FALSE) ORDER BY
  distance);
SELECT 'NOT b', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (NOT b) ORDER BY distance);
SELECT 'b >= 999', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (b >= 999) ORDER BY
  distance);
SELECT 'b = illegal', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (b = 'illegal')
  ORDER BY distance);
SELECT 'b IN (1, 0)', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (b IN (1, 0)) ORDER
  BY distance);
SELECT 'n = 22', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (n = '22') ORDER BY
  distance);
SELECT 'n = 22.0', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (n = 22.0) ORDER BY
  distance);
SELECT 'n > 22', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (n > 22) ORDER BY distance);
SELECT 'n >= four', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (n >= 'four') ORDER BY
  distance);
SELECT 'n < 3.5', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (n < 3.5) ORDER BY
  distance);
SELECT 'n = 9223372036854775807', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (n =
  9223372036854775807) ORDER BY distance);
SELECT 'n BETWEEN 1 AND 3', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (n BETWEEN '1'
  AND '3') ORDER BY distance);
SELECT 'n IN (22, 3, four, NULL)', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (n IN
  ('22', 3, 'four', NULL)) ORDER BY distance);
SELECT 'f = 3', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (f = 3) ORDER BY distance);
SELECT 'f = 2.5', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (f = '2.5') ORDER BY
  distance);
SELECT 'f < 0', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (f < 0) ORDER BY distance);
SELECT 'f IN (1.5, 0.0, 3)', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (f IN (1.5,
  0.0, '3')) ORDER BY distance);
SELECT 'f > 9007199254740992', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (f >
  9007199254740992) ORDER BY distance);
SELECT 't = 420', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (t = 420) ORDER BY
  distance);
SELECT 't = 420', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (t = '420') ORDER BY
  distance);
SELECT 't > 3', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (t > 3) ORDER BY distance);
SELECT 't IN (420, test)', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (t IN (420,
  'test')) ORDER BY distance);
SELECT 't = x34', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (t = x'34') ORDER BY
  distance);
SELECT 't = ', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (t = '') ORDER BY distance);
SELECT 't LIKE t%', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (t LIKE 't%') ORDER BY
  distance);
SELECT 'd = 2.5', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (d = 2.5) ORDER BY
  distance);
SELECT 'd = 1000', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (d = '1000') ORDER BY
  distance);
SELECT 'd = 0', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (d = 0) ORDER BY distance);
SELECT 'd > a', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (d > 'a') ORDER BY distance);
SELECT 'x = 7', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (x = 7) ORDER BY distance);
SELECT 'x = 7', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (x = '7') ORDER BY distance);
SELECT 'x = text', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (x = 'text') ORDER BY
  distance);
SELECT 'x > 7', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (x > 7) ORDER BY distance);
SELECT 'x = x00ff', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (x = x'00ff') ORDER BY
  distance);
SELECT 'any = 7', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (any = 7) ORDER BY
  distance);
SELECT 'any = 7', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (any = '7') ORDER BY
  distance);
SELECT 'any = any', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (any = 'any') ORDER BY
  distance);
SELECT 'any < 5', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (any < 5) ORDER BY
  distance);
SELECT 'any IS NULL', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (any IS NULL) ORDER
  BY distance);
SELECT 'n IS NULL', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (n IS NULL) ORDER BY
  distance);
SELECT 'n ISNULL AND t ISNULL', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (n ISNULL
  AND t ISNULL) ORDER BY distance);
SELECT 'n NOT NULL AND f IS NOT NULL', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (n
  NOT NULL AND f IS NOT NULL) ORDER BY distance);
SELECT 'n IS NOT 3', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (n IS NOT 3) ORDER BY
  distance);
SELECT 'n NOT IN (1, 22)', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (n NOT IN (1,
  22)) ORDER BY distance);
SELECT 'n NOT IN (1, NULL)', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (n NOT IN (1,
  NULL)) ORDER BY distance);
SELECT 'n IS NULL OR n = 1', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (n IS NULL OR
  n = 1) ORDER BY distance);
SELECT 'b = n', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (b = n) ORDER BY distance);
SELECT 't = d', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (t = d) ORDER BY distance);
SELECT 'CAST(t AS INTEGER) = 420', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (CAST(t
  AS INTEGER) = 420) ORDER BY distance);
SELECT 'n + 0 = 22', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (n + 0 = 22) ORDER BY
  distance);
SELECT 'n % 2 = 1', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (n % 2 = 1) ORDER BY
  distance);
SELECT 'f * 2 = 3', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND (f * 2 = 3) ORDER BY
  distance);
SELECT 'coalesce(t, none) = none', group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND
  (coalesce(t, 'none') = 'none') ORDER BY distance);
SELECT '-- the same conditions without MATCH';
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE b = TRUE ORDER BY rowid);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE n >= 'four' ORDER BY rowid);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE n BETWEEN '1' AND '3' ORDER BY rowid);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE f IN (1.5, 0.0, '3') ORDER BY rowid);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE t > 3 ORDER BY rowid);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE x = 7 ORDER BY rowid);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE n IS NOT 3 ORDER BY rowid);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE n NOT IN (1, 22) ORDER BY rowid);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE t LIKE 't%' ORDER BY rowid);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE n IS NULL OR n = 1 ORDER BY rowid);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE b = n ORDER BY rowid);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE n IN (SELECT value FROM json_each('[1, 3, 22, 99]')) ORDER
  BY rowid);
SELECT '-- order, groups, aggregates, DISTINCT, LIMIT';
SELECT rowid, n FROM v ORDER BY n, rowid;
SELECT rowid, t FROM v ORDER BY t DESC, rowid LIMIT 3 OFFSET 1;
SELECT typeof(n), count(*), count(t) FROM v GROUP BY typeof(n) ORDER BY 1;
SELECT DISTINCT typeof(f) FROM v ORDER BY 1;
SELECT min(f), max(f), count(f), total(b) FROM v;
SELECT n, count(*), min(distance) FROM v WHERE vector MATCH '[0]' AND n NOT NULL GROUP BY n ORDER BY n LIMIT 2;
SELECT '-- updates of some columns leave the others';
UPDATE v SET b = 0, n = 11, f = 11.25, t = 'newtest1' WHERE rowid = 1;
SELECT rowid, b, n, f, t, d, hex(x), tq_json(vector) FROM v WHERE rowid = 1;
UPDATE v SET t = NULL WHERE rowid IN (1, 2);
UPDATE v SET n = n + 1, t = t || '!' WHERE typeof(n) = 'integer' AND n < 1000;
SELECT rowid, n, t FROM v ORDER BY rowid;
UPDATE v SET n = 5, t = n WHERE rowid = 4;
SELECT rowid, n, t, typeof(t) FROM v WHERE rowid = 4;
UPDATE v SET vector = '[0.5]', n = -1 WHERE n = 5;
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND n IN (-1, 23) ORDER BY distance);
UPDATE v SET rowid = 70, vector = NULL, t = 'gone' WHERE rowid = 7;
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND t IN ('gone', 'four', '') ORDER BY
  distance);
SELECT rowid, vector IS NULL, n, t FROM v WHERE t = 'gone';
UPDATE v SET n = rowid WHERE vector IS NULL;
UPDATE v SET t = 'all';
SELECT count(*), sum(n = rowid), count(vector) FROM v WHERE t = 'all';
SELECT '-- deletes by metadata';
DELETE FROM v WHERE n IS NULL OR n < 0;
SELECT changes();
SELECT group_concat(rowid) FROM (SELECT rowid FROM v ORDER BY rowid);
SELECT group_concat(rowid) FROM (SELECT rowid FROM v WHERE vector MATCH '[0]' AND t = 'all' ORDER BY distance);
DROP TABLE v;
SELECT name FROM sqlite_master WHERE name LIKE 'v%';

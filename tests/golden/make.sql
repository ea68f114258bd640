-- Makes a store of the current format, to be opened by every later version: tests/golden/golden.py --make
-- Everything the format has: columns of all kinds, several vector columns, partitions, segments, merged ones, dead rows
-- in them, a log with rows and deletions, values that were replaced, rows without a vector.
PRAGMA journal_mode=DELETE;
CREATE TEMP VIEW number AS WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 4095) SELECT i FROM n;

CREATE VIRTUAL TABLE docs USING tq(key TEXT PRIMARY KEY, title FLOAT[16], body FLOAT[9] metric=ip bits=3 rows=f16,
  lang TEXT INDEXED, price REAL, tenant INTEGER PARTITION KEY, +note TEXT, metric=cosine, bits=4);
INSERT INTO docs(key, title, body, lang, price, tenant, note)
  SELECT 'k' || a.i,
    (SELECT json_group_array(((a.i * 7919 + j.i * 104729 + a.i * j.i * 31) % 2001 - 1000) / 1000.0) FROM number j WHERE j.i < 16),
    CASE WHEN a.i % 11 <> 4 THEN
      (SELECT json_group_array(((a.i * 6007 + j.i * 7907 + a.i * j.i * 17) % 513 - 256) / 64.0) FROM number j WHERE j.i < 9) END,
    CASE a.i % 3 WHEN 0 THEN 'de' WHEN 1 THEN 'en' END, a.i * 0.25, a.i % 4, 'note ' || a.i
  FROM number a WHERE a.i < 400;
INSERT INTO docs(docs) VALUES ('optimize');
DELETE FROM docs WHERE price BETWEEN 10 AND 12;
UPDATE docs SET title = '[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]' WHERE key IN ('k7', 'k8');
UPDATE docs SET lang = 'fr', tenant = 1 WHERE key = 'k30';
INSERT INTO docs(key, title, tenant) VALUES ('fresh', '[1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1]', 9);

-- 64 rows of a partition are a flush here.
CREATE VIRTUAL TABLE wide USING tq(v FLOAT[4080], n INTEGER, tenant INTEGER PARTITION KEY, metric=l2, bits=1, qjl=0);
INSERT INTO wide(rowid, v, n, tenant)
  SELECT i + 1, CAST(zeroblob(i * 4) || x'0000803f' || zeroblob((4079 - i) * 4) AS BLOB), i, i % 2 FROM number WHERE i < 60;
INSERT INTO wide(rowid, v, n, tenant)
  SELECT i + 1, CAST(zeroblob(i * 4) || x'0000803f' || zeroblob((4079 - i) * 4) AS BLOB), i, i % 2 FROM number WHERE i BETWEEN 60 AND 139;
DELETE FROM wide WHERE rowid IN (3, 5, 40);
INSERT INTO wide(rowid, v, n, tenant)
  SELECT i + 1, CAST(zeroblob(i * 4) || x'0000803f' || zeroblob((4079 - i) * 4) AS BLOB), i, i % 2 FROM number WHERE i BETWEEN 140 AND 249;
INSERT INTO wide(rowid, v, n, tenant)
  SELECT i + 1, CAST(zeroblob(i * 4) || x'0000803f' || zeroblob((4079 - i) * 4) AS BLOB), i, i % 2 FROM number WHERE i BETWEEN 250 AND 299;
DELETE FROM wide WHERE rowid IN (10, 299);

-- codes only, and its id given by SQLite
CREATE VIRTUAL TABLE codes USING tq(v FLOAT[33], rows=none, bits=5);
INSERT INTO codes(v) SELECT (SELECT json_group_array(((a.i * 911 + j.i * 3571 + a.i * j.i) % 257 - 128) / 32.0) FROM number j WHERE j.i < 33)
  FROM number a WHERE a.i < 200;
INSERT INTO codes(codes) VALUES ('optimize');
DELETE FROM codes WHERE rowid % 50 = 0;

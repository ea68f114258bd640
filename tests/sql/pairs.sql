-- A database and a folder that do not belong together, as cp, mv and rm make them: each has its own message, which names
-- both, and other tables of the database go on working.
ATTACH 'a.db' AS a;
CREATE TABLE a.plain(x);
INSERT INTO a.plain VALUES ('other tables work');
CREATE VIRTUAL TABLE a.words USING tq(embedding FLOAT[2], lang TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)
INSERT INTO a.words(rowid, embedding, lang) SELECT i, '[' || i || ',1]', 'en' FROM n;
INSERT INTO a.words(rowid, embedding, lang) VALUES (10000, '[1,1]', 'de');
SELECT json_extract(tq_info('words', 'a'), '$.segments'), json_extract(tq_info('words', 'a'), '$.log');
DETACH a;
.shell cp a.db first.db; cp -r a.db-tq first.db-tq
SELECT '-- the folder is missing';
.shell mv a.db-tq gone
ATTACH 'a.db' AS a;
SELECT count(*) FROM a.words;
SELECT rowid FROM a.words('[1,1]', 1);
INSERT INTO a.words(embedding) VALUES ('[1,1]');
DELETE FROM a.words WHERE rowid = 1;
SELECT x FROM a.plain;
SELECT count(*), max(id), count(m0) FROM a.words_rows;
SELECT tq_repair('words', 'adopt-folder', 'a');
SELECT tq_repair('words', 'salvage', 'a');
BEGIN;
DROP TABLE a.words;
SELECT name FROM a.sqlite_master ORDER BY name;
ROLLBACK;
SELECT count(*) FROM a.words;
DETACH a;
SELECT '-- it has another name';
.shell mv gone renamed-tq
ATTACH 'a.db' AS a;
SELECT count(*) FROM a.words;
DETACH a;
.shell mv renamed-tq a.db-tq
SELECT '-- the database has another name';
.shell mv a.db b.db
ATTACH 'b.db' AS b;
SELECT count(*) FROM b.words;
DETACH b;
.shell mv b.db a.db
ATTACH 'a.db' AS a;
SELECT count(*) FROM a.words;
DETACH a;
SELECT '-- it is another database''s';
ATTACH 'other.db' AS o;
CREATE VIRTUAL TABLE o.words USING tq(embedding FLOAT[2]);
DETACH o;
.shell mv a.db-tq gone; cp -r other.db-tq a.db-tq
ATTACH 'a.db' AS a;
SELECT count(*) FROM a.words;
SELECT x FROM a.plain;
SELECT tq_repair('words', 'adopt-folder', 'a');
CREATE VIRTUAL TABLE a.more USING tq(embedding FLOAT[2]);
DETACH a;
SELECT '-- it is a file';
.shell rm -r a.db-tq; echo hello > a.db-tq
ATTACH 'a.db' AS a;
SELECT count(*) FROM a.words;
SELECT x FROM a.plain;
DETACH a;
SELECT '-- it is empty';
.shell rm a.db-tq; mkdir a.db-tq
ATTACH 'a.db' AS a;
SELECT count(*) FROM a.words;
DETACH a;
SELECT '-- it holds something else';
.shell echo hello > a.db-tq/readme
ATTACH 'a.db' AS a;
SELECT count(*) FROM a.words;
DETACH a;
.shell echo hello > a.db-tq/data.mdb
ATTACH 'a.db' AS a;
SELECT count(*) FROM a.words;
DETACH a;
SELECT '-- the data file is gone, or cut';
.shell rm -r a.db-tq; cp -r gone a.db-tq; rm a.db-tq/data.mdb
ATTACH 'a.db' AS a;
SELECT count(*) FROM a.words;
DETACH a;
.shell cp gone/data.mdb a.db-tq/data.mdb; truncate -s 65536 a.db-tq/data.mdb
ATTACH 'a.db' AS a;
SELECT count(*) FROM a.words;
DETACH a;
.shell truncate -s 0 a.db-tq/data.mdb
ATTACH 'a.db' AS a;
SELECT count(*) FROM a.words;
DETACH a;
SELECT '-- a newer version wrote the folder, or the tables';
.shell cp gone/data.mdb a.db-tq/data.mdb
.shell python3 -c "p='a.db-tq/data.mdb'; d=bytearray(open(p,'rb').read()); [d.__setitem__(i+8, 99) for i in range(len(d)) if d[i:i+8]==b'tqlite'+bytes(2)]; open(p,'wb').write(d)"
ATTACH 'a.db' AS a;
SELECT count(*) FROM a.words;
SELECT x FROM a.plain;
DETACH a;
.shell rm -r a.db-tq; cp -r gone a.db-tq
ATTACH 'a.db' AS a;
UPDATE a.words_state SET format = 99;
SELECT count(*) FROM a.words;
SELECT tq_repair('words', 'salvage', 'a');
SELECT x FROM a.plain;
DETACH a;
.shell cp first.db a.db
ATTACH 'a.db' AS a;
SELECT count(*) FROM a.words;
SELECT '-- the folder is older';
WITH RECURSIVE n(i) AS (SELECT 10001 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO a.words(rowid, embedding, lang) SELECT i, '[' || i || ',2]', 'en' FROM n;
WITH RECURSIVE n(i) AS (SELECT 20001 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
INSERT INTO a.words(rowid, embedding, lang) SELECT i, '[' || i || ',2]', 'en' FROM n;
INSERT INTO a.words(words) VALUES ('optimize');
INSERT INTO a.words(words) VALUES ('optimize');
SELECT count(*) FROM a.words;
DETACH a;
.shell cp a.db second.db; cp -r a.db-tq second.db-tq
.shell rm -r a.db-tq; cp -r first.db-tq a.db-tq
ATTACH 'a.db' AS a;
SELECT count(*) FROM a.words;
SELECT x FROM a.plain;
DETACH a;
SELECT '-- the database is older: that will do for as long as nothing of it is missing';
.shell rm -r a.db-tq; cp -r second.db-tq a.db-tq; cp first.db a.db
ATTACH 'a.db' AS a;
SELECT rowid FROM a.words('[1,1]', 1);
DETACH a;
ATTACH 'second.db' AS a;
DELETE FROM a.words WHERE rowid = 20001;
INSERT INTO a.words(words) VALUES ('optimize');
DELETE FROM a.words WHERE rowid = 20002;
INSERT INTO a.words(words) VALUES ('optimize');
INSERT INTO a.words(words) VALUES ('optimize');
DETACH a;
.shell rm -r a.db-tq; cp -r second.db-tq a.db-tq
ATTACH 'a.db' AS a;
SELECT rowid FROM a.words('[1,1]', 1);
SELECT x FROM a.plain;
DETACH a;
SELECT '-- both went on, separately';
.shell cp first.db a.db; rm -r a.db-tq; cp -r first.db-tq a.db-tq
ATTACH 'a.db' AS a;
WITH RECURSIVE n(i) AS (SELECT 40001 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)
INSERT INTO a.words(rowid, embedding, lang) SELECT i, '[' || i || ',3]', 'en' FROM n;
DETACH a;
ATTACH 'first.db' AS a;
WITH RECURSIVE n(i) AS (SELECT 40001 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)
INSERT INTO a.words(rowid, embedding, lang) SELECT i, '[' || i || ',4]', 'en' FROM n;
DETACH a;
.shell rm -r a.db-tq; cp -r first.db-tq a.db-tq
ATTACH 'a.db' AS a;
SELECT count(*) FROM a.words;
SELECT x FROM a.plain;

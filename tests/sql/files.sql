-- Databases: attached, in memory, temporary, copied, renamed, vacuumed; and the folder beside them.
CREATE VIRTUAL TABLE words USING tq(embedding FLOAT[2]);
INSERT INTO words(rowid, embedding) VALUES (1, '[1,0]'), (2, '[0,1]'), (3, NULL);
.shell ls -d test.db-tq
SELECT '-- attached';
ATTACH 'other.db' AS other;
CREATE VIRTUAL TABLE other.words USING tq(embedding FLOAT[2], metric=ip);
INSERT INTO other.words(rowid, embedding) VALUES (1, '[5,5]');
INSERT INTO other.words(rowid, embedding) SELECT rowid + 10, embedding FROM main.words;
SELECT rowid, score FROM other.words('[1,1]') ORDER BY score DESC, rowid;
SELECT rowid FROM main.words('[1,0]', 1);
SELECT rowid FROM other.words ORDER BY tq_ip(embedding, '[1,1]') DESC LIMIT 1;
SELECT json_extract(tq_explain(), '$.path');
BEGIN;
INSERT INTO other.words(rowid, embedding) VALUES (20, '[9,9]');
INSERT INTO main.words(rowid, embedding) VALUES (20, '[9,9]');
ROLLBACK;
SELECT (SELECT count(*) FROM main.words), (SELECT count(*) FROM other.words);
DETACH other;
.shell ls -d *-tq | sort
ATTACH 'other.db' AS again;
SELECT rowid, tq_json(embedding) FROM again.words ORDER BY rowid;
DETACH again;
SELECT '-- in memory, and temporary';
ATTACH ':memory:' AS mem;
CREATE VIRTUAL TABLE mem.words USING tq(embedding FLOAT[2]);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO mem.words(rowid, embedding) SELECT i, '[' || i || ',1]' FROM n;
CREATE TABLE mem.x(a);
ALTER TABLE mem.x ADD COLUMN b;
SELECT rowid FROM mem.words('[1,1]', 1);
SELECT count(*) FROM mem.words;
CREATE VIRTUAL TABLE temp.t USING tq(embedding FLOAT[2]);
INSERT INTO temp.t(embedding) VALUES ('[1,2]');
SELECT rowid, score FROM t('[1,2]');
SELECT rowid FROM t ORDER BY tq_cosine(embedding, '[1,2]') DESC LIMIT 1;
SELECT json_extract(tq_explain(), '$.path');
DROP TABLE temp.t;
DETACH mem;
SELECT '-- vacuum and rename';
VACUUM;
SELECT rowid FROM words('[1,0]', 1);
ALTER TABLE words RENAME TO "odd ""name""";
SELECT rowid FROM "odd ""name"""('[1,0]', 1);
INSERT INTO "odd ""name"""(embedding) VALUES ('[4,4]');
SELECT rowid FROM "odd ""name""" ORDER BY tq_cosine(embedding, '[4,4]') DESC LIMIT 1;
ALTER TABLE "odd ""name""" RENAME TO words;
SELECT group_concat(rowid) FROM (SELECT rowid FROM words ORDER BY rowid);
SELECT '-- another process';
.shell sqlite3 -init /dev/null test.db "SELECT count(*) FROM words_rows"
SELECT '-- a copy without its folder';
VACUUM INTO 'copy.db';
ATTACH 'copy.db' AS copy;
SELECT count(*) FROM copy.words;
INSERT INTO copy.words(embedding) VALUES ('[1,1]');
CREATE VIRTUAL TABLE copy.more USING tq(embedding FLOAT[2]);
SELECT count(*) FROM copy.sqlite_master WHERE name LIKE 'more%';
DROP TABLE copy.words;
SELECT name FROM copy.sqlite_master;
DETACH copy;
.shell ls -d *-tq* | sort
SELECT '-- a folder of another database';
VACUUM INTO 'copy2.db';
.shell cp -r other.db-tq copy2.db-tq
ATTACH 'copy2.db' AS copy;
SELECT count(*) FROM copy.words;
DETACH copy;
SELECT '-- a folder that was left over';
ATTACH 'left.db' AS l;
CREATE VIRTUAL TABLE l.words USING tq(embedding FLOAT[512]);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1100)
INSERT INTO l.words(embedding) SELECT zeroblob(2048) FROM n;
SELECT json_extract(tq_info('words', 'l'), '$.segments') > 0;
DROP TABLE l.words;
CREATE VIRTUAL TABLE l.words USING tq(embedding FLOAT[2]);
DETACH l;
.shell ls -d left* | sort
.shell rm left.db
ATTACH 'left.db' AS l;
CREATE VIRTUAL TABLE l.words USING tq(embedding FLOAT[2]);
INSERT INTO l.words(embedding) VALUES ('[1,1]');
SELECT count(*) FROM l.words;
SELECT json_extract(tq_info('words', 'l'), '$.notice');
.shell ls -d left* | sort
BEGIN;
DROP TABLE l.words;
CREATE VIRTUAL TABLE l.words2 USING tq(embedding FLOAT[2]);
ROLLBACK;
SELECT count(*) FROM l.words;
.shell ls -d left* | sort
DETACH l;
SELECT '-- an empty folder is no loss: one of a CREATE that was rolled back';
ATTACH 'again.db' AS l;
BEGIN;
CREATE VIRTUAL TABLE l.words USING tq(embedding FLOAT[2]);
INSERT INTO l.words(embedding) VALUES ('[1,1]');
ROLLBACK;
CREATE VIRTUAL TABLE l.words USING tq(embedding FLOAT[2]);
.shell ls -d again* | sort
DETACH l;
SELECT '-- a copy with its folder';
VACUUM INTO 'copy3.db';
.shell cp -r test.db-tq copy3.db-tq
ATTACH 'copy3.db' AS copy;
SELECT rowid FROM copy.words('[4,4]', 1);
INSERT INTO copy.words(embedding) VALUES ('[-1,-1]');
SELECT rowid FROM copy.words('[-1,-1]', 1);
SELECT count(*) FROM main.words;

-- tq_check: what it says of a table that is whole, of one that is not, and of a database without its folder.
.dbconfig defensive off
SELECT tq_check();
CREATE VIRTUAL TABLE docs USING tq(key TEXT PRIMARY KEY, v FLOAT[3], w FLOAT[2], tenant PARTITION KEY, +body);
INSERT INTO docs(key, v, w, tenant, body) VALUES ('a', '[1,2,3]', '[1,2]', 1, 'x'), ('b', '[3,2,1]', NULL, 2, 'y'), ('c', NULL, NULL, 2, 'z');
INSERT INTO docs(docs) VALUES ('optimize');
INSERT INTO docs(key, v, tenant) VALUES ('d', '[1,1,1]', 1);
DELETE FROM docs WHERE key = 'b';
SELECT tq_check();
SELECT tq_check('docs');
SELECT tq_check('docs', 'full');
SELECT tq_check(NULL, 'notes', 'main');
PRAGMA integrity_check;
-- within a transaction, its own rows too; what it leaves behind is a note
BEGIN;
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 30000)
INSERT INTO docs(key, v, tenant) SELECT 'n' || i, '[1,' || i || ',2]', 1 FROM c;
SELECT tq_check('docs', 'full');
ROLLBACK;
SELECT tq_check('docs');
SELECT substr(tq_check('docs', 'notes'), 1, 30);
-- what is wrong is named; the sums of our tables say that something is, the rest of the check what
BEGIN;
UPDATE docs_rows SET slot = 77 WHERE key = 'a';
UPDATE docs_rows SET key = NULL WHERE id = 3;
DELETE FROM docs_aux WHERE id = 4;
SELECT tq_check('docs');
PRAGMA integrity_check(1);
UPDATE docs_state SET version = 9 WHERE part = 0;
SELECT tq_check();
ROLLBACK;
SELECT tq_check();
-- arguments
SELECT tq_check('nothing');
SELECT tq_check('docs', 'deep');
SELECT tq_check('docs', 'full', 'there');
CREATE VIEW peek AS SELECT tq_check();
SELECT * FROM peek;
-- a table whose folder is missing: that is said, and the rest is looked at
ATTACH 'other.db' AS o;
CREATE VIRTUAL TABLE o.words USING tq(v FLOAT[3]);
INSERT INTO o.words(v) VALUES ('[1,2,3]');
SELECT tq_check(NULL, 'full', 'o');
DETACH o;
.shell mv other.db-tq aside
ATTACH 'other.db' AS o;
SELECT tq_check('words', 'quick', 'o');
DELETE FROM o.words_rows;
SELECT tq_check('words', 'quick', 'o');
DETACH o;

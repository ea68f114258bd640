-- Dumps and backups.
CREATE VIRTUAL TABLE docs USING tq(embedding FLOAT[1] metric=l2, tag TEXT, +body TEXT);
INSERT INTO docs(rowid, embedding, tag, body) VALUES (1, '[1]', 'a', 'one'), (2, '[2]', 'b', 'two');
SELECT '-- .dump names the table and its tables';
.output dump.sql
.dump
.output
.shell grep -c 'USING tq(embedding' dump.sql
.shell grep -c 'INSERT INTO docs_aux' dump.sql
-- what it makes lacks the folder, and says so
.shell sqlite3 -init /dev/null restored.db < dump.sql > /dev/null 2>&1
ATTACH 'restored.db' AS restored;
SELECT count(*) FROM restored.docs_rows;
SELECT count(*) FROM restored.docs('[1]');
DROP TABLE restored.docs;
SELECT count(*) FROM restored.sqlite_master WHERE name LIKE 'docs%';
SELECT '-- .backup copies the database; its folder has to be copied too';
.backup copy.db
.shell cp -r test.db-tq copy.db-tq
ATTACH 'copy.db' AS copy;
SELECT rowid, tag, body FROM copy.docs WHERE embedding MATCH '[2]' AND tag = 'b';
DELETE FROM copy.docs WHERE rowid = 2;
SELECT (SELECT count(*) FROM main.docs('[0]')), (SELECT count(*) FROM copy.docs('[0]'));

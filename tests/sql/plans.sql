-- What SQLite makes of our costs.
CREATE VIRTUAL TABLE words USING tq(embedding FLOAT[2]);
CREATE TABLE names(id INTEGER PRIMARY KEY, name TEXT, lang TEXT);
EXPLAIN QUERY PLAN SELECT rowid FROM words WHERE embedding MATCH ?1 ORDER BY score DESC;
EXPLAIN QUERY PLAN SELECT rowid FROM words WHERE embedding MATCH ?1 ORDER BY distance;
EXPLAIN QUERY PLAN SELECT rowid FROM words WHERE embedding MATCH ?1 ORDER BY score;
EXPLAIN QUERY PLAN SELECT rowid FROM words WHERE embedding MATCH ?1 ORDER BY score DESC, rowid;
EXPLAIN QUERY PLAN SELECT rowid FROM words(?1, 10);
EXPLAIN QUERY PLAN SELECT rowid FROM words WHERE rowid = ?1;
EXPLAIN QUERY PLAN SELECT rowid FROM words WHERE rowid = ?1 AND embedding MATCH ?2;
EXPLAIN QUERY PLAN SELECT name FROM names JOIN words ON words.rowid = id WHERE embedding MATCH ?1;
EXPLAIN QUERY PLAN SELECT name FROM names JOIN words ON words.rowid = id WHERE embedding MATCH ?1 AND lang = 'en';
EXPLAIN QUERY PLAN SELECT name FROM names JOIN words ON words.rowid = id WHERE name = 'x';
EXPLAIN QUERY PLAN SELECT rowid FROM words ORDER BY tq_cosine(embedding, ?1) DESC LIMIT 10;

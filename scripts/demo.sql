.mode column
.headers on
.param init
INSERT INTO temp.sqlite_parameters VALUES(':q', (SELECT embedding FROM words WHERE rowid = (SELECT id FROM vocabulary WHERE word = 'coffee')));
SELECT rowid, round(tq_ip(embedding, :q), 3) AS score FROM words ORDER BY tq_ip(embedding, :q) DESC LIMIT 3;
.print
SELECT word, round(tq_cosine(embedding, :q), 3) AS cosine
  FROM words JOIN vocabulary ON id = words.rowid ORDER BY 2 DESC LIMIT 10;

.mode column
.headers on
.param init
INSERT INTO temp.sqlite_parameters VALUES(':q', (SELECT embedding FROM words WHERE rowid = (SELECT id FROM vocabulary WHERE word = 'coffee')));
SELECT word, round(tq_cosine(embedding, :q), 3) AS cosine
  FROM words JOIN vocabulary ON id = words.rowid ORDER BY 2 DESC LIMIT 5;
SELECT rowid, round(tq_cosine(embedding, :q), 3) AS cosine FROM words ORDER BY tq_cosine(embedding, :q) DESC LIMIT 5;
SELECT word, round(distance, 3) AS distance
  FROM words(:q) JOIN vocabulary ON id = words.rowid WHERE word LIKE 'b%' ORDER BY distance LIMIT 5;

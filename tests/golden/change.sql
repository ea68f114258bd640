-- And it must go on writing to it.
INSERT INTO docs(key, title, body, tenant) VALUES ('later', '[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]', '[9,9,9,9,9,9,9,9,9]', 2);
UPDATE docs SET body = '[1,2,3,-1,-2,-3,1,1,1]' WHERE key = 'k4';
DELETE FROM docs WHERE lang = 'en' AND tenant = 1;
INSERT INTO wide(rowid, v, n) VALUES (1000, zeroblob(16320), 1000);
DELETE FROM wide WHERE rowid = 1;
INSERT INTO docs(docs) VALUES ('optimize');
INSERT INTO wide(wide) VALUES ('optimize');
INSERT INTO codes(codes) VALUES ('optimize');

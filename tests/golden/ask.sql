-- What every version must answer.
SELECT json_remove(tq_info('docs'), '$.isa', '$.folder');
SELECT json_remove(tq_info('wide'), '$.isa', '$.folder');
SELECT json_remove(tq_info('codes'), '$.isa', '$.folder');
SELECT count(*), count(title), count(body), sum(price), min(key), max(note) FROM docs;
SELECT key, lang, tenant, printf('%.9g', score) FROM docs('[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]', 8);
SELECT key, printf('%.9g', score) FROM docs WHERE title MATCH '[1,-1,1,-1,1,-1,1,-1,1,-1,1,-1,1,-1,1,-1]' AND k = 5 AND tenant = 2 AND lang = 'de';
SELECT key, printf('%.9g', score) FROM docs WHERE body MATCH '[1,2,3,-1,-2,-3,1,1,1]' AND k = 6;
SELECT key, printf('%.9g', score) FROM docs WHERE title MATCH tq_query('[0,1,0,0,0,1,0,0,0,1,0,0,0,1,0,0]', 'exact=on') AND k = 4;
SELECT key, tq_json(title), tq_json(body), lang, price, tenant, note FROM docs WHERE key IN ('k0', 'k7', 'k30', 'fresh') ORDER BY key;
SELECT key FROM docs WHERE key IN ('k40', 'k48', 'k49');
SELECT count(*), sum(n), sum(rowid) FROM wide;
SELECT rowid, printf('%.9g', distance) FROM wide(CAST(zeroblob(400) || x'0000803f00000040' || zeroblob(15912) AS BLOB), 3);
SELECT rowid, printf('%.9g', distance) FROM wide(CAST(zeroblob(180) || x'00008040' || zeroblob(16136) AS BLOB), 3);
SELECT rowid FROM wide WHERE rowid IN (3, 4, 5, 10, 40, 64, 65, 139, 140, 299, 300);
SELECT rowid, printf('%.9g', score) FROM codes('[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33]', 5);
SELECT count(*) FROM codes;

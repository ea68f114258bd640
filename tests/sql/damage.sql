-- Shadow tables that say what cannot be: an error, whatever they say. tests/fuzz tries more.
ATTACH 'damaged.db' AS d;
CREATE VIRTUAL TABLE d.docs USING tq(v FLOAT[3], w FLOAT[2], tenant PARTITION KEY, bits=4);
INSERT INTO d.docs(v, w, tenant) VALUES ('[1,2,3]', '[1,2]', 1), ('[3,2,1]', '[2,1]', 2);
-- slots of two columns exchanged
UPDATE d.docs_rows SET slot = slot1, slot1 = slot WHERE id = 1;
SELECT tq_json(v) FROM d.docs WHERE rowid = 1;
SELECT tq_json(w) FROM d.docs WHERE rowid = 1;
SELECT rowid, tq_json(w) FROM d.docs WHERE rowid = 2;
UPDATE d.docs SET v = '[1,1,1]' WHERE rowid = 1;
DELETE FROM d.docs WHERE rowid = 1;
UPDATE d.docs_rows SET slot = slot1, slot1 = slot WHERE id = 1;
SELECT rowid, tq_json(v), tq_json(w) FROM d.docs;
-- slots of two rows exchanged: not another row's vector
CREATE VIRTUAL TABLE d.pair USING tq(v FLOAT[2]);
INSERT INTO d.pair(rowid, v) VALUES (1, '[1,2]'), (2, '[2,1]');
UPDATE d.pair_rows SET slot = 1 - slot;
SELECT rowid, tq_json(v) FROM d.pair WHERE rowid = 1;
INSERT INTO d.pair(pair) VALUES ('optimize');
SELECT rowid, tq_json(v) FROM d.pair WHERE rowid = 2;
UPDATE d.pair_rows SET slot = 1 - slot;
SELECT rowid, tq_json(v) FROM d.pair;
DROP TABLE d.pair;
DETACH d;
-- a part of another shape than its column
ATTACH 'damaged.db' AS d;
UPDATE d.docs_state SET bits = 5 WHERE part = 2;
SELECT rowid FROM d.docs('[1,2,3]', 2);
SELECT rowid FROM d.docs('[1,2,3]', 2) WHERE tenant = 1;
UPDATE d.docs_state SET bits = 4, dim = 127 WHERE part = 2;
INSERT INTO d.docs(v, tenant) VALUES ('[1,2,3]', 2);
UPDATE d.docs_state SET dim = 3 WHERE part = 2;
DETACH d;
ATTACH 'damaged.db' AS d;
UPDATE d.docs_state SET dim = 5 WHERE part = 1;
SELECT rowid FROM d.docs('[1,2,3]', 2);
DETACH d;
ATTACH 'damaged.db' AS d;
UPDATE d.docs_state SET dim = 2 WHERE part = 1;
SELECT rowid FROM d.docs('[1,2,3]', 2);
-- types that SQLite does not take
CREATE VIRTUAL TABLE t USING tq(v FLOAT[3], a SELECT);
CREATE VIRTUAL TABLE t USING tq(v FLOAT[3], a DECIMAL(+));
SELECT count(*) FROM sqlite_master;

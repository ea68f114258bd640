-- device=gpu where there may be none: the answers are those of the CPU
CREATE VIRTUAL TABLE t USING tq(v FLOAT[4], n INTEGER, metric=l2);
WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 3000)
INSERT INTO t(v, n) SELECT json_array(n % 7, n % 11, n % 13, n % 5), n % 3 FROM i;
INSERT INTO t(t) VALUES ('optimize');
SELECT count(*) FROM t WHERE v MATCH tq_query('[1,2,3,4]', 'device=gpu') AND k = 50;
SELECT count(*) FROM (
  SELECT rowid, score FROM t WHERE v MATCH tq_query('[1,2,3,4]', 'device=gpu') AND k = 50 AND n = 1 EXCEPT
  SELECT rowid, score FROM t WHERE v MATCH '[1,2,3,4]' AND k = 50 AND n = 1);
SELECT count(*) FROM (
  SELECT rowid, score FROM t WHERE v MATCH tq_query('[1,2,3,4]', 'device=auto') AND k = 50 EXCEPT
  SELECT rowid, score FROM t WHERE v MATCH tq_query('[1,2,3,4]', 'device=cpu') AND k = 50);
SELECT rowid, score FROM t WHERE v MATCH tq_query('[1,2,3,4]', 'device=gpu') AND distance < 1.5;
SELECT tq_config('device', 'gpu');
SELECT rowid, tq_l2(v, '[1,2,3,4]') FROM t ORDER BY 2 LIMIT 3;
SELECT json_extract(tq_explain(), '$.path'), json_type(tq_explain(), '$.gpu');
SELECT rowid, distance FROM t WHERE v MATCH '[1,2,3,4]' ORDER BY distance LIMIT 3;
SELECT json_extract(tq_explain(), '$.path'), json_type(tq_explain(), '$.gpu');
SELECT tq_config('device'), tq_config('device', NULL);
SELECT '-- what there is';
SELECT json_valid(tq_gpu()), json_type(tq_gpu(), '$.usable'), (json_extract(tq_gpu(), '$.usable') = 1) = (json_type(tq_gpu(), '$.why') = 'null');
SELECT key FROM json_each(tq_gpu()) WHERE type NOT IN ('integer', 'null', 'text', 'object');
SELECT json_extract(tq_info('t', 'main', 'full'), '$.gpu') IN (json_extract(tq_gpu(), '$.why'), json_extract(tq_gpu(), '$.device.name'));
SELECT json_type(tq_info('t'), '$.gpu');
SELECT tq_gpu('now');
CREATE VIEW about AS SELECT tq_gpu();
SELECT * FROM about;
SELECT '-- what is refused';
SELECT tq_query('[1]', 'device=tpu');
SELECT tq_query('[1]', 'device=');
SELECT tq_query('[1]', 'device=gpu, device=cpu');
SELECT tq_config('device', 'tpu');
SELECT tq_config('device', 1);
SELECT tq_config('devices', 'gpu');

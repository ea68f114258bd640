#!/usr/bin/env bash
# Everything that asks for a GPU gets the CPU's answers, to the last bit of a score, and gets them from the GPU: here
# from a plugin that needs none, or from the one that TQ_GPU_PLUGIN names.
#   gpu.sh BUILD_FOLDER
set -euo pipefail
build=$(cd "$1" && pwd)
export TQ_GPU_PLUGIN=${TQ_GPU_PLUGIN:-$build/tests/libtq_cuda_emulated.so} TQ_GPU=auto
if [ ! -e "$TQ_GPU_PLUGIN" ]; then
  echo "skipped: no $TQ_GPU_PLUGIN"
  exit 77
fi
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d "${TMPDIR:-/tmp}/tq-gpu-XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder"
failures=0

check() { # WHAT CONDITION: of SQL
  if [ "$("$build/tqshell" -csv -noheader :memory: "SELECT $2")" != 1 ]; then
    echo "FAILED: $1: $2"
    failures=$((failures + 1))
  fi
}

same() { # WHAT: cpu.out and gpu.out
  if ! cmp -s cpu.out gpu.out || ! [ -s cpu.out ]; then
    echo "FAILED: $1 differs"
    diff cpu.out gpu.out | head -10
    failures=$((failures + 1))
  fi
}

field() { # NAME [FILE]: of gpu.json
  "$build/tqshell" -list -noheader :memory: "SELECT json_extract('$(sed "s/'/''/g" "${2:-gpu}.json")', '$.$1')"
}

# ---- Tables: segments, rows in the log, deletions, rows that are equal ----
"$build/tqshell" first.db 2> import.err << END
.import $root/tests/data/base.f16.npy words --limit 6000
CREATE VIRTUAL TABLE m USING tq(id INTEGER PRIMARY KEY, v FLOAT[100] metric=l2 bits=3, lang TEXT, n INTEGER INDEXED);
INSERT INTO m(id, v, lang, n) SELECT rowid, embedding, 'l' || (rowid % 7), rowid FROM words;
CREATE VIRTUAL TABLE p USING tq(v FLOAT[100] metric=ip bits=4 rows=none, part INTEGER PARTITION KEY);
INSERT INTO p(rowid, v, part) SELECT rowid, embedding, rowid % 2 FROM words;
CREATE VIRTUAL TABLE h USING tq(v FLOAT[100] rows=f16 bits=2);
INSERT INTO h(rowid, v) SELECT rowid, embedding FROM words;
INSERT INTO h(rowid, v) SELECT rowid + 20000, embedding FROM words WHERE rowid < 3000;
INSERT INTO m(m) VALUES ('optimize');
INSERT INTO p(p) VALUES ('optimize');
INSERT INTO h(h) VALUES ('optimize');
INSERT INTO m(id, v, lang, n) SELECT id + 20000, v, lang, n FROM m WHERE id < 500;
DELETE FROM words WHERE rowid % 10 = 3;
DELETE FROM m WHERE id BETWEEN 1000 AND 1400;
CREATE TABLE queries AS SELECT rowid AS id, embedding AS q FROM words WHERE rowid % 90 = 1;
END

# ---- What is asked. Scores with all their bits ----
cat > ask.sql << 'END'
.param set :q "(SELECT q FROM queries WHERE id = 91)"
SELECT 'match', rowid, printf('%.17g', score) FROM words WHERE embedding MATCH :q ORDER BY score DESC LIMIT 10;
SELECT 'k', rowid, printf('%.17g', score) FROM words WHERE embedding MATCH :q AND k = 300;
SELECT 'pages', rowid, printf('%.17g', score) FROM words(:q) ORDER BY score DESC LIMIT 20 OFFSET 700;
SELECT 'equal rows', rowid, printf('%.17g', score) FROM h WHERE v MATCH :q AND k = 31;
SELECT 'equal rows, two pages', rowid, printf('%.17g', score) FROM h(:q) ORDER BY score DESC, rowid LIMIT 9 OFFSET 8;
SELECT 'exact', rowid, printf('%.17g', score) FROM words WHERE embedding MATCH tq_query(:q, 'exact=on') AND k = 25;
SELECT 'low confidence', rowid, printf('%.17g', score) FROM words
  WHERE embedding MATCH tq_query(:q, 'confidence=.3') AND k = 25;
SELECT 'oversample', rowid, printf('%.17g', score) FROM words
  WHERE embedding MATCH tq_query(:q, 'oversample=3') AND k = 25;
SELECT 'threads', rowid, printf('%.17g', score) FROM words WHERE embedding MATCH tq_query(:q, 'threads=2') AND k = 25;
SELECT 'radius', rowid, printf('%.17g', score) FROM words WHERE embedding MATCH :q AND score > .55;
SELECT 'radius', id, printf('%.17g', distance) FROM m WHERE v MATCH :q AND distance < 5;
SELECT 'next page', rowid, printf('%.17g', score) FROM words WHERE embedding MATCH :q AND score < .6 AND k = 20;
SELECT 'no rows kept', rowid, printf('%.17g', score) FROM p WHERE v MATCH :q AND k = 50;
SELECT 'partition', rowid, printf('%.17g', score) FROM p WHERE v MATCH :q AND part = 1 AND k = 50;
SELECT 'filter', id, printf('%.17g', distance) FROM m WHERE v MATCH :q AND lang = 'l3' AND k = 40;
SELECT 'narrow filter', id, printf('%.17g', distance) FROM m WHERE v MATCH :q AND n BETWEEN 200 AND 260 AND k = 40;
SELECT 'nothing passes', id FROM m WHERE v MATCH :q AND n < 0 AND k = 40;
SELECT 'more than there is', count(*), sum(id) FROM m WHERE v MATCH :q AND k = 100000;
-- recognised
SELECT rowid, tq_cosine(embedding, :q) FROM words ORDER BY 2 DESC LIMIT 12;
SELECT 'PATH', json_extract(tq_explain(), '$.path');
-- another metric
SELECT rowid, tq_l2(embedding, :q) FROM words ORDER BY 2 LIMIT 12;
-- where
SELECT id, tq_ip(v, :q) FROM m WHERE lang = 'l4' ORDER BY 2 DESC LIMIT 12;
-- equal rows, in order
SELECT rowid FROM h ORDER BY tq_cosine(v, :q) DESC LIMIT 15;
-- heard
SELECT id FROM m ORDER BY tq_distance(v, (SELECT q FROM queries WHERE id = 181)) LIMIT 12;
SELECT 'PATH', json_extract(tq_explain(), '$.path');
SELECT tq_config('order_by', 'approximate');
-- approximate
SELECT rowid, tq_cosine(embedding, :q) FROM words ORDER BY 2 DESC LIMIT 12;
SELECT tq_config('order_by', NULL);
SELECT 'join', queries.id, w.rowid, printf('%.17g', w.score) FROM queries
  JOIN words AS w ON w.embedding MATCH queries.q AND w.k = 5;
SELECT 'join', queries.id, w.id, printf('%.17g', w.score) FROM queries, m(queries.q, 4) AS w;
SELECT 'join, filtered', queries.id, m.id, printf('%.17g', m.score) FROM queries
  JOIN m ON m.v MATCH queries.q AND m.k = 3 AND m.lang <> 'l1'
  WHERE queries.id < 2000;
BEGIN;
DELETE FROM words WHERE rowid % 3 = 1;
INSERT INTO words(rowid, embedding) SELECT id + 50000, q FROM queries;
SELECT 'in a transaction', rowid, printf('%.17g', score) FROM words WHERE embedding MATCH :q AND k = 20;
SAVEPOINT a;
DELETE FROM words WHERE rowid < 4000;
UPDATE words SET embedding = :q WHERE rowid = 4001;
SELECT 'in a savepoint', rowid, printf('%.17g', score) FROM words WHERE embedding MATCH :q AND k = 20;
ROLLBACK TO a;
SELECT 'rolled back', rowid, printf('%.17g', score) FROM words WHERE embedding MATCH :q AND k = 20;
ROLLBACK;
SELECT 'rolled back', rowid, printf('%.17g', score) FROM words WHERE embedding MATCH :q AND k = 20;
DELETE FROM words WHERE rowid % 3 = 1;
SELECT 'deleted', rowid, printf('%.17g', score) FROM words WHERE embedding MATCH :q AND k = 20;
INSERT INTO words(rowid, embedding) SELECT id + 20000, tq_scale(v, 1.5) FROM m;
SELECT 'new segments', rowid, printf('%.17g', score) FROM words WHERE embedding MATCH :q AND k = 20;
INSERT INTO words(words) VALUES ('optimize');
SELECT 'merged', rowid, printf('%.17g', score) FROM words WHERE embedding MATCH :q AND k = 20;
UPDATE words SET embedding = (SELECT q FROM queries WHERE id = 181) WHERE rowid = 91;
SELECT 'updated', rowid, printf('%.17g', score) FROM words WHERE embedding MATCH :q AND k = 20;
DROP TABLE h;
CREATE VIRTUAL TABLE h USING tq(v FLOAT[100] metric=l2 bits=4);
INSERT INTO h(rowid, v) SELECT rowid, embedding FROM words;
INSERT INTO h(h) VALUES ('optimize');
SELECT 'made anew', rowid, printf('%.17g', score) FROM h WHERE v MATCH :q AND k = 20;
END

ask() { # DEVICE PROGRAM...
  cp first.db "$1.db"
  cp -r first.db-tq "$1.db-tq"
  echo "SELECT tq_config('device', '$1') <> '';" > script
  # Behind each question, where it was answered.
  awk '{ print }
    /^-- |^SELECT \047[a-z]/ { name = $0; sub(/^-- |^SELECT ./, "", name); sub(/\047.*/, "", name) }
    /;$/ && name != "" {
      print ".once \"|cat >> where\""
      print "SELECT \047" name "\047, json_extract(tq_explain(), \047$.gpu\047);"
      name = "" }' ask.sql >> script
  rm -f where
  printf '.output %s.json\nSELECT tq_gpu();\n' "$1" >> script
  "${@:2}" "$1.db" < script > "$1.out" 2>&1
  rm -r "$1.db" "$1.db-tq"
}

# No row passes; more are wanted than a device finds.
by_cpu='nothing passes|more than there is'

programs() { # NAME PROGRAM...
  ask cpu "${@:2}"
  if grep -v '|0$' where | grep -v '^nothing passes'; then
    echo "FAILED: $1: these were not answered by the CPU"
    failures=$((failures + 1))
  fi
  check "$1: device=cpu did not ask for a GPU" "$(field searches cpu) + $(field fallbacks cpu) = 0"
  ask gpu "${@:2}"
  same "$1: cpu and gpu"
  if grep -vE "^($by_cpu)" where | grep -v '|[1-9]'; then
    echo "FAILED: $1: these were not answered by a GPU"
    failures=$((failures + 1))
  fi
  if grep -q rror cpu.out; then
    echo "FAILED: $1: $(grep rror cpu.out | head -3)"
    failures=$((failures + 1))
  fi
  echo "$1: $(wc -l < gpu.out) lines, $(field searches) queries by $(field device.name)," \
    "$(field fallbacks) by the CPU, the last because $(field fallback)"
  check "$1: a GPU was used" "$(field usable) = 1 AND $(field resident) > 0 AND $(field rows) > 6000"
  check "$1: a GPU answered" "$(field searches) >= 180"
}

shell=("$build/tqshell" -batch -list -noheader)
programs tqshell "${shell[@]}"
for memory in 0 1 16; do # MiB: room for nothing, for one table after another, or, on a true device, for some
  TQ_GPU_MEMORY=$memory ask gpu "${shell[@]}"
  same "$memory MiB of the device: cpu and gpu"
  check "$memory MiB: no more are taken" "$(field resident) <= $memory << 20"
  if [ "$memory" = 0 ]; then check "0 MiB: the CPU answers" "$(field searches) = 0 AND $(field fallbacks) >= 180"; fi
  echo "$memory MiB: $(field searches) queries by $(field device.name), $(field fallbacks) by the CPU"
done
if command -v sqlite3 > /dev/null && [ -e "$build/tq.so" ] && ! ldd "$build/tq.so" | grep -q 'lib[alt]san'; then
  programs sqlite3 sqlite3 -batch -init /dev/null -list -noheader -cmd ".load $build/tq.so"
fi
[ "$failures" = 0 ]

#!/bin/bash
# Commands about vectors whose output has times in it, or that need files: .recall, .tune, .bench, .kernels, .backup,
# .compact. Those that do not are in vectors_*.tqs.
#   tests/shell/vector_commands.sh <build folder>
set -euo pipefail

shell=$(cd "$1" && pwd)/tqshell
here=$(cd "$(dirname "$0")" && pwd)
. "$here/checks.bash"

is() { # <what> <wanted> <got>
    if [ "$2" = "$3" ]; then note "$1" 0; else note "$1: wanted $2, got $3" 1; fi
}

holds() { # <what> <a condition in SQL>
    is "$1: $2" 1 "$("$shell" -csv :memory: "SELECT $2")"
}

says() { # <what> <pattern> <file>
    if grep -qE -- "$2" "$3"; then note "$1" 0; else note "$1: no $2 in $(cat "$3")" 1; fi
}

csv() { # <argument of tqshell>...: rows without header; remarks to the file remarks
    "$shell" -csv -noheader "$@" 2>remarks </dev/null
}

field() { # <number>: of each row
    cut -d, -f"$1" | tr -d '"'
}

"$shell" words.db '.import data/base.f16.npy words' 2>/dev/null

# ---- .recall ----
csv words.db '.recall words 200' >recall
is "recall of four confidences" '2 2.5 3 exact' "$(field 1 <recall | tr '\n' ' ' | sed 's/ $//')"
is "all were asked" '200 200 200 200' "$(field 8 <recall | tr '\n' ' ' | sed 's/ $//')"
is "exact is exact" 1.0 "$(field 2 <recall | tail -1)"
holds "a low confidence misses some" "$(field 2 <recall | head -1) BETWEEN 0.9 AND 1"
holds "times are in order" \
    "$(field 3 <recall | head -1) > 0 AND $(field 3 <recall | head -1) <= $(field 4 <recall | head -1)"
holds "exact looks at more rows" "$(field 6 <recall | tail -1) > $(field 6 <recall | head -1)"
says "where the queries come from" '^200 rows of words as queries, each left out of its own answer; one thread$' remarks
csv words.db '.recall words 200 --confidence 0.3 --k 5 --seed 9' >first
csv words.db '.recall words 200 --confidence 0.3 --k 5 --seed 9' >second
is "the same seed, the same queries" "$(field 2,6,7 <first)" "$(field 2,6,7 <second)"
holds "a confidence that is too low" "$(field 2 <first) < 0.99"
csv words.db '.recall words 200 --confidence 0.3 --k 5 --seed 8' >second
if [ "$(field 2,6,7 <first)" != "$(field 2,6,7 <second)" ]; then note "another seed" 0; else note "another seed" 1; fi
is "nothing is left behind" \
    '{"order_by":"exact","confidence":3.0,"oversample":0.0,"threads":1,"timeout_ms":0,"device":"cpu"}' \
    "$("$shell" -list -noheader words.db '.recall words 2 --confidence 2' 'SELECT tq_config()' 2>/dev/null | tail -1)"
"$shell" -json words.db '.recall words 10' >json 2>/dev/null
says "names of columns" '"recall@10":1.0,"median ms":' json

# A search that finds the wrong rows is told: of rows that are not kept, by id.
"$shell" small.db >/dev/null <<'END'
CREATE VIRTUAL TABLE codes USING tq(v FLOAT[2], rows=none);
INSERT INTO codes(rowid, v) VALUES (0, '[1,0]'), (1, '[0,1]'), (2, '[-1,0]'), (3, '[0,-1]');
CREATE TABLE codes_queries(id INTEGER PRIMARY KEY, embedding BLOB, neighbors BLOB);
INSERT INTO codes_queries VALUES (1, tq_f32('[5,1]'), x'0000000001000000'), (2, tq_f32('[1,5]'), x'0200000003000000');
CREATE VIRTUAL TABLE kept USING tq(v FLOAT[2], metric=l2);
INSERT INTO kept(rowid, v) VALUES (0, '[1,0]'), (1, '[0,1]'), (2, '[-1,0]'), (3, '[0,-1]');
CREATE TABLE wrong(embedding, neighbors);
INSERT INTO wrong VALUES ('[5,1]', x'0200000003000000ffffffff');
CREATE TABLE gone(embedding, neighbors);
INSERT INTO gone VALUES ('[5,1]', x'02000000e7030000');
CREATE TABLE plain(v);
INSERT INTO plain VALUES ('[5,1]');
CREATE TABLE short(v);
INSERT INTO short VALUES ('[5]');
CREATE TABLE other(x);
CREATE VIRTUAL TABLE lone USING tq(v FLOAT[2]);
INSERT INTO lone(v) VALUES ('[1,0]');
CREATE VIRTUAL TABLE empty USING tq(v FLOAT[2]);
CREATE VIRTUAL TABLE halves USING tq(v FLOAT[2], rows=f16);
INSERT INTO halves(v) VALUES ('[1,0]'), ('[0,1]'), ('[0,0]'), (NULL);
END
is "half of them by id" 0.5 "$(csv small.db '.recall codes --k 2 --confidence 3' | field 2)"
says "compared by id" 'with the neighbours given there, compared by id' remarks
is "answers better than the truth" 1.0 "$(csv small.db '.recall kept --k 2 --queries wrong --confidence 3' | field 2)"
says "a truth of another metric" "^notice: for 1 of 1 queries exact search finds nearer rows than those given" remarks
is "less is due than k" 1.0 "$(csv small.db '.recall kept --k 3 --queries wrong --confidence 3' | field 2)"
is "queries without a truth" 1.0 "$(csv small.db '.recall kept --k 2 --queries plain' | field 2 | head -1)"
is "more than there is" 1.0 "$(csv small.db '.recall kept --k 99' | field 2 | head -1)"
is "nothing to find" '' "$(csv small.db '.recall lone --confidence 3' | field 2)"
says "that is said" 'there was nothing to find' remarks
is "NULL and zero vectors" 1.0 "$(csv small.db '.recall halves --confidence 3' | field 2)"
says "rows=f16 is said" 'rounded to half precision' remarks
fails 1 'codes keeps no vectors (rows=none), so nothing tells what is near in truth' small.db \
    '.recall codes --queries none'
fails 1 'row 999, a neighbour of query 1 of gone, is not there' small.db '.recall kept --k 2 --queries gone'
fails 1 'wrong, row 1: 3 neighbours; k is 10, it can be no more' small.db '.recall kept --queries wrong'
fails 1 'short, row 1: its vector has 4 bytes; kept.v has 2 dimensions, 8 bytes' small.db \
    '.recall kept --queries short'
fails 1 'other has no column embedding or v' small.db '.recall kept --queries other'
fails 1 'no such table: missing' small.db '.recall kept --queries missing'
fails 1 'empty.v has no vectors' small.db '.recall empty'
fails 1 'no such table: missing' small.db '.recall missing'
fails 1 'n is 0; it must be 1 to' small.db '.recall kept 0'
fails 1 '--k is 0; it must be 1 to' small.db '.recall kept --k 0'
fails 1 '--confidence is "two"; it must be a number' small.db '.recall kept --confidence two'
fails 1 'usage: .recall TABLE' small.db '.recall'
fails 1 './small.db is open here already, as main' small.db '.search kept ./small.db'

status=0
timeout --preserve-status -s INT 2 "$shell" words.db '.recall words 20000 --confidence 1000,exact' \
    >partly 2>fails.err || status=$?
is "Ctrl-C" 130 $status
says "that is said" 'interrupted$' fails.err
if [ -s partly ]; then says "what there was is shown" '^stopped after [0-9]* of 20000 queries$' fails.err; fi

# ---- .tune ----
csv words.db '.tune words .99 400' >tuned
is "what .tune tells" 'chosen default exact' "$(field 1 <tuned | tr '\n' ' ' | sed 's/ $//')"
holds "the target is reached" "$(field 3 <tuned | head -1) >= 0.99"
holds "by less than the default" "$(field 2 <tuned | head -1) < 3"
statement=$(sed -n 's/^for this connection: \(SELECT .*;\)$/\1/p' remarks)
is "the statement to type" "$(field 2 <tuned | head -1)" "$(csv words.db "$statement")"
for seed in 1 7 9 16; do # of which the half that chooses alone would choose too little
    csv words.db ".tune words .97 30 --seed $seed" >tuned
    holds "seed $seed, verified by others" "$(field 3 <tuned | head -1) >= 0.97"
done
is "a recall of one" exact "$(csv words.db '.tune words 1 20' | field 2 | head -1)"
says "how exact is set" "tq_config.'confidence', 'exact'.;" remarks
fails 1 'the recall is 95; it must be 0 to 1' words.db '.tune words 95'
fails 1 '1 row of lone as queries, each left out of its own answer: one to choose by and one to verify' small.db \
    '.tune lone .9'
fails 1 'usage: .tune TABLE RECALL' small.db '.tune kept'
fails 1 'the target 0.9 is out of reach' small.db '.tune codes .9 --k 2'

# ---- .bench ----
csv words.db '.bench words 0.2' 'SELECT name FROM sqlite_temp_master' >bench
is "what .bench times" 'one by one|batches of 100|one by one|every row' \
    "$(field 1 <bench | sed 's/ confidence.*//; s/,.*//' | tr '\n' '|' | sed 's/|$//')"
is "rows and nothing left behind" 4 "$(wc -l <bench)"
numbers='^[0-9.]+,[0-9.]+,[0-9.]+,[1-9][0-9]*,([0-9.]*),([0-9.]*),[1-9]' # times, rate, bytes, memory, runs
is "times, rates and bytes" 4 "$(sed 's/^"[^"]*",//; s/^batches of [0-9]*,//' bench | grep -cE "$numbers")"
is "without vectors of its own" 4 "$(csv small.db '.bench codes 0.05' | wc -l)"
says "what the numbers are" 'MB read: codes and vectors that a query reads' remarks
fails 1 'empty.v has no vectors' small.db '.bench empty'
fails 1 'the number of seconds is 0; it must be' small.db '.bench kept 0'

# ---- .kernels ----
TQ_ISA=scalar "$shell" -csv -noheader :memory: .kernels >kernels
is "operations by plain C" 19 "$(grep -cE '^[a-z_0-9]+,scalar$' kernels)"
says "scalar serves all" '^scalar,yes,yes,yes,19$' kernels
says "speeds" '^scalar,[0-9.]+,[0-9.]+,[0-9]+$' kernels
is "the best that there is" "$("$shell" -list -noheader words.db "SELECT json_extract(tq_info('words'), '$.isa')")" \
    "$("$shell" -list -noheader :memory: "SELECT json_extract(tq_kernels(), '$.isa')")"

# ---- --device, .gpu: where there is none ----
export TQ_GPU=off
for device in cpu gpu auto; do
    is "--device $device, the same rows" "$(csv words.db '.search words 7 3')" \
        "$(csv words.db ".search words 7 3 --device $device")"
done
is "with a confidence" "$(csv words.db '.search words 7 3 --exact')" \
    "$(csv words.db '.similar words 7 3 --device gpu --confidence exact')"
is "the same recall" "$(csv words.db '.recall words 50' | field 1,2,6,7)" \
    "$(csv words.db '.recall words 50 --device gpu' | field 1,2,6,7)"
says "where it ran" '^none of the searches ran on a GPU; .gpu tells why$' remarks
csv words.db '.recall words 2 --device cpu' >recall
is "of the CPU nothing is said" 1 "$(wc -l <remarks)"
csv words.db "SELECT tq_config('device', 'gpu')" '.tune words .9 10' >tuned
says "as the connection is set" 'none of the searches ran on a GPU' remarks
csv words.db '.bench words 0.05 --device auto' >bench
says "where it ran" 'none of the searches ran on a GPU' remarks
is "nothing is left behind" cpu "$(csv words.db '.recall words 2 --device gpu' "SELECT tq_config('device')" | tail -1)"
for command in '.search words 7' '.similar words 7' '.recall words' '.tune words .9' '.bench words'; do
    fails 1 '--device is "tpu"; it must be cpu, gpu or auto' words.db "$command --device tpu"
done
is "-safe permits .gpu" 'Every search runs on the CPU: TQ_GPU is off; 1 query asked for a GPU.' \
    "$(csv -safe words.db '.search words 7 3 --device gpu' .gpu | tail -1)"
is ".explain says where" 'gpu,0' "$(csv words.db '.search words 7 3 --device gpu' .explain | tail -1 | cut -d, -f1,2)"
is ".info has what is known" 'gpu,nothing has asked for a device yet' \
    "$(csv words.db '.info words' | grep '^gpu,' | cut -d, -f1,2)"
is ".info opens nothing" '' "$(csv words.db '.info words --quick' | grep '^gpu,' || true)"

# ---- .backup, .compact ----
"$shell" words.db '.backup copy.db' 2>remarks
says ".backup tells what it made" '^copy.db: [0-9.]+ MiB with the folder copy.db-tq, [0-9.]+ s$' remarks
is "a copy is whole" "$(csv words.db '.search words 7 3')" "$(csv copy.db '.search words 7 3')"
fails 1 'copy.db-tq" exists already: nothing is overwritten' words.db '.backup copy.db'
"$shell" small.db "ATTACH 'words.db' AS big" '.backup big other.db' 2>/dev/null
is "an attached one" "$(csv words.db '.similar words 7 3')" "$(csv other.db '.similar words 7 3')"
fails 1 'there is no database "nowhere"' words.db '.backup nowhere x.db'
fails 1 'usage: .backup' words.db '.backup'
fails 1 'should lie in does not exist' words.db '.backup no/such/folder.db'
dead="SELECT json_extract(tq_info('words'), '$.dead')"
is "dead rows stay" 5000 "$(csv other.db 'DELETE FROM words WHERE rowid % 4 = 0' '.compact --quick' "$dead")"
is "norms of the living, from segments" \
    "$(csv other.db 'SELECT round(min(tq_norm(embedding)), 4), round(avg(tq_norm(embedding)), 4),
        round(max(tq_norm(embedding)), 4) FROM words')" \
    "$(csv other.db "SELECT round(json_extract(i, '$.norm.min'), 4), round(json_extract(i, '$.norm.mean'), 4),
        round(json_extract(i, '$.norm.max'), 4) FROM (SELECT tq_info('words', 'main', 'full') AS i)")"
is "until all is compacted" 0 "$(csv other.db .compact "$dead")"
"$shell" other.db 'DELETE FROM words WHERE rowid % 4 < 3' .compact 2>remarks
says ".compact gives space back" '^[1-9][0-9.]+ MiB given back, [0-9.]+ s$' remarks
is "the rest is there" 'ok 5000' \
    "$(csv other.db '.check words --full' 'SELECT count(*) FROM words' | tr '\n' ' ' | sed 's/ $//')"
rm -r copy.db-tq
fails 1 '1 finding' copy.db .check
says "a finding is a result" 'vector folder' fails.out
fails 1 'vector folder' copy.db '.repair words adopt-folder'
is "a folder that is gone" '20000 0' \
    "$(csv copy.db '.repair words adopt-empty' "SELECT count(*) || ' ' || count(embedding) FROM words" | tail -1)"

# ---- Files of vectors, -safe ----
is "the rows of a file are those of SQL" \
    "$(csv words.db '.import data/query.f16.npy queries' "SELECT q.rowid, w.rowid
        FROM (SELECT rowid, embedding FROM queries WHERE rowid < 10) AS q, words(q.embedding, 2) AS w")" \
    "$(csv words.db '.search words data/query.f16.npy 2' | field 1,2)"
fails 1 'files are not read with -safe' -safe small.db ".search kept data/query.f16.npy"
fails 1 '.backup' -safe small.db '.backup safe.db'

done_with "vector commands"

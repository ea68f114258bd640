#!/usr/bin/env bash
# A database, or its folder, that may not be written: what can be read is read, and the message says what is in the way.
#   readonly.sh BUILD_FOLDER
set -euo pipefail
build=$1
if ldd "$build/tq.so" | grep -q 'lib[alt]san'; then
  echo "skipped: sqlite3 cannot load a library with sanitizers"
  exit 77
fi
folder=$(mktemp -d "${TMPDIR:-/tmp}/tq-readonly-XXXXXX")
trap 'chmod -R u+rwX "$folder"; rm -rf "$folder"' EXIT
cp "$build"/tq.so "$folder"/tq.so
chmod 755 "$folder"

# Root may write everywhere: then the reader is somebody else.
as_reader=()
if [ "$(id -u)" = 0 ]; then
  command -v setpriv > /dev/null || { echo "skipped: no setpriv"; exit 77; }
  as_reader=(setpriv --reuid=65534 --regid=65534 --clear-groups)
fi
"${as_reader[@]}" test -r "$folder"/tq.so || { echo "skipped: $folder is not for other users"; exit 77; }

run() { # as the reader: URI SQL
  "${as_reader[@]}" sqlite3 -batch -init /dev/null -cmd ".load $folder/tq.so" "$1" "$2" 2>&1 || true
}
failures=0
expect() { # WHAT WANTED FOUND
  case $3 in
    *"$2"*) ;;
    *)
      echo "$1: expected \"$2\", found: $3"
      failures=$((failures + 1))
      ;;
  esac
}

sqlite3 -batch -init /dev/null -cmd ".load $folder/tq.so" "$folder"/a.db "
CREATE VIRTUAL TABLE words USING tq(v FLOAT[2]);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)
INSERT INTO words(v) SELECT '[' || i || ',1]' FROM n;" > /dev/null
chmod 444 "$folder"/a.db "$folder"/a.db-tq/*
chmod 555 "$folder"/a.db-tq "$folder"
read_all="SELECT count(v) FROM words; SELECT rowid FROM words('[1,1]', 1)"
insert="INSERT INTO words(v) VALUES ('[1,1]')"

found=$(run "file:$folder/a.db" "$read_all")
expect "a folder without write permission" "immutable=1 needs no locks" "$found"
expect "names the folder" "$folder/a.db-tq" "$found"
expect "names the database" "\"$folder/a.db\"" "$found"
expect "immutable=1" $'9000\n1' "$(run "file:$folder/a.db?immutable=1" "$read_all")"
expect "writing with immutable=1" "readonly database" "$(run "file:$folder/a.db?immutable=1" "$insert")"
expect "repair with immutable=1" "readonly database" \
  "$(run "file:$folder/a.db?immutable=1" "SELECT tq_repair('words', 'salvage')")"

chmod 666 "$folder"/a.db-tq/*
chmod 777 "$folder"/a.db-tq
expect "mode=ro" $'9000\n1' "$(run "file:$folder/a.db?mode=ro" "$read_all")"
expect "writing with mode=ro" "readonly database" "$(run "file:$folder/a.db?mode=ro" "$insert")"

chmod 666 "$folder"/a.db
chmod 777 "$folder"
chmod 444 "$folder"/a.db-tq/data.mdb
expect "data.mdb is not writable" "see that it can be read and written" "$(run "file:$folder/a.db" "$read_all")"
chmod 000 "$folder"/a.db-tq/data.mdb
expect "data.mdb is not readable" "Permission denied" "$(run "file:$folder/a.db" "$read_all")"
expect "other tables work" 9000 "$(run "file:$folder/a.db" "SELECT count(*) FROM words_rows")"
expect "it is not given up for lost" "Permission denied" \
  "$(run "file:$folder/a.db" "SELECT tq_repair('words', 'adopt-empty')")"
chmod 666 "$folder"/a.db-tq/data.mdb
expect "all may be written again" $'9000\n1' "$(run "file:$folder/a.db" "$read_all")"
expect "all may be written again" 9001 "$(run "file:$folder/a.db" "$insert; SELECT count(v) FROM words")"
[ "$failures" = 0 ]

#!/usr/bin/env python3
"""Show that this SQLite loses a committed transaction when the process dies before the next checkpoint.

No tqlite is involved. A transaction that outgrows the page cache of a WAL database is rolled back to an older savepoint
and goes on; SQLite before 3.50.2 then commits frames without salts and checksums. Exit status 1 if rows are lost.
docs/decisions/0010 says what tqlite does about it.
"""
import os
import shutil
import sqlite3
import sys
import tempfile

INSERT = """WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ?)
            INSERT INTO t SELECT i, randomblob(3000) FROM c"""


def rows_after_a_crash(folder):
    live, copy = os.path.join(folder, "live.db"), os.path.join(folder, "copy.db")
    db = sqlite3.connect(live, isolation_level=None)
    for pragma in ("journal_mode=WAL", "cache_size=20", "wal_autocheckpoint=0"):
        db.execute("PRAGMA " + pragma)
    db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, b)")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.execute("BEGIN")
    db.execute("SAVEPOINT s")
    db.execute(INSERT, (300,))
    for _ in range(3):
        db.execute("UPDATE t SET b = randomblob(3000) WHERE id >= 250")
    db.execute("ROLLBACK TO s")
    db.execute(INSERT, (200,))
    db.execute("COMMIT")
    for suffix in ("", "-wal"):  # what a crash now would leave
        shutil.copy(live + suffix, copy + suffix)
    return sqlite3.connect(copy).execute("SELECT count(*) FROM t").fetchone()[0]


def main():
    with tempfile.TemporaryDirectory() as folder:
        rows = rows_after_a_crash(folder)
    print(f"SQLite {sqlite3.sqlite_version}: {rows} of 200 committed rows are there after a crash")
    sys.exit(rows != 200)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""The folder stays small: random transactions, while a reader stays on one snapshot for 50 commits at a time.

    space.py BUILD [--points N] [--seed S]      N transactions, 10,000 by default

After each pinned run the size of data.mdb is compared with 2 x what is alive + 64 MiB. What is alive is what tq_info()
says segments and log hold, dead rows not counted.
"""
import argparse
import array
import json
import os
import random
import sqlite3
import sys
import tempfile

DIM, PINNED = 256, 50
ROW_BYTES = DIM * 4 + DIM // 2 + 64  # exact, codes and scalars
SLACK = 64 << 20


def connect(library, path):
    if not hasattr(sqlite3.Connection, "enable_load_extension"):
        print("space: skipped, this Python's sqlite3 cannot load extensions")
        sys.exit(77)
    db = sqlite3.connect(path, isolation_level=None)
    db.enable_load_extension(True)
    db.load_extension(library)
    db.execute("PRAGMA synchronous=NORMAL")
    return db


class Work:
    """Rows live in a range of ids; transactions add, replace and delete stretches of it."""

    def __init__(self, db, chance, limit):
        self.db, self.chance, self.limit = db, chance, limit
        self.ids, self.next = set(), 1
        self.pool = array.array("f", (chance.gauss(0, 1) for _ in range(DIM * 4096))).tobytes()

    def vector(self):
        at = self.chance.randrange(len(self.pool) // 4 - DIM)
        return self.pool[4 * at:4 * (at + DIM)]

    def insert(self, count):
        rows = [(self.next + i, self.vector()) for i in range(count)]
        self.next += count
        self.db.executemany("INSERT INTO docs(rowid, v) VALUES (?, ?)", rows)
        self.ids.update(row[0] for row in rows)

    def some(self, count):
        return self.chance.sample(sorted(self.ids), min(count, len(self.ids)))

    def delete(self, count):
        gone = self.some(count)
        self.db.executemany("DELETE FROM docs WHERE rowid = ?", [(i,) for i in gone])
        self.ids.difference_update(gone)

    def update(self, count):
        self.db.executemany("UPDATE docs SET v = ? WHERE rowid = ?", [(self.vector(), i) for i in self.some(count)])

    def transaction(self):
        size = self.chance.choice((1, 1, 3, 10, 50, 200, 600))
        kind = self.chance.choice("iiud") if len(self.ids) < self.limit else self.chance.choice("iudd")
        self.db.execute("BEGIN IMMEDIATE")
        {"i": self.insert, "u": self.update, "d": self.delete}[kind](size)
        self.db.execute("ROLLBACK" if self.chance.random() < 0.03 and kind == "u" else "COMMIT")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=os.path.abspath)
    parser.add_argument("--points", type=int, default=10000)
    parser.add_argument("--rows", type=int, default=40000, help="about so many are alive")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    bad, worst = 0, 0.0
    with tempfile.TemporaryDirectory(prefix="tq_space_") as folder:
        path = os.path.join(folder, "space.db")
        library = os.path.join(args.build, "tq.so")
        db = connect(library, path)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(f"CREATE VIRTUAL TABLE docs USING tq(v FLOAT[{DIM}])")
        work = Work(db, random.Random(args.seed), args.rows)
        reader = connect(library, path)
        for first in range(0, args.points, PINNED):
            reader.execute("BEGIN")
            before = reader.execute("SELECT count(*) FROM docs").fetchone()
            for _ in range(min(PINNED, args.points - first)):
                work.transaction()
            if work.ids:  # the snapshot still has what it had, wherever the writer has moved it
                query = work.vector()
                found = reader.execute("SELECT count(*) FROM (SELECT rowid FROM docs(?, 100))", (query,)).fetchone()[0]
                bad += found != min(100, before[0])
            reader.execute("COMMIT")
            info = json.loads(db.execute("SELECT tq_info('docs')").fetchone()[0])
            alive = info["vectors"] * ROW_BYTES
            size = os.stat(os.path.join(path + "-tq", "data.mdb")).st_size
            worst = max(worst, (size - SLACK) / max(alive, 1))
            bad += size > 2 * alive + SLACK
        print(f"{info['vectors']} rows, {info['segments']} segments, {info['dead']} dead, data.mdb {size >> 20} MiB, "
              f"alive {alive >> 20} MiB, worst (size - 64 MiB) / alive {worst:.2f}")
        for connection in (reader, db):
            connection.close()
    print(f"space: {args.points} points, {bad} bad")
    sys.exit(bad != 0)


if __name__ == "__main__":
    main()

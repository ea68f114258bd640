#!/usr/bin/env python3
"""Kill tq_backup(), tq_compact(), tq_pack() and tq_unpack() at each call that changes a file.

  kill_whole.py LIBRARY SHIM [--points N] [--seed S] [--save FOLDER]

Whatever the moment: the database answers as before; a copy is absent or whole; a folder that is unpacked is absent or
whole; and what was killed can be done again.
"""
import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile

ROWS = """WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last})
  INSERT INTO docs(rowid, v, title) SELECT i, tq_f32('[' || i || replace(printf('%.199c', 'x'), 'x', ',' || (i % 89))
  || ']'), 'title ' || i FROM n;"""
MAKE = f"""PRAGMA journal_mode = WAL;
CREATE VIRTUAL TABLE docs USING tq(v FLOAT[200], title TEXT, rows=f16);
{ROWS.format(first=1, last=2800)}
DELETE FROM docs WHERE rowid % 5 > 1;
INSERT INTO docs(docs) VALUES ('optimize');
{ROWS.format(first=3001, last=3010)}"""
PACKED = "SELECT tq_pack() > 0;"
LOOK = """SELECT count(*), sum(rowid), sum(length(title)) FROM {0}docs;
SELECT group_concat(hex(substr(v, 1, 8)) || rowid) FROM (SELECT rowid, v FROM {0}docs ORDER BY rowid);
SELECT rowid, score FROM {0}docs((SELECT tq_f32('[' || 77 || replace(printf('%.199c', 'x'), 'x', ',3') || ']')), 5);"""


class Harness:
    def __init__(self, library, shim):
        self.library, self.shim = library, shim

    def run(self, folder, sql, **env):
        command = ["sqlite3", "-batch", "-bail", "-init", "/dev/null", "-cmd", ".load " + self.library, "test.db"]
        return subprocess.run(command, cwd=folder, input=sql, capture_output=True, text=True, check=False, timeout=60,
                              env={**os.environ, **env})

    def must(self, folder, sql):
        done = self.run(folder, sql)
        if done.returncode != 0:
            raise Wrong(f"{sql.splitlines()[0]}: {done.stdout}{done.stderr}")
        return done.stdout

    def killed(self, folder, sql, at, torn):
        extra = {"TQ_KILL_TORN": "1"} if torn else {}
        return self.run(folder, sql, LD_PRELOAD=self.shim, TQ_KILL_AT=str(at), **extra)

    def count(self, folder, sql):
        target = os.path.join(folder, "count")
        done = self.run(folder, sql, LD_PRELOAD=self.shim, TQ_KILL_COUNT=target)
        if done.returncode != 0:
            raise Wrong(f"{sql}: {done.stdout}{done.stderr}")
        with open(target, encoding="ascii") as handle:
            return int(handle.read())


class Wrong(Exception):
    pass


def there(folder, name):
    return os.path.exists(os.path.join(folder, name))


def look(harness, folder, expected, prefix="", attach=""):
    found = harness.must(folder, attach + LOOK.format(prefix))
    if found != expected:
        raise Wrong(f"other answers: {found[:200]!r}, expected {expected[:200]!r}")


def after_compact(harness, folder, expected):
    look(harness, folder, expected)
    if there(folder, "test.db-tq/data.mdb.new"):
        raise Wrong("data.mdb.new is left over")
    harness.must(folder, "SELECT tq_compact();")
    look(harness, folder, expected)


def after_backup(harness, folder, expected):
    look(harness, folder, expected)
    if there(folder, "copy.db"):
        look(harness, folder, expected, "copy.", "ATTACH 'copy.db' AS copy;\n")
    harness.must(folder, "SELECT tq_backup('copy2.db');")
    look(harness, folder, expected, "copy.", "ATTACH 'copy2.db' AS copy;\n")


def after_pack(harness, folder, expected):
    look(harness, folder, expected)
    harness.must(folder, "SELECT tq_pack();")
    shutil.rmtree(os.path.join(folder, "test.db-tq"))
    harness.must(folder, "SELECT tq_unpack();")
    look(harness, folder, expected)


def after_unpack(harness, folder, expected):
    whole = there(folder, "test.db-tq")
    if whole:
        look(harness, folder, expected)
    packed = harness.must(folder, "SELECT count(*) FROM sqlite_master WHERE name = 'tqlite_packed';") == "1\n"
    if not packed and not whole:
        raise Wrong("neither the folder nor what was packed")
    if packed:
        harness.must(folder, "SELECT tq_unpack();")
    look(harness, folder, expected)


CASES = {  # name: the statement, what it begins with, what to look at afterwards
    "compact": ("SELECT tq_compact();", "plain", after_compact),
    "backup": ("SELECT tq_backup('copy.db');", "plain", after_backup),
    "pack": (PACKED, "plain", after_pack),
    "unpack": ("SELECT tq_unpack();", "packed", after_unpack),
}


def make(harness, work):
    plain, packed = os.path.join(work, "plain"), os.path.join(work, "packed")
    os.mkdir(plain)
    harness.must(plain, MAKE)
    shutil.copytree(plain, packed)
    harness.must(packed, PACKED)
    shutil.rmtree(os.path.join(packed, "test.db-tq"))
    return {"plain": plain, "packed": packed}, harness.must(plain, LOOK.format(""))


def choose_points(harness, work, bases, wanted, chance):
    """Equally many of each case, as far as it has them: (case, call, whether half of a write still happens)."""
    points = []
    for name, (sql, base, _) in CASES.items():
        folder = os.path.join(work, "count")
        shutil.copytree(bases[base], folder)
        calls = harness.count(folder, sql)
        shutil.rmtree(folder)
        print(f"{name}: {calls} calls")
        all_points = [(name, at, torn) for at in range(1, calls + 1) for torn in (False, True)]
        points += chance.sample(all_points, min(len(all_points), -(-wanted // len(CASES))))
    return points


def try_point(harness, work, bases, expected, point):
    name, at, torn = point
    sql, base, after = CASES[name]
    folder = os.path.join(work, "point")
    shutil.copytree(bases[base], folder)
    try:
        harness.killed(folder, sql, at, torn)
        after(harness, folder, expected)
    except Wrong as wrong:
        return folder, str(wrong)
    shutil.rmtree(folder)
    return folder, None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("shim")
    parser.add_argument("--points", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    given = parser.parse_args()
    harness, bad = Harness(given.library, given.shim), 0
    with tempfile.TemporaryDirectory(prefix="tq_whole_") as work:
        bases, expected = make(harness, work)
        points = choose_points(harness, work, bases, given.points, random.Random(given.seed))
        for number, point in enumerate(points):
            folder, wrong = try_point(harness, work, bases, expected, point)
            if wrong is None:
                continue
            bad += 1
            print(f"{point[0]}, killed at call {point[1]}{' half-way' if point[2] else ''}: {wrong}")
            if given.save:
                shutil.copytree(folder, os.path.join(given.save, f"whole_{number}"))
            shutil.rmtree(folder)
    print(f"seed {given.seed}")
    print(f"whole: {len(points)} points, {bad} bad")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

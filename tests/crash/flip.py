#!/usr/bin/env python3
"""Change bytes of a database and of its folder; each answer must then be the one before, or an error.

    flip.py PROGRAM [--points N | --full] [--seed S] [--save DIR]

PROGRAM is tests/crash/flip_work.c. A change: one bit, all bits or zero in a byte; a page of zeros, of another place or
of an earlier state; a file cut off. The pages of SQLite have no sums, and what a user keeps in them is SQLite's
(cksumvfs): a change there may change an answer and is counted. It may not in the folder, nor in a column that has a sum
(storage/FORMAT.md, section 5).
"""
import argparse
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

PAGE = 4096
SUMMED = ("_log.rec", "_log.op", "_log.id", "_log.slot", "_seg.", "_state.", "_gc.")
OUTCOMES = ("same", "error", "wrong", "crash", "hang")


# ---- What lies where in SQLite's file ----

def varint(page, at):
    value = 0
    for i in range(8):
        value = value << 7 | page[at + i] & 127
        if page[at + i] < 128:
            return value, at + i + 1
    return value << 8 | page[at + 8], at + 9


def sizes(header):
    """Serial types of a record as numbers of bytes."""
    at, out = 0, []
    while at < len(header):
        kind, at = varint(header, at)
        out.append((0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0)[kind] if kind < 12 else (kind - 12) // 2)
    return out


def columns_of_leaf(page, first, name, columns, areas, base):
    """Areas of the cells of a leaf of a table: column names for bytes."""
    for i in range(int.from_bytes(page[first + 3:first + 5], "big")):
        cell = int.from_bytes(page[first + 8 + 2 * i:first + 10 + 2 * i], "big")
        size, at = varint(page, cell)
        if size > PAGE - 100:  # overflows
            continue
        _, head = varint(page, at)
        for place in range(at, head):
            areas[base + place] = f"{name}.{columns[0]}"  # of shadow tables: INTEGER PRIMARY KEY
        head_size, types = varint(page, head)
        place = head + head_size
        for column, bytes_ in zip(columns, sizes(bytes(page[types:head + head_size]) + bytes(9))):
            for byte in range(place, place + bytes_):
                areas[base + byte] = f"{name}.{column}"
            place += bytes_


def areas_of_database(path):
    db = sqlite3.connect(path)
    data = open(path, "rb").read()
    areas = ["sqlite: free"] * len(data)
    columns = {name: [row[1] for row in db.execute(f'PRAGMA table_info("{name}")')]
               for name, in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0")}
    try:
        pages = db.execute("SELECT pageno, name, pagetype FROM dbstat").fetchall()
    except sqlite3.Error:
        pages = []
    for number, name, kind in pages:
        base = (number - 1) * PAGE
        areas[base:base + PAGE] = [f"{name}: page"] * PAGE
        if kind == "leaf" and name in columns and data[base + (100 if number == 1 else 0)] == 13:
            columns_of_leaf(data[base:base + PAGE], 100 if number == 1 else 0, name, columns[name], areas, base)
    db.close()
    return areas


def short(area):
    """docs_seg.bits and parted_seg.bits together."""
    for table in ("docs", "parted", "merged"):
        if area.startswith(table + "_"):
            return "*" + area[len(table):]
    return area


# ---- Changes ----

def changed(byte, way):
    return (byte ^ 1 << way % 8) if way < 8 else byte ^ 255 if way == 8 else 0


class Plan:
    def __init__(self, folder, chance):
        self.chance = chance
        self.data = {"db": open(f"{folder}/db", "rb").read(), "mdb": open(f"{folder}/db-tq/data.mdb", "rb").read()}
        self.old = {"db": open(f"{folder}/old.db", "rb").read(), "mdb": open(f"{folder}/old.mdb", "rb").read()}
        self.areas = areas_of_database(f"{folder}/db")
        self.trees, self.runs = set(), set()  # pages that LMDB reaches now
        self.reach()
        self.pages = sorted(self.trees | self.runs)
        self.columns = {}  # place of each byte of a column, all columns alike
        for place, area in enumerate(self.areas):
            if "." in area:
                self.columns.setdefault(short(area), []).append(place)

    def page(self, which, number):
        return self.data[which][number * PAGE:(number + 1) * PAGE]

    def reach(self):
        """As storage/page_tree.c, of a file that is whole."""
        metas = [self.page("mdb", number)[16:152] for number in (0, 1)]
        newest = max(metas, key=lambda meta: meta[128:136])
        self.trees.update((0, 1))
        for record in (newest[24:72], newest[72:120]):
            self.reach_tree(int.from_bytes(record[40:48], "little"))

    def reach_tree(self, number):
        if number + 1 == 1 << 64:
            return
        page = self.page("mdb", number)
        self.trees.add(number)
        for at in range(16, int.from_bytes(page[12:14], "little"), 2):
            node = int.from_bytes(page[at:at + 2], "little")
            data = node + 8 + int.from_bytes(page[node + 6:node + 8], "little")
            flags, size = page[node + 4], int.from_bytes(page[node:node + 4], "little")
            if page[10] == 1:
                self.reach_tree(size | flags << 32)
            elif flags == 1:
                first = int.from_bytes(page[data:data + 8], "little")
                self.runs.update(range(first, first + (size + 15) // PAGE + 1))
            elif flags == 2:
                self.reach_tree(int.from_bytes(page[data + 40:data + 48], "little"))

    def area(self, which, place):
        if which == "db":
            return short(self.areas[place])
        number, flags = place // PAGE, self.page("mdb", place // PAGE)[10]
        if number in self.trees:
            return "folder: " + {1: "branch", 2: "leaf", 8: "meta"}[flags]
        return "folder: value" if number in self.runs else "folder: free"

    def flip(self, which, place):
        byte = self.data[which][place]
        new = changed(byte, self.chance.randrange(10))
        if new == byte:
            new = byte ^ 1 << self.chance.randrange(8)
        return which, place, bytes([new]), self.area(which, place)

    def whole_page(self, which):
        count = len(self.data[which]) // PAGE
        trees = which == "mdb" and self.chance.random() < 0.5
        number = self.chance.choice(sorted(self.trees) if trees else range(count))
        way = self.chance.randrange(3)
        new = (bytes(PAGE), self.page(which, self.chance.randrange(count)),
               self.old[which][number * PAGE:(number + 1) * PAGE])[way]
        name = ("zeros", "of another place", "of an earlier state")[way]
        if len(new) < PAGE or new == self.page(which, number):
            return self.flip(which, self.chance.randrange(len(self.data[which])))
        area = "folder" if which == "mdb" else "sqlite"
        return which, number * PAGE, new, f"{area}: whole page, {name}"

    def some(self):
        """One change, mostly where something is."""
        roll = self.chance.random()
        if roll < 0.20:
            return self.flip("db", self.chance.choice(self.columns[self.chance.choice(sorted(self.columns))]))
        if roll < 0.30:
            return self.flip("db", self.chance.randrange(len(self.data["db"])))
        if roll < 0.60:
            page = self.chance.choice(sorted(self.trees))
            used = [i for i, byte in enumerate(self.page("mdb", page)) if byte or i < 16]
            return self.flip("mdb", page * PAGE + self.chance.choice(used))
        if roll < 0.80:
            page = self.chance.choice(sorted(self.runs))
            used = [i for i, byte in enumerate(self.page("mdb", page)) if byte] or [0]
            return self.flip("mdb", page * PAGE + self.chance.choice(used))
        if roll < 0.85:
            return self.flip("mdb", self.chance.randrange(len(self.data["mdb"])))
        if roll < 0.96:
            return self.whole_page(self.chance.choice(("db", "mdb", "mdb")))
        which = self.chance.choice(("db", "mdb"))
        place = self.chance.randrange(len(self.data[which]) // 512) * 512
        return which, place, b"", f"{'folder' if which == 'mdb' else 'sqlite'}: cut off"

    def all(self):
        for place in range(len(self.data["db"])):
            yield self.flip("db", place)
        for page in self.pages:
            for i, byte in enumerate(self.page("mdb", page)):
                if byte:
                    yield self.flip("mdb", page * PAGE + i)
        for which in ("db", "mdb"):
            for place in range(0, len(self.data[which]), 512):
                used = which == "db" or place // PAGE in self.trees or place // PAGE in self.runs
                if used and any(self.data[which][place:place + 512]):
                    yield which, place, b"", f"{'folder' if which == 'mdb' else 'sqlite'}: cut off"
        for _ in range(3000):
            yield self.whole_page(self.chance.choice(("db", "mdb")))


# ---- Running ----

def is_bad(outcome, area, place_is_folder):
    if outcome in ("crash", "hang"):
        return True
    if outcome != "wrong":
        return False
    return place_is_folder or any(name in area for name in SUMMED)


class Run:
    def __init__(self, program, folder, save):
        self.folder, self.save, self.program = folder, save, program
        self.counts, self.bad, self.points = {}, 0, 0
        self.server = subprocess.Popen([program, "serve", folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       text=True)

    def try_change(self, change, write):
        which, place, new, area = change
        line = f"{self.points} {'w' if write else 'r'} {which} {place} {new.hex()}\n"
        self.server.stdin.write(line)
        self.server.stdin.flush()
        answer = self.server.stdout.readline().split()
        if len(answer) < 2 or int(answer[0]) != self.points:
            sys.exit(f"the program ended at: {line[:200]}")
        self.points += 1
        self.counts.setdefault(area, dict.fromkeys(OUTCOMES, 0))[answer[1]] += 1
        if is_bad(answer[1], area, which == "mdb"):
            self.bad += 1
            print(f"bad: {' '.join(answer[1:])}: {area}, {line[:120].strip()}", flush=True)
            self.keep(line)

    def keep(self, line):
        if self.save is None or self.bad > 20:
            return
        target = os.path.join(self.save, f"flip-{self.bad}")
        shutil.copytree(self.folder, target)
        with open(os.path.join(target, "change"), "w") as file:
            file.write(line)
        with open(os.path.join(target, "repeat"), "w") as file:
            file.write(f"FLIP_ERRORS=1 {self.program} serve {target} < {target}/change\n")

    def close(self):
        self.server.stdin.close()
        self.server.wait()

    def table(self):
        print(f"{'what was changed':44}" + "".join(f"{name:>8}" for name in OUTCOMES))
        total = dict.fromkeys(OUTCOMES, 0)
        for area in sorted(self.counts):
            row = self.counts[area]
            for name in OUTCOMES:
                total[name] += row[name]
            print(f"{area:44}" + "".join(f"{row[name] or '.':>8}" for name in OUTCOMES))
        print(f"{'in all':44}" + "".join(f"{total[name]:>8}" for name in OUTCOMES))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--points", type=int, help="default: 600, or as many as 15 seconds allow")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after so long")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    given = parser.parse_args()
    if given.points is None and not given.full:
        given.points, given.seconds = 600, 15
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = tempfile.mkdtemp(prefix="tq_flip_", dir=parent)
    try:
        subprocess.run([given.program, "make", folder], check=True)
        chance = random.Random(given.seed)
        plan = Plan(folder, chance)
        run = Run(given.program, folder, given.save)
        start = time.monotonic()
        for change in plan.all() if given.full else (plan.some() for _ in range(given.points)):
            run.try_change(change, chance.random() < (0.05 if given.full else 0.25))
            if time.monotonic() - start > given.seconds:
                break
        seconds = time.monotonic() - start
        run.close()
        run.table()
        print(f"seed {given.seed}, {seconds:.0f} s, {run.points / seconds:.0f} a second")
        print(f"flip: {run.points} points, {run.bad} bad")
        return run.bad > 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


sys.exit(main())

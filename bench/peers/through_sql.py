"""Vector search through SQL, side by side in one process: tqlite, sqlite-vec, sqlite-vector, vectorlite.

    python through_sql.py BASE.npy QUERY.npy EXTENSION [--queries 300] [--rounds 5] [--skip WORD ...]

Needs apsw, numpy, sqlite-vec, sqliteai-vector and vectorlite-py from PyPI. Cosine, k = 10. Every system gets the same
unit vectors in one transaction of a WAL database; then they take turns in rounds over the same random queries. A hit is
judged by score: the row's cosine in double reaches the true tenth to 1e-6. All times are of one statement.
"""
import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time

import apsw
import numpy as np

K = 10


def unit(path):
    x = np.load(path).astype(np.float32)
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-30)


def connect(folder, name, extension):
    db = apsw.Connection(os.path.join(folder, name + ".db"))
    db.enable_load_extension(True)
    db.load_extension(extension)
    db.execute("PRAGMA journal_mode=WAL")
    return db


def insert(db, create, sql, rows):
    db.execute(create)
    start = time.perf_counter()
    with db:
        db.executemany(sql, ((i, row.tobytes()) for i, row in enumerate(rows)))
    return time.perf_counter() - start


def asker(db, sql):
    return lambda q: [row[0] for row in db.execute(sql, (q.tobytes(),))]


def tqlite(folder, base, extension):
    db = connect(folder, "tqlite", extension)
    seconds = insert(db, f"CREATE VIRTUAL TABLE t USING tq(e FLOAT[{base.shape[1]}])",
                     "INSERT INTO t(rowid, e) VALUES(?, ?)", base)
    yield "tqlite MATCH", seconds, asker(db, "SELECT rowid FROM t WHERE e MATCH ? ORDER BY score DESC LIMIT 10")
    yield "tqlite ORDER BY tq_cosine, exact", seconds, asker(
        db, "SELECT rowid FROM t ORDER BY tq_cosine(e, ?) DESC LIMIT 10")


def sqlite_vec(folder, base, _):
    import sqlite_vec as vec
    dim = base.shape[1]
    db = connect(folder, "vec", vec.loadable_path())
    seconds = insert(db, f"CREATE VIRTUAL TABLE t USING vec0(e float[{dim}] distance_metric=cosine)",
                     "INSERT INTO t(rowid, e) VALUES(?, ?)", base)
    yield "sqlite-vec float", seconds, asker(db, "SELECT rowid FROM t WHERE e MATCH ? AND k = 10")
    bits = dim // 8 * 8
    small = connect(folder, "vecbit", vec.loadable_path())
    seconds += insert(small, f"CREATE VIRTUAL TABLE t USING vec0(e bit[{bits}])",
                      "INSERT INTO t(rowid, e) VALUES(?, vec_bit(?))",
                      np.packbits(base[:, :bits] > 0, axis=1, bitorder="little"))

    def rescored(q):
        code = np.packbits(q[:bits] > 0, bitorder="little").tobytes()
        near = [row[0] for row in small.execute("SELECT rowid FROM t WHERE e MATCH vec_bit(?) AND k = 1000", (code,))]
        marks = ",".join(map(str, near))
        sql = f"SELECT rowid FROM t WHERE rowid IN ({marks}) ORDER BY vec_distance_cosine(e, ?) LIMIT 10"
        return [row[0] for row in db.execute(sql, (q.tobytes(),))]
    yield "sqlite-vec bit, 1000 ranked exactly", seconds, rescored


def sqlite_vector(folder, base, _):
    import importlib.resources
    so = [str(p) for p in importlib.resources.files("sqlite_vector").rglob("*.so")][0]
    db = connect(folder, "vector", so[:-3])
    seconds = insert(db, "CREATE TABLE t(id INTEGER PRIMARY KEY, e BLOB)", "INSERT INTO t VALUES(?, ?)", base)
    db.execute(f"SELECT vector_init('t', 'e', 'type=FLOAT32,dimension={base.shape[1]},distance=COSINE')")
    yield "sqlite-vector full", seconds, asker(db, "SELECT rowid FROM vector_full_scan('t', 'e', ?, 10)")
    start = time.perf_counter()
    db.execute("SELECT vector_quantize('t', 'e', 'qtype=TURBO,qbits=4')").fetchall()
    db.execute("SELECT vector_quantize_preload('t', 'e')").fetchall()
    seconds += time.perf_counter() - start
    yield "sqlite-vector TURBO 4", seconds, asker(db, "SELECT rowid FROM vector_quantize_scan('t', 'e', ?, 10)")


def vectorlite(folder, base, _):
    import vectorlite_py
    db = connect(folder, "vectorlite", vectorlite_py.vectorlite_path())
    seconds = insert(db, f"CREATE VIRTUAL TABLE t USING vectorlite(e float32[{base.shape[1]}] cosine, "
                     f"hnsw(max_elements={len(base)}, ef_construction=200, M=16))",
                     "INSERT INTO t(rowid, e) VALUES(?, ?)", base)
    for ef in (40, 160, 640):
        yield f"vectorlite ef={ef}", seconds, asker(
            db, f"SELECT rowid FROM t WHERE knn_search(e, knn_param(?, 10, {ef}))")


def machine():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.machine()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("base")
    p.add_argument("query")
    p.add_argument("extension")
    p.add_argument("--queries", type=int, default=300)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--skip", nargs="*", default=[])
    args = p.parse_args()
    base, queries = unit(args.base), unit(args.query)[:args.queries]
    exact = queries.astype(np.float64) @ base.T.astype(np.float64)
    bar = np.partition(exact, -K, axis=1)[:, -K] - 1e-6
    systems = []
    with tempfile.TemporaryDirectory() as folder:
        for make in (tqlite, sqlite_vec, sqlite_vector, vectorlite):
            if make.__name__ in args.skip:
                continue
            try:
                systems += list(make(folder, base, args.extension))
            except Exception as error:  # a peer that cannot be had is named, not hidden
                print(f"{make.__name__}: left out, {error}", file=sys.stderr)
        times = {name: [] for name, _, _ in systems}
        hits = {name: [] for name, _, _ in systems}
        share = len(queries) // args.rounds
        for turn in range(args.rounds):
            for name, _, search in systems:
                search(queries[0])
                for q in range(turn * share, (turn + 1) * share):
                    start = time.perf_counter()
                    ids = search(queries[q])
                    times[name].append(1e3 * (time.perf_counter() - start))
                    hits[name].append(sum(exact[q, i] >= bar[q] for i in ids[:K]) / K)
    commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True).stdout.strip()
    print(f"# Through SQL: {len(base)} x {base.shape[1]}, cosine, k={K}, {share * args.rounds} queries in "
          f"{args.rounds} rounds\n")
    print(f"    date: {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}\n    machine: {machine()}, load "
          f"{os.getloadavg()[0]:.2f}\n    commit: {commit}\n    SQLite {apsw.sqlite_lib_version()} (apsw)\n"
          f"    command: through_sql.py {' '.join(os.path.basename(a) for a in sys.argv[1:])}\n")
    print("| system | insert (and build) s | recall@10 | ms median | p99 |\n|---|---|---|---|---|")
    for name, seconds, _ in systems:
        ms = np.sort(times[name])
        print(f"| {name} | {seconds:.2f} | {np.mean(hits[name]):.4f} | {np.median(ms):.3f} | "
              f"{ms[int(len(ms) * .99)]:.2f} |")


main()

"""The extensions that through_sql.py compares. A maker gets (folder, unit vectors, tqlite's library, k) and yields
(name, seconds to insert and build, search(query) -> ids)."""
import os
import time

import apsw
import numpy as np


def connect(folder, name, *extensions):
    db = apsw.Connection(os.path.join(folder, name + ".db"))
    db.enable_load_extension(True)
    for extension in extensions:
        db.load_extension(*extension)
    db.execute("PRAGMA journal_mode=WAL")
    return db


def insert(db, create, sql, rows):
    db.execute(create)
    start = time.perf_counter()
    with db:
        db.executemany(sql, ((i, row.tobytes()) for i, row in enumerate(rows)))
    return time.perf_counter() - start


def asker(db, sql, *before):
    """The query's blob stands for the last parameters; `before` makes others of the query."""
    def search(query):
        return [row[0] for row in db.execute(sql, (*(make(query) for make in before), query.tobytes()))]
    return search


def tqlite(folder, base, library, k):
    db = connect(folder, "tqlite", (library, "sqlite3_tq_init"))
    seconds = insert(db, f"CREATE VIRTUAL TABLE t USING tq(e FLOAT[{base.shape[1]}])",
                     "INSERT INTO t(rowid, e) VALUES(?, ?)", base)
    yield "tqlite MATCH", seconds, asker(db, f"SELECT rowid FROM t WHERE e MATCH ? ORDER BY score DESC LIMIT {k}")
    yield "tqlite ORDER BY tq_cosine, exact", seconds, asker(
        db, f"SELECT rowid FROM t ORDER BY tq_cosine(e, ?) DESC LIMIT {k}")


# ---- sqlite-vec: rows in a plain table for ranking, since a vec0 table reads a whole chunk for each of its rows ----

def plain_rows(db, base):
    return insert(db, "CREATE TABLE p(id INTEGER PRIMARY KEY, e BLOB)", "INSERT INTO p VALUES(?, ?)", base)


def coarse(make, near, k):
    return (f"WITH near AS (SELECT rowid AS id FROM t WHERE e MATCH {make}(?) AND k = {near}) SELECT p.id FROM near "
            f"JOIN p USING (id) ORDER BY vec_distance_cosine(p.e, ?) LIMIT {k}")


def sqlite_vec_float(folder, base, _, k):
    import sqlite_vec as vec
    db = connect(folder, "vec", (vec.loadable_path(),))
    seconds = insert(db, f"CREATE VIRTUAL TABLE t USING vec0(e float[{base.shape[1]}] distance_metric=cosine)",
                     "INSERT INTO t(rowid, e) VALUES(?, ?)", base)
    yield "sqlite-vec float", seconds, asker(db, f"SELECT rowid FROM t WHERE e MATCH ? AND k = {k}")


def sqlite_vec_int8(folder, base, _, k):
    import sqlite_vec as vec
    db = connect(folder, "vec8", (vec.loadable_path(),))
    scale = np.float32(127 / np.abs(base).max())
    code = lambda x: np.clip(np.round(x * scale), -127, 127).astype(np.int8)
    seconds = insert(db, f"CREATE VIRTUAL TABLE t USING vec0(e int8[{base.shape[1]}] distance_metric=cosine)",
                     "INSERT INTO t(rowid, e) VALUES(?, vec_int8(?))", code(base))
    alone = f"SELECT rowid FROM t WHERE e MATCH vec_int8(?) AND k = {k}"
    yield "sqlite-vec int8", seconds, lambda q: [row[0] for row in db.execute(alone, (code(q).tobytes(),))]
    seconds += plain_rows(db, base)
    yield f"sqlite-vec int8, {3 * k} ranked exactly", seconds, asker(
        db, coarse("vec_int8", 3 * k, k), lambda q: code(q).tobytes())


def sqlite_vec_bit(folder, base, _, k):
    """Signs, with zeros up to a multiple of 8; 4096 is the most that it finds."""
    import sqlite_vec as vec
    db = connect(folder, "vec1", (vec.loadable_path(),))
    code = lambda x: np.packbits(np.atleast_2d(x) > 0, axis=1, bitorder="little")
    seconds = insert(db, f"CREATE VIRTUAL TABLE t USING vec0(e bit[{8 * code(base[0]).shape[1]}])",
                     "INSERT INTO t(rowid, e) VALUES(?, vec_bit(?))", code(base))
    seconds += plain_rows(db, base)
    for near in (256, 1024, 4096):
        yield f"sqlite-vec bit, {near} ranked exactly", seconds, asker(
            db, coarse("vec_bit", max(near, k), k), lambda q: code(q).tobytes())


# ---- sqlite-vector ----

def sqlite_vector(folder, base, _, k):
    """A table has one kind of code, so every kind has a database. It has no function of two vectors, so sqlite-vec's
    ranks what its codes find."""
    import importlib.resources
    import sqlite_vec as vec
    file = [str(p) for p in importlib.resources.files("sqlite_vector").rglob("*.so")][0]
    kinds = (("8 bits", "", 3), ("TURBO 4", "qtype=TURBO,qbits=4", 5), ("TURBO 3", "qtype=TURBO,qbits=3", 8),
             ("TURBO 2", "qtype=TURBO,qbits=2", 30), ("1 bit", "qtype=1BIT", 100))
    for name, kind, factor in kinds:
        db = connect(folder, "vector" + name.replace(" ", ""), (file[:-3],), (vec.loadable_path(),))
        inserted = plain_rows(db, base)
        db.execute(f"SELECT vector_init('p', 'e', 'type=FLOAT32,dimension={base.shape[1]},distance=COSINE')").fetchall()
        if name == "8 bits":
            yield "sqlite-vector full", inserted, asker(db, f"SELECT rowid FROM vector_full_scan('p', 'e', ?, {k})")
        start = time.perf_counter()
        db.execute(f"SELECT vector_quantize('p', 'e', '{kind}')").fetchall()
        db.execute("SELECT vector_quantize_preload('p', 'e')").fetchall()
        seconds = inserted + time.perf_counter() - start
        scan = "SELECT rowid AS id FROM vector_quantize_scan('p', 'e', ?, {})"
        yield f"sqlite-vector {name}", seconds, asker(db, scan.format(k))
        yield f"sqlite-vector {name}, {factor * k} ranked exactly", seconds, asker(
            db, f"WITH near AS ({scan.format(factor * k)}) SELECT p.id FROM near JOIN p USING (id) "
            f"ORDER BY vec_distance_cosine(p.e, ?) LIMIT {k}", lambda q: q.tobytes())


# ---- vectorlite: HNSW in memory ----

def vectorlite(folder, base, _, k):
    import vectorlite_py
    db = connect(folder, "vectorlite", (vectorlite_py.vectorlite_path(),))
    seconds = insert(db, f"CREATE VIRTUAL TABLE t USING vectorlite(e float32[{base.shape[1]}] cosine, "
                     f"hnsw(max_elements={len(base)}, ef_construction=200, M=16))",
                     "INSERT INTO t(rowid, e) VALUES(?, ?)", base)
    for ef in (40, 160, 640, 1280):
        # Its knn_param takes the query first, so the blob's place is the only parameter.
        yield f"vectorlite ef={max(ef, k)}", seconds, asker(
            db, f"SELECT rowid FROM t WHERE knn_search(e, knn_param(?, {k}, {max(ef, k)}))")


MAKERS = (tqlite, sqlite_vec_float, sqlite_vec_int8, sqlite_vec_bit, sqlite_vector, vectorlite)

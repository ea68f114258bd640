"""The systems that are looked at: how each saves over what is there, and how it answers from what it finds.

Each is a class with
  save(path, vectors)        a generator: makes an index of these vectors, yields, and writes it, durably where there is
                             a choice, over the one at `path`
  answer(path, queries)      ids and scores of each query's ten nearest, of an index at `path` that was opened anew
  kept(path)                 the files in which an index lies
  promise                    what its documentation says of a crash while it saves
  threads                    True: it starts threads when it is imported, so that a process cannot be forked with it
  slow                       True: a process takes long until it answers; it gets a fifth of the points and states
"""
import glob
import importlib
import os

import numpy as np

K = 10


class System:
    promise = ""
    threads = slow = False
    module = None

    def __init__(self, options):
        self.options = options

    def load(self):
        """Once in a process, before anything else."""
        return importlib.import_module(self.module)

    def version(self):
        from importlib.metadata import version
        return version(self.package)

    def kept(self, path):
        return [path]


# ---- Libraries that write a file ----

class Faiss(System):
    name, package, module = "FAISS write_index (HNSW16)", "faiss-cpu", "faiss"
    promise = "nothing: writes over the file"

    def save(self, path, vectors):
        faiss = self.load()
        index = faiss.index_factory(vectors.shape[1], "HNSW16")
        index.add(vectors)
        yield
        faiss.write_index(index, path)

    def answer(self, path, queries):
        scores, ids = self.load().read_index(path).search(queries, K)
        return ids, scores


class Hnswlib(System):
    name, package, module = "hnswlib save_index", "hnswlib", "hnswlib"
    promise = "nothing: writes over the file"

    def save(self, path, vectors):
        index = self.load().Index("l2", vectors.shape[1])
        index.init_index(len(vectors), M=16, ef_construction=100, random_seed=1)
        index.set_num_threads(1)
        index.add_items(vectors)
        yield
        index.save_index(path)

    def answer(self, path, queries):
        index = self.load().Index("l2", queries.shape[1])
        index.load_index(path)
        index.set_num_threads(1)
        return index.knn_query(queries, K)


class Usearch(System):
    name, package, module = "USearch save", "usearch", "usearch.index"
    promise = "nothing: writes over the file"

    def save(self, path, vectors):
        index = self.load().Index(ndim=vectors.shape[1], metric="l2sq")
        index.add(np.arange(len(vectors)), vectors, threads=1)
        yield
        index.save(path)

    def answer(self, path, queries):
        index = self.load().Index.restore(path)
        if index is None:
            raise ValueError("no index")
        found = index.search(queries, K, threads=1)
        return found.keys, found.distances


class Turbovec(System):
    name, package, module = "turbovec write", "turbovec", "turbovec"
    promise = "old or new: a new file, synced, renamed"
    slow = True

    def make(self, vectors):
        index = self.load().TurboQuantIndex(vectors.shape[1], 4)
        index.add(vectors)
        return index

    def save(self, path, vectors):
        index = self.make(vectors)
        yield
        index.write(path)

    def answer(self, path, queries):
        scores, ids = self.load().TurboQuantIndex.load(path).search(queries, K)
        return ids, scores


class TurbovecSync(Turbovec):
    name = "turbovec sync, of a new index"
    promise = "old or new: here the whole file, as write"

    def save(self, path, vectors):
        index = self.make(vectors)
        yield
        index.sync(path)


# ---- Databases ----

class Sqlite(System):
    module = "apsw"
    promise = "old or new: a transaction of SQLite"
    journal = "delete"

    def open(self, path, anew=False):
        db = self.load().Connection(path)
        db.enable_load_extension(True)
        db.load_extension(self.library())
        if anew:
            db.execute(f"PRAGMA journal_mode = {self.journal}")
        db.execute("PRAGMA synchronous = full")
        return db

    def replace(self, db, vectors):
        db.execute("DELETE FROM t")
        db.executemany("INSERT INTO t(rowid, e) VALUES (?, ?)",
                       ((i, vector.tobytes()) for i, vector in enumerate(vectors)))

    def save(self, path, vectors):
        there = os.path.exists(path)
        db = self.open(path, not there)
        if not there:
            db.execute(self.create.format(vectors.shape[1]))
        yield  # what is made so far need not survive
        db.execute("BEGIN IMMEDIATE")
        self.replace(db, vectors)
        db.execute("COMMIT")
        db.close()

    def answer(self, path, queries):
        if not os.path.exists(path):
            raise ValueError("no database")
        db = self.open(path)
        found = [db.execute(self.query, (query.tobytes(),)).fetchall() for query in queries]
        db.close()
        if any(len(rows) != K for rows in found):
            raise ValueError("rows are missing") if not any(found) else ShortAnswer(found)
        table = np.array(found)
        return table[:, :, 0].astype(np.int64), table[:, :, 1]

    def kept(self, path):
        return [path]


class ShortAnswer(Exception):
    """Fewer rows than there must be, without an error of the system."""


class SqliteVec(Sqlite):
    name, package = "sqlite-vec vec0", "sqlite-vec"
    create = "CREATE VIRTUAL TABLE t USING vec0(e float[{}])"
    query = "SELECT rowid, distance FROM t WHERE e MATCH ? AND k = 10 ORDER BY distance"

    def library(self):
        return importlib.import_module("sqlite_vec").loadable_path()


class SqliteVector(Sqlite):
    name, package = "sqlite-vector quantized", "sqliteai-vector"
    promise = "old or new: a transaction of SQLite, quantizing in it"
    create = "CREATE TABLE t(id INTEGER PRIMARY KEY, e BLOB)"
    query = "SELECT rowid, distance FROM vector_quantize_scan('t', 'e', ?, 10)"

    def library(self):
        folder = os.path.dirname(importlib.util.find_spec("sqlite_vector").origin)
        return glob.glob(os.path.join(folder, "**", "vector.so"), recursive=True)[0][:-3]

    def init(self, db):
        dim = self.options.dim
        db.execute(f"SELECT vector_init('t', 'e', 'type=FLOAT32,dimension={dim},distance=L2')").fetchall()

    def replace(self, db, vectors):
        super().replace(db, vectors)
        self.init(db)
        db.execute("SELECT vector_quantize('t', 'e')").fetchall()

    def open(self, path, anew=False):
        db = super().open(path, anew)
        if not anew:
            self.init(db)
        return db


class Tqlite(Sqlite):
    name, package = "tqlite", None
    promise = "old or new: a transaction of SQLite, vectors in LMDB before it"
    create = "CREATE VIRTUAL TABLE t USING tq(e FLOAT[{}] metric=l2)"
    query = "SELECT rowid, distance FROM t WHERE e MATCH ? AND k = 10 ORDER BY distance, rowid"

    def library(self):
        return os.path.splitext(os.path.abspath(self.options.library))[0]

    def save(self, path, vectors):
        yield from super().save(path, vectors)
        db = self.open(path)
        db.execute("INSERT INTO t(t) VALUES ('optimize')")  # so few rows would stay in the log
        db.close()

    def version(self):
        return self.options.library_version

    def kept(self, path):
        return [path, *sorted(glob.glob(path + "-tq/*"))]


class TqliteWal(Tqlite):
    name = "tqlite, WAL"
    journal = "wal"


class TqliteChecked(Tqlite):
    name = "tqlite, tq_check('t', 'full') first"

    def answer(self, path, queries):
        db = self.open(path)
        found = db.execute("SELECT tq_check('t', 'full')").fetchall()
        db.close()
        if found != [("ok",)]:
            raise ValueError(found)
        return super().answer(path, queries)


class Lancedb(System):
    name, package, module = "LanceDB overwrite (no index)", "lancedb", "lancedb"
    promise = "old or new: versions"
    threads = slow = True

    def save(self, path, vectors):
        db = self.load().connect(path)
        rows = [{"id": i, "vector": vector} for i, vector in enumerate(vectors)]
        yield
        db.create_table("t", rows, mode="overwrite")

    def answer(self, path, queries):
        table = self.load().connect(path).open_table("t")
        found = [table.search(query).limit(K).to_arrow() for query in queries]
        if any(len(rows) != K for rows in found):
            raise ShortAnswer(found)
        return (np.array([rows["id"].to_pylist() for rows in found]),
                np.array([rows["_distance"].to_pylist() for rows in found]))

    def kept(self, path):
        return sorted(file for file in glob.glob(path + "/**", recursive=True) if os.path.isfile(file))


SYSTEMS = [Tqlite, TqliteWal, TqliteChecked, SqliteVec, SqliteVector, Usearch, Hnswlib, Faiss, Turbovec, TurbovecSync,
           Lancedb]

"""Peers that are databases: tqdb and zvec. Their answers are objects with text ids, and making those is in the time."""
import os
import shutil

from systems import System, disk_bytes, kept, nothing, timed

TQDB_METRICS = {"cosine": "cosine", "ip": "ip", "l2": "l2"}


# ---- tqdb ----

def tqdb_build(data, stores, bits, exact):
    import tqdb
    folder = os.path.join(stores.folder(), "db")
    kind = dict(rerank=True, rerank_precision="f32") if exact else {}

    def build():
        db = tqdb.Database.open(folder, dimension=data.dim, bits=bits, metric=TQDB_METRICS[data.metric], **kind)
        db.insert_batch([str(i) for i in range(data.rows)], data.base_n)
        db.flush()
        return db
    db, seconds = timed(build)
    return db, seconds, db.stats()["live_codes_bytes"] / data.rows  # its files hold ids and empty slots too


def tqdb_search(db, k, **knobs):
    def search(queries):
        if len(queries) == 1:
            return [[int(hit["id"]) for hit in db.search(queries[0], k, include=["id"], **knobs)]]
        batch = {name: value for name, value in knobs.items() if name != "nprobe"}  # query() has no such knob
        return [[int(hit["id"]) for hit in hits] for hits in db.query(queries, k, include=["id"], **batch)]
    return search


def tqdb_codes(data, stores, bits_list):
    for bits in bits_list:
        db, seconds, size = tqdb_build(data, stores, bits, False)
        yield System(f"tqdb {bits}", f"tqdb {bits} bits", seconds, size, 0, tqdb_search(db, data.k), nothing)


def tqdb_exact(data, stores, bits):
    db, seconds, size = tqdb_build(data, stores, bits, True)
    for factor in (2, 5, 20):
        yield System(f"tqdb {bits} + exact rows", f"tqdb {bits} bits, rerank_factor={factor}", seconds, size,
                     4 * data.dim, tqdb_search(db, data.k, rerank_factor=factor), nothing)


# ---- zvec ----

def zvec_start(data):
    """(module, metric). It can be started once in a process."""
    import zvec
    try:
        zvec.init(log_level=zvec.LogLevel.ERROR, query_threads=1, optimize_threads=1)
    except RuntimeError:
        pass
    return zvec, zvec.MetricType.L2 if data.metric == "l2" else zvec.MetricType.IP


def zvec_rows(zvec, data, path, index):
    """A collection of all rows, optimized."""
    schema = zvec.CollectionSchema(name="rows",
                                   vectors=zvec.VectorSchema("e", zvec.DataType.VECTOR_FP32, data.dim, index))
    rows = zvec.create_and_open(path, schema)
    for first in range(0, data.rows, 1000):
        rows.insert([zvec.Doc(id=str(i), vectors={"e": data.base_n[i]})
                     for i in range(first, min(first + 1000, data.rows))])
    rows.optimize()
    rows.flush()
    return rows


def zvec_kept(zvec, data, folder, name, index):
    """kept() for what is a folder already: (rows, seconds, bytes a row)."""
    path = os.path.join(folder, name)

    def build():
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(folder, exist_ok=True)
        return zvec_rows(zvec, data, path, index)
    rows, seconds = kept(folder, name, build, lambda i, p: None,
                         lambda p: zvec.open(p, zvec.CollectionOption(read_only=True)))
    return rows, seconds, disk_bytes(path) / data.rows


def zvec_search(zvec, rows, k, knobs):
    def one(query):
        return [int(hit.id) for hit in rows.query(zvec.Query(field_name="e", vector=query, param=knobs), topk=k)]
    return lambda queries: [one(query) for query in queries]  # it has no call for several


def zvec_codes(data, stores):
    zvec, metric = zvec_start(data)
    for bits, kind in ((8, zvec.QuantizeType.INT8), (4, zvec.QuantizeType.INT4)):
        index = zvec.FlatIndexParam(metric, quantize_type=kind, quantizer_param=zvec.QuantizerParam(True))
        path = os.path.join(stores.folder(), "rows")
        rows, seconds = timed(lambda: zvec_rows(zvec, data, path, index))
        yield System(f"zvec Flat INT{bits}", f"zvec Flat INT{bits}", seconds, bits * data.dim / 8, 0,
                     zvec_search(zvec, rows, data.k, None), nothing)


def zvec_exact(data, folder, key, widths):
    """Its HNSW over the vectors. Over its int8 and RaBitQ codes with their refiner the same recall took 1.1 to 3.4
    times as long on GloVe, and the build 1.8 to 2.1 times. Bytes are all that it has on disk."""
    zvec, metric = zvec_start(data)
    index = zvec.HnswIndexParam(metric, m=32, ef_construction=200)
    rows, seconds, size = zvec_kept(zvec, data, folder, f"zvec-{key}", index)
    for ef in sorted({min(ef, 2048) for ef in widths}):  # it takes no more
        yield System("zvec HNSW M32", f"zvec HNSW M32 ef={ef}", seconds, size - 4 * data.dim, 4 * data.dim,
                     zvec_search(zvec, rows, data.k, zvec.HnswQueryParam(ef=ef)), nothing)

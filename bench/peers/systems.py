"""The systems that peers.py compares. Each is built once, over vectors in memory, and asked for k ids.

A system is (family, label, build seconds, bytes of codes a row, bytes of exact rows a row, search, prepare):
search(queries f32[n][dim]) -> ids [n][k]; prepare() sets its knob and is not timed."""
import os
import shutil
import tempfile
import time
from collections import namedtuple

import numpy as np

import tqlite

System = namedtuple("System", "family label build_s code_bytes exact_bytes search prepare")


def nothing():
    pass


def timed(work):
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


class Data:
    """base, queries: as given, f32. base_n, queries_n: what peers get, unit vectors under cosine."""

    def __init__(self, base, queries, metric, k):
        self.base, self.queries, self.metric, self.k = base, queries, metric, k
        self.rows, self.dim = base.shape
        if metric == "cosine":
            unit = lambda x: x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-30)
            self.base_n, self.queries_n = unit(base), unit(queries)
        else:
            self.base_n, self.queries_n = base, queries


# ---- FAISS --------------------------------------------------------------------------------------------------

def faiss_build(data, name):
    import faiss
    faiss.omp_set_num_threads(1)
    index = faiss.index_factory(data.dim, name, faiss.METRIC_L2 if data.metric == "l2" else faiss.METRIC_INNER_PRODUCT)
    if not index.is_trained or "EDEN" in name or "SQtq" in name or "RaBitQ" in name:
        index.train(data.base_n)
    index.add(data.base_n)
    return index


def faiss_bytes(data, index):
    import faiss
    return faiss.serialize_index(index).nbytes / data.rows


def faiss_codes(data, names):
    for name in names:
        try:
            index, seconds = timed(lambda: faiss_build(data, name))
        except Exception as error:
            print(f"faiss {name}: left out: {str(error)[:120]}", flush=True)
            continue
        size, exact = faiss_bytes(data, index), 0
        if name == "Flat":
            size, exact = 0, size
        yield System("FAISS " + name, "FAISS " + name, seconds, size, exact,
                     lambda q, i=index: i.search(q, data.k)[1], nothing)


def faiss_curve(data, name, knob, values, base=1):
    import faiss
    index, seconds = timed(lambda: faiss_build(data, name))
    size = faiss_bytes(data, index)
    for value in values:
        def prepare(v=value):
            if knob == "k_factor":
                index.k_factor = v
            else:
                index.k_factor = base
                faiss.ParameterSpace().set_index_parameter(index, knob, v)
        fixed = f" k_factor={base}" if base > 1 else ""
        yield System("FAISS " + name, f"FAISS {name} {knob}={value}{fixed}", seconds, size - 4 * data.dim, 4 * data.dim,
                     lambda q: index.search(q, data.k)[1], prepare)


# ---- turbovec: dimensions in multiples of 8, so zeros are appended, and counted ----

def padded(x):
    return np.ascontiguousarray(np.pad(x, ((0, 0), (0, -x.shape[1] % 8))))


def turbovec_build(data, bits):
    import turbovec
    base = padded(data.base_n)

    def build():
        index = turbovec.TurboQuantIndex(base.shape[1], bits)
        index.add(base)
        index.prepare()
        return index
    index, seconds = timed(build)
    return index, seconds, len(index.to_bytes()) / data.rows


def turbovec_ids(index, queries, k):
    return np.asarray(index.search(padded(queries), k)[1]).astype(np.int64)


def turbovec_codes(data, bits_list):
    if data.metric == "l2":
        return
    for bits in bits_list:
        index, seconds, size = turbovec_build(data, bits)
        yield System(f"turbovec {bits}", f"turbovec {bits} bits", seconds, size, 0,
                     lambda q, i=index: turbovec_ids(i, q, data.k), nothing)


def turbovec_exact(data, bits, counts):
    if data.metric == "l2":
        return
    index, seconds, size = turbovec_build(data, bits)
    for count in counts:
        def search(q, n=count):
            ids = turbovec_ids(index, q, n)
            scores = np.einsum("qd,qnd->qn", q, data.base_n[ids])
            return np.take_along_axis(ids, np.argsort(-scores, axis=1)[:, :data.k], 1)
        yield System(f"turbovec {bits} + exact rows", f"turbovec {bits} bits, {count} ranked exactly", seconds, size,
                     4 * data.dim, search, nothing)


# ---- Graphs: their build takes minutes, so it may be kept, with the seconds it took ----

def kept(folder, name, build, save, load):
    """The index and its build seconds, from folder/name if it is there."""
    path = None if folder is None else os.path.join(folder, name)
    if path is not None and os.path.exists(path + ".seconds"):
        return load(path), float(open(path + ".seconds").read())
    index, seconds = timed(build)
    if path is not None:
        os.makedirs(folder, exist_ok=True)
        save(index, path)
        with open(path + ".seconds", "w") as file:
            file.write(str(seconds))
    return index, seconds


def hnswlib_curve(data, folder, key, efs):
    import hnswlib
    space = "l2" if data.metric == "l2" else "ip"

    def build():
        index = hnswlib.Index(space=space, dim=data.dim)
        index.init_index(max_elements=data.rows, ef_construction=200, M=16)
        index.add_items(data.base_n, num_threads=1)
        return index

    def load(path):
        index = hnswlib.Index(space=space, dim=data.dim)
        index.load_index(path, max_elements=data.rows)
        return index
    index, seconds = kept(folder, f"hnswlib-{key}", build, lambda i, p: i.save_index(p), load)
    index.set_num_threads(1)
    for ef in efs:
        yield System("hnswlib M16 efc200", f"hnswlib M16 efc200 ef={ef}", seconds, 16 * 2 * 4 + 4 + 8, 4 * data.dim,
                     lambda q: index.knn_query(q, k=data.k, num_threads=1)[0].astype(np.int64),
                     lambda e=ef: index.set_ef(e))


def usearch_curve(data, folder, key, efs):
    from usearch.index import Index
    make = lambda: Index(ndim=data.dim, metric="l2sq" if data.metric == "l2" else "ip", dtype="f16", connectivity=16,
                         expansion_add=128)

    def build():
        index = make()
        index.add(np.arange(data.rows), data.base_n, threads=1)
        return index

    def load(path):
        index = make()
        index.load(path)
        return index
    index, seconds = kept(folder, f"usearch-{key}", build, lambda i, p: i.save(p), load)

    def search(q):
        found = index.search(q[0] if len(q) == 1 else q, data.k, threads=1).keys
        return np.asarray(found).astype(np.int64).reshape(len(q), -1)
    for ef in efs:
        yield System("usearch f16", f"usearch f16 ef={ef}", seconds, 0, index.memory_usage / data.rows, search,
                     lambda e=ef: setattr(index, "expansion_search", e))


# ---- tqlite -------------------------------------------------------------------------------------------------

class Stores:
    """Temporary stores: the indexes stay open until close()."""

    def __init__(self, lib):
        self.lib, self.open = lib, []

    def build(self, data, bits, qjl, rows):
        folder = tempfile.mkdtemp(prefix="tq-peers-")
        self.open.append((folder, None))
        metric = {"cosine": tqlite.COSINE, "ip": tqlite.IP, "l2": tqlite.L2}[data.metric]
        index = tqlite.Index(self.lib, os.path.join(folder, "store"), data.dim, metric, bits, qjl, rows)
        self.open[-1] = (folder, index)
        _, seconds = timed(lambda: index.put(data.base))
        return index, seconds

    def close(self):
        for folder, index in self.open:
            if index is not None:
                index.close()
            shutil.rmtree(folder, ignore_errors=True)


def format_name(bits, qjl):
    return f"{bits} bits, one of them QJL" if qjl else f"{bits} bits"


def tqlite_codes(data, stores, formats):
    for bits, qjl in formats:
        index, seconds = stores.build(data, bits, qjl, tqlite.NONE)
        yield System(f"tqlite {bits}{'q' if qjl else ''}", "tqlite " + format_name(bits, qjl), seconds,
                     index.info().code_bytes_row, 0, index.searcher(data.k), nothing)


def tqlite_curve(data, stores, bits, qjl, confidences):
    index, seconds = stores.build(data, bits, qjl, tqlite.F32)
    info = index.info()
    for z in confidences:
        yield System("tqlite " + format_name(bits, qjl),
                     f"tqlite {format_name(bits, qjl)}, confidence={'exact' if z >= tqlite.EXACT else z}", seconds,
                     info.code_bytes_row, info.exact_bytes_row, index.searcher(data.k, z), nothing)


# ---- What a call costs that finds one row in an index of one: nothing is subtracted for it ----

def null_calls(data, stores):
    one = Data(data.base[:1].copy(), data.queries[:1], data.metric, 1)
    yield next(faiss_codes(one, ["Flat"]))
    if data.metric != "l2":
        yield next(turbovec_codes(one, [4]))
    for module, curve in (("hnswlib", hnswlib_curve), ("usearch", usearch_curve)):
        try:
            yield next(curve(one, None, "", [16]))
        except ImportError:
            print(module, "is not installed", flush=True)
    yield next(tqlite_codes(one, stores, [(4, True)]))

"""What every system that peers.py compares is made of, and tqlite itself.

A system is (family, label, build seconds, bytes of codes a row, bytes of exact rows a row, search, prepare):
search(queries f32[n][dim]) -> n lists of k ids, in any type; prepare() sets its knob and is not timed. Systems of one
family are points of one curve. scans.py, lists.py, graphs.py and engines.py make those of the peers."""
import os
import shutil
import tempfile
import time
from collections import namedtuple

import numpy as np

import tqlite

System = namedtuple("System", "family label build_s code_bytes exact_bytes search prepare")
REFERENCE = "tqlite 4 bits, one of them QJL"  # what tq_index_defaults gives


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
        self.squares = np.einsum("ij,ij->i", self.base_n, self.base_n) if metric == "l2" else None

    def factors(self, by_k):
        """The list that belongs to the k next to ours, by its logarithm: knobs that are right for ten neighbours
        are not for a thousand."""
        return by_k[min(by_k, key=lambda k: abs(np.log(k / self.k)))]

    def counts(self, *factors):
        """Numbers of candidates, as multiples of k, at least k and at most all rows; twice the same is one."""
        return sorted({min(max(int(f * self.k), self.k), self.rows) for f in factors})


def ranked(data, candidates, count):
    """A search that ranks the first `count` candidates(queries, count) by exact scores: what a program around a peer
    does that has codes only. One small product a query, so that a call costs no more than it must."""
    def one(ids, query):
        ids = np.asarray(ids).astype(np.int64, copy=False)
        if len(ids) and ids.min() < 0:
            ids = ids[ids >= 0]
        scores = data.base_n[ids] @ query
        if data.squares is not None:
            scores = 2 * scores - data.squares[ids]
        return ids[np.argsort(-scores)[:data.k]]

    def search(queries):
        return [one(ids, query) for ids, query in zip(candidates(queries, count), queries)]
    return search


def processor_seconds(work):
    """Of this process: a build of minutes is not spoilt by what else runs on the machine. On an idle core it is the
    time on the clock, since all threads share one core."""
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def kept(folder, name, build, save, load):
    """The index and its build seconds, from folder/name if it is there: graphs take minutes. A kept index was built
    on this machine by an earlier run of the same command, and its seconds are those of that run."""
    path = None if folder is None else os.path.join(folder, name)
    if path is not None and os.path.exists(path + ".seconds"):
        with open(path + ".seconds") as file:
            seconds = float(file.read())
        return load(path), seconds
    index, seconds = processor_seconds(build)
    if path is not None:
        os.makedirs(folder, exist_ok=True)
        save(index, path)
        note_seconds(path, seconds)
    return index, seconds


def note_seconds(path, seconds):
    """The last step: an index without this note is built again."""
    with open(path + ".seconds", "w") as file:
        file.write(str(seconds))


def disk_bytes(path):
    """Of a file or of all files below a folder."""
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(at, f)) for at, _, files in os.walk(path) for f in files)


# ---- tqlite ----

class Stores:
    """Temporary stores and folders; the indexes stay open until close()."""

    def __init__(self, lib):
        self.lib, self.open = lib, []

    def folder(self):
        path = tempfile.mkdtemp(prefix="tq-peers-")
        self.open.append((path, None))
        return path

    def build(self, data, bits, qjl, rows):
        folder = self.folder()
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

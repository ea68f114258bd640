"""An index of vectors without SQL, on NumPy arrays."""
import ctypes
import os

import numpy as np

from . import Error
from .native import (DEVICES, EXACT, METRICS, NOT_FOUND, OPEN_CREATE, POINTER, ROWS, IndexInfo, check, library)

HIT = np.dtype([("id", "<i8"), ("score", "<f8"), ("distance", "<f8")])
NAME = b"vectors"


def _choice(what, value, names):
    if value not in names:
        raise Error("%s is %r; it must be %s" % (what, value, ", ".join(names)), "TQ_MISUSE")
    return names.index(value)


def _floats(array, dim, what):
    """f32[count][dim], C order; the array itself where it is that already."""
    array = np.ascontiguousarray(array, dtype=np.float32)
    if array.ndim not in (1, 2) or array.shape[-1] != dim:
        raise Error("%s have shape %s; it must be (count, %d) or (%d,)" % (what, array.shape, dim, dim), "TQ_MISUSE")
    return array


class Index:
    """A folder with one index. What add() and delete() have done is durable when they return.

    path     the folder
    dim      dimensions of a vector; needed to make an index, checked where there is one
    metric   "cosine" (the default), "ip" or "l2"
    bits     a dimension, 1 to 9, the QJL bit included; 4 by default
    qjl      whether one of them is a QJL bit; True by default where bits > 1
    rows     how the vectors themselves are kept: "f32" (the default), "f16", or "none"
    create   make folder and index if they are not there

    An index that is there keeps the options it was made with; others that are given raise Error.
    Several threads may search at a time. close() it, or use it as a context manager.
    """

    def __init__(self, path, dim=None, metric=None, bits=None, qjl=None, rows=None, create=True):
        self._lib = library()
        self._store, self._index = POINTER(), POINTER()
        check(self._lib.tq_open(os.fsencode(path), OPEN_CREATE if create else 0, ctypes.byref(self._store)))
        try:
            status = self._lib.tq_index_open(self._store, NAME, ctypes.byref(self._index))
            if status == NOT_FOUND and create and dim is not None:
                self._make(dim, metric, bits, qjl, rows)
            elif status == NOT_FOUND and create:
                raise Error("%s: there is no index yet; to make one, dim is needed" % os.fspath(path), "TQ_MISUSE")
            else:
                check(status)
            self._options = self.info()
            wanted = {"dim": dim, "metric": metric, "bits": bits, "qjl": qjl, "rows": rows}
            for name, value in wanted.items():
                if value is not None and value != self._options[name]:
                    raise Error("%s: %s is %r, not %r" % (os.fspath(path), name, self._options[name], value),
                                "TQ_MISUSE")
            self.dim = self._options["dim"]
        except BaseException:
            self.close()
            raise

    def _make(self, dim, metric, bits, qjl, rows):
        options = self._lib.tq_index_defaults(dim)
        if metric is not None:
            options.metric = _choice("metric", metric, METRICS)
        if bits is not None:
            options.bits = bits
        if qjl is not None:
            options.qjl = 1 if qjl else 0
        if rows is not None:
            options.rows = _choice("rows", rows, ROWS)
        check(self._lib.tq_index_create(self._store, NAME, ctypes.byref(options), ctypes.byref(self._index)))

    def _open_index(self):
        if not self._index:
            raise Error("the index is closed", "TQ_MISUSE")
        return self._index

    def add(self, ids, vectors):
        """Add vectors, float32[count][dim], under new ids, int64[count]; one vector and one id will do as well.

        All of them or, if an Error is raised, none. Arrays of these types in C order are not copied.
        """
        index = self._open_index()
        vectors = np.atleast_2d(_floats(vectors, self.dim, "vectors"))
        ids = np.atleast_1d(np.asarray(ids))
        if ids.dtype.kind not in "iu" or ids.ndim != 1 or len(ids) != len(vectors):
            raise Error("ids are %s%s for %d vectors; there must be one integer each"
                        % (ids.dtype, ids.shape, len(vectors)), "TQ_MISUSE")
        ids = np.ascontiguousarray(ids, dtype=np.int64)
        check(self._lib.tq_put_many(index, ids.ctypes.data, vectors.ctypes.data, len(ids)))

    def search(self, queries, k=10, confidence=3.0, exact=False, threads=1, device="cpu"):
        """The k best rows of each query: (ids int64, scores float64), best first.

        One query, float32[dim], gives arrays of the rows found. Many, float32[count][dim], give arrays of
        [count][k], filled up with id -1 and score -inf where there are fewer rows.
        confidence is the z of the error bound; with exact=True no row is dismissed but by proof.
        device is what searches: "cpu", "gpu", or "auto", a GPU where it pays. The answer is the same, and where no
        GPU can be used the CPU gives it.
        """
        index = self._open_index()
        queries = _floats(queries, self.dim, "queries")
        count = 1 if queries.ndim == 1 else len(queries)
        options = self._lib.tq_search_defaults()
        options.confidence = EXACT if exact else confidence
        options.threads = threads
        options.device = _choice("device", device, DEVICES)
        k = int(k)
        hits = np.empty((count, max(k, 0)), HIT)
        counts = np.zeros(count, ctypes.c_size_t)
        check(self._lib.tq_search(index, queries.ctypes.data, count, k, ctypes.byref(options), hits.ctypes.data,
                                  counts.ctypes.data, None))
        ids, scores = hits["id"].copy(), hits["score"].copy()
        if queries.ndim == 1:
            return ids[0, :counts[0]], scores[0, :counts[0]]
        missing = np.arange(k) >= counts[:, None]
        ids[missing], scores[missing] = -1, -np.inf
        return ids, scores

    def get(self, id):
        """The vector of an id, float32[dim], as it is kept."""
        vector = np.empty(self.dim, np.float32)
        check(self._lib.tq_get(self._open_index(), id, vector.ctypes.data))
        return vector

    def delete(self, ids):
        """Delete one id or many; all of them or, if an Error is raised, none."""
        index = self._open_index()
        check(self._lib.tq_begin(self._store))
        try:
            for id in np.atleast_1d(np.asarray(ids, dtype=np.int64)):
                check(self._lib.tq_delete(index, int(id)))
        except BaseException:
            self._lib.tq_abort(self._store)
            raise
        check(self._lib.tq_commit(self._store))

    def optimize(self):
        """Merge what was written in small portions, so that searches read it faster."""
        check(self._lib.tq_index_optimize(self._open_index()))

    def info(self):
        """Options, counts and bytes."""
        info = IndexInfo()
        check(self._lib.tq_index_get_info(self._open_index(), ctypes.byref(info)))
        options = info.options
        result = {"dim": options.dim, "metric": METRICS[options.metric], "bits": options.bits,
                  "qjl": bool(options.qjl), "rows": ROWS[options.rows], "seed": options.seed, "count": info.rows}
        for name in ("log_rows", "dead_rows", "segments", "code_bytes", "exact_bytes", "code_bytes_row",
                     "exact_bytes_row"):
            result[name] = getattr(info, name)
        result["isa"] = info.isa.decode()
        return result

    def __len__(self):
        return self.info()["count"]

    def close(self):
        """Let go of the folder. A second call does nothing."""
        if self._index:
            self._lib.tq_index_close(self._index)
        if self._store:
            self._lib.tq_close(self._store)
        self._store, self._index = POINTER(), POINTER()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def __del__(self):
        if hasattr(self, "_store"):
            self.close()

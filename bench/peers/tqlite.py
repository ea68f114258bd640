"""The part of tq.h that a benchmark needs, over ctypes. Arrays are f32, C order; nothing is copied."""
import ctypes as c
import os

import numpy as np

COSINE, IP, L2 = 0, 1, 2
F32, F16, NONE = 0, 1, 2
EXACT = 1e30
HIT = np.dtype([("id", "<i8"), ("score", "<f8"), ("distance", "<f8")])


class Options(c.Structure):
    _fields_ = [("dim", c.c_uint32), ("metric", c.c_int), ("bits", c.c_uint32), ("qjl", c.c_int),
                ("rows", c.c_int), ("seed", c.c_uint64)]


class SearchOptions(c.Structure):
    _fields_ = [("confidence", c.c_double), ("oversample", c.c_double), ("threads", c.c_int),
                ("filter", c.c_void_p)]


class Stats(c.Structure):
    _fields_ = [(name, c.c_uint64) for name in ("rows", "second", "survivors", "ranked")]


class Info(c.Structure):
    _fields_ = [("options", Options), ("rows", c.c_uint64), ("log_rows", c.c_uint64),
                ("dead_rows", c.c_uint64), ("segments", c.c_uint64), ("code_bytes", c.c_uint64),
                ("exact_bytes", c.c_uint64), ("code_bytes_row", c.c_double),
                ("exact_bytes_row", c.c_double), ("isa", c.c_char_p)]


def load(path):
    lib = c.CDLL(os.path.abspath(path))
    pointer, size = c.c_void_p, c.c_size_t
    lib.tq_message.restype = c.c_char_p
    lib.tq_version.restype = c.c_char_p
    lib.tq_index_defaults.argtypes, lib.tq_index_defaults.restype = [c.c_uint32], Options
    lib.tq_open.argtypes = [c.c_char_p, c.c_uint, c.POINTER(pointer)]
    lib.tq_close.argtypes, lib.tq_close.restype = [pointer], None
    lib.tq_index_create.argtypes = [pointer, c.c_char_p, c.POINTER(Options), c.POINTER(pointer)]
    lib.tq_index_close.argtypes, lib.tq_index_close.restype = [pointer], None
    lib.tq_begin.argtypes = lib.tq_commit.argtypes = [pointer]
    lib.tq_put_many.argtypes = [pointer, pointer, pointer, size]
    lib.tq_search.argtypes = [pointer, pointer, size, c.c_int64, c.POINTER(SearchOptions), pointer,
                              c.POINTER(size), c.POINTER(Stats)]
    lib.tq_index_get_info.argtypes = [pointer, c.POINTER(Info)]
    return lib


class Index:
    """A store of one index. close() when done; the folder is the caller's to remove."""

    def __init__(self, lib, folder, dim, metric=COSINE, bits=4, qjl=True, rows=F32):
        self.lib, self.store, self.index = lib, c.c_void_p(), c.c_void_p()
        self.check(lib.tq_open(os.fsencode(folder), 1, c.byref(self.store)))
        options = lib.tq_index_defaults(dim)
        options.metric, options.bits, options.qjl, options.rows = metric, bits, int(qjl), rows
        self.check(lib.tq_index_create(self.store, b"vectors", c.byref(options), c.byref(self.index)))

    def check(self, status):
        if status != 0:
            raise RuntimeError(self.lib.tq_message().decode())

    def put(self, vectors):
        """Row numbers become ids. One transaction, durable on return."""
        ids = np.arange(len(vectors), dtype=np.int64)
        self.check(self.lib.tq_begin(self.store))
        self.check(self.lib.tq_put_many(self.index, ids.ctypes.data, vectors.ctypes.data, len(vectors)))
        self.check(self.lib.tq_commit(self.store))

    def searcher(self, k, confidence=3.0, oversample=0.0):
        """search(queries f32[n][dim]) -> ids i64[n][k], -1 where there are fewer. Buffers are made once."""
        options = SearchOptions(confidence, oversample, 1, None)
        room = {}

        def search(queries):
            count = len(queries)
            if count not in room:
                room[count] = np.empty((count, k), HIT), (c.c_size_t * count)()
            hits, counts = room[count]
            hits["id"] = -1
            self.check(self.lib.tq_search(self.index, queries.ctypes.data, count, k, options,
                                          hits.ctypes.data, counts, None))
            return hits["id"].copy()

        return search

    def info(self):
        info = Info()
        self.check(self.lib.tq_index_get_info(self.index, c.byref(info)))
        return info

    def close(self):
        self.lib.tq_index_close(self.index)
        self.lib.tq_close(self.store)

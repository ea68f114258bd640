"""tq.h for ctypes: structures, signatures, errors."""
import ctypes
import functools

from . import Error, loadable_path

METRICS = ("cosine", "ip", "l2")
ROWS = ("f32", "f16", "none")
DEVICES = ("cpu", "auto", "gpu")
NOT_FOUND = -6
OPEN_CREATE, OPEN_READONLY = 1, 2
EXACT = 1e30

POINTER = ctypes.c_void_p


class IndexOptions(ctypes.Structure):
    _fields_ = [("dim", ctypes.c_uint32), ("metric", ctypes.c_int), ("bits", ctypes.c_uint32), ("qjl", ctypes.c_int),
                ("rows", ctypes.c_int), ("seed", ctypes.c_uint64)]


class SearchOptions(ctypes.Structure):
    _fields_ = [("confidence", ctypes.c_double), ("oversample", ctypes.c_double), ("threads", ctypes.c_int),
                ("timeout_ms", ctypes.c_int), ("filter", POINTER), ("device", ctypes.c_int)]


class IndexInfo(ctypes.Structure):
    _fields_ = [("options", IndexOptions), ("rows", ctypes.c_uint64), ("log_rows", ctypes.c_uint64),
                ("dead_rows", ctypes.c_uint64), ("segments", ctypes.c_uint64), ("code_bytes", ctypes.c_uint64),
                ("exact_bytes", ctypes.c_uint64), ("code_bytes_row", ctypes.c_double),
                ("exact_bytes_row", ctypes.c_double), ("isa", ctypes.c_char_p)]


STATUS = ctypes.c_int
SIGNATURES = {
    "tq_version": (ctypes.c_char_p,),
    "tq_message": (ctypes.c_char_p,),
    "tq_status_name": (ctypes.c_char_p, STATUS),
    "tq_open": (STATUS, ctypes.c_char_p, ctypes.c_uint, ctypes.POINTER(POINTER)),
    "tq_close": (None, POINTER),
    "tq_index_defaults": (IndexOptions, ctypes.c_uint32),
    "tq_index_create": (STATUS, POINTER, ctypes.c_char_p, ctypes.POINTER(IndexOptions), ctypes.POINTER(POINTER)),
    "tq_index_open": (STATUS, POINTER, ctypes.c_char_p, ctypes.POINTER(POINTER)),
    "tq_index_close": (None, POINTER),
    "tq_begin": (STATUS, POINTER),
    "tq_commit": (STATUS, POINTER),
    "tq_abort": (None, POINTER),
    "tq_put_many": (STATUS, POINTER, POINTER, POINTER, ctypes.c_size_t),
    "tq_delete": (STATUS, POINTER, ctypes.c_int64),
    "tq_get": (STATUS, POINTER, ctypes.c_int64, POINTER),
    "tq_search_defaults": (SearchOptions,),
    "tq_search": (STATUS, POINTER, POINTER, ctypes.c_size_t, ctypes.c_int64, ctypes.POINTER(SearchOptions), POINTER,
                  POINTER, POINTER),
    "tq_index_get_info": (STATUS, POINTER, ctypes.POINTER(IndexInfo)),
    "tq_index_optimize": (STATUS, POINTER),
}


@functools.lru_cache(maxsize=None)
def library():
    """The same file as SQLite's extension, so that both work on one store in one process."""
    lib = ctypes.CDLL(loadable_path() + ".so")
    for name, (result, *arguments) in SIGNATURES.items():
        function = getattr(lib, name)
        function.restype = result
        function.argtypes = arguments
    return lib


def check(status):
    """Raise what the calling thread's last call has to say."""
    if status != 0:
        lib = library()
        raise Error(lib.tq_message().decode("utf-8", "replace"), lib.tq_status_name(status).decode())

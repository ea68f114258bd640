"""Vector search for SQLite.

    tqlite.load(connection)      sqlite3 or apsw: then CREATE VIRTUAL TABLE ... USING tq(embedding FLOAT[100])
    tqlite.loadable_path()       for everything else that loads SQLite extensions
    tqlite.Index(path, dim=100)  without SQL, on NumPy arrays; needs numpy
"""
import os

__all__ = ["Error", "Index", "load", "loadable_path", "shell_path"]

_HERE = os.path.dirname(os.path.abspath(__file__))


class Error(Exception):
    """What the library says went wrong; `status` is the name of its code, "TQ_NOT_FOUND" for instance, or None."""

    def __init__(self, message, status=None):
        super().__init__(message)
        self.status = status


def loadable_path():
    """The extension's path without ".so", as SQLite takes it."""
    return os.path.join(_HERE, "tq")


def shell_path():
    """The path of tqshell."""
    return os.path.join(_HERE, "tqshell")


def load(connection):
    """Load the extension into a connection of sqlite3 or apsw. Loading is allowed for that moment only."""
    if not hasattr(connection, "enable_load_extension"):
        raise Error("%s.%s cannot load extensions: this Python was built without them; use apsw, or tqlite.Index"
                    % (type(connection).__module__, type(connection).__name__))
    connection.enable_load_extension(True)
    try:
        connection.load_extension(loadable_path())
    finally:
        connection.enable_load_extension(False)


def __getattr__(name):
    """Index alone needs numpy."""
    if name == "Index":
        from .index import Index
        return Index
    if name == "__version__":
        from .native import library
        return library().tq_version().decode()
    raise AttributeError("module 'tqlite' has no attribute %r" % name)

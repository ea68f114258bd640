"""Make tiny.hdf5, vec0.db and vec0.expected, of which tests/unit/test_read_tables.c reads every row.

    python3 -m venv venv && venv/bin/pip install numpy h5py sqlite-vec
    venv/bin/python tests/data/make_tables.py

The files were made with h5py 3.16 and sqlite-vec 0.1.9; Python's sqlite3 must be able to load extensions, as Debian's is.
vec0.expected has the rows as vec0 itself gives them.
"""
import os
import sqlite3
import struct

import h5py
import numpy
import sqlite_vec

HERE = os.path.dirname(os.path.abspath(__file__))


def make_hdf5(path):
    """As ann-benchmarks has them: the truth is that of the angular distance."""
    random = numpy.random.default_rng(8)
    train = random.standard_normal((50, 8)).astype("<f4")
    test = random.standard_normal((10, 8)).astype("<f4")
    distance = 1 - (test / numpy.linalg.norm(test, axis=1)[:, None]) @ (
        train / numpy.linalg.norm(train, axis=1)[:, None]).T
    nearest = numpy.argsort(distance, axis=1)[:, :10]
    with h5py.File(path, "w") as file:
        file.attrs["type"] = "dense"
        file.attrs["distance"] = "angular"
        file.attrs["dimension"] = 8
        file.attrs["point_type"] = "float"
        file["train"] = train
        file["test"] = test
        file["neighbors"] = nearest.astype("<i4")
        file["distances"] = numpy.take_along_axis(distance, nearest, axis=1).astype("<f4")


def fill_words(db):
    db.execute("""CREATE VIRTUAL TABLE words USING vec0(
        word TEXT PRIMARY KEY, -- a comment, with a comma
        embedding float[3] distance_metric=cosine, kind text, +note TEXT, chunk_size=8)""")
    kinds = ["", "thirteen byte", "twelve bytes", "verb", "höchst überflüssig", "noun"]
    for i in range(21):
        db.execute("INSERT INTO words VALUES (?, ?, ?, ?)",
                   ("w%d" % i if i != 5 else "été | 'x'", "[%d, %g, -1]" % (i, i / 8), kinds[i % 6],
                    None if i % 3 == 0 else "note %d" % i))
    db.execute("DELETE FROM words WHERE word IN ('w1', 'w8', 'w9', 'w10', 'w11', 'w12', 'w13', 'w14', 'w15')")
    db.execute("UPDATE words SET kind = 'short' WHERE word = 'w3'")
    db.execute("UPDATE words SET kind = 'long enough to lie apart' WHERE word = 'w0'")


def fill_items(db):
    db.execute("""CREATE VIRTUAL TABLE items USING vec0(
        item_id INTEGER PRIMARY KEY, tenant INTEGER PARTITION KEY, region TEXT PARTITION KEY,
        large float[4], small int8[4], signs bit[16],
        score float, n integer, ok boolean, +body blob, +amount float, +many integer, chunk_size=8)""")
    for i in range(20):
        db.execute("INSERT INTO items(item_id, tenant, region, large, small, signs, score, n, ok, body, amount, many)"
                   " VALUES (?, ?, ?, ?, vec_int8(?), vec_bit(?), ?, ?, ?, ?, ?, ?)",
                   (3 * i - 7, i % 2, [None, "eu", "us"][i % 3], struct.pack("<4f", i, -i, 0.5, 1e-3),
                    bytes([i, 255 - i, 127, 128]), bytes([i, 0x0f]), i / 2, (-1) ** i * 7 ** i, i % 2,
                    None if i % 4 == 0 else bytes(range(i)), i / 4, 1 << i))
    db.execute("DELETE FROM items WHERE item_id % 2 = 0 AND item_id > 30")


def fill_others(db):
    db.execute('CREATE VIRTUAL TABLE "odd ""name" USING vec0(e float[2] distance_metric=l1, chunk_size=8)')
    db.executemany('INSERT INTO "odd ""name"(rowid, e) VALUES (?, ?)', [(7, "[1, 2]"), (1 << 40, "[3, 4]")])
    db.execute("CREATE VIRTUAL TABLE empty USING vec0(e float[2], chunk_size=8)")


def show(value, kind):
    if value is None:
        return "NULL"
    if kind == "f32":
        return "[%s]" % ",".join("%g" % v for v in struct.unpack("<%df" % (len(value) // 4), value))
    if kind == "i8":
        return "[%s]" % ",".join("%d" % v for v in struct.unpack("%db" % len(value), value))
    if isinstance(value, bytes):
        return "x'%s'" % value.hex()
    if isinstance(value, str):
        return "'%s'" % value
    return "%.17g" % value if isinstance(value, float) else "%d" % value


def make_vec0(path, expected):
    if os.path.exists(path):
        os.remove(path)
    db = sqlite3.connect(path)
    db.enable_load_extension(True)
    sqlite_vec.load(db)
    db.execute("PRAGMA page_size = 512")
    fill_words(db)
    fill_items(db)
    fill_others(db)
    db.commit()
    db.execute("VACUUM")
    kinds = {"embedding": "f32", "large": "f32", "e": "f32", "small": "i8"}
    with open(expected, "w", encoding="utf-8") as out:
        for table in ("words", "items", 'odd "name', "empty"):
            rows = db.execute('SELECT * FROM "%s"' % table.replace('"', '""'))
            names = [column[0] for column in rows.description]
            out.write("%s: %s\n" % (table, " ".join(names)))
            for row in rows:
                out.write("|".join(show(value, kinds.get(name)) for name, value in zip(names, row)) + "\n")
    db.close()


make_hdf5(os.path.join(HERE, "tiny.hdf5"))
make_vec0(os.path.join(HERE, "vec0.db"), os.path.join(HERE, "vec0.expected"))

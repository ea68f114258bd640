"""The installed package: python test_tqlite.py [-v]"""
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import unittest

import apsw
import numpy as np

import tqlite


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)


class Sql(Folder):
    def use(self, db):
        vectors = np.random.default_rng(1).standard_normal((50, 8)).astype(np.float32)
        db.execute("CREATE VIRTUAL TABLE words USING tq(embedding FLOAT[8], metric=ip)")
        for i, vector in enumerate(vectors):
            db.execute("INSERT INTO words(rowid, embedding) VALUES(?, ?)", (i, vector.tobytes()))
        best = np.argsort(-(vectors @ vectors[7]))[:5]
        for sql in ("SELECT rowid FROM words ORDER BY tq_ip(embedding, ?) DESC LIMIT 5",
                    "SELECT rowid FROM words WHERE embedding MATCH ? ORDER BY score DESC LIMIT 5"):
            found = [row[0] for row in db.execute(sql, (vectors[7].tobytes(),))]
            self.assertEqual(found, best.tolist())
        self.assertEqual(list(db.execute("SELECT tq_version()")), [(tqlite.__version__,)])

    def test_apsw(self):
        db = apsw.Connection(self.path("apsw.db"))
        tqlite.load(db)
        self.use(db)
        db.close()

    def test_apsw_loads_nothing_afterwards(self):
        db = apsw.Connection(":memory:")
        tqlite.load(db)
        with self.assertRaises(apsw.Error):
            db.execute("SELECT load_extension(?)", (tqlite.loadable_path(),))

    def test_sqlite3(self):
        db = sqlite3.connect(self.path("sqlite3.db"))
        if not hasattr(db, "enable_load_extension"):
            with self.assertRaisesRegex(tqlite.Error, "apsw"):
                tqlite.load(db)
            print("sqlite3: this Python cannot load extensions; only the message was tested")
            return
        tqlite.load(db)
        self.use(db)
        db.close()

    def test_shell(self):
        for command in ([sys.executable, "-m", "tqlite.shell"], [os.path.join(os.path.dirname(sys.executable),
                                                                              "tqshell")]):
            run = subprocess.run(command + ["-json", self.path("shell.db"), "SELECT tq_version() AS v"], check=True,
                                 capture_output=True, text=True)
            self.assertEqual(json.loads(run.stdout), [{"v": tqlite.__version__}])

    def test_shell_needs_no_rare_library(self):
        with open(os.path.join(os.path.dirname(tqlite.__file__), "tqshell"), "rb") as file:
            program = file.read()
        for library in (b"libcsv.so", b"libzip.so", b"libhdf5"):
            self.assertNotIn(library, program)
        self.assertIn(b"libsqlite3.so", program)


class NumPy(Folder):
    def setUp(self):
        super().setUp()
        self.vectors = np.random.default_rng(2).standard_normal((2000, 24)).astype(np.float32)
        self.ids = np.arange(2000) * 3

    def index(self, **options):
        index = tqlite.Index(self.path("store"), dim=24, **options)
        self.addCleanup(index.close)
        return index

    def truth(self, query, k):
        unit = self.vectors / np.linalg.norm(self.vectors, axis=1)[:, None]
        return self.ids[np.argsort(-(unit @ query))[:k]]

    def test_search(self):
        index = self.index()
        index.add(self.ids, self.vectors)
        self.assertEqual(len(index), 2000)
        ids, scores = index.search(self.vectors[5], 10, exact=True)
        np.testing.assert_array_equal(ids, self.truth(self.vectors[5], 10))
        self.assertAlmostEqual(scores[0], 1.0, places=6)
        self.assertTrue((np.diff(scores) <= 0).all())
        for threads in (1, 2):
            many, _ = index.search(self.vectors[:20], 10, exact=True, threads=threads)
            np.testing.assert_array_equal(many[5], ids)
        for device in ("cpu", "auto", "gpu"):
            many, many_scores = index.search(self.vectors[:20], 10, exact=True, device=device)
            np.testing.assert_array_equal(many[5], ids)
            np.testing.assert_array_equal(many_scores[5], scores)
        loose, _ = index.search(self.vectors[:20], 10)
        self.assertGreater((loose == many).mean(), 0.99)

    def test_any_array_of_numbers(self):
        index = self.index()
        index.add(self.ids[:10].astype(np.uint32), self.vectors[:10].astype(np.float64))
        index.add(self.ids[10:20].tolist(), np.asfortranarray(self.vectors[10:20]))
        index.add(self.ids[20:60:2], self.vectors[20:60:2])
        index.add(7, self.vectors[100].tolist())
        for i in (0, 15, 22):
            np.testing.assert_array_equal(index.get(self.ids[i]), self.vectors[i])
        np.testing.assert_array_equal(index.get(7), self.vectors[100])

    def test_fewer_rows_than_asked_for(self):
        index = self.index()
        ids, scores = index.search(self.vectors[0], 5)
        self.assertEqual((len(ids), len(scores)), (0, 0))
        index.add(self.ids[:3], self.vectors[:3])
        self.assertEqual(len(index.search(self.vectors[0], 5)[0]), 3)
        ids, scores = index.search(self.vectors[:2], 5)
        np.testing.assert_array_equal(ids[:, 3:], -1)
        self.assertTrue(np.isneginf(scores[:, 3:]).all())
        ids, _ = index.search(np.empty((0, 24)), 5)
        self.assertEqual(ids.shape, (0, 5))

    def test_it_stays(self):
        with self.index(metric="l2", bits=3, rows="f16") as index:
            index.add(self.ids, self.vectors)
            index.delete(self.ids[:500])
            index.optimize()
        with tqlite.Index(self.path("store"), create=False) as index:
            info = index.info()
            self.assertEqual([info[name] for name in ("metric", "bits", "rows", "count")], ["l2", 3, "f16", 1500])
            self.assertNotIn(0, index.search(self.vectors[0], 10)[0])
        with self.assertRaisesRegex(tqlite.Error, "the index is closed"):
            index.get(1)
        index.close()

    def fails(self, text, status, call, *arguments, **named):
        with self.assertRaisesRegex(tqlite.Error, text) as caught:
            call(*arguments, **named)
        self.assertEqual(caught.exception.status, status)

    def test_errors(self):
        path = self.path("store")
        self.fails("", "TQ_NOT_FOUND", tqlite.Index, path, create=False)
        self.fails("dim is needed", "TQ_MISUSE", tqlite.Index, path)
        self.fails("metric is 'manhattan'", "TQ_MISUSE", tqlite.Index, path, dim=24, metric="manhattan")
        self.fails("bits", "TQ_MISUSE", tqlite.Index, path, dim=24, bits=40)
        index = self.index()
        index.add(self.ids[:5], self.vectors[:5])
        self.fails("dim is 24, not 25", "TQ_MISUSE", tqlite.Index, path, dim=25)
        self.fails("metric is 'cosine', not 'ip'", "TQ_MISUSE", tqlite.Index, path, metric="ip")
        self.fails("shape", "TQ_MISUSE", index.add, [1], np.zeros((1, 23)))
        self.fails("one integer each", "TQ_MISUSE", index.add, [1, 2], self.vectors[:1])
        self.fails("one integer each", "TQ_MISUSE", index.add, [1.5], self.vectors[:1])
        self.fails("", "TQ_EXISTS", index.add, [9000, 3], self.vectors[:2])
        self.fails("", "TQ_NOT_FOUND", index.get, 9000)
        bad = self.vectors[:2].copy()
        bad[1, 3] = np.nan
        self.fails("", "TQ_MISUSE", index.add, [9000, 9001], bad)
        self.fails("", "TQ_NOT_FOUND", index.delete, [0, 9000])
        self.fails("", "TQ_MISUSE", index.search, self.vectors[0], -1)
        self.fails("", "TQ_MISUSE", index.search, self.vectors[0], 5, confidence=-1)
        self.fails("device is 'tpu'; it must be cpu, auto, gpu", "TQ_MISUSE", index.search, self.vectors[0], 5,
                   device="tpu")
        self.assertEqual(len(index), 5)

    def test_threads(self):
        index = self.index()
        index.add(self.ids, self.vectors)
        want = index.search(self.vectors[:50], 10)[0]
        wrong = []

        def work():
            for _ in range(5):
                if (index.search(self.vectors[:50], 10)[0] != want).any():
                    wrong.append(1)
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])

    def test_arrays_are_not_copied(self):
        from tqlite.index import _floats
        self.assertTrue(np.shares_memory(_floats(self.vectors, 24, ""), self.vectors))


if __name__ == "__main__":
    unittest.main()

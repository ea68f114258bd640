#!/usr/bin/env python3
"""Make columns.npz (deflated) and stored.npz of this folder. Needs numpy; the tests only read what it made.

  python3 tests/data/make_npz.py tests/data
"""
import os
import sys

import numpy as np


def columns():
    """Four rows of everything, and arrays that are no columns."""
    strange = np.array(["fine", "fine", "fine", "fine"])
    strange.view(np.uint32)[4] = 0x110000  # row 1: beyond Unicode
    return {
        "objects": np.array([{}, [], 1, "a"], dtype=object),
        "vectors": np.array([[1, 2, 3], [0.5, -0.5, 0.25], [0, 0, 0], [1e30, -1e-30, 7]], dtype=np.float32),
        "halves": np.array([[1, 65504], [-2.5, 0.0999755859375], [6e-8, 0], [3, 4]], dtype=np.float16),
        "words": np.array(["one", "zw\u00f6lf", "\u4e09\U0001f600", ""]),
        "ids": np.array([7, -1, 9007199254740993, 3], dtype=np.int64),
        "latin": np.array([b"abc", b"", b"\xc3\xa9", b"\xff"]),
        "strange": strange,
        "seen": np.array([True, False, True, False]),
        "score": np.array([0.1, -2, np.inf, 1e300]),
        "single": np.array([0.5, 1.5, 2.5, 3.5], dtype=np.float32),
        "count": np.array([0, 1, 2**63 - 1, 2**63], dtype=np.uint64),
        "tiny": np.array([-128, 0, 127, 1], dtype=np.int8),
        "three": np.zeros((2, 2, 2), dtype=np.float32),
        "other_rows": np.arange(5),
        "swapped": np.arange(4, dtype=">i4"),
        "swapped_vectors": np.ones((4, 2), dtype=">f4"),
        "by_columns": np.asfortranarray(np.ones((4, 2), dtype=np.float32)),
        "number": np.float64(3),
    }


def main():
    folder = sys.argv[1]
    np.savez_compressed(os.path.join(folder, "columns.npz"), **columns())
    # With their headers, numbers are a whole buffer of the reader's, and words are no whole number of them in one.
    rows = 2032
    np.savez(os.path.join(folder, "stored.npz"), np.arange(2 * rows).reshape(rows, 2).astype(np.uint8),
             Words=np.array([b"word %d" % i for i in range(rows)]), numbers=np.arange(rows, dtype=np.int64))


if __name__ == "__main__":
    main()

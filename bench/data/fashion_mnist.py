"""Fashion-MNIST as vectors: 60,000 images of 784 grey values, asked with 10,000 others.

usage  fashion_mnist.py FOLDER [DATASET]

Reads the files of Debian's package dataset-fashion-mnist (DATASET, /usr/share/datasets/fashion-mnist) and writes
FOLDER/fashion-mnist.base.npy and fashion-mnist.query.npy, f32, the grey values as they are. The queries, its test
images, come in a seeded random order."""
import gzip
import os
import sys

import numpy as np

SIDE = 28


def images(path):
    with gzip.open(path) as file:
        data = file.read()
    magic, count, height, width = np.frombuffer(data[:16], ">u4")
    if (magic, height, width) != (0x803, SIDE, SIDE) or len(data) != 16 + count * SIDE * SIDE:
        raise SystemExit(f"{path}: not a file of {SIDE} x {SIDE} images")
    return np.frombuffer(data, np.uint8, offset=16).reshape(count, SIDE * SIDE).astype(np.float32)


def main():
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    folder = sys.argv[1]
    source = sys.argv[2] if len(sys.argv) == 3 else "/usr/share/datasets/fashion-mnist"
    if not os.path.isdir(source):
        raise SystemExit(f"{source} is missing (Debian: apt install dataset-fashion-mnist)")
    os.makedirs(folder, exist_ok=True)
    base = images(os.path.join(source, "train-images-idx3-ubyte.gz"))
    query = images(os.path.join(source, "t10k-images-idx3-ubyte.gz"))
    query = query[np.random.default_rng(20261122).permutation(len(query))]
    for name, rows in (("base", base), ("query", query)):
        np.save(os.path.join(folder, f"fashion-mnist.{name}.npy"), rows)
        print(f"fashion-mnist.{name}.npy: {rows.shape[0]} x {rows.shape[1]}")


main()

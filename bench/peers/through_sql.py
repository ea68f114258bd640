"""Vector search through SQL, side by side in one process: tqlite, sqlite-vec, sqlite-vector, vectorlite.

usage  through_sql.py BASE.npy QUERY.npy [option ...]        (run.sh --sql starts it)
  --lib FILE        libtq.so, which is the extension too
  --queries N       306 at random, of which each round asks its share
  --rounds N        9, systems interleaved in an order that changes
  --k K             10
  --base-rows N     the first N rows only, to try it out
  --skip WORD,...   systems to leave out, by function name in sql_systems.py
  --out FOLDER      bench/results
  --name NAME       of the data, in the file's name

Cosine. Every system gets the same unit vectors in one transaction of a WAL database. A hit is judged by score: the
row's cosine in double, from the vectors as given, reaches the true k-th to 1e-6 relative. All times are of one
statement."""
import argparse
import os
import sys
import tempfile
import time

import apsw
import numpy as np

import measure
import report
import sql_systems
from systems import Data

ROUND_MS = 1500.0  # a system's share of one round
REFERENCE = "tqlite MATCH"


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("base")
    p.add_argument("query")
    p.add_argument("--lib", required=True)
    p.add_argument("--root", default=".")
    p.add_argument("--queries", type=int, default=306)
    p.add_argument("--rounds", type=int, default=9)
    p.add_argument("--k", type=int, default=10)
    p.add_argument("--base-rows", type=int)
    p.add_argument("--skip", default="")
    p.add_argument("--out")
    p.add_argument("--name")
    return p.parse_args()


def made(folder, base, args):
    """[(name, seconds, ask)]; a peer that cannot be had is named, not hidden."""
    systems = []
    for maker in sql_systems.MAKERS:
        if maker.__name__ in args.skip.split(","):
            continue
        try:
            for system in maker(folder, base, args.lib, args.k):
                system[2](base[0])
                systems.append(system)
        except Exception as error:  # each extension has errors of its own
            if maker is sql_systems.tqlite:
                raise
            print(f"{maker.__name__}: left out from here on: {type(error).__name__}: {str(error)[:160]}",
                  file=sys.stderr)
    return systems


def ask(search, queries):
    """Milliseconds of each, and the answers."""
    times, answers = [], []
    for query in queries:
        start = time.perf_counter()
        ids = search(query)
        times.append(1e3 * (time.perf_counter() - start))
        answers.append(ids)
    return times, answers


def rounds(systems, data, truth, count):
    """(times by round, shares of hits) of every system."""
    times = [[] for _ in systems]
    hits = [[] for _ in systems]
    rng = np.random.default_rng(2)
    shares = np.array_split(np.arange(len(data.queries_n)), count)
    for number, share in enumerate(shares):
        for s in rng.permutation(len(systems)):
            search = systems[s][2]
            once = min(ask(search, data.queries_n[shares[number - 1][:2]])[0])
            mine = share[:max(3, int(ROUND_MS / once))]
            found, answers = ask(search, data.queries_n[mine])
            times[s].append(found)
            hits[s] += [truth.judge(q, np.array(ids, np.int64)) for q, ids in zip(mine, answers)]
        print(f"round {number + 1} of {count}", flush=True)
    return times, hits


def null_times(data, args):
    """Microseconds of a statement that finds one row in a table of one."""
    with tempfile.TemporaryDirectory() as folder:
        found = [(name, 1e3 * np.median(ask(search, [data.queries_n[0]] * 300)[0]))
                 for name, _, search in made(folder, data.base_n[:1], args)]
    db = apsw.Connection(":memory:")
    return [("SELECT 1", 1e3 * np.median(ask(lambda q: list(db.execute("SELECT 1")), [None] * 300)[0]))] + found


def table(systems, times, hits, k):
    reference = next(i for i, s in enumerate(systems) if s[0] == REFERENCE)
    yield (f"| system | insert (and build) s | recall@{k} by score | by id | ms median | p99 | p99/p50 | "
           f"times {REFERENCE} (lower quartile) | queries |")
    yield "|---|---|---|---|---|---|---|---|---|"
    for i, (name, seconds, _) in enumerate(systems):
        every = np.concatenate(times[i])
        p50, p99 = np.median(every), np.percentile(every, 99)
        ratios = [np.median(a) / np.median(b) for a, b in zip(times[i], times[reference])]
        by_score, by_id = np.mean(hits[i], axis=0)
        yield (f"| {name} | {seconds:.2f} | {by_score:.4f} | {by_id:.4f} | {p50:.3f} | {p99:.2f} | {p99 / p50:.1f} | "
               f"{np.median(ratios):.2f} ({np.percentile(ratios, 25):.2f}) | {len(every)} |")


def main():
    args = parse()
    args.name = args.name or os.path.basename(args.base).split(".")[0]
    args.out = args.out or os.path.join(args.root, "bench", "results")
    args.metric = "cosine"
    load = os.getloadavg()[0]
    base = np.ascontiguousarray(np.load(args.base)[:args.base_rows].astype(np.float32))
    if args.base_rows:
        args.name += f"-first-{len(base)}"
    queries = np.load(args.query).astype(np.float32)
    queries = np.ascontiguousarray(queries[np.random.default_rng(0).permutation(len(queries))[:args.queries]])
    data = Data(base, queries, "cosine", args.k)
    truth = measure.Truth(data)
    nulls = null_times(data, args)
    with tempfile.TemporaryDirectory() as folder:
        systems = made(folder, data.base_n, args)
        times, hits = rounds(systems, data, truth, args.rounds)
    lines = report.head(args, data, load, "bench/peers/run.sh --sql")
    versions = ", ".join(f"{n} {report.version(n)}" for n in ("sqlite-vec", "sqliteai-vector", "vectorlite-py", "apsw"))
    lines[-1] = f"versions: SQLite {apsw.sqlite_lib_version()}, {versions}"
    os.makedirs(args.out, exist_ok=True)
    report.save(os.path.join(args.out, f"peers-sql-{args.name}" + ("" if args.k == 10 else f"-k{args.k}") + ".md"),
                [f"# Through SQL: {args.name}", ""] + [f"    {line}" for line in lines] + [f"    k: {args.k}", ""]
                + list(table(systems, times, hits, args.k)) + ["", report.null_line(nulls),
                "tqlite's insert ends with codes and rows durable on disk; vectorlite's graph is in memory only."])


if __name__ == "__main__":
    main()

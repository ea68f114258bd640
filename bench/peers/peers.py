"""tqlite and its peers on one core, same data, same run; run.sh starts it.

usage  peers.py BASE.npy QUERY.npy [option ...]
  --metric cosine|ip|l2   cosine
  --table WORD,...        codes, exact, by-k; codes,exact by default. Never mixed: one file each
  --k K,...               10; codes and exact are made once a k, by-k is one table of all of them
  --queries N             1008 at random, of which each round asks its share
  --rounds N              9, systems interleaved in an order that changes from round to round
  --batches N             3 batches of 1,000 queries in one call, 0 for none
  --base-rows N           the first N rows only, to try it out; the files' names say so
  --keep FOLDER           keep built graphs there, with the seconds they took
  --out FOLDER            bench/results
  --name NAME             of the data, in the files' names; the base's file name by default
  --only WORD,...         families whose name has a word in it (and Flat)
  --quiet-load X          wait (10 minutes at most) until the 1-minute load is below X

Times: one query a call from Python, the median over all queries; a ratio is the median over rounds of
(Flat's median of the round / the system's). A system slower than the round's time allows asks fewer queries."""
import argparse
import os
import time

import numpy as np

import measure
import plot
import report
import systems
import tables
import tqlite

TITLES = {"codes": "Codes only, by bytes", "exact": "With exact rows, by recall", "by-k": "With exact rows, by k"}


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("base")
    p.add_argument("query")
    p.add_argument("--lib", required=True)
    p.add_argument("--root", default=".")
    p.add_argument("--metric", default="cosine", choices=["cosine", "ip", "l2"])
    p.add_argument("--table", default="codes,exact")
    p.add_argument("--queries", type=int, default=1008)
    p.add_argument("--rounds", type=int, default=9)
    p.add_argument("--batches", type=int, default=3)
    p.add_argument("--k", default="10")
    p.add_argument("--base-rows", type=int)
    p.add_argument("--keep")
    p.add_argument("--out")
    p.add_argument("--name")
    p.add_argument("--only")
    p.add_argument("--quiet-load", type=float, default=0)
    args = p.parse_args()
    args.tables = args.table.split(",")
    for word in args.tables:
        if word not in TITLES:
            p.error(f"--table {word}: known are {', '.join(TITLES)}")
    args.ks = [int(k) for k in args.k.split(",")]
    return args


def run(kind, data, lib, args):
    """(results, microseconds of empty calls) of one table at one k."""
    make = {"codes": tables.codes, "exact": tables.exact, "by-k": tables.by_k}[kind]
    stores = systems.Stores(lib)
    keep = args.keep
    args.keep = tables.keep_folder(args, stores)
    try:
        truth = measure.Truth(data)
        nulls = tables.null_times(data, stores, measure.ask)
        made = []
        for system in make(data, stores, args):
            made.append(system)
            print(f"built {system.label}: {system.build_s:.2f} s", flush=True)
        return measure.measure(made, data, truth, args.rounds, args.batches), nulls
    finally:
        args.keep = keep
        stores.close()


def write(kind, k, data, results, nulls, args, load):
    lines = report.head(args, data, load)
    path = os.path.join(args.out, f"peers-{kind}-{args.name}" + ("" if k == 10 else f"-k{k}"))
    title = f"{TITLES[kind]}: {args.name}"
    report.write_csv(path + ".csv", lines, results)
    report.write_table(path + ".md", title, lines, results, nulls, k, kind == "exact")
    plot.write(path + ".svg", title, results, kind, k)
    if kind == "exact":
        plot.write_builds(f"{path}-build.svg", f"Seconds to build: {args.name}", results)


def main():
    args = parse()
    args.name = args.name or os.path.basename(args.base).split(".")[0]
    args.out = args.out or os.path.join(args.root, "bench", "results")
    os.makedirs(args.out, exist_ok=True)
    waited = 0
    while os.getloadavg()[0] >= args.quiet_load > 0 and waited < 600:
        time.sleep(10)
        waited += 10
    load = os.getloadavg()[0]
    base = np.ascontiguousarray(np.load(args.base)[:args.base_rows].astype(np.float32))
    if args.base_rows:
        args.name += f"-first-{len(base)}"
    queries = np.load(args.query).astype(np.float32)
    queries = np.ascontiguousarray(queries[np.random.default_rng(0).permutation(len(queries))[:args.queries]])
    args.key = f"{args.name}-{args.metric}-{len(base)}"
    lib = tqlite.load(args.lib)
    for kind in args.tables:
        by_k = {}
        for k in args.ks:
            data = systems.Data(base, queries, args.metric, k)
            results, nulls = run(kind, data, lib, args)
            if kind == "by-k":
                by_k[k] = results
            else:
                write(kind, k, data, results, nulls, args, load)
        if by_k:
            lines = report.head(args, data, load)
            path = os.path.join(args.out, f"peers-by-k-{args.name}")
            report.write_csv(path + ".csv", lines, [dict(k=k, **r) for k, results in by_k.items() for r in results])
            report.write_by_k(path + ".md", f"{TITLES[kind]}: {args.name}", lines, by_k)


if __name__ == "__main__":
    main()

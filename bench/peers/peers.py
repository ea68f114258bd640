"""tqlite and its peers on one core, same data, same run; run.sh starts it.

usage  peers.py BASE.npy QUERY.npy [option ...]
  --metric cosine|ip|l2   cosine
  --table codes,exact     both; each is a process run of its own if asked for one by one
  --queries N             1008 at random, of which each round asks its share
  --rounds N              9, systems interleaved in an order that changes from round to round
  --k K                   10
  --keep FOLDER           keep built graphs there, with the seconds they took
  --out FOLDER            bench/results
  --name NAME             of the data, in the files' names; the base's file name by default
  --only WORD,...         families whose name has a word in it (and Flat)
  --quiet-load X          wait (10 minutes at most) until the 1-minute load is below X

A hit by score: the row's score in double, from the vectors as given, reaches the true k-th to 1e-6 relative.
Times: one query a call from Python, the median over all queries; a ratio is the median over rounds of
(Flat's median of the round / the system's). A system slower than the round's time allows asks fewer queries."""
import argparse
import csv
import os
import platform
import subprocess
import sys
import time

import numpy as np

import plot
import systems
import tqlite

PACKAGES = ("faiss-cpu", "turbovec", "hnswlib", "usearch", "numpy")
ROUND_SECONDS = 1.0  # a system's share of one round


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
    p.add_argument("--k", type=int, default=10)
    p.add_argument("--keep")
    p.add_argument("--out")
    p.add_argument("--name")
    p.add_argument("--only")
    p.add_argument("--quiet-load", type=float, default=0)
    return p.parse_args()


# ---- Truth and recall ----

class Truth:
    def __init__(self, data):
        self.data, self.base = data, data.base.astype(np.float64)
        self.squares = np.einsum("ij,ij->i", self.base, self.base)
        self.ids, self.bars = [], []
        for i in range(0, len(data.queries), 64):
            scores = self.scores(data.queries[i:i + 64].astype(np.float64) @ self.base.T, i, slice(None))
            best = np.argpartition(-scores, data.k, axis=1)[:, :data.k]
            self.ids.append(best)
            self.bars.append(np.take_along_axis(scores, best, 1).min(axis=1))
        self.ids, self.bars = np.concatenate(self.ids), np.concatenate(self.bars)

    def scores(self, dots, first, rows):
        q = self.data.queries[first:first + len(dots)].astype(np.float64)
        square = np.einsum("ij,ij->i", q, q)[:, None]
        if self.data.metric == "ip":
            return dots
        if self.data.metric == "l2":
            return 2 * dots - square - self.squares[rows]
        return dots / np.maximum(np.sqrt(square) * np.sqrt(self.squares[rows]), 1e-300)

    def judge(self, query, ids):
        """Shares of hits by score and by id of one query's list."""
        ids = np.unique(ids[ids >= 0])
        dots = (self.base[ids] @ self.data.queries[query].astype(np.float64))[None, :]
        bar = self.bars[query]
        by_score = np.count_nonzero(self.scores(dots, query, ids) >= bar - 1e-6 * abs(bar))
        return min(by_score, self.data.k) / self.data.k, len(np.intersect1d(ids, self.ids[query])) / self.data.k


def interval(values):
    rng = np.random.default_rng(1)
    means = values[rng.integers(0, len(values), (1000, len(values)))].mean(axis=1)
    return np.percentile(means, [2.5, 97.5])


# ---- Measuring ----

def ask(system, queries):
    """Milliseconds of every query, one a call, and the answers."""
    times, answers = np.empty(len(queries)), []
    for i in range(len(queries)):
        query = queries[i:i + 1]
        start = time.perf_counter()
        found = system.search(query)
        times[i] = 1e3 * (time.perf_counter() - start)
        answers.append(np.asarray(found)[0])
    return times, answers


def queries_of(system, data):
    return data.queries if system.family.startswith("tqlite") else data.queries_n


def measure(all_systems, data, truth, rounds):
    """One dict a system. Round r asks share r of the queries."""
    shares = np.array_split(np.arange(len(data.queries)), rounds)
    rng = np.random.default_rng(2)
    times = [[] for _ in all_systems]
    judged = [[] for _ in all_systems]
    for number, share in enumerate(shares):
        for s in rng.permutation(len(all_systems)):
            system = all_systems[s]
            system.prepare()
            queries = queries_of(system, data)
            warm, _ = ask(system, queries[shares[number - 1][:3]])
            mine = share[:max(4, int(1e3 * ROUND_SECONDS / max(warm.min(), 1e-3)))]
            milliseconds, answers = ask(system, np.ascontiguousarray(queries[mine]))
            times[s].append(milliseconds)
            judged[s] += [truth.judge(q, a) for q, a in zip(mine, answers)]
        print(f"round {number + 1} of {rounds}", flush=True)
    flat = next(i for i, s in enumerate(all_systems) if s.label == "FAISS Flat")
    return [summary(s, times[i], times[flat], np.array(judged[i]), data) for i, s in enumerate(all_systems)]


def summary(system, times, flat_times, judged, data):
    every = np.concatenate(times)
    ratios = [np.median(f) / np.median(t) for f, t in zip(flat_times, times)]
    low, high = interval(judged[:, 0])
    system.prepare()
    queries, batch = queries_of(system, data), np.nan
    if np.median(every) < 10:
        batch = max(len(queries) / systems.timed(lambda: system.search(queries))[1] for _ in range(3))
    return dict(family=system.family, system=system.label, build_s=system.build_s, ms_median=np.median(every),
                ms_p99=np.percentile(every, 99), times_flat=np.median(ratios), times_flat_low=min(ratios),
                times_flat_high=max(ratios), batch_qps=batch, recall=judged[:, 0].mean(), recall_low=low,
                recall_high=high, recall_id=judged[:, 1].mean(), queries=len(judged), code_bytes=system.code_bytes,
                exact_bytes=system.exact_bytes)


def at_recall(results, target):
    """{family: ms}, interpolated between a family's own points that no cheaper point of it beats; linear in
    log(1 - recall). A family whose cheapest point is beyond the target counts with that point."""
    found = {}
    for family in dict.fromkeys(r["family"] for r in results):
        points, best = [], 0
        for r in sorted((r for r in results if r["family"] == family), key=lambda r: r["ms_median"]):
            if r["recall"] > best:
                best = r["recall"]
                points.append((np.log(max(1 - best, 1e-5)), r["ms_median"], best))
        above = [i for i, p in enumerate(points) if p[2] >= target]
        if not above:
            continue
        i = above[0]
        if i == 0:
            found[family] = points[0][1]
        else:
            (x0, y0, _), (x1, y1, _) = points[i - 1], points[i]
            found[family] = y0 + (y1 - y0) * (np.log(max(1 - target, 1e-5)) - x0) / (x1 - x0)
    return found


# ---- Reporting ----

def command_output(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def version(name):
    from importlib import metadata
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"


def head(args, data, load):
    model = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    commit = command_output("git", "-C", args.root, "rev-parse", "--verify", "--short=12", "HEAD") or "none"
    changes = command_output("git", "-C", args.root, "status", "--porcelain", "--untracked-files=no")
    words = [os.path.basename(a) if "/" in a else a for a in sys.argv[1:]]
    for ours in ("--lib", "--root"):  # run.sh adds them
        del words[words.index(ours):words.index(ours) + 2]
    after = os.getloadavg()[0]
    noisy = load > 1.2 or after > 1.8
    return [f"date: {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC",
            f"machine: {model[0] if model else platform.processor()}, {os.cpu_count()} cores, one used",
            f"load: {load:.2f} before, {after:.2f} after" + ("; NOISY, others were at work" if noisy else ""),
            f"commit: {commit}" + (", with changes" if changes else ""),
            f"command: bench/peers/run.sh {' '.join(words)}",
            f"data: {args.name}, {data.rows} x {data.dim}, {args.metric}, k={data.k}, {len(data.queries)} queries "
            f"at random in {args.rounds} rounds",
            "versions: " + ", ".join(f"{n} {version(n)}" for n in PACKAGES)]


def write_csv(path, lines, results):
    with open(path, "w", newline="") as file:
        file.writelines(f"# {line}\n" for line in lines)
        out = csv.DictWriter(file, results[0].keys())
        out.writeheader()
        out.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in r.items()} for r in results)


def table(results, k, order):
    yield (f"| system | bytes a row: codes | exact | recall@{k} by score (95 %) | by id | ms, one query | p99 | "
           "times Flat (rounds) | queries/s in batch | build s |")
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for r in sorted(results, key=order):
        few = "" if r["queries"] >= 1000 else f" [{r['queries']} queries]"
        batch = "-" if np.isnan(r["batch_qps"]) else f"{r['batch_qps']:,.0f}"
        yield (f"| {r['system']}{few} | {r['code_bytes']:.1f} | {r['exact_bytes']:.0f} | {r['recall']:.4f} "
               f"({r['recall_low']:.4f}-{r['recall_high']:.4f}) | {r['recall_id']:.4f} | {r['ms_median']:.3f} | "
               f"{r['ms_p99']:.3f} | {r['times_flat']:.1f} ({r['times_flat_low']:.1f}-{r['times_flat_high']:.1f}) | "
               f"{batch} | {r['build_s']:.2f} |")


def write_markdown(path, title, lines, results, nulls, args, by_recall):
    out = [f"# {title}", ""] + [f"    {line}" for line in lines] + [""]
    order = (lambda r: (r["family"], r["recall"])) if by_recall else (lambda r: (r["code_bytes"] + r["exact_bytes"]))
    out += list(table(results, args.k, order))
    if by_recall:
        targets = (0.99, 0.998, 0.9995)
        rows = {t: at_recall(results, t) for t in targets}
        out += ["", "Milliseconds at equal recall, interpolated on each family's own curve:", "",
                "| family | " + " | ".join(str(t) for t in targets) + " |", "|---|" + "---|" * len(targets)]
        for family in dict.fromkeys(r["family"] for r in sorted(results, key=order)):
            cells = [f"{rows[t][family]:.3f}" if family in rows[t] else "-" for t in targets]
            out.append(f"| {family} | " + " | ".join(cells) + " |")
    out += ["", "A call that finds one row in an index of one, in microseconds (median; nothing is subtracted for it): "
            + ", ".join(f"{label} {us:.1f}" for label, us in nulls) + ".",
            "tqlite's build ends with a durable commit of codes (and exact rows) on disk; the others' ends in memory."]
    with open(path, "w") as file:
        file.write("\n".join(out) + "\n")
    print("\n".join(out), flush=True)


# ---- The two tables ----

def codes_systems(data, stores, args):
    d = data.dim
    names = ["Flat", f"PQ{d}x4fs", "RaBitQfs", "RaBitQfs2", "RaBitQfs4", "EDEN2", "EDEN4", "SQtqmse2", "SQtqmse3",
             "SQtqmse4", "SQtq3", "SQtq4"] + ([f"PQ{d // 2}x4fs"] if d % 2 == 0 else [])
    yield from systems.faiss_codes(data, [n for n in names if wanted(args, "FAISS " + n)])
    if wanted(args, "turbovec"):
        yield from systems.turbovec_codes(data, (2, 3, 4))
    if wanted(args, "tqlite"):
        formats = [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (2, 1), (3, 1), (4, 1), (5, 1)]
        yield from systems.tqlite_codes(data, stores, formats)


def exact_systems(data, stores, args):
    d = data.dim
    yield from systems.faiss_codes(data, ["Flat"])
    refined, ivf = f"PQ{d // 2}x4fs,RFlat", f"IVF1024,PQ{d // 2}x4fs,RFlat"
    if d % 2 == 0 and wanted(args, "FAISS " + refined):
        yield from systems.faiss_curve(data, refined, "k_factor", (4, 8, 12, 16, 24, 32, 64))
    if d % 2 == 0 and wanted(args, "FAISS " + ivf):
        yield from systems.faiss_curve(data, ivf, "nprobe", (32, 64, 128, 256, 512), base=64)
    if wanted(args, "turbovec"):
        yield from systems.turbovec_exact(data, 4, (30, 100))
    if wanted(args, "tqlite"):
        yield from systems.tqlite_curve(data, stores, 4, True, (2.0, 2.5, 3.0, 3.5, tqlite.EXACT))
        yield from systems.tqlite_curve(data, stores, 4, False, (2.0, 2.5, 3.0, 3.5, tqlite.EXACT))
    key = f"{args.name}-{args.metric}-{data.rows}"
    for module, curve in (("hnswlib", systems.hnswlib_curve), ("usearch", systems.usearch_curve)):
        try:
            if wanted(args, module):
                yield from curve(data, args.keep, key, (16, 40, 80, 160, 320, 640, 1280))
        except ImportError:
            print(module, "is not installed", flush=True)


def wanted(args, family):
    return args.only is None or family == "FAISS Flat" or any(w in family for w in args.only.split(","))


def run_table(kind, data, truth, lib, args, load):
    stores = systems.Stores(lib)
    try:
        nulls = []
        for s in systems.null_calls(data, stores):
            times, _ = ask(s, np.repeat(queries_of(s, data)[:1], 1000, axis=0))
            nulls.append((s.family, 1e3 * np.median(times)))
        made = []
        for s in (codes_systems if kind == "codes" else exact_systems)(data, stores, args):
            made.append(s)
            print(f"built {s.label}: {s.build_s:.2f} s", flush=True)
        results = measure(made, data, truth, args.rounds)
    finally:
        stores.close()
    lines = head(args, data, load)
    path = os.path.join(args.out, f"peers-{kind}-{args.name}")
    title = {"codes": "Codes only, by bytes", "exact": "With exact rows, by recall"}[kind]
    write_csv(path + ".csv", lines, results)
    write_markdown(path + ".md", f"{title}: {args.name}", lines, results, nulls, args, kind == "exact")
    plot.write(path + ".svg", title, results, kind)


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
    base = np.ascontiguousarray(np.load(args.base).astype(np.float32))
    queries = np.load(args.query).astype(np.float32)
    queries = np.ascontiguousarray(queries[np.random.default_rng(0).permutation(len(queries))[:args.queries]])
    data = systems.Data(base, queries, args.metric, args.k)
    truth = Truth(data)
    lib = tqlite.load(args.lib)
    for kind in args.table.split(","):
        run_table(kind, data, truth, lib, args, load)


if __name__ == "__main__":
    main()

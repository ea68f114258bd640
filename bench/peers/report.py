"""CSV and Markdown of one table, with all that is needed to judge it: machine, load, commit, command, versions."""
import csv
import os
import platform
import subprocess
import sys
import time
from importlib import metadata

import numpy as np

import curves
from systems import REFERENCE

PACKAGES = ("faiss-cpu", "turbovec", "scann", "hnswlib", "usearch", "rabitqlib", "scalable-vs", "zvec", "tqdb", "numpy")


def command_output(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"


def machine():
    with open("/proc/cpuinfo") as file:
        model = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return f"{model[0] if model else platform.processor()}, {os.cpu_count()} cores, one used"


def head(args, data, load, command="bench/peers/run.sh"):
    commit = command_output("git", "-C", args.root, "rev-parse", "--verify", "--short=12", "HEAD") or "none"
    changes = command_output("git", "-C", args.root, "status", "--porcelain", "--untracked-files=no")
    words = [os.path.basename(a) if "/" in a else a for a in sys.argv[1:]]
    for ours in ("--lib", "--root"):  # run.sh adds them
        del words[words.index(ours):words.index(ours) + 2]
    after = os.getloadavg()[0]
    noisy = load > 1.2 or after > 1.8
    return [f"date: {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC", f"machine: {machine()}",
            f"load: {load:.2f} before, {after:.2f} after" + ("; NOISY, others were at work" if noisy else ""),
            f"commit: {commit}" + (", with changes" if changes else ""),
            f"command: {command} {' '.join(words)}",
            f"data: {args.name}, {data.rows} x {data.dim}, {args.metric}, {len(data.queries)} queries at random in "
            f"{args.rounds} rounds",
            "versions: " + ", ".join(f"{n} {version(n)}" for n in PACKAGES)]


def write_csv(path, lines, results):
    def cell(value):
        if isinstance(value, list):
            return " ".join(f"{v:.5g}" for v in value)
        return f"{value:.6g}" if isinstance(value, float) else value
    with open(path, "w", newline="") as file:
        file.writelines(f"# {line}\n" for line in lines)
        out = csv.DictWriter(file, results[0].keys())
        out.writeheader()
        out.writerows({key: cell(value) for key, value in r.items()} for r in results)


def full_table(results, k):
    yield (f"| system | bytes a row: codes | exact | recall@{k} by score (95 %) | by id | ms, one query | p99 | "
           "p99/p50 | times Flat (rounds) | queries/s in batch | build s |")
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for r in results:
        few = "" if r["queries"] >= 1000 else f" [{r['queries']} queries]"
        batch = "-" if np.isnan(r["batch_qps"]) else f"{r['batch_qps']:,.0f}"
        yield (f"| {r['system']}{few} | {r['code_bytes']:.1f} | {r['exact_bytes']:.0f} | {r['recall']:.4f} "
               f"({r['recall_low']:.4f}-{r['recall_high']:.4f}) | {r['recall_id']:.4f} | {r['ms_median']:.3f} | "
               f"{r['ms_p99']:.3f} | {r['p99_p50']:.1f} | {r['times_flat']:.1f} ({r['times_flat_low']:.1f}-"
               f"{r['times_flat_high']:.1f}) | {batch} | {r['build_s']:.2f} |")


def grid(results, title, cell):
    """A family a line, a recall a column."""
    names = sorted(curves.families(results))
    yield from ("", title, "", "| family | " + " | ".join(map(str, curves.TARGETS)) + " |",
                "|---|" + "---|" * len(curves.TARGETS))
    for family in names:
        cells = [cell(family, target) for target in curves.TARGETS]
        yield f"| {family} | " + " | ".join("-" if c is None else c for c in cells) + " |"


def equal_recall(results):
    """The three grids: a dash is a family whose points do not reach so far, or which was asked no batch."""
    def time_cell(family, target):
        value = curves.times_at(results, family, target)
        return None if value is None else f"{value:.3f}"

    def rate_cell(family, target):
        value = curves.rates_at(results, family, target)
        return None if value is None else f"{value:,.0f}"

    def ratio_cell(family, target):
        both = curves.ratios_at(results, family, REFERENCE, target)
        return None if both is None else f"{both[0]:.2f} ({both[1]:.2f})"
    yield from grid(results, "Milliseconds of one query at equal recall, interpolated on each family's own curve:",
                    time_cell)
    if REFERENCE in curves.families(results):
        yield from grid(results, f"The same as multiples of {REFERENCE}: the median over rounds of the family's time "
                        "over tqlite's in that round, and in brackets the lower quartile. Above 1, tqlite is faster:",
                        ratio_cell)
    yield from grid(results, "Queries a second in batches of 1,000 in one call, at equal recall of the batch:",
                    rate_cell)


def null_line(nulls):
    return ("What a call costs that finds all there is to find in the smallest index, one row unless said otherwise, "
            "in microseconds (median; nothing is subtracted for it): "
            + ", ".join(f"{label} {us:.1f}" for label, us in nulls) + ".")


def write_table(path, title, lines, results, nulls, k, by_recall):
    out = [f"# {title}", ""] + [f"    {line}" for line in lines] + [f"    k: {k}", ""]
    order = (lambda r: (r["family"], r["recall"])) if by_recall else (lambda r: (r["code_bytes"] + r["exact_bytes"]))
    out += full_table(sorted(results, key=order), k)
    if by_recall:
        out += equal_recall(results)
    out += ["", null_line(nulls),
            "tqlite's build ends with a durable commit of codes (and exact rows) on disk, tqdb's and zvec's with "
            "files; the others' end in memory. Builds that --keep keeps are in processor seconds, the others by the "
            "clock."]
    save(path, out)


def write_by_k(path, title, lines, by_k):
    """One table of milliseconds at equal recall, for several k."""
    out = [f"# {title}", ""] + [f"    {line}" for line in lines]
    for k, results in by_k.items():
        out += ["", f"## k = {k}"]
        out += equal_recall(results)
    out += ["", "## Points", ""]
    for k, results in by_k.items():
        out += ["", *full_table(sorted(results, key=lambda r: (r["family"], r["recall"])), k)]
    save(path, out)


def save(path, out):
    with open(path, "w") as file:
        file.write("\n".join(out) + "\n")
    print("\n".join(out), flush=True)

"""From the lines of build/gpu and of gpu_peers.py to a file of results.

    python3 bench/peers/gpu_report.py GPU.csv PEERS.csv FOLDER

writes FOLDER/gpu-<device>.csv and .md, and prints the table of the README. Needs Python 3 alone."""
import csv
import os
import re
import sys


class Lines:
    """Remarks ("# name: value", and others) and lines of both files."""

    def __init__(self, paths):
        self.facts, self.remarks, self.lines, self.text = {}, [], [], []
        for path in paths:
            with open(path, encoding="utf-8", newline="") as file:
                lines = file.read().splitlines()
            self.text += lines if not self.text else [line for line in lines if not line.startswith("system,")]
            for line in lines:
                if line.startswith("# "):
                    name, colon, value = line[2:].partition(": ")
                    self.remarks.append(line[2:])
                    if colon and " " not in name:
                        self.facts.setdefault(name, value)
            self.lines += csv.DictReader(line for line in lines if not line.startswith("#"))

    def fact(self, name):
        return float(self.facts.get(name, "nan"))

    def some(self, table, **wanted):
        return [line for line in self.lines if line["table"] == table and
                all(line[name] == str(value) for name, value in wanted.items())]

    def remarks_of(self, *words):
        return [remark for remark in self.remarks if any(word in remark for word in words)]


def number(text, decimals=None):
    if text in ("", None):
        return ""
    return f"{float(text):,.{decimals}f}" if decimals is not None else f"{int(float(text)):,}"


def spread(line, kind):
    if not line[kind + "_ms"]:
        return ""
    return f"{float(line[kind + '_ms']):.3f} ({float(line[kind + '_least']):.3f}-{float(line[kind + '_most']):.3f})"


def percent(value, whole):
    return f"{100 * value / whole:.1f}" if whole > 0 else ""


def best_ms(line):
    """By events where they are known."""
    return float(line["device_ms"] or line["host_ms"])


def table(heads, rows):
    return ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads),
            *("| " + " | ".join(row) + " |" for row in rows), ""]


def against(lines, line):
    """How often faster than torch in fp16, same rows and queries: by events, and by the clock."""
    for peer in lines.some("exact", rows=line["rows"], dim=line["dim"], queries=line["queries"]):
        if peer["system"].startswith("torch fp16"):
            by_clock = f"{float(peer['host_ms']) / float(line['host_ms']):.1f}"
            return f"{best_ms(peer) / best_ms(line):.1f}" if line["device_ms"] else "", by_clock
    return "", ""


def searches(lines, wanted):
    heads = ["system", "rows", "queries", "device ms", "host ms", "GB read", "% of B", "recall@10", "x torch fp16",
             "x by the clock", "candidates", "note"]
    rows = []
    for line in sorted(wanted, key=lambda line: (int(line["rows"]), int(line["queries"]), best_ms(line))):
        size = float(line["bytes"]) / 1e9 if line["bytes"] else None
        share = percent(size / best_ms(line) * 1e3, lines.fact("read_gb_s")) if size else ""
        rows.append([line["system"], number(line["rows"]), line["queries"], spread(line, "device"),
                     spread(line, "host"), f"{size:.3f}" if size else "", share, line["recall"],
                     *against(lines, line), line["candidates"], line["note"]])
    return table(heads, rows)


def quantizing(lines):
    heads = ["what", "dim", "rows", "kernels ms", "GB/s", "% of copy", "whole ms", "rows/s", "note"]
    rows = []
    for line in lines.some("quantize"):
        rate = float(line["bytes"]) / float(line["device_ms"]) / 1e6 if line["device_ms"] else None
        rows.append([line["system"], line["dim"], number(line["rows"]), spread(line, "device"),
                     f"{rate:.0f}" if rate else "", percent(rate, lines.fact("copy_gb_s")) if rate else "",
                     spread(line, "host"), number(1e3 * float(line["rows"]) / float(line["host_ms"])), line["note"]])
    return table(heads, rows)


def shares(lines):
    heads = ["rows", "queries", "survivors %", "device ms", "host ms", "candidates", "recall@10", "how"]
    chosen = lines.some("exact", system="tqlite cascade", queries=1) + lines.some("forced")
    return table(heads, [[number(line["rows"]), line["queries"], line["share_percent"], spread(line, "device"),
                          spread(line, "host"), line["candidates"], line["recall"], line["note"]]
                         for line in sorted(chosen, key=lambda line: int(line["rows"]))])


def eight(lines):
    """Eight queries beside one."""
    rows = []
    for line in lines.lines:
        if line["queries"] != "8" or line["table"] not in ("exact", "codes"):
            continue
        one = lines.some(line["table"], system=line["system"], rows=line["rows"], queries=1)
        if one:
            rows.append([line["system"], number(line["rows"]), f"{best_ms(one[0]):.3f}", f"{best_ms(line):.3f}",
                         f"{best_ms(line) / best_ms(one[0]):.2f}"])
    return table(["system", "rows", "one, ms", "eight, ms", "ratio"], rows)


def library(lines):
    rows = []
    for line in lines.some("library"):
        cpu = lines.some("library", system="tq_search, CPU, one thread", rows=line["rows"], queries=line["queries"])
        rows.append([line["system"], number(line["rows"]), line["dim"], line["queries"], spread(line, "host"),
                     f"{float(cpu[0]['host_ms']) / float(line['host_ms']):.1f}" if cpu else "", line["recall"],
                     line["note"]])
    return table(["way", "rows", "dim", "queries", "ms", "x one thread", "recall@10", "answers"], rows)


def document(lines, command):
    facts = lines.facts
    own = [line for line in lines.some("exact") + lines.some("codes") if line["recall"]]
    head = [f"# {name}: {facts[name]}" for name in ("date", "machine", "commit", "command") if name in facts]
    head += [f"# device: {facts.get('device', 'unknown')}; driver {facts.get('driver', 'unknown')}; clocks SM "
             f"{facts.get('sm_clock', '?')} of {facts.get('sm_clock_most', '?')}, memory "
             f"{facts.get('memory_clock', '?')}; power limit {facts.get('power_limit', '?')}",
             f"# peers: gpu_peers.py, torch {facts.get('torch', '?')}; this file: {command}", ""]
    text = [
        f"Of the same device in the same run: B, reading {facts.get('read_gb_s', '?')} GB/s; copying "
        f"{facts.get('copy_gb_s', '?')} GB/s (read and written); int8 GEMM 8192^3 {facts.get('int8_tops', '?')} TOPS; "
        f"fp16 {facts.get('fp16_tflops', '?')} TFLOPS. Level 2: {facts.get('l2_mb', '?')} MB; all data below is "
        "several times larger.", "",
        "Medians of 20 after 3 to warm up, each with another query; in brackets the least and the most. Device: "
        "by events (tqlite: from the query's copy to the answer's; peers: the search alone, of a graph where the note "
        "says so). Host: by the clock, from a query in memory to candidates or ids in memory. Rows are made, none "
        "twice (bench/gpu_made.c). Recall@10 is by score, over 24 queries, against exact neighbours in double.", "",
        "## Quantize", "",
        "Whole: from pageable memory and back. Kernels: by events, summed over the chunks that rows are streamed in; "
        "several run at once, so it is more than a launch for all rows would take.", "", *quantizing(lines),
        "## Codes alone", "",
        "Bytes are what is read. tqlite scores every row by its full code with QJL, bounds each, and finds the bar and "
        "the rows that reach it; recall is that of the codes' own estimates.", "",
        *searches(lines, [line for line in own if line["table"] == "codes"]),
        "## With exact rows", "",
        "tqlite's cascade returns every row that may be among the ten; ranking them by exact rows is not in these "
        "times but in those of the library below. torch and jax read exact rows (fp16) alone.", "",
        *searches(lines, [line for line in own if line["table"] == "exact"]),
        "## The cascade by survivors", "",
        "The first plane's gate of every query is made wider or narrower until .2, 1, 3 and 10 % of the rows survive "
        "it. Queries far from all rows have no near neighbours, so that the bar is low and "
        "the device reads deeper.", "", *shares(lines),
        "## Eight queries beside one", "", *eight(lines),
        "## The library on the same host", "",
        "tq_search over a store, exact rows ranked; answers compared to the last bit.", "", *library(lines),
        "## Remarks of the run", "",
        *(f"- {remark}" for remark in lines.remarks_of("rows made", "store of", "first query", "do not fit",
                                                       "failed", "fallback", "no graph", "truth of")),
        "- cuVS brute force was not measured: the wheel of libcuvs is 241 MB, and this machine without a network "
        "takes 64 MiB.", ""]
    return "\n".join(head + text)


def for_readme(lines):
    """The lines that the README shows: one query, best of each kind, and quantizing."""
    facts, rows = lines.facts, []
    for line in lines.some("quantize", system="tqlite on the device"):
        rows.append([f"quantize {number(line['rows'])} x {line['dim']}, from memory and back",
                     f"{float(line['host_ms']):.1f} ms",
                     f"{number(1e3 * float(line['rows']) / float(line['host_ms']))} rows/s"])
    for name, kind in (("tqlite full codes", "codes"), ("tqlite cascade", "exact")):
        for line in lines.some(kind, system=name, queries=1):
            if line["recall"]:
                ratio = against(lines, line)[0]
                rows.append([f"{name[7:]}, {number(line['rows'])} x {line['dim']}", f"{best_ms(line):.3f} ms",
                             f"recall@10 {float(line['recall']):.3f}" + (f", {ratio} x torch fp16" if ratio else "")])
    for line in lines.some("library", queries=1, dim=768):
        rows.append([f"{line['system']}, {number(line['rows'])} x {line['dim']}", f"{float(line['host_ms']):.3f} ms",
                     f"recall@10 {float(line['recall'] or 'nan'):.3f}"])
    for line in lines.some("exact", queries=1) + lines.some("codes", queries=1):
        if not line["system"].startswith("tqlite"):
            rows.append([f"{line['system']}, {number(line['rows'])} x {line['dim']}", f"{best_ms(line):.3f} ms",
                         f"recall@10 {float(line['recall']):.3f}"])
    device = facts.get("device", "?").split(",")[0]
    head = [f"{device}, b = 4 with QJL, cosine, k = 10, one query", "median", ""]
    return "\n".join(table(head, rows))


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    lines = Lines(sys.argv[1:3])
    name = re.sub(r"[^a-z0-9]+", "-", lines.facts.get("device", "unknown").split(",")[0].lower()).strip("-")
    base = os.path.join(sys.argv[3], "gpu-" + name.removeprefix("nvidia-"))
    command = " ".join(["gpu_report.py", *map(os.path.basename, sys.argv[1:])])
    with open(base + ".csv", "w", encoding="utf-8") as file:
        file.write("\n".join(lines.text) + "\n")
    with open(base + ".md", "w", encoding="utf-8") as file:
        file.write(document(lines, command))
    print(for_readme(lines))


if __name__ == "__main__":
    main()

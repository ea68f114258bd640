"""Other ways to find k neighbours on the same GPU, on the rows that bench/gpu.c makes.

    python3 bench/peers/gpu_peers.py [--rows 1000000,10000000] [--csv FILE] [--only WORD,...]

Needs torch with CUDA and Triton; jax and bitsandbytes are used if they are there. One CSV line a system, size and
number of queries: medians of 20 after 3 warm-ups, each with another query. device_ms is by events around the call (of a
CUDA graph where it could be captured, as the note says), host_ms by the clock from a query in the host's memory to ids
in the host's memory. table: `codes` for systems that rank by codes alone, `exact` for those that read exact rows."""
import argparse
import csv
import io
import os
import subprocess
import sys
import time

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
import torch

from gpu_made import Made, Truth
from gpu_systems import SYSTEMS, read_all

REPEATS, WARM, QUERIES = 20, 3, 24
COLUMNS = ("system,table,rows,dim,queries,k,share_percent,candidates,device_ms,device_least,device_most,"
           "host_ms,host_least,host_most,bytes,recall,note")


def by_events(call, count):
    found = []
    for i in range(WARM + REPEATS):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize()
        begin.record()
        call(i % count)
        end.record()
        end.synchronize()
        found.append(begin.elapsed_time(end))
    return sorted(found[WARM:])


def by_clock(call, count):
    found = []
    for i in range(WARM + REPEATS):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        call(i % count)
        found.append(1e3 * (time.perf_counter() - begin))
    return sorted(found[WARM:])


def spread(times):
    return [f"{t:.4f}" for t in (times[len(times) // 2], times[0], times[-1])] if times else ["", "", ""]


def captured(system, example):
    """The search as a graph over one buffer of queries, or None."""
    held, stream = example.clone(), torch.cuda.Stream()
    try:
        with torch.cuda.stream(stream):
            for _ in range(3):
                system.search(held)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            system.search(held)
    except Exception as problem:  # a library that cannot be captured is timed by plain calls
        print(f"# {system.name}: no graph: {str(problem).splitlines()[0]}", file=sys.stderr)
        torch.cuda.synchronize()
        return None
    return lambda queries: (held.copy_(queries), graph.replay())


def measure(system, truth, queries, per_call, row):
    """One line of the CSV."""
    on_host = [torch.stack([queries[(i * per_call + j) % QUERIES] for j in range(per_call)]).cpu()
               for i in range(QUERIES)]
    on_device = [batch.cuda() for batch in on_host]
    hits = 0
    for i in range(QUERIES // per_call):
        for j, ids in enumerate(system.search(on_device[i]).tolist()):
            hits += truth.hits(i * per_call + j, ids)
    graph = captured(system, on_device[0]) if system.graphs else None
    run = graph or system.search
    device = by_events(lambda i: run(on_device[i]), QUERIES) if system.events else None
    host = by_clock(lambda i: system.search(on_host[i].cuda()).cpu(), QUERIES)
    note = "; ".join(filter(None, [system.note, "graph" if graph else ""]))
    return [system.name, system.table, *row, per_call, truth.k, "", "", *spread(device), *spread(host), system.bytes,
            f"{hits / (QUERIES // per_call * per_call * truth.k):.4f}", note]


def quoted(values):
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(values)
    return out.getvalue()


def rates():
    """What the device can do, in GB/s and in tera-operations a second."""
    words = torch.randint(-2**31, 2**31 - 1, (1 << 30,), dtype=torch.int32, device="cuda")
    other = torch.empty_like(words)
    size = words.numel() * 4 / 1e6
    copy = 2 * size / by_events(lambda i: other.copy_(words), 1)[REPEATS // 2]
    del other
    read = max(size / by_events(lambda i: read_all(words, way), 1)[REPEATS // 2] for way in range(6))
    del words
    n = 8192
    a, b = (torch.randint(-127, 127, (n, n), dtype=torch.int8, device="cuda") for _ in range(2))
    int8 = 2 * n**3 / by_events(lambda i: torch._int_mm(a, b.t()), 1)[REPEATS // 2] / 1e9
    c, d = torch.randn(n, n, device="cuda").half(), torch.randn(n, n, device="cuda").half()
    half = 2 * n**3 / by_events(lambda i: torch.mm(c, d.t()), 1)[REPEATS // 2] / 1e9
    level2 = getattr(torch.cuda.get_device_properties(0), "L2_cache_size", 0)
    return {"l2_mb": f"{level2 / 1e6:.0f}", "read_gb_s": f"{read:.0f}", "copy_gb_s": f"{copy:.0f}",
            "int8_tops": f"{int8:.0f}", "fp16_tflops": f"{half:.0f}"}


def machine():
    """Driver and clocks, while the device is still warm."""
    wanted = "driver_version,clocks.sm,clocks.max.sm,clocks.mem,power.limit"
    try:
        done = subprocess.run(["nvidia-smi", "--query-gpu=" + wanted, "--format=csv,noheader"], capture_output=True,
                              text=True, check=True)
        return dict(zip(("driver", "sm_clock", "sm_clock_most", "memory_clock", "power_limit"),
                        done.stdout.splitlines()[0].split(", ")))
    except (OSError, subprocess.CalledProcessError):
        return {"driver": "unknown"}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", default="1000000,10000000")
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--csv", default="/dev/stdout")
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    out = open(args.csv, "w", encoding="utf-8")

    def tell(line):
        print(line, file=out, flush=True)
        if args.csv != "/dev/stdout":
            print(line, flush=True)
    start = time.time()
    facts = {"device": torch.cuda.get_device_name(), "torch": torch.__version__, **rates(), **machine()}
    made = Made(args.dim)
    queries = made.queries(QUERIES)
    for name, value in facts.items():
        tell(f"# {name}: {value}")
    tell(COLUMNS)
    for rows in map(int, args.rows.split(",")):
        truth = Truth(made, queries, rows, args.k)
        tell(f"# truth of query 0 among {rows}: {' '.join(map(str, truth.ids[0]))}")
        for make in SYSTEMS:
            if args.only and not any(word in make.__name__ for word in args.only.split(",")):
                continue
            try:
                system = make(made, rows, args.k)
                for per_call in (1, 8):
                    tell(quoted(measure(system, truth, queries, per_call, [rows, args.dim])))
            except Exception as problem:  # a peer that fails is named, and the others are measured
                tell(f"# {make.__name__} {rows}: failed: {type(problem).__name__}: {str(problem).splitlines()[:1]}")
            system = None
            torch.cuda.empty_cache()
        tell(f"# seconds so far: {time.time() - start:.0f}")


if __name__ == "__main__":
    main()

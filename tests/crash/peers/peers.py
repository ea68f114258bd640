#!/usr/bin/env python3
"""What is left of a saved index after a kill, a flipped byte or a shortened file: tqlite beside other systems.

  peers.py --library libtq.so --stop stop_at [--only WORD,...] [--points N] [--flips N] [--cuts N] [--seed S]
           [--out FILE]

The same rows, queries and rules for all (run.sh makes what it needs). An index of 1,000 rows is saved at a path, and:

kill     another index is saved over it, and the process killed (-9) before a call that changes files, and again with
         half of a write done. Up to --points such calls of a save, evenly, the first and last ones always. Then a new
         process asks 20 queries: all answers of the old index, all of the new one, or neither.
flip     one byte of the saved files gets another value. Pages of 4 KiB that hold only zeros are left out, so that no
         system gains by empty space. Then a new process asks.
cut      a file ends early.

What a process says: `same`, the answers before, to the last bit; `error`; `other`, answers that differ, without any
error; `crash`, a signal, or no answer in 20 seconds.
"""
import argparse
import ctypes
import multiprocessing
import os
import pickle
import platform
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, namedtuple

import numpy as np
import systems

ROWS, DIM, QUERIES, SECONDS = 1000, 64, 20, 20
PAGE = 4096


# ---- Processes ----

def quiet():
    """Libraries print what they think of damaged files."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def take(generator):
    """The rest of what a generator does."""
    for _ in generator:
        pass


def ask(system, paths, queries, pipe):
    """In a process of its own: a pickle for each path."""
    with os.fdopen(pipe, "wb") as out:
        for path in paths:
            try:
                ids, scores = system.answer(path, queries)
                result = ("answer", np.asarray(ids, np.int64).tobytes(), np.asarray(scores, np.float64).tobytes())
            except systems.ShortAnswer as error:
                result = ("answer", repr(error).encode(), b"")
            except BaseException as error:  # a panic of Rust is not an Exception
                result = ("error", f"{type(error).__name__}: {error}"[:300].encode(), b"")
            pickle.dump(result, out)
            out.flush()


def read_result(pipe, deadline):
    """What the process says next, or None."""
    ready, _, _ = select.select([pipe], [], [], max(0, deadline - time.monotonic()))
    if not ready:
        return None
    try:
        return pickle.load(pipe)
    except EOFError:
        return None


def answers(system, paths, queries):
    """What a new process says of each path; one that a signal ends says `crash`."""
    results = []
    while len(results) < len(paths):
        # A system that cannot be forked takes long to load: several paths, which it has never seen, in one process.
        rest = paths[len(results):len(results) + (20 if system.threads else 1)]
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            quiet()
            signal.alarm(SECONDS * (len(rest) + 1))
            ask(system, rest, queries, write)
            os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb", buffering=0) as pipe:
            for _ in rest:
                result = read_result(pipe, time.monotonic() + SECONDS)
                results.append(result or ("crash", b"", b""))
                if result is None:
                    break
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(pid, 0)
    return results


def save(system, path, vectors, stop=None, number=0, torn=False):
    """Save in a new process; killed before its call `number` where that is not 0. Returns how many calls it made."""
    ready_read, ready_write = os.pipe()
    go_read, go_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            saving = system.save(path, vectors)
            next(saving)
        except Exception as error:
            print(f"{system.name}: {error}", file=sys.stderr)
            os._exit(1)
        quiet()
        os.write(ready_write, b"1")
        os.read(go_read, 1)
        take(saving)
        os._exit(0)
    os.close(ready_write)
    if os.read(ready_read, 1) != b"1":
        raise RuntimeError(f"{system.name} cannot save")
    tracer = None
    if stop:
        command = [stop, str(pid), str(number)] + (["torn"] if torn else [])
        tracer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        if tracer.stdout.readline() != "ready\n":
            raise RuntimeError("stop_at does not start")
    os.write(go_write, b"1")
    calls = 0
    if tracer:
        calls = int(tracer.communicate()[0].split("calls ")[1])
    _, status = os.waitpid(pid, 0)
    for pipe in (ready_read, go_read, go_write):
        os.close(pipe)
    if status != 0 and not number:
        raise RuntimeError(f"{system.name} cannot save: status {status}")
    return calls


# ---- Three experiments ----

def copy(pattern, path):
    """What lies in one folder into another, of the same name."""
    shutil.copytree(pattern, path)


def spread(calls, points):
    """Up to `points` numbers of 1..calls, the ends among them."""
    if calls <= points:
        return list(range(1, calls + 1))
    return sorted({1 + round(i * (calls - 1) / (points - 1)) for i in range(points)})


class Experiment:
    def __init__(self, system, options, folder):
        self.system, self.options, self.folder = system, options, folder
        rng = np.random.default_rng(options.seed)
        self.old, self.new = (rng.standard_normal((ROWS, DIM)).astype(np.float32) for _ in range(2))
        self.queries = rng.standard_normal((QUERIES, DIM)).astype(np.float32)
        self.random = random.Random(options.seed)
        self.pattern = os.path.join(folder, "pattern")
        self.examples = {}
        os.mkdir(self.pattern)
        save(system, self.index(self.pattern), self.old)
        self.before = self.look([self.pattern])[0]
        self.bytes = sum(len(content) for _, content in self.files())
        other = os.path.join(folder, "after")
        copy(self.pattern, other)
        self.calls = save(system, self.index(other), self.new, options.stop)
        self.after = self.look([other])[0]
        shutil.rmtree(other)
        if self.before[0] != "answer" or self.after[0] != "answer" or self.before == self.after:
            raise RuntimeError(f"{system.name}: {self.before[:2]} {self.after[:2]}")
        if self.look([self.pattern])[0] != self.before:
            raise RuntimeError(f"{system.name} does not give the same answer twice")

    def index(self, folder):
        return os.path.join(folder, "index")

    def look(self, folders):
        return answers(self.system, [self.index(folder) for folder in folders], self.queries)

    def kind(self, result):
        if result == self.before:
            return "same"
        return {"answer": "other"}.get(result[0], result[0])

    def note(self, word, kind, what, result):
        """The first of each kind that is no good end."""
        said = result[1].decode(errors="replace").replace(self.folder, "")[:160] if result[0] == "error" else ""
        if kind not in ("same", "old", "new"):
            self.examples.setdefault(f"{word}, {kind}", what + (f": `{said}`" if said else ""))

    def kill(self):
        """Counts of old, new, error, other, crash, by point."""
        counts = Counter()
        for number in spread(self.calls, self.many(self.options.points)):
            for torn in (False, True):
                folder = os.path.join(self.folder, f"kill{number}{torn}")
                copy(self.pattern, folder)
                save(self.system, self.index(folder), self.new, self.options.stop, number, torn)
                result = self.look([folder])[0]
                kind = "old" if result == self.before else "new" if result == self.after else self.kind(result)
                counts[kind] += 1
                self.note("kill", kind, f"before call {number} of {self.calls}" + ", half done" * torn, result)
                shutil.rmtree(folder)
        return counts

    def damaged(self, word, many, damage):
        """Counts of kinds over `many` copies, each damaged in its own way."""
        counts, batch = Counter(), 20
        for first in range(0, many, batch):
            folders, whats = [], []
            for number in range(first, min(many, first + batch)):
                folder = os.path.join(self.folder, f"{word}{number}")
                copy(self.pattern, folder)
                whats.append(damage(folder))
                folders.append(folder)
            for folder, what, result in zip(folders, whats, self.look(folders)):
                kind = self.kind(result)
                counts[kind] += 1
                self.note(word, kind, what, result)
                shutil.rmtree(folder)
        return counts

    def many(self, wanted):
        return wanted // (5 if self.system.slow else 1)

    def files(self):
        """(path in the pattern's folder, bytes), those of locks aside: they say nothing once nobody has them open."""
        for file in self.system.kept(self.index(self.pattern)):
            if os.path.getsize(file) > 0 and os.path.basename(file) != "lock.mdb":
                with open(file, "rb") as handle:
                    yield os.path.relpath(file, self.pattern), handle.read()

    def flip(self):
        places = [(name, at, min(PAGE, len(content) - at)) for name, content in self.files()
                  for at in range(0, len(content), PAGE) if content[at:at + PAGE].strip(b"\0")]
        weights = [size for _, _, size in places]

        def damage(folder):
            name, page, size = self.random.choices(places, weights)[0]
            at, change = page + self.random.randrange(size), self.random.randrange(1, 256)
            with open(os.path.join(folder, name), "r+b") as file:
                file.seek(at)
                byte = file.read(1)[0] ^ change
                file.seek(at)
                file.write(bytes([byte]))
            return f"{name}, byte {at} ^ {change}"
        return self.damaged("flip", self.many(self.options.flips), damage)

    def cut(self):
        sizes = [(name, len(content)) for name, content in self.files()]

        def damage(folder):
            name, size = self.random.choices(sizes, [size for _, size in sizes])[0]
            length = self.random.randrange(size)
            os.truncate(os.path.join(folder, name), length)
            return f"{name}, {length} of {size} bytes"
        return self.damaged("cut", self.many(self.options.cuts), damage)


# ---- The tables ----

NOTES = (
    "Databases run with their defaults (journal mode delete, WAL where it says so) and `synchronous = full`; turbovec"
    " with `durable=True`, its default. The libraries that write over their file promise nothing, and are asked to do"
    " just that: who needs more writes elsewhere and renames. Calls count the whole of a save: tqlite's with `optimize`"
    " behind it, which the commit does not need.",
    "A process that is killed leaves what it wrote to the operating system. Power failures lose more; these tables do"
    " not show them.",
    "Answers are compared to the last bit of ids and distances. *Same answers* says that 20 queries did not meet the"
    " damage: it may lie in free pages, in slack, or in rows that no query came near.",
    "A system whose process takes long until it answers has a fifth of the points and states.",
)


def row(words):
    return "| " + " | ".join(str(word) for word in words) + " |"


def tables(done):
    yield "### Killed while it saves over an index"
    yield ""
    yield row(("system", "what it promises", "calls of a save", "points", "old", "new", "error", "other answers",
               "crash", "neither loads"))
    yield row(("---",) * 2 + ("---:",) * 8)
    for result in done:
        kill = result.kill
        points = sum(kill.values())
        bad = points - kill["old"] - kill["new"]
        yield row((result.name, result.promise, result.calls, points, kill["old"], kill["new"], kill["error"],
                   kill["other"], kill["crash"], f"{bad} ({100 * bad / max(1, points):.0f} %)"))
    for title, name in (("One byte changed", "flip"), ("A file cut short", "cut")):
        yield ""
        yield "### " + title
        yield ""
        yield row(("system", "bytes", "states", "same answers", "error", "**other answers, silently**", "crash"))
        yield row(("---",) + ("---:",) * 6)
        for result in done:
            counts = getattr(result, name)
            total = max(1, sum(counts.values()))
            shares = [f"{counts[kind]} ({100 * counts[kind] / total:.1f} %)" for kind in
                      ("same", "error", "other", "crash")]
            yield row((result.name, f"{result.bytes:,}", sum(counts.values()), *shares))


def machine(options):
    def said(*command):
        here = os.path.dirname(os.path.abspath(__file__))
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=here)
        return done.stdout.strip() or "?"
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        cpu = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), platform.machine())
    changed = " and changes" if said("git", "status", "--porcelain", "-uno") != "?" else ""
    yield f"- date: {time.strftime('%Y-%m-%d %H:%M')}, load {os.getloadavg()[0]:.1f}"
    yield (f"- machine: {cpu}, {os.cpu_count()} processors, Linux {platform.release()},"
           f" Python {platform.python_version()}")
    yield f"- commit: {said('git', 'rev-parse', '--short', 'HEAD')}{changed}"
    yield (f"- command: tests/crash/peers/run.sh --points {options.points} --flips {options.flips}"
           f" --cuts {options.cuts} --seed {options.seed}")


def set_up(options):
    """tqlite's version, and one thread in what would start more: processes are forked."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[name] = "1"
    library = ctypes.CDLL(os.path.abspath(options.library))
    library.tq_version.restype = ctypes.c_char_p
    options.library_version, options.dim = library.tq_version().decode(), DIM


Result = namedtuple("Result", "name promise version calls bytes kill flip cut examples")


def examine(kind, options, pipe):
    """All that is to be known of one system, in a process of its own: libraries do not go well with each other."""
    system = kind(options)
    try:
        version = f"{system.package or 'tqlite'} {system.version()}"
        if not system.threads:
            system.load()
        with tempfile.TemporaryDirectory(prefix="tq-peers-") as folder:
            experiment = Experiment(system, options, folder)
            counts = experiment.kill(), experiment.flip(), experiment.cut()
        pipe.send(Result(system.name, system.promise, version, experiment.calls, experiment.bytes, *counts,
                         experiment.examples))
    except Exception as error:  # a peer that is not here, or is too new, is named
        pipe.send(f"{system.name}: {error}")


def run(options):
    """(results, systems that are left out and why)"""
    done, absent = [], []
    for kind in systems.SYSTEMS:
        if options.only and not any(word.lower() in kind.name.lower() for word in options.only.split(",")):
            continue
        start = time.monotonic()
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(target=examine, args=(kind, options, theirs))
        process.start()
        theirs.close()
        try:
            result = ours.recv()
        except EOFError:
            result = f"{kind.name}: the process ended"
        process.join()
        (absent if isinstance(result, str) else done).append(result)
        print(result, f"{time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    return done, absent


def report(options, done, absent):
    yield "# What is left after a kill, a flipped byte, a shortened file: tqlite and its peers"
    yield ""
    yield from machine(options)
    yield f"- versions: {', '.join(dict.fromkeys(result.version for result in done))}"
    yield (f"- {ROWS:,} rows of {DIM} floats; {QUERIES} queries for 10 neighbours decide. What the columns mean: the"
           " head of `tests/crash/peers/peers.py`.")
    for text in absent:
        yield f"- left out: {text}"
    yield ""
    yield from tables(done)
    yield ""
    yield "### Notes"
    yield ""
    yield from ("- " + note for note in NOTES)
    yield ""
    yield "### One example of each"
    yield ""
    for result in done:
        for what, example in result.examples.items():
            yield f"- {result.name}, {what}: {example}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", required=True)
    parser.add_argument("--stop", required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--points", type=int, default=60)
    parser.add_argument("--flips", type=int, default=2000)
    parser.add_argument("--cuts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out")
    options = parser.parse_args()
    set_up(options)
    text = "\n".join(report(options, *run(options))) + "\n"
    print(text)
    if options.out:
        with open(options.out, "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    main()

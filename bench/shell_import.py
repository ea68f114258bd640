#!/usr/bin/env python3
"""What .import and .export of tqshell cost, and how soon its prompt stands: shell_import.py BUILD BASE QUERY WORDS

  BUILD   build folder with tqshell and ingest (-DTQ_BENCH=ON); BASE, QUERY: .npy files of f16, f32 or f64
  WORDS   a text file with a word for each row of BASE
  --rounds N       of each import, in turn with the others (9)
  --large ROWS     of the file that is larger than memory (5,000,000; 0: leave it out)
  --memory MB      what a process may have, its page cache too (200; root, control groups)

Times of .import are what it prints: from the command to the end of the commit, which is durable. The library's is that
of `ingest`: tq_put_many() of the same rows from memory, durable. Systems take turns, in an order that changes.
"""
import argparse
import os
import pty
import random
import re
import select
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

SAMPLE_SECONDS = 0.02


# ---- Files ----

def npy_rows(path):
    """The rows of a .npy file as bytes of float32, and their dimension."""
    with open(path, "rb") as file:
        head = file.read(10)
        header = file.read(struct.unpack("<H", head[8:10])[0]).decode()
        data = file.read()
    kind = re.search(r"'descr': '<(f[248])'", header).group(1)
    rows, dim = map(int, re.search(r"'shape': \((\d+), (\d+)\)", header).groups())
    if kind != "f4":
        code = {"f2": "e", "f8": "d"}[kind]
        values = struct.unpack("<%d%s" % (rows * dim, code), data)
        data = struct.pack("<%df" % (rows * dim), *values)
    return data, rows, dim


def write_npy(path, data, rows, dim, repeat):
    """`data` again and again, `repeat` rows in all."""
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }" % (repeat, dim)
    header += " " * (-(len(header) + 11) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        for start in range(0, repeat, rows):
            file.write(data[:min(rows, repeat - start) * dim * 4])


def write_words(path, data, words, dim):
    row = struct.Struct("<%df" % dim)
    line = " %.5g" * dim
    with open(words, encoding="utf-8") as names, open(path, "w", encoding="utf-8") as file:
        for place, word in enumerate(names):
            file.write(word.rstrip("\n") + line % row.unpack_from(data, place * dim * 4) + "\n")


# ---- Runs ----

def remove(database):
    for path in (database, database + "-journal"):
        if os.path.exists(path):
            os.remove(path)
    shutil.rmtree(database + "-tq", ignore_errors=True)


def shell(build, database, *commands):
    made = subprocess.run([os.path.join(build, "tqshell"), database, *commands], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if made.returncode != 0:
        sys.exit("%s: %s" % (commands, made.stdout))
    return made.stdout


def rows_a_second(text):
    return float(re.search(r"\(([\d,]+)/s", text).group(1).replace(",", ""))


def library_rate(build, base, query):
    text = subprocess.run([os.path.join(build, "ingest"), base, query, "1"], stdout=subprocess.PIPE, text=True,
                          check=True).stdout
    return float(re.search(r"durable: (\d+) vectors/s", text).group(1))


def measure(build, base, query, folder, files, rounds):
    """Rates in rows/s by name, a list for each; "library" is one of them."""
    rates = {name: [] for name in ["library", *files]}
    database = os.path.join(folder, "timed.db")
    for turn in range(rounds + 1):
        names = list(rates)
        random.Random(turn).shuffle(names)
        for name in names:
            remove(database)
            if name == "library":
                rate = library_rate(build, base, query)
            else:
                rate = rows_a_second(shell(build, database, ".import %s words" % files[name]))
            if turn > 0:  # the first is for warming up
                rates[name].append(rate)
    remove(database)
    return rates


# ---- Memory ----

def status_mb(pid, field):
    try:
        with open("/proc/%d/status" % pid, encoding="ascii") as file:
            found = re.search(r"^%s:\s+(\d+) kB" % field, file.read(), re.M)
            return int(found.group(1)) / 1000 if found else 0
    except OSError:
        return 0


def control_group(megabytes):
    """A folder of control groups of version 1 or 2 with this limit, or None."""
    for root, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        folder = os.path.join(root, "tq_shell_import")
        try:
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, limit), "w", encoding="ascii") as file:
                file.write(str(int(megabytes * 1e6)))
            return folder
        except OSError:
            continue
    return None


def import_large(build, database, path, group):
    """Seconds, and the most megabytes of resident, of private, and of mapped memory."""
    most = {"VmRSS": 0, "RssAnon": 0, "RssFile": 0}

    def join():
        if group is not None:
            with open(os.path.join(group, "cgroup.procs"), "w", encoding="ascii") as file:
                file.write(str(os.getpid()))

    child = subprocess.Popen([os.path.join(build, "tqshell"), database, ".import %s large" % path],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=join)
    done = threading.Event()

    def watch():
        while not done.wait(SAMPLE_SECONDS):
            for field in most:
                most[field] = max(most[field], status_mb(child.pid, field))

    watcher = threading.Thread(target=watch)
    watcher.start()
    text = child.communicate()[0]
    done.set()
    watcher.join()
    if child.returncode != 0:
        sys.exit(text)
    return text.strip(), most


def folder_mb(path):
    paths = (os.path.join(at, name) for at, _, names in os.walk(path) for name in names)
    return sum(os.stat(path).st_blocks for path in paths) * 512 / 1e6


# ---- The prompt ----

def prompt_ms(build, database):
    start = time.monotonic()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(os.path.join(build, "tqshell"), ["tqshell", database], {"TERM": "xterm", "HOME": "/nonexistent"})
    seen = b""
    while b"tq>" not in seen:  # a colour may end behind it
        if not select.select([terminal], [], [], 10)[0]:
            sys.exit("no prompt")
        seen += os.read(terminal, 4096)
    taken = time.monotonic() - start
    os.write(terminal, b".quit\n")
    try:
        while os.read(terminal, 4096):
            pass
    except OSError:
        pass
    os.close(terminal)
    os.waitpid(pid, 0)
    return 1e3 * taken


# ---- Report ----

def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return re.search(r"model name\s*: (.*)", file.read()).group(1)


def head(options):
    here = os.path.dirname(os.path.abspath(__file__))
    commit = subprocess.run(["git", "-C", here, "rev-parse", "--short=12", "HEAD"], stdout=subprocess.PIPE, text=True,
                            check=False).stdout.strip()
    changed = subprocess.run(["git", "-C", here, "status", "--porcelain"], stdout=subprocess.PIPE, text=True,
                             check=False).stdout.strip()
    load = os.getloadavg()
    print("# date: %s" % time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()))
    print("# machine: %s, %d cores" % (processor(), os.cpu_count()))
    print("# load at the start (1, 5, 15 minutes): %.2f %.2f %.2f" % load)
    print("# commit: %s%s" % (commit, ", with changes" if changed else ""))
    print("# command: shell_import.py BUILD %s %s %s --rounds %d --large %d --memory %d\n" % (
        os.path.basename(options.base), os.path.basename(options.query), os.path.basename(options.words),
        options.rounds, options.large, options.memory))
    if load[0] > 0.5:
        print("NOISY: other work ran beside it (load above): rates are lower bounds, ratios are of turns side by"
              " side.\n")


def report_rates(rates, files, rows):
    middle = statistics.median
    print("| rows from | rows/s | least | most | MB/s | to the library's |")
    print("|---|---|---|---|---|---|")
    for name, values in rates.items():
        ratio = middle([mine / theirs for mine, theirs in zip(values, rates["library"])])
        size = os.path.getsize(files[name]) / 1e6 if name in files else 0
        speed = "%.0f" % (size * middle(values) / rows) if size else ""
        print("| %s%s | %.0f | %.0f | %.0f | %s | %.2f |" % (
            name, ", %.0f MB" % size if size else "", middle(values), min(values), max(values), speed, ratio))
    print("\nMedians of %d rounds of %d rows, each round with every line; the last column is the median of the ratios"
          " within a round.\n" % (len(rates["library"]), rows))


def report_large(options, folder, data, rows, dim):
    path, database = os.path.join(folder, "large.npy"), os.path.join(folder, "large.db")
    write_npy(path, data, rows, dim, options.large)
    size = os.path.getsize(path) / 1e6
    group = control_group(options.memory)
    text, most = import_large(options.build, database, path, group)
    print("A file of %.0f MB in one transaction%s: `%s`. Resident at most %.0f MB, of which private %.0f and mapped"
          " files %.0f.\n" % (
              size, ", in a control group of %d MB" % options.memory if group else "", text, most["VmRSS"],
              most["RssAnon"], most["RssFile"]))
    if group:
        os.rmdir(group)
    os.remove(path)
    return database


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("build", "base", "query", "words"):
        parser.add_argument(name)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--large", type=int, default=5000000)
    parser.add_argument("--memory", type=int, default=200)
    options = parser.parse_args()
    head(options)
    sys.stdout.flush()
    folder = tempfile.mkdtemp(prefix="tq-shell-import-")
    try:
        data, rows, dim = npy_rows(options.base)
        names = ("base.f32.npy", "words.txt", "words.csv", "words.jsonl")
        paths = [os.path.join(folder, name) for name in names]
        write_npy(paths[0], data, rows, dim, rows)
        write_words(paths[1], data, options.words, dim)
        made = os.path.join(folder, "made.db")
        shell(options.build, made, ".import %s words" % paths[1])
        exported = [shell(options.build, made, ".export words %s" % path).strip() for path in paths[2:]]
        exported.append(shell(options.build, made, ".export words %s/out.npy" % folder).splitlines()[0])
        remove(made)
        files = {".npy, f16": options.base, ".npy, f32": paths[0], "GloVe text": paths[1], "CSV": paths[2],
                 "JSON lines": paths[3]}
        report_rates(measure(options.build, options.base, options.query, folder, files, options.rounds), files, rows)
        print("One `.export` each: " + "; ".join("`%s`" % text.replace(folder + "/", "") for text in exported) + ".\n")
        store = report_large(options, folder, data, rows, dim) if options.large else made
        times = sorted(prompt_ms(options.build, store) for _ in range(21))
        print("From the start to the prompt, with a store of %.0f MB: median %.1f ms, worst of 21 %.1f ms." % (
            folder_mb(store + "-tq") + (os.path.getsize(store) / 1e6 if os.path.exists(store) else 0),
            statistics.median(times), times[-1]))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Plant one bug after another in a copy of the tree and see which test finds it.

    planted.py BUILD [--only NAME[,NAME]] [--points N] [--states N] [--seed S] [--all] [--keep FOLDER]

BUILD says which compiler is used; the copy is built in a folder of its own, in $TMPDIR. A bug is found when a test
fails that passes without it. The next bug comes as soon as one is found, or, with --all, after every test. --points: so
many bugs, chosen by chance. --states: of the power harness, for each bug. --keep: copy and build are made there, and
used again by the next run. The last line is `planted: P points, B bad`: bugs, and how many of them nobody has found.
Half an hour on two cores."""
import argparse
import fnmatch
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
from bugs import BUGS  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
UNIT = ("test_env", "test_segment", "test_segment_damage", "test_table", "test_table_parts", "test_table_store",
        "test_table_engine", "test_library", "test_page_tree", "test_check", "test_repair", "test_backup")


class Planted(Exception):
    """A bug that cannot be planted."""


def copy_tree(to):
    """What is tracked, and what is new and not ignored."""
    command = ["git", "ls-files", "-coz", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    for folder, _, names in os.walk(to):
        for name in names:
            if os.path.relpath(os.path.join(folder, name), to) not in listed:
                os.remove(os.path.join(folder, name))
    for name in filter(None, listed):
        source, target = os.path.join(ROOT, name), os.path.join(to, name)
        if not os.path.isfile(source):
            continue
        if os.path.exists(target) and same_file(source, target):
            continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(source, target)  # not its time: what was built here before is older


def same_file(first, second):
    with open(first, "rb") as a, open(second, "rb") as b:
        return a.read() == b.read()


def plant(tree, edits):
    """The files that were changed and what was in them."""
    before = {}
    for pattern, old, new in edits:
        folder = os.path.dirname(pattern)
        names = [os.path.join(folder, name) for name in sorted(os.listdir(os.path.join(tree, folder)))]
        found = []
        for name in fnmatch.filter(names, pattern):
            with open(os.path.join(tree, name), encoding="utf-8") as file:
                text = file.read()
            found += [(name, text)] * text.count(old)
        if len(found) != 1:
            restore(tree, before)
            raise Planted(f"{pattern} has {len(found)} places like this, not one: {old!r}")
        name, text = found[0]
        before.setdefault(name, text)
        write(tree, name, text.replace(old, new))
    return before


def write(tree, name, text):
    with open(os.path.join(tree, name), "w", encoding="utf-8") as file:
        file.write(text)


def restore(tree, before):
    for name, text in before.items():
        write(tree, name, text)


def run(command, log, seconds, cwd, env=None):
    """Exit status; None: it took too long."""
    with open(log, "ab") as file:
        file.write(("\n$ " + " ".join(command) + "\n").encode())
        file.flush()
        try:
            return subprocess.run(command, stdout=file, stderr=file, timeout=seconds, cwd=cwd, check=False,
                                  env=env, start_new_session=True).returncode
        except subprocess.TimeoutExpired:
            return None


class Tests:
    """All of them, by name: a function from a log's name to an exit status."""

    def __init__(self, args, tree, build):
        self.args, self.tree, self.build = args, tree, build
        self.by_name = {"power": self.power, "unit": self.unit, "sql": self.sql, "kill_sql": self.kill_sql,
                        "kill": self.kill}

    def power(self, log):
        """Where few commits can be lost first: those modes promise the most."""
        for only, share in (("rows,WAL", 0.4), ("rows,DELETE", 0.3), ("library", 0.1), ("parts,WAL,FULL", 0.1),
                            ("parts,DELETE,FULL", 0.1)):
            command = ["bash", "tests/crash/power/power.sh", self.build, "--points", str(int(self.args.states * share)),
                       "--seed", str(self.args.seed), "--bad", "1", "--only", only, "--save", log + ".states"]
            status = run(command, log, 1200, self.tree)
            shutil.rmtree(log + ".states", ignore_errors=True)
            if status != 0:
                return status
        return 0

    def unit(self, log):
        for name in UNIT:
            program = os.path.join(self.build, "tests", name)
            if os.path.exists(program):
                status = run([program], log, 300, self.tree)
                if status != 0:
                    return status
        return 0

    def sql(self, log):
        return run([sys.executable, "tests/sql/run_sql.py", self.build], log, 600, self.tree)

    def kill_sql(self, log):
        return run(["bash", "tests/crash/kill_sql.sh", self.build], log, 600, self.tree)

    def kill(self, log):
        return run(["bash", "tests/crash/kill.sh", self.build], log, 900, self.tree)


def build_tree(tree, build, log):
    targets = ["tq_inside", "tq", "tqshell"]
    targets += [name for name in UNIT if os.path.exists(os.path.join(tree, "tests/unit", name + ".c"))]
    return run(["cmake", "--build", build, "-j", str(os.cpu_count() or 1), "--target", *targets], log, 1800, tree)


def configure(args, tree, build, log):
    compiler = None
    with open(os.path.join(args.build, "CMakeCache.txt"), encoding="utf-8") as file:
        compiler = re.search(r"^CMAKE_C_COMPILER:[A-Z]*=(.*)$", file.read(), re.M).group(1)
    command = ["cmake", "-S", tree, "-B", build, f"-DCMAKE_C_COMPILER={compiler}", "-DTQ_TESTS=ON", "-DTQ_BENCH=OFF"]
    if shutil.which("ninja"):
        command += ["-G", "Ninja"]
    if shutil.which("ccache"):
        command += ["-DCMAKE_C_COMPILER_LAUNCHER=ccache"]
    return run(command, log, 300, tree)


def hunt(args, tests, name, log):
    """Names of the tests that have found it. Without a name nothing is planted, and all are asked."""
    found = []
    for test in sorted(tests.by_name, key=lambda test: name is not None and test != BUGS[name][0]):
        if args.tests and test not in args.tests.split(","):
            continue
        begin = time.time()
        status = tests.by_name[test](log)
        if status == 77:
            continue
        if status != 0:
            found.append(f"{test} ({time.time() - begin:.0f} s)")
            if not args.all and name is not None:
                break
    return found


def one_bug(args, tests, name, folder):
    _, why, edits = BUGS[name]
    log = os.path.join(folder, name + ".log")
    try:
        before = plant(tests.tree, edits)
    except Planted as reason:
        print(f"{name:22} cannot be planted: {reason}", flush=True)
        return False
    try:
        if build_tree(tests.tree, tests.build, log) != 0:
            print(f"{name:22} does not build, see {log}", flush=True)
            return False
        found = hunt(args, tests, name, log)
    finally:
        restore(tests.tree, before)
    print(f"{name:22} {', '.join(found) if found else 'NOBODY'}: {why}", flush=True)
    return bool(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=os.path.abspath)
    parser.add_argument("--only", default="")
    parser.add_argument("--tests", default="", help="some of power,unit,sql,kill_sql,kill")
    parser.add_argument("--points", type=int, default=len(BUGS))
    parser.add_argument("--states", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--keep", type=os.path.abspath)
    parser.add_argument("--save", help="is not used: logs lie in --keep")
    args = parser.parse_args()
    folder = args.keep or tempfile.mkdtemp(prefix="tq_planted_")
    tree, build = os.path.join(folder, "tree"), os.path.join(folder, "build")
    os.makedirs(tree, exist_ok=True)
    copy_tree(tree)
    tests, log = Tests(args, tree, build), os.path.join(folder, "build.log")
    if configure(args, tree, build, log) != 0 or build_tree(tree, build, log) != 0:
        sys.exit(f"planted: the tree does not build without bugs, see {log}")
    print(f"seed {args.seed}", flush=True)
    names = [name for name in BUGS if not args.only or name in args.only.split(",")]
    chosen = random.Random(args.seed).sample(names, min(args.points, len(names)))
    names = [name for name in names if name in chosen]
    failing = hunt(args, tests, None, log) if not args.only else []
    if failing:
        sys.exit(f"planted: without any bug these fail already: {', '.join(failing)}; see {log}")
    missed = [name for name in names if not one_bug(args, tests, name, folder)]
    if not args.keep and not missed:
        shutil.rmtree(folder)
    print(f"planted: {len(names)} points, {len(missed)} bad")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Kill a writer at its n-th file-changing call, for many n, and check what it leaves.

    kill.py WORK SHIM                      about 110 points, under a minute
    kill.py WORK SHIM --full               every point, whole and torn writes, with and without exact rows
    kill.py WORK SHIM --sql LIBRARY DISK   tables changed through SQL, about 25 points, some 10 seconds; a disk that
                                           forgets what was not synced, and one that is full (whole and torn writes
                                           are for faults/). --full: as above

WORK is crash_work or sql_work, SHIM and DISK are preloaded (shim.c, disk.c), LIBRARY is the extension. Exit status 1
and the point's number on the first inconsistency. --seed N: other points and, through SQL, other rows.
"""
import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile

SQL_MODES = ("WAL, FULL", "WAL, NORMAL", "DELETE, FULL")
ANY = 1000
# What power may take back of the acknowledged transactions: the unlinking of a journal is not synced.
SQL_LOST = (0, ANY, 1)


class Workload:
    """A way of calling WORK: `arguments` come between the folder's or database's name and what a check adds."""

    def __init__(self, args, name, arguments, lost=None):
        self.args, self.name, self.arguments, self.lost = args, name, arguments, lost
        self.preload = " ".join(filter(None, (args.disk, args.shim)))

    def command(self, what, directory):
        if self.args.sql is None:
            return [self.args.work, what, directory] + self.arguments
        return [self.args.work, what, self.args.sql, os.path.join(directory, "test.db")] + self.arguments

    def run(self, what, directory, env):
        """Exit status, the last number printed, what went wrong."""
        done = subprocess.run(self.command(what, directory), env=dict(os.environ, LD_PRELOAD=self.preload, **env),
                              capture_output=True)
        lines = done.stdout.split(b"\n")
        return done.returncode, int(lines[-2]) if len(lines) > 1 else 0, done.stderr.decode(errors="replace")

    def check(self, directory, acked, lost):
        command = self.command("check", directory) + [str(acked)]
        if self.lost is not None:
            command.append(str(lost))
        done = subprocess.run(command, capture_output=True)
        if done.returncode == 0:
            return None
        return f"status {done.returncode}: " + (done.stdout + done.stderr).decode(errors="replace")


def even_points(total, wanted):
    """All of them, or an even spread."""
    if wanted >= total:
        return list(range(1, total + 1))
    return sorted({1 + i * (total - 1) // (wanted - 1) for i in range(wanted)})


def sync_points(calls, wanted, chance):
    """Two thirds are calls beside or at a sync, or the like; the rest are anywhere. calls: disk.c's letters."""
    total = len(calls)
    if wanted >= total:
        return list(range(1, total + 1))
    near = {at + beside for at, letter in enumerate(calls, 1) if letter != "w" for beside in (-1, 0, 1)}
    near = sorted(near & set(range(1, total + 1)))
    chosen = set(chance.sample(near, min(len(near), 2 * wanted // 3)))
    return sorted(chosen | set(chance.sample(range(1, total + 1), wanted - len(chosen))))


def run_kills(workload, ways, wanted, scratch, chance):
    """ways: environments, one after another; each says how writes end."""
    directory = os.path.join(scratch, "store")
    files = [os.path.join(scratch, name) for name in ("count", "calls")]
    os.mkdir(directory)
    status, acked, text = workload.run("work", directory, {"TQ_KILL_COUNT": files[0], "TQ_DISK_CALLS": files[1]})
    if status != 0:
        sys.exit(f"{workload.name}: the workload itself failed: {text}")
    wrong = workload.check(directory, acked, 0)
    if wrong:
        sys.exit(f"{workload.name}: without any kill: {wrong}")
    shutil.rmtree(directory)
    with open(files[0], encoding="ascii") as file:
        total = int(file.read())
    if workload.args.sql is None:
        chosen = even_points(total, wanted)
    else:
        with open(files[1], encoding="ascii") as file:
            chosen = sync_points(file.read(), wanted, chance)
    killed = sum(kill_at(workload, ways[i % len(ways)], directory, point) for i, point in enumerate(chosen))
    if killed < 0.9 * len(chosen):  # nonces differ from run to run, and with them the last few calls
        sys.exit(f"{workload.name}: only {killed} of {len(chosen)} runs were killed")
    how = "; ".join(way_name(way) for way in ways)
    print(f"{workload.name} ({how}): killed {killed} times at one of {total} points, nothing lost", flush=True)


def way_name(way):
    return " ".join(sorted(way)) or "whole writes"


def kill_at(workload, way, directory, point):
    """1 if the work had not ended by then."""
    os.mkdir(directory)
    status, acked, text = workload.run("work", directory, dict(way, TQ_KILL_AT=str(point)))
    if status not in (-9, 0):
        sys.exit(f"{workload.name} ({way_name(way)}), point {point}: the workload failed: {text}")
    wrong = workload.check(directory, acked, workload.lost if "TQ_DISK_POWER" in way else 0)
    if wrong:
        sys.exit(f"{workload.name} ({way_name(way)}), point {point}, {acked} acknowledged: {wrong}")
    shutil.rmtree(directory)
    return int(status == -9)


def run_full_folder(args, scratch):
    directory, flag = os.path.join(scratch, "store"), os.path.join(scratch, "flag")
    os.mkdir(directory)
    env = dict(os.environ, LD_PRELOAD=args.shim, TQ_NO_SPACE=flag)
    done = subprocess.run([args.work, "full", directory, flag], env=env, capture_output=True)
    if done.returncode != 0:
        sys.exit("full disk: " + done.stderr.decode(errors="replace"))
    print("full disk: commits went on, and the log was flushed when there was room again")


def run_full_disk(workload, wanted, scratch, chance):
    """Writes fail from one on, for a while: of the database, its journals and the folder alike."""
    directory, calls = os.path.join(scratch, "store"), os.path.join(scratch, "calls")
    os.mkdir(directory)
    workload.run("work", directory, {"TQ_DISK_CALLS": calls})
    with open(calls, encoding="ascii") as file:
        writes = file.read().count("w")
    failed = 0
    for i in range(wanted):
        shutil.rmtree(directory)
        os.mkdir(directory)
        first = chance.randint(20, writes - 100)  # the first ones are PRAGMA journal_mode's
        last = first + (0, 30, 1000, 10000)[i % 4]
        status, count, text = workload.run("full", directory, {"TQ_DISK_FULL": f"{first},{last}"})
        if status != 0:
            sys.exit(f"{workload.name}, no space for writes {first} to {last}: status {status}: {text}")
        failed += count
    print(f"{workload.name}: {wanted} times no space, {failed} transactions failed, nothing lost", flush=True)


TORN, POWER = {"TQ_KILL_TORN": "1"}, {"TQ_DISK_POWER": "1"}


def storage_plan(args):
    plan = [(0, {}, 70), (1, TORN, 40)]
    if args.full:
        plan = [(variant, way, args.points) for variant in (0, 1) for way in ({}, TORN)]
    return [(Workload(args, f"variant {variant}", [str(variant)]), [way], wanted) for variant, way, wanted in plan]


def sql_plan(args):
    """Journal mode, plan of sql_work, how it is killed, at how many points."""
    plan = [(0, 0, [POWER], 6), (0, 1, [POWER], 8), (1, 1, [POWER], 5), (2, 0, [POWER], 6)]
    if args.full:
        both = dict(POWER, **TORN)
        plan = [(mode, which, [{}, TORN, POWER, both], args.points) for mode in (0, 1, 2) for which in (0, 1, 2)]
    return [(sql_workload(args, mode, which), ways, wanted) for mode, which, ways, wanted in plan]


def sql_workload(args, mode, which):
    return Workload(args, f"{SQL_MODES[mode]}, plan {which}", [str(mode), str(which), str(args.seed)], SQL_LOST[mode])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=os.path.abspath)
    parser.add_argument("shim", type=os.path.abspath)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--points", type=int, default=10**9, help="of each pass of --full")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sql", nargs=2, type=os.path.abspath, metavar=("LIBRARY", "DISK"), default=(None, None))
    args = parser.parse_args()
    args.sql, args.disk = args.sql
    chance = random.Random(args.seed)
    if args.sql is not None:
        print(f"seed {args.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="tq_kill_") as scratch:
        if args.sql is None:
            run_full_folder(args, scratch)
        else:
            run_full_disk(sql_workload(args, 0, 0), min(args.points, 100) if args.full else 2, scratch, chance)
    for workload, ways, wanted in sql_plan(args) if args.sql is not None else storage_plan(args):
        with tempfile.TemporaryDirectory(prefix="tq_kill_") as scratch:
            run_kills(workload, ways, wanted, scratch, chance)


if __name__ == "__main__":
    main()

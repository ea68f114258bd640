#!/usr/bin/env python3
"""Kill a writer at its n-th file-changing call, for many n, and check what it leaves.

    kill.py WORK SHIM            about 110 points, under a minute
    kill.py WORK SHIM --full     every point, whole and torn writes, with and without exact rows

WORK is crash_work, SHIM the preloadable shim. Exit status 1 and the point's number on the first inconsistency.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile


def run_work(args, directory, variant, env):
    command = [args.work, "work", directory, str(variant)]
    done = subprocess.run(command, env=dict(os.environ, LD_PRELOAD=args.shim, **env), capture_output=True)
    lines = done.stdout.split(b"\n")
    acked = int(lines[-2]) if len(lines) > 1 else 0
    return done.returncode, acked, done.stderr.decode(errors="replace")


def check(args, directory, variant, acked):
    command = [args.work, "check", directory, str(variant), str(acked)]
    done = subprocess.run(command, capture_output=True)
    return done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")


def points(total, wanted):
    """All of them, or an even spread."""
    if wanted >= total:
        return list(range(1, total + 1))
    return sorted({1 + i * (total - 1) // (wanted - 1) for i in range(wanted)})


def run_variant(args, variant, torn, wanted, scratch):
    directory = os.path.join(scratch, "store")
    count_file = os.path.join(scratch, "count")
    os.mkdir(directory)
    status, acked, text = run_work(args, directory, variant, {"TQ_KILL_COUNT": count_file})
    if status != 0:
        sys.exit(f"the workload itself failed: {text}")
    good, text = check(args, directory, variant, acked)
    if not good:
        sys.exit(f"without any kill: {text}")
    shutil.rmtree(directory)
    with open(count_file) as file:
        total = int(file.read())
    killed = 0
    chosen = points(total, wanted)
    for point in chosen:
        os.mkdir(directory)
        env = {"TQ_KILL_AT": str(point)}
        if torn:
            env["TQ_KILL_TORN"] = "1"
        status, acked, text = run_work(args, directory, variant, env)
        if status not in (-9, 0):
            sys.exit(f"variant {variant} point {point}: the workload failed: {text}")
        good, text = check(args, directory, variant, acked)
        if not good:
            sys.exit(f"variant {variant} torn {torn} point {point} of {total}, {acked} acknowledged: {text}")
        shutil.rmtree(directory)
        killed += status == -9
    if killed < 0.9 * len(chosen):  # nonces differ from run to run, and with them the last few calls
        sys.exit(f"variant {variant}: only {killed} of {len(chosen)} runs were killed")
    print(f"variant {variant} torn {int(torn)}: killed {killed} times at one of {total} points, nothing lost")


def run_full_disk(args, scratch):
    directory, flag = os.path.join(scratch, "store"), os.path.join(scratch, "flag")
    os.mkdir(directory)
    env = dict(os.environ, LD_PRELOAD=args.shim, TQ_NO_SPACE=flag)
    done = subprocess.run([args.work, "full", directory, flag], env=env, capture_output=True)
    if done.returncode != 0:
        sys.exit("full disk: " + done.stderr.decode(errors="replace"))
    print("full disk: commits went on, and the log was flushed when there was room again")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work")
    parser.add_argument("shim")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--points", type=int, default=10**9, help="of each pass of --full")
    args = parser.parse_args()
    args.work, args.shim = os.path.abspath(args.work), os.path.abspath(args.shim)
    plan = [(0, False, 70), (1, True, 40)]
    if args.full:
        plan = [(variant, torn, args.points) for variant in (0, 1) for torn in (False, True)]
    with tempfile.TemporaryDirectory(prefix="tq_kill_") as scratch:
        run_full_disk(args, scratch)
    for variant, torn, wanted in plan:
        with tempfile.TemporaryDirectory(prefix="tq_kill_") as scratch:
            run_variant(args, variant, torn, wanted, scratch)


if __name__ == "__main__":
    main()

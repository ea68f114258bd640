#!/usr/bin/env python3
"""Stores that earlier versions made must open, answer as they did, take changes and pass every check.

    golden.py BUILD                 every tests/golden/*.tar.xz, against what stands beside it
    golden.py BUILD --make NAME     make NAME.tar.xz and its answers with this build: once for each format, never again

An archive holds golden.db and golden.db-tq, made by make.sql. NAME.asked are the answers to ask.sql, NAME.changed those
after change.sql.
"""
import argparse
import difflib
import os
import subprocess
import sys
import tarfile
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


def shell(build, database, text):
    done = subprocess.run([os.path.join(build, "tqshell"), database], input=".mode csv\n" + text, text=True,
                          capture_output=True)
    if done.returncode != 0 or done.stderr:
        sys.exit(f"golden: {done.stderr}")
    return done.stdout


def script(build, database, name):
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return shell(build, database, file.read())


def check(build, database):
    found = shell(build, database, "SELECT tq_check(NULL, 'full');\nPRAGMA integrity_check;").splitlines()
    return [] if found == ["ok", "ok"] else found


def compare(name, kind, found):
    with open(os.path.join(HERE, f"{name}.{kind}"), encoding="utf-8") as file:
        expected = file.read()
    return list(difflib.unified_diff(expected.splitlines(), found.splitlines(), f"{name}.{kind}", "now", lineterm=""))


def test(build, name):
    with tempfile.TemporaryDirectory(prefix="tq_golden_") as folder:
        with tarfile.open(os.path.join(HERE, name + ".tar.xz")) as archive:
            archive.extractall(folder)  # our own file; Debian 12's Python has no filters yet
        database = os.path.join(folder, "golden.db")
        wrong = check(build, database)
        wrong += compare(name, "asked", script(build, database, "ask.sql"))
        script(build, database, "change.sql")
        wrong += compare(name, "changed", script(build, database, "ask.sql"))
        wrong += check(build, database)
    print("\n".join([f"{name}: {'differs' if wrong else 'as it was'}"] + wrong))
    return bool(wrong)


def answer(build, database, name, kind):
    with open(os.path.join(HERE, f"{name}.{kind}"), "w", encoding="utf-8") as file:
        file.write(script(build, database, "ask.sql"))


def make(build, name):
    archive = os.path.join(HERE, name + ".tar.xz")
    if os.path.exists(archive):
        sys.exit(f"golden: {archive} exists: it is what later versions are held to")
    with tempfile.TemporaryDirectory(prefix="tq_golden_") as folder:
        database = os.path.join(folder, "golden.db")
        script(build, database, "make.sql")
        subprocess.run(["tar", "-C", folder, "--sparse", "--owner=0", "--group=0", "-cJf", archive, "golden.db",
                        "golden.db-tq/data.mdb"], check=True, env=dict(os.environ, XZ_OPT="-9e"))
        answer(build, database, name, "asked")
        script(build, database, "change.sql")
        answer(build, database, name, "changed")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=os.path.abspath)
    parser.add_argument("--make", metavar="NAME")
    args = parser.parse_args()
    if args.make:
        make(args.build, args.make)
        return
    names = sorted(name[:-len(".tar.xz")] for name in os.listdir(HERE) if name.endswith(".tar.xz"))
    if not names:
        sys.exit("golden: there is no store")
    sys.exit(any([test(args.build, name) for name in names]))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Run SQL through the sqlite3 command with the extension loaded, and compare what it prints.

  run_sql.py BUILD_FOLDER [--update] [NAME...]

tests/sql/NAME.sql is fed to `sqlite3 test.db` in an empty folder; what it prints must be NAME.expected. The statements
in docs/sql.md (blocks marked ```sql) are run as well: none may fail. --update writes the .expected files anew.
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def environment(library):
    """A library built with a sanitizer must find its runtime loaded before the program."""
    env = dict(os.environ)
    linked = subprocess.run(["ldd", library], capture_output=True, text=True, check=False).stdout
    runtime = re.findall(r"=> (\S*lib[at]san\S*)", linked)
    if runtime:
        env["LD_PRELOAD"] = " ".join(runtime)
        env.setdefault("ASAN_OPTIONS", "detect_leaks=0")
    return env


def tidy(text, folder):
    """What differs between machines and versions of the command."""
    text = text.replace(os.path.realpath(folder), "DIR").replace(folder, "DIR")
    text = re.sub(r"uuid [0-9a-f]{8}\.\. != [0-9a-f]{8}", "uuid A.. != B", text)
    text = re.sub(r"^(?:Runtime error|Parse error|Error)[^:\n]*: (?:stepping, )?", "error: ", text, flags=re.M)
    return re.sub(r"^(error: .*) \(\d+\)$", r"\1", text, flags=re.M)


def run(library, script, env):
    with tempfile.TemporaryDirectory(prefix="tq-sql-") as folder:
        command = ["sqlite3", "-batch", "-init", "/dev/null", "-cmd", ".load " + library, "test.db"]
        done = subprocess.run(command, cwd=folder, input=script, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, env=env, timeout=300, check=False)
        return tidy(done.stdout, folder)


def difference(expected, found):
    a, b = expected.split("\n"), found.split("\n")
    for number, (x, y) in enumerate(zip(a, b), 1):
        if x != y:
            return f"line {number}: expected {x!r}, found {y!r}"
    return f"line {min(len(a), len(b)) + 1}: {len(a)} lines expected, {len(b)} found"


def check_script(library, path, env, update):
    with open(path, encoding="utf-8") as handle:
        found = run(library, handle.read(), env)
    target = path[:-len(".sql")] + ".expected"
    if update:
        with open(target, "w", encoding="utf-8") as handle:
            handle.write(found)
        return None
    with open(target, encoding="utf-8") as handle:
        expected = handle.read()
    return None if found == expected else difference(expected, found)


def check_docs(library, env):
    with open(os.path.join(ROOT, "docs", "sql.md"), encoding="utf-8") as handle:
        blocks = re.findall(r"^```sql\n(.*?)^```", handle.read(), flags=re.S | re.M)
    setup = ".parameter init\n.parameter set :q \"'[1,0,0]'\"\n"
    found = run(library, setup + "\n".join(blocks), env)
    wrong = [line for line in found.split("\n") if line.startswith("error")]
    return None if blocks and not wrong else (wrong or ["no statements found"])[0]


def main():
    words = [w for w in sys.argv[1:] if not w.startswith("--")]
    update = "--update" in sys.argv
    library = os.path.join(os.path.abspath(words[0]), "tq.so")
    if shutil.which("sqlite3") is None:
        print("skipped: there is no sqlite3 command here (apt-get install sqlite3)")
        return 0
    env = environment(library)
    failed = 0
    for path in sorted(glob.glob(os.path.join(HERE, "*.sql"))):
        name = os.path.basename(path)[:-len(".sql")]
        if words[1:] and name not in words[1:]:
            continue
        wrong = check_script(library, path, env, update)
        print(f"{name}: {wrong or 'ok'}")
        failed += wrong is not None
    if not words[1:]:
        wrong = check_docs(library, env)
        print(f"docs/sql.md: {wrong or 'ok'}")
        failed += wrong is not None
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

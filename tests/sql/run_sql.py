#!/usr/bin/env python3
"""Run SQL through the sqlite3 command with the extension loaded, and compare what it prints.

  run_sql.py BUILD_FOLDER [--update] [NAME...]

tests/sql/NAME.sql is fed to `sqlite3 test.db` in an empty folder; what it prints must be NAME.expected.

So are the statements of README.md and docs/*.md below, a document in one session. In a document,

  ```sql        is run; what it prints, errors too, is in a block ```text right behind it, and where there is none it
                prints nothing
  ```sql vec0   is run only where that extension is here (EXTENSIONS: pip install sqlite-vec)
  ```csv NAME   is a file of that name, for .import

Where an extension is not here, an ordinary table stands in for its CREATE VIRTUAL TABLE: what reads the table is run
in any case. :q is '[1,0,0]'. --update writes the .expected files and the ```text blocks anew.
"""
import glob
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
DOCUMENTS = ("README.md", "docs/sql.md", "docs/migrate.md", "docs/upkeep.md")
# Module, Python package that brings it, file in there.
EXTENSIONS = {"vec0": ("sqlite_vec", "vec0.so"), "vectorlite": ("vectorlite_py", "vectorlite.so")}
MARK = "end of block "


def environment(library):
    """A library built with a sanitizer must find its runtime loaded before the program."""
    env = dict(os.environ)
    linked = subprocess.run(["ldd", library], capture_output=True, text=True, check=False).stdout
    runtime = re.findall(r"=> (\S*lib[alt]san\S*)", linked)
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


def run(library, script, env, extensions=(), files=()):
    with tempfile.TemporaryDirectory(prefix="tq-sql-") as folder:
        command = ["sqlite3", "-batch", "-init", "/dev/null"]
        for path in (library, *extensions):
            command += ["-cmd", ".load " + path]
        for name, content in files:
            with open(os.path.join(folder, name), "w", encoding="utf-8") as handle:
                handle.write(content)
        done = subprocess.run(command + ["test.db"], cwd=folder, input=script, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, env=env, timeout=300, check=False)
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


# ---- Documents ----------------------------------------------------------------------------------------------

def find_extensions(env):
    """Module to path, of those that the command can load."""
    found = {}
    for module, (package, file) in EXTENSIONS.items():
        spec = importlib.util.find_spec(package)
        for folder in spec.submodule_search_locations or [] if spec else []:
            path = os.path.join(folder, file)
            command = ["sqlite3", "-batch", "-init", "/dev/null", "-cmd", ".load " + path, ":memory:", "SELECT 1"]
            tried = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   check=False)
            if tried.stdout == "1\n":
                found[module] = path
    return found


def stand_in(sql, found):
    """An ordinary table with the columns of a virtual one whose module is not here."""
    def ordinary(match):
        if match[2] in found:
            return match[0]
        arguments = [a.strip().lstrip("+") for a in match[3].split(",")]
        columns = [a.split()[0] for a in arguments if re.match(r"\w+ +\w", a)]
        return f"CREATE TABLE {match[1]}({', '.join(columns)});"
    pattern = r"CREATE VIRTUAL TABLE (\w+) USING (" + "|".join(EXTENSIONS) + r")\((.*?)\);"
    sql = re.sub(pattern, ordinary, sql, flags=re.S)
    return sql if "vec0" in found else re.sub(r"vec_int8\((.*?)\)", r"\1", sql)


def read_blocks(text):
    """Each ```sql block: what is behind the word, the statements, where the block ends; then the ```text block right
    behind it, if there is one, and where that ends. And the files: name, content."""
    pattern = r"^```sql *(.*)\n((?:.*\n)*?)```\n(?:\n?```text\n((?:.*\n)*?)```\n)?"
    blocks = []
    for match in re.finditer(pattern, text, flags=re.M):
        end = re.compile(r"^```\n", flags=re.M).search(text, match.start() + 1).end()
        blocks.append((match[1], match[2], end, match[3] or "", match.end()))
    return blocks, re.findall(r"^```csv +(\S+)\n(.*?)^```", text, flags=re.S | re.M)


def run_blocks(library, env, found, blocks, files):
    """What each block prints."""
    script = ".parameter init\n.parameter set :q \"'[1,0,0]'\"\n"
    for number, (_, sql, *_rest) in enumerate(blocks):
        script += f"{stand_in(sql, found)}\n.print {MARK}{number}\n"
    printed = run(library, script, env, found.values(), files)
    parts = re.split(rf"^{MARK}\d+\n", printed, flags=re.M)
    return parts[:-1] if len(parts) == len(blocks) + 1 else None


def check_document(library, path, env, found, update):
    with open(path, encoding="utf-8") as handle:
        text = handle.read()
    blocks, files = read_blocks(text)
    blocks = [b for b in blocks if b[0] == "" or b[0] in found]
    printed = run_blocks(library, env, found, blocks, files)
    if not blocks or printed is None:
        return "no statements found" if not blocks else "a block does not end with its statement"
    differing = [(block, output) for block, output in zip(blocks, printed) if output != block[3]]
    if not update:
        wrong = (f"{block[1].splitlines()[0]!r}: {difference(block[3], output)}" for block, output in differing)
        return next(wrong, None)
    for (_, _, end, _, text_end), output in reversed(differing):
        text = text[:end] + (f"```text\n{output}```\n" if output else "") + text[text_end:]
    with open(path, "w", encoding="utf-8") as handle:
        handle.write(text)
    return None


def check_documents(library, env, update):
    found = find_extensions(env)
    failed = 0
    for name in DOCUMENTS:
        wrong = check_document(library, os.path.join(ROOT, name), env, found, update)
        print(f"{name}: {wrong or 'ok'}")
        failed += wrong is not None
    for module in EXTENSIONS:
        if module not in found:
            package = EXTENSIONS[module][0].replace("_", "-")
            print(f"skipped: statements that need {module} (pip install {package}); its tables are ordinary ones here")
    return failed


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
        failed += check_documents(library, env, update)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

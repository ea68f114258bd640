#!/usr/bin/env python3
"""The rules of CONTRIBUTING.md that a machine can check. Python 3, standard library only.

  tidy.py [--root DIR] [--library libtq.so] [--cc gcc]    check a tree
  tidy.py --self-test [--cc gcc]                          check that each rule fires on a wrong snippet

Each breach is printed as file:line: text, and last `N passed, N failed`, counting rules.
C is read by its braces, not parsed: comments, strings and preprocessor lines are blanked first.
"""
import argparse
import fnmatch
import os
import re
import shutil
import subprocess
import sys

FUNCTION_LINES = 70
COLUMNS = 120
NESTING = 4
LIBRARY = ("src/", "kernels/", "storage/", "index/", "sql/")
FOLDERS = ("src", "kernels", "storage", "index", "sql", "shell", "tests", "bench", "examples", "scripts",
           "cmake", "docs", ".ci")
TEXT = (".c", ".h", ".cu", ".cuh", ".py", ".sh", ".sql", ".md", ".txt", ".cmake", ".in", ".map", ".json", ".expected")
DATA = ("tests/data/", "tests/golden/", "tests/fuzz/corpus/", "bench/results/")
C_SUFFIXES = (".c", ".h", ".cu", ".cuh")
PLUGIN = "kernels/cuda/"  # libtq_cuda.so: it calls nothing of libtq


class Skip(Exception):
    """A rule that cannot be checked here; the text says why."""


def blank(match):
    return re.sub(r"[^\n]", " ", match.group())


def strip_comments(text):
    """Comments and the insides of literals become blanks; every character keeps its place."""
    pattern = r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''

    def replace(match):
        found = match.group()
        return blank(match) if found[0] == "/" else found[0] + " " * (len(found) - 2) + found[-1]
    return re.sub(pattern, replace, text, flags=re.S)


def strip_preprocessor(code):
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", blank, code, flags=re.M)


class File:
    def __init__(self, root, path):
        self.path = path
        with open(os.path.join(root, path), encoding="utf-8") as handle:
            self.text = handle.read()
        self.lines = self.text.split("\n")
        self.is_c = path.endswith(C_SUFFIXES)
        self.in_library = path.startswith(LIBRARY)
        self.code = strip_comments(self.text) if self.is_c else ""
        self.body = strip_preprocessor(self.code)

    def line(self, offset):
        return self.text.count("\n", 0, offset) + 1

    def find(self, pattern, text):
        """(line, match) of every match in `text`, which has this file's offsets."""
        return [(self.line(m.start()), m) for m in re.finditer(pattern, text, flags=re.M)]


class Tree:
    def __init__(self, root, layers, library=None, cc="gcc"):
        self.root, self.library, self.cc = root, library, cc
        self.sections = read_layers(layers)
        self.files = []
        for path in self.paths():
            try:
                self.files.append(File(root, path))
            except UnicodeDecodeError:
                pass
        self.c_files = [f for f in self.files if f.is_c]

    def paths(self):
        found = []
        for name in sorted(os.listdir(self.root)):
            if os.path.isfile(os.path.join(self.root, name)) and name != "LICENSE":
                found.append(name)
        for folder in FOLDERS:
            for base, folders, names in os.walk(os.path.join(self.root, folder)):
                folders[:] = sorted(n for n in folders if n != "__pycache__")
                for name in sorted(names):
                    path = os.path.relpath(os.path.join(base, name), self.root)
                    if not path.startswith(DATA):
                        found.append(path)
        return [p for p in found if p.endswith(TEXT) or "." not in os.path.basename(p).lstrip(".")]

    def exists(self, path):
        return os.path.isfile(os.path.join(self.root, path))


def read_layers(path):
    """{section: [(first word, other words)]}"""
    sections, current = {}, None
    with open(path, encoding="utf-8") as handle:
        for line in handle:
            if line.startswith("["):
                current = sections.setdefault(line[1:line.index("]")], [])
            elif line.strip() and not line.startswith("#"):
                words = line.split()
                current.append((words[0], words[1:]))
    return sections


def fits(path, patterns):
    return any(fnmatch.fnmatchcase(path, p) for p in patterns)


# ---- Rules: each takes a Tree and yields (path, line, text) ----

def rule_include_direction(tree):
    public = [path for path, _ in tree.sections["public"]]
    for file in tree.c_files:
        owners = [(folder, allowed) for folder, allowed in tree.sections["includes"]
                  if file.path.startswith(folder + "/")]
        if not owners:
            yield file.path, 1, "C file in a folder that tests/tidy/layers.txt does not know"
            continue
        folder, allowed = max(owners, key=lambda owner: len(owner[0]))
        for number, line in enumerate(file.lines, 1):
            match = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
            if not match:
                continue
            name = match.group(1)
            if file.path in public and "src/" + name in public:
                continue  # installed side by side
            if not tree.exists(name):
                yield file.path, number, f'"{name}": includes are written from the root'
            elif not fits(name, allowed):
                yield file.path, number, f"{folder} may not include {name}"
            elif name.endswith(".c"):
                yield file.path, number, f"{name}: a .c file is compiled, not included"


def rule_system_headers(tree):
    for file in tree.c_files:
        wanted = r"^[ \t]*#[ \t]*(?:include[ \t]*<([^>]+)>|pragma[ \t]+omp\b)"
        for number, match in file.find(wanted, file.code):
            name = match.group(1) or "pragma-omp"
            for header, allowed in tree.sections["system"]:
                if fnmatch.fnmatchcase(name, header) and not fits(file.path, allowed):
                    yield file.path, number, f"{name} is kept to {' '.join(allowed)}"


def opens_block(before):
    """Does a `{` behind this text open a block, not an initializer or a compound literal?"""
    before = before.rstrip()
    if not before or before[-1] in ";{}:":
        return True
    if before[-1] != ")":
        return re.search(r"\b(else|do)$", before) is not None
    depth = 0
    for at in range(len(before) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(before[at], 0)
        if depth == 0:
            word = re.search(r"(\w+)\s*$", before[:at])
            return word is not None and word.group(1) not in ("return", "sizeof")
    return True


def functions(file):
    """(first line, last line, deepest nesting, its line) of each function; None if braces do not balance."""
    found, stack, start, head = [], [], 0, 0
    body = file.body
    for match in re.finditer(r"[{};]", body):
        at, char = match.start(), match.group()
        if char == "{":
            before = body[head:at]
            if not stack:
                name = "function" if re.search(r"\)\s*(__attribute__\s*\(\(.*\)\)\s*)?$", before) else "other"
                if re.search(r'\bextern\s*"[^"]*"\s*$', before) or "=" in before:
                    name = "other"
                start = head + len(before) - len(before.lstrip())
                deepest, where = 0, 0
                stack.append(name)
            else:
                stack.append("block" if opens_block(body[max(0, at - 2000):at]) else "list")
                depth = stack.count("block")
                if stack[0] == "function" and depth > deepest:
                    deepest, where = depth, file.line(at)
        elif char == "}":
            if not stack:
                return None
            name = stack.pop()
            if not stack:
                if name == "function":
                    found.append((file.line(start), file.line(at), deepest, where))
                head = at + 1
        elif not stack:
            head = at + 1
    return None if stack else found


def without_extern_c(file):
    """`extern "C" {` would make a whole header one body; its braces stand alone on their lines."""
    return file.path.endswith(".h") and re.search(r'extern\s*"', file.body)


def rule_function_length(tree):
    for file in tree.c_files:
        if without_extern_c(file):
            continue
        found = functions(file)
        if found is None:
            yield file.path, 1, "braces do not balance: this file cannot be checked"
            continue
        for first, last, _, _ in found:
            if last - first + 1 > FUNCTION_LINES:
                yield file.path, first, f"function of {last - first + 1} lines, more than {FUNCTION_LINES}"


def rule_nesting(tree):
    for file in tree.c_files:
        for _, _, depth, line in ([] if without_extern_c(file) else functions(file) or []):
            if depth > NESTING:
                yield file.path, line, f"nested {depth} deep, more than {NESTING}"


def rule_file_length(tree):
    for file in tree.files:
        if not file.is_c and not file.path.endswith(".py"):
            continue
        rows = [(pattern, int(words[0])) for pattern, words in tree.sections["lines"]
                if fnmatch.fnmatchcase(file.path, pattern)]
        limit = max(rows, key=lambda row: len(row[0]))[1]
        if len(file.lines) - 1 > limit:
            yield file.path, len(file.lines) - 1, f"{len(file.lines) - 1} lines, more than {limit}"


def rule_line_length(tree):
    for file in tree.files:
        if file.path.endswith((".md", ".txt", ".json", ".sql", ".expected")):
            continue
        for number, line in enumerate(file.lines, 1):
            if len(line) > COLUMNS:
                yield file.path, number, f"{len(line)} columns, more than {COLUMNS}"


def rule_blanks(tree):
    for file in tree.files:
        if file.path.endswith(".expected"):
            continue
        for number, line in enumerate(file.lines, 1):
            if "\t" in line:
                yield file.path, number, "tab"
            if line != line.rstrip():
                yield file.path, number, "trailing blank"
        if file.text and not file.text.endswith("\n"):
            yield file.path, len(file.lines), "no newline at the end"


def call(names):
    """A call, or the name handed over as a destructor; not a member of that name."""
    return r"(?<![\w.>])(?<!format\()(" + "|".join(names) + r")\s*[(,)]"


def rule_banned_calls(tree):
    memory = call(("malloc", "calloc", "realloc", "free", "aligned_alloc", "posix_memalign", "strdup",
                   "strndup"))
    rude = call(("printf", "fprintf", "vprintf", "vfprintf", "puts", "fputs", "putchar", "perror", "exit",
                 "_exit", "abort", "assert"))
    unsafe = call(("strcpy", "strcat", "sprintf", "vsprintf", "gets", "strtok"))
    for file in tree.c_files:
        banned = [(unsafe, "has no bound or hidden state")]
        if file.in_library and not file.path.startswith(("src/base/alloc.c", PLUGIN)):
            banned.append((memory, "only src/base/alloc.c allocates: tq_alloc, tq_free"))
        if file.in_library and file.path != "src/base/status.c":
            banned.append((rude, "the library never prints or exits: tq_fail, TQ_ASSERT"))
        if file.in_library and not file.path.startswith(("src/db/", "index/device_plugin.c", PLUGIN)):
            banned.append((call(("getenv", "secure_getenv")), "only tq_open (src/db) reads the environment"))
        for pattern, why in banned:
            for number, match in file.find(pattern, file.body):
                yield file.path, number, f"{match.group(1)}: {why}"


def rule_unique_names(tree):
    seen = {}
    for file in tree.c_files:
        if file.path.startswith("examples/"):
            continue  # users' code: free to be called what it is
        folder, name = os.path.split(file.path)
        stem = os.path.splitext(name)[0]
        key = stem, folder == PLUGIN.rstrip("/")  # whose kernels may be called as the CPU's
        if seen.setdefault(key, folder) != folder:
            yield file.path, 1, f"the name {stem} is taken in {seen[key]}"


def rule_leftovers(tree):
    words = re.compile(r"\b(%s)\b" % "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3)))
    for file in tree.files:
        for number, line in enumerate(file.lines, 1):
            if words.search(line) and not re.search(r"mktemp|mkdtemp|mkstemp", line):
                yield file.path, number, "unfinished: " + words.search(line).group()


def rule_private_paths(tree):
    private = re.compile(r"(?<![\w.}$)/-])/(%s)(/|\b)" % "|".join(("work", "home", "root")))
    for file in tree.files:
        for number, line in enumerate(file.lines, 1):
            if private.search(line):
                yield file.path, number, "path of a private machine: " + private.search(line).group()


def rule_kernel_rows(tree):
    names = ("scalar", "ssse3", "avx2", "avx512", "avx512vnni", "avx512vbmi", "amx", "neon")
    dispatch = next((f for f in tree.files if f.path == "kernels/dispatch.c"), None)
    for file in tree.c_files:
        match = re.match(r"kernels/\w+/(\w+)_(%s)\.c$" % "|".join(names), file.path)
        if not match:
            continue
        row = "%s_%s" % match.groups()
        if dispatch is None or not re.search(r"\b(tq_)?%s\b" % row, dispatch.body):
            yield file.path, 1, f"no row tq_{row} in kernels/dispatch.c: nothing would use or test this file"


def public_names(tree):
    """Names declared with TQ_API, wherever that is."""
    names = {"sqlite3_tq_init"}
    for file in tree.c_files:
        for match in re.finditer(r"^TQ_API\b[^;{]*?\b(tq_\w+)\s*\(", file.body, flags=re.M):
            names.add(match.group(1))
    return names


def rule_exported_symbols(tree):
    if tree.library is None:
        raise Skip("no --library given")
    run = subprocess.run(["nm", "-D", "--defined-only", tree.library], capture_output=True, text=True,
                         check=True)
    allowed = public_names(tree)
    for line in run.stdout.splitlines():
        kind, name = line.split()[-2:]
        name = name.split("@")[0]
        if kind == "A":
            continue  # the version node
        if name not in allowed:
            yield tree.library, 0, f"exports {name}, which no header marks TQ_API"


def rule_public_headers(tree):
    compilers = [("c", "c17", tree.cc)]
    plus = shutil.which({"gcc": "g++", "clang": "clang++"}.get(os.path.basename(tree.cc), "c++"))
    plus = plus or shutil.which("c++")
    if plus:
        compilers.append(("c++", "c++17", plus))
    else:
        print("skipped in part: no C++ compiler for public headers")
    for header, _ in tree.sections["public"]:
        for language, standard, compiler in compilers:
            command = [compiler, "-x", language, f"-std={standard}", "-fsyntax-only", "-Wall", "-Wextra",
                       "-Wpedantic", "-Werror", "-"]
            run = subprocess.run(command, cwd=tree.root, capture_output=True, text=True, check=False,
                                 input=f'#include "{header}"\n')
            if run.returncode != 0:
                lines = run.stderr.strip().split("\n")
                reason = next((line for line in lines if "error" in line), lines[0])
                yield header, 0, f"not valid {standard} alone: {reason}"


def rule_format(tree):
    if not shutil.which("clang-format"):
        raise Skip("clang-format is not installed")
    version = subprocess.run(["clang-format", "--version"], capture_output=True, text=True, check=True).stdout
    if not re.search(r"version 14\.", version):
        raise Skip("clang-format 14 decides, this is " + version.strip())
    paths = [f.path for f in tree.c_files]
    if not paths:
        return
    run = subprocess.run(["clang-format", "--dry-run", *paths], cwd=tree.root, capture_output=True, text=True,
                         check=False)
    places = {}
    for path, line in re.findall(r"^([^:\n]+):(\d+):\d+: (?:warning|error)", run.stderr, re.M):
        places.setdefault(path, set()).add(int(line))
    for path, lines in places.items():
        yield path, min(lines), f"not as scripts/format would have it, on {len(lines)} lines"


RULES = [value for name, value in sorted(globals().items()) if name.startswith("rule_")]


def check(tree, rules=None):
    """Print breaches; {rule name: how many}."""
    counts = {}
    for rule in rules or RULES:
        name = rule.__name__[len("rule_"):]
        try:
            breaches = list(rule(tree))
        except Skip as reason:
            print(f"skipped {name}: {reason}")
            continue
        counts[name] = len(breaches)
        for path, line, text in breaches:
            print(f"{path}:{line}: {text} [{name}]")
    return counts


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", default=os.path.dirname(os.path.dirname(here)))
    parser.add_argument("--library")
    parser.add_argument("--cc", default="gcc")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        import tidy_self
        results = tidy_self.run(sys.modules[__name__], os.path.join(here, "layers.txt"), options.cc)
    else:
        library = options.library and os.path.abspath(options.library)
        tree = Tree(options.root, os.path.join(here, "layers.txt"), library, options.cc)
        results = check(tree)
    failed = sum(1 for count in results.values() if count)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())

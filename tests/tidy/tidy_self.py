"""Does each rule of tidy.py fire? Small wrong files, each in a tree that is right otherwise."""
import contextlib
import io
import os
import subprocess
import tempfile

RIGHT = {
    "src/tq.h": "#ifndef TQ_H\n#define TQ_H\n#define TQ_API\nTQ_API int tq_one(int number);\n#endif\n",
    "src/tq_io.h": '#ifndef TQ_IO_H\n#define TQ_IO_H\n#include "tq.h"\n#endif\n',
    "src/base/base.h": '#include "src/tq.h"\n',
    "src/base/status.c": '#include "src/base/base.h"\n\nint tq_one(int number) { return number; }\n',
    "kernels/dispatch.c": "int tq_scan_scalar;\n",
    "kernels/scan/scan_scalar.c": '#include "src/base/base.h"\n',
    "storage/storage.h": "#include <lmdb.h>\n",
}


def function(lines):
    return "int f(int x) {\n" + "    x++;\n" * (lines - 3) + "    return x;\n}\n"


def nested(depth):
    text = "int f(int x) {\n"
    for level in range(1, depth + 1):
        text += "    " * level + "if (x) {\n"
    for level in range(depth, 0, -1):
        text += "    " * level + "}\n"
    return text + "    return x;\n}\n"


# (rule, path, contents, does it fire)
CASES = [
    ("include_direction", "src/base/a.c", '#include "kernels/dispatch.c"\n', True),
    ("include_direction", "kernels/a.c", '#include "storage/storage.h"\n', True),
    ("include_direction", "storage/a.c", '#include "kernels/dispatch.c"\n', True),
    ("include_direction", "src/codec/a.c", '#include "storage/storage.h"\n', True),
    ("include_direction", "index/a.c", '#include "storage/storage.h"\n', False),
    ("include_direction", "sql/a.c", '#include "storage/storage.h"\n', True),
    ("include_direction", "shell/a.c", '#include "storage/env.h"\n', True),
    ("include_direction", "examples/a.c", '#include "src/tq.h"\n', True),
    ("include_direction", "src/base/a.h", '#include "tq.h"\n', True),
    ("include_direction", "storage/a.c", '#include "storage.h"\n', True),
    ("include_direction", "bench/a.c", '#include "kernels/dispatch.c"\n', True),
    ("include_direction", "docs/a.c", "int x;\n", True),
    ("system_headers", "kernels/scan/scan_scalar.c", "#include <immintrin.h>\n", True),
    ("system_headers", "kernels/scan/scan_avx2.c", "#include <immintrin.h>\n", False),
    ("system_headers", "kernels/scan/scan_avx2.c", "#include <arm_neon.h>\n", True),
    ("system_headers", "index/a.c", "#include <lmdb.h>\n", True),
    ("system_headers", "src/db/a.c", "#include <xxhash.h>\n", True),
    ("system_headers", "index/a.c", "#include <sqlite3.h>\n", True),
    ("system_headers", "sql/a.c", "#include <sqlite3ext.h>\n", False),
    ("system_headers", "storage/a.c", "#include <omp.h>\n", True),
    ("system_headers", "src/codec/a.c", "#pragma omp parallel for\n", True),
    ("system_headers", "index/a.c", "#pragma omp parallel for\n", False),
    ("function_length", "index/a.c", function(71), True),
    ("function_length", "index/a.c", function(70), False),
    ("function_length", "index/a.c", "static const char *s = \"{\";\n" + function(71), True),
    ("function_length", "index/a.c", "int f(int x) {\n", True),
    ("function_length", "index/a.c", "int a[] = {\n" + "    1,\n" * 90 + "};\n", False),
    ("nesting", "index/a.c", nested(5), True),
    ("nesting", "index/a.c", nested(4), False),
    ("nesting", "index/a.c", nested(4).replace("int f", "struct s g = {1};\nint f"), False),
    ("file_length", "index/a.c", "int x;\n" * 501, True),
    ("file_length", "index/a.c", "int x;\n" * 500, False),
    ("file_length", "tests/unit/test_a.c", "int x;\n" * 800, False),
    ("file_length", "tests/unit/test_a.c", "int x;\n" * 801, True),
    ("file_length", "kernels/beta_table.c", "int x;\n" * 801, False),
    ("line_length", "index/a.c", "int x; /*" + "-" * 112 + "*/\n", True),
    ("line_length", "scripts/a", "#" * 121 + "\n", True),
    ("blanks", "index/a.c", "\tint x;\n", True),
    ("blanks", "docs/a.md", "text \n", True),
    ("blanks", "index/a.c", "int x;", True),
    ("banned_calls", "index/a.c", "void f(void) { (void)malloc(3); }\n", True),
    ("banned_calls", "index/a.c", "void f(void *p) { free(p); }\n", True),
    ("banned_calls", "sql/a.c", "void f(void *p) { g(p, free); }\n", True),
    ("banned_calls", "src/base/alloc.c", "void f(void *p) { free(p); }\n", False),
    ("banned_calls", "index/a.c", "void f(void *p) { sqlite3_free(p); h->free(p); } /* free(p) */\n", False),
    ("banned_calls", "tests/unit/test_a.c", "void f(void *p) { free(p); }\n", False),
    ("banned_calls", "index/a.c", "void f(void) { (void)printf(\"x\"); }\n", True),
    ("banned_calls", "index/a.c", "void f(void) { exit(1); }\n", True),
    ("banned_calls", "index/a.c", "void f(char *s) { (void)snprintf(s, 3, \"x\"); }\n", False),
    ("banned_calls", "tests/unit/test_a.c", "void f(char *s) { strcpy(s, \"x\"); }\n", True),
    ("banned_calls", "index/a.c", "char *f(void) { return getenv(\"X\"); }\n", True),
    ("banned_calls", "src/db/a.c", "char *f(void) { return getenv(\"X\"); }\n", False),
    ("banned_calls", "index/a.h", "void f(char *s, ...) __attribute__((format(printf, 1, 2)));\n", False),
    ("unique_names", "index/status.c", "int x;\n", True),
    ("unique_names", "examples/status.c", "int x;\n", False),
    ("unique_names", "storage/storage.c", "int x;\n", False),
    ("leftovers", "index/a.c", "int x; /* TO" + "DO: more */\n", True),
    ("leftovers", "docs/a.md", "FIX" + "ME\n", True),
    ("private_paths", "docs/a.md", "see /ho" + "me/me/notes\n", True),
    ("private_paths", "scripts/a", "cd /wo" + "rk\n", True),
    ("private_paths", "docs/a.md", "home/root works; $dir/root; https://a.b/c/work\n", False),
    ("kernel_rows", "kernels/scan/scan_avx2.c", "int x;\n", True),
    ("kernel_rows", "kernels/dispatch.c", "int tq_scan_scalar;\n", False),
    ("kernel_rows", "kernels/dispatch.c", "int x; /* tq_scan_scalar */\n", True),
    ("public_headers", "src/tq.h", "size_t f(void);\n", True),
    ("public_headers", "src/tq.h", "int f(int class);\n", True),
    ("public_headers", "src/tq.h", "enum e { A, B };\n", False),
    ("format", "index/a.c", "int  x;\n", True),
    ("format", "index/a.c", "int x;\n", False),
]

CLANG_FORMAT = "BasedOnStyle: LLVM\nColumnLimit: 120\nIndentWidth: 4\nAllowShortFunctionsOnASingleLine: All\n"


def write(root, files):
    for path, text in files.items():
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as handle:
            handle.write(text)


def fired(tidy, root, layers, rule, library=None, cc="gcc"):
    """Number of breaches of one rule, None if it was skipped."""
    tree = tidy.Tree(root, layers, library, cc)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        counts = tidy.check(tree, [getattr(tidy, "rule_" + rule)])
    if rule not in counts:
        print(out.getvalue().strip())
    return counts.get(rule)


def exported(tidy, layers, cc):
    """The rule on symbols, on a library that leaks one and on one that does not."""
    results = {}
    with tempfile.TemporaryDirectory() as root:
        write(root, RIGHT)
        one = "int tq_one(int n) { return n; }\n"
        for name, source in (("leaks", one + "int tq_two(int n) { return n; }\n"),
                             ("tight", one + "int sqlite3_tq_init(void) { return 0; }\n")):
            library = os.path.join(root, name + ".so")
            subprocess.run([cc, "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=source, text=True,
                           check=True)
            count = fired(tidy, root, layers, "exported_symbols", library)
            results["exported_symbols " + name] = int((count == 0) == (name == "leaks"))
    return results


def run(tidy, layers, cc):
    """{case: 0 if as it should be}"""
    results = {}
    with tempfile.TemporaryDirectory() as root:
        write(root, RIGHT)
        write(root, {".clang-format": CLANG_FORMAT})
        for rule in tidy.RULES:
            name = rule.__name__[len("rule_"):]
            results["right tree " + name] = fired(tidy, root, layers, name, cc=cc) or 0
    for number, (rule, path, text, fires) in enumerate(CASES):
        with tempfile.TemporaryDirectory() as root:
            write(root, {**RIGHT, path: text})
            write(root, {".clang-format": CLANG_FORMAT})
            count = fired(tidy, root, layers, rule, cc=cc)
        if count is None:
            continue
        results[f"{number} {rule} {path}"] = int((count > 0) != fires)
        if (count > 0) != fires:
            print(f"{rule}: {'silent' if fires else 'fired'} on {path}:\n{text[:300]}")
    tested = {case[0] for case in CASES} | {"exported_symbols"}
    for rule in tidy.RULES:
        name = rule.__name__[len("rule_"):]
        results["tested " + name] = int(name not in tested)
    results.update(exported(tidy, layers, cc))
    for name, count in results.items():
        if count:
            print(f"wrong: {name}")
    return results

#!/usr/bin/env python3
"""A stand-in for the sqlite3 command on an SQLite that only a Python module brings (apsw, pysqlite3, sqlean).

  stand_in.py MODULE LIBRARY DATABASE < SCRIPT

Prints what `sqlite3 -batch` prints in list mode: values between bars, errors as sentences. Of the dot commands it knows
those in `Shell.dot`; a script that uses another one ends with status 3 and its name.
"""
import importlib
import re
import sqlite3 as splitter
import subprocess
import sys

UNKNOWN_COMMAND = 3
DBCONFIG_DEFENSIVE = 1010


class Apsw:
    def __init__(self, module, path, library):
        self.module = module
        if hasattr(module, "allow_missing_dict_bindings"):
            module.allow_missing_dict_bindings(True)
        self.connection = module.Connection(path)
        self.connection.enableloadextension(True)
        self.connection.loadextension(library)

    def execute(self, statement):
        return self.connection.cursor().execute(statement, {})

    def message(self, error):
        """Old versions put the class in front."""
        return re.sub(r"^\w+Error: ", "", str(error))

    def defensive(self, on):
        self.connection.config(DBCONFIG_DEFENSIVE, on)
        return True


class Pep249:
    def __init__(self, module, path, library):
        self.module = module
        self.connection = module.connect(path, isolation_level=None)
        self.connection.text_factory = lambda data: data.decode("utf-8", "replace")
        self.connection.enable_load_extension(True)
        self.connection.load_extension(library)

    def execute(self, statement):
        """Parameters are NULL, as the command leaves them: the module says how many there are."""
        try:
            return self.connection.execute(statement)
        except self.module.ProgrammingError as error:
            wanted = re.search(r"current statement uses (\d+)", str(error))
            if wanted is None:
                raise
            return self.connection.execute(statement, (None,) * int(wanted.group(1)))

    def message(self, error):
        return str(error)

    def defensive(self, _on):
        return False


def text(value):
    """As sqlite3_column_text() writes it, and as far as C prints it."""
    if value is None:
        return ""
    if isinstance(value, float):
        digits, exponent, rest = format(value or 0.0, ".15g").partition("e")  # -0.0 is 0.0
        return (digits if re.search(r"[.n]", digits) else digits + ".0") + exponent + rest
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return str(value).split("\0")[0]


def statements(script):
    """The command gathers lines until a statement is whole, and an error ends what these lines hold."""
    lines = ""
    for line in script.split("\n"):
        if not lines and line.startswith("."):
            yield [line]
            continue
        if not lines and (not line.strip() or line.startswith("--")):
            continue
        lines += line + "\n"
        if line.rstrip().endswith(";") and splitter.complete_statement(lines):
            yield list(split(lines))
            lines = ""
    if lines.strip():
        yield list(split(lines))


def split(lines):
    start = 0
    for found in re.finditer(";", lines):
        piece = lines[start:found.end()]
        if splitter.complete_statement(piece):
            yield piece
            start = found.end()
    if lines[start:].strip():
        yield lines[start:]


def tree(rows, parent=0, indent=""):
    """EXPLAIN QUERY PLAN as the command draws it: rows of number, parent, unused, words."""
    children = [row for row in rows if row[1] == parent]
    for row in children:
        last = row is children[-1]
        yield indent + ("`--" if last else "|--") + row[3]
        yield from tree(rows, row[0], indent + ("   " if last else "|  "))


class Shell:
    def __init__(self, module, path, library):
        kind = Apsw if module.__name__ == "apsw" else Pep249
        self.database = kind(module, path, library)

    def dot(self, line):
        words = line.split(None, 1)
        if words[0] == ".print":
            print(words[1] if len(words) > 1 else "")
        elif words[0] == ".shell":
            sys.stdout.flush()
            subprocess.run(words[1], shell=True, stderr=subprocess.STDOUT, check=False)
        elif line.split()[:2] == [".dbconfig", "defensive"]:
            on = line.split()[2] == "on"
            if not self.database.defensive(on):
                self.unknown(line)
            print(f"          defensive {'on' if on else 'off'}")
        else:
            self.unknown(line)

    def unknown(self, line):
        print(f"no {line.split()[0]} here", file=sys.stderr)
        sys.exit(UNKNOWN_COMMAND)

    def lines(self, statement):
        rows = self.database.execute(statement)
        if re.match(r"\s*EXPLAIN QUERY PLAN\b", statement, flags=re.I):
            yield "QUERY PLAN"
            yield from tree(list(rows))
            return
        for row in rows:
            yield "|".join(text(value) for value in row)

    def run(self, script):
        for pieces in statements(script):
            if pieces[0].startswith("."):
                self.dot(pieces[0])
                continue
            # The command's rows wait in a buffer when its error is out already.
            gathered = []
            try:
                for piece in pieces:
                    for line in self.lines(piece):
                        gathered.append(line)
            except self.database.module.Error as error:
                print("Error: " + self.database.message(error))
            print("".join(line + "\n" for line in gathered), end="")


def main():
    module, library, path = sys.argv[1:4]
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")
    Shell(importlib.import_module(module), path, library).run(sys.stdin.read())
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""What tqshell offers is tested and documented: surface.py BUILD

Commands are those of `.help`, their options those of `.help -all`, options of the program those of `tqshell -help`.
Each command is typed in a dialogue; each option is given in some test; each command and option stands in the manual
(docs/shell.md) and the man page (docs/tqshell.1), and each option is known to the completion (shell/tqshell.bash).
So do the formats that `.import` names. Where mandoc is installed it has nothing to say about the man page.
"""
import glob
import os
import re
import shutil
import subprocess
import sys

from dialogue import PROMPT

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def ask(program, *arguments):
    return subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, encoding="utf-8",
                          check=True).stdout


def formats(program):
    """The list in the message about a format that does not exist."""
    done = subprocess.run([program, ":memory:", ".import '%s' t --format none" % __file__], stdin=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, encoding="utf-8", check=False)
    return re.findall(r"\w+", done.stderr.partition("is none of")[2])


def read(*patterns):
    texts = []
    for pattern in patterns:
        for path in sorted(glob.glob(os.path.join(ROOT, pattern))):
            with open(path, encoding="utf-8") as file:
                texts.append(file.read())
    return "\n".join(texts)


def plain(roff):
    """The text of a man page as far as names go."""
    roff = re.sub(r"\\&|\\f[BIRP]", "", roff).replace("\\-", "-")
    return re.sub(r"(?:^\.)?\bFl (\S+)", r"-\1", roff, flags=re.M)


def missing(names, text):
    return [name for name in names if not re.search(r"(?<![\w.-])%s(?![\w-])" % re.escape(name), text)]


def complaints(page):
    """What mandoc says, but that its list of other pages is old."""
    if shutil.which("mandoc") is None:
        return []
    done = subprocess.run(["mandoc", "-T", "lint", page], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          encoding="utf-8", check=False)
    return [line for line in done.stdout.split("\n") if line and "mandoc.db" not in line]


def main():
    program = os.path.join(os.path.abspath(sys.argv[1]), "tqshell")
    commands = re.findall(r"^(\.[a-z]+)", ask(program, ":memory:", ".help"), re.M)
    details = sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", ask(program, ":memory:", ".help -all"))))
    options = sorted(set(re.findall(r"(?<![\w-])-[a-z][a-z-]*", ask(program, "-help"))))
    dialogues = "\n".join(re.findall(r"^%s(.*)$" % PROMPT, read("tests/shell/dialogues/*.dialogue"), re.M))
    tests = read("tests/shell/dialogues/*.dialogue", "tests/shell/*.sh", "tests/shell/*.tqs")
    manual, page, completion = read("docs/shell.md"), plain(read("docs/tqshell.1")), read("shell/tqshell.bash")
    readers = formats(program)
    failed = 0
    for what, names, text in (
            ("commands that no dialogue types", commands, dialogues),
            ("options of commands that no test gives", details, tests),
            ("options that no test gives", options, re.sub(r"(?<=\s)--(?=[a-z])", "-", tests)),
            ("commands, options and formats that docs/shell.md lacks", commands + details + options + readers, manual),
            ("commands, options and formats that docs/tqshell.1 lacks", commands + details + options + readers, page),
            ("options that shell/tqshell.bash lacks", options, completion)):
        lost = missing(names, text)
        if lost:
            print("FAILED: %s: %s" % (what, " ".join(lost)))
            failed += 1
    lines = complaints(os.path.join(ROOT, "docs", "tqshell.1"))
    if lines:
        print("FAILED: " + "\n".join(lines))
        failed += 1
    print("surface: %d commands, %d options of theirs, %d options, %d formats; %d failed" % (
        len(commands), len(details), len(options), len(readers), failed))
    sys.exit(failed > 0 or not (commands and options and readers))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""The transcripts of the documentation are played again: transcripts.py [--accept] BUILD

A transcript is a fenced block that begins with `$ ` (a command, run by bash) or with a prompt of tqshell (typed at the
shell that runs since the last command). The blocks of a document are one session in an empty folder where `tests` is
this folder's parent. Where ^C begins what follows a typed line, that key is pressed once the statement runs. A line
`...` stands for any lines. Seconds, rates and versions need not be the same. A comment before a block says more:

  <!-- p99 ms, queries/s vary -->   nor need the numbers in these columns of tables
  <!-- needs hdf5 -->               it is left out where that is missing (see dialogue.py); before the other: needs
                                    hdf5; ranked varies
"""
import argparse
import difflib
import os
import re
import sys
import tempfile

from dialogue import Build, Ended, HERE, NUMBER, PROMPT, SECONDS, Session, need_terminal

ROOT = os.path.dirname(os.path.dirname(HERE))
DOCUMENTS = ("README.md", "docs/shell.md", "docs/formats.md")
BLOCK = re.compile(r"^(?:<!-- (.*) -->\n)?```\w*\n((?:\$ |%s).*\n(?:.*\n)*?)```\n" % PROMPT, re.M)
ANY = "<any lines>"


def alike(line):
    """A line without what differs from run to run."""
    line = re.sub(r"[0-9]+(?:\.[0-9]+){2,}", "<version>", line)
    line = re.sub(NUMBER + r"((?: [kMGT]i?B)?/s)\b", r"<rate>", line)
    return re.sub(r"(?<![\w.])" + SECONDS, "<seconds>", line)


def without(lines, names):
    """Lines of tables without the numbers in these columns, and without blanks and borders, which go with widths."""
    found, places = [], []
    for line in lines:
        cells = [cell.strip() for cell in line.split("|")]
        if any(name in cells for name in names):
            places = [i for i, cell in enumerate(cells) if cell in names]
        elif len(cells) > max(places, default=0):
            cells = ["<number>" if i in places and re.fullmatch(NUMBER, cell) else cell
                     for i, cell in enumerate(cells)]
        found.append(re.sub(r"^[-+]{3,}$", "<border>", "|".join(cells)))
    return found if names else lines


def same(written, got, names):
    wanted = [ANY if line == "..." else alike(line) for line in without(written, names)]
    pattern = "".join(r"(?:[^\n]*\n)*" if part == ANY else re.escape(part) + "\n" for part in wanted)
    return re.fullmatch(pattern, "".join(alike(line) + "\n" for line in without(got, names))) is not None


def play_block(session, conditions, text):
    """The block as it would have to be."""
    vary = re.search(r"^(?:needs [\w ]+; )?(.*) var(?:y|ies)$", conditions)
    names = vary[1].split(", ") if vary else []
    played = []
    for line, written in session.steps(text.rstrip("\n").split("\n"))[1:]:
        if written and written[0].startswith("^C"):
            _, got = session.play(line + "<Enter><wait 0.5><Ctrl-C>")
            typed, got = line, got[1:]
        else:
            typed, got = session.play(line)
        played += [typed] + (written if same(written, got, names) else got)
    return "\n".join(played) + "\n"


def play(path, build):
    """The document as it would have to be, how many blocks were played, and what went wrong."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        text = file.read()
    count, played, at = 0, "", 0
    with tempfile.TemporaryDirectory() as folder:
        session = Session(build, folder, links={"tests": os.path.dirname(HERE)})
        try:
            for block in BLOCK.finditer(text):
                needs = re.search(r"needs ([\w ]+)", block[1] or "")
                if needs and any(build.lacks(need) for need in needs[1].split()):
                    continue
                new = play_block(session, block[1] or "", block[2])
                played += text[at:block.start(2)] + new
                at = block.end(2)
                count += 1
        except (Ended, TimeoutError) as error:
            return text, played + text[at:], count, "line %d: %s" % (text[:block.start()].count("\n") + 1, error)
        finally:
            session.close()
    return text, played + text[at:], count, ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accept", action="store_true", default=bool(os.environ.get("TQ_ACCEPT")))
    parser.add_argument("build")
    options = parser.parse_args()
    need_terminal()
    build, failed, total = Build(options.build), 0, 0
    for path in DOCUMENTS:
        text, played, count, trouble = play(path, build)
        total += count
        if text == played and not trouble:
            continue
        if options.accept and not trouble:
            with open(os.path.join(ROOT, path), "w", encoding="utf-8") as file:
                file.write(played)
            print("written: %s" % path)
            continue
        failed += 1
        lines = difflib.unified_diff(text.split("\n"), played.split("\n"), path, "played", lineterm="", n=1)
        print("FAILED: %s\n%s\n%s" % (path, "\n".join(lines), trouble))
    print("transcripts: %d blocks played in %d documents, %d documents failed" % (total, len(DOCUMENTS), failed))
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()

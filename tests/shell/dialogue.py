#!/usr/bin/env python3
"""Dialogues with tqshell at a pseudo-terminal, compared with what they looked like when somebody read them.

  dialogue.py BUILD [NAME...]             run tests/shell/dialogues/NAME.dialogue, or all of them
  dialogue.py --accept BUILD [NAME...]    write what differs anew: read what git diff says then (or TQ_ACCEPT=1)

A dialogue is what stands on the screen. It runs in an empty folder of its own with tests/data linked as `data`.

    # a comment
    $ tqshell words.db              a command, run by bash; below it what it prints until it ends or asks
    tqlite {version}, SQLite {version}, database words.db; .help lists commands
    tq> SELECT 40 +                 a line that begins with a prompt is typed behind it, and Enter pressed;
    ...> 2 AS sum;                  below it what comes until the next prompt
    +-----+
    | sum |
    ...
    tq> .quit
    $ tqshell words.db .bogus
    Error: unknown command ".bogus"
    [exit status 1]                 stands there unless it is 0

Without a `$` line, or between two of them, a shell that was left with Ctrl-D is meant: the first typed line starts
`tqshell test.db`, whose greeting is not compared; a `$` line or the end of the file leaves a shell that still runs.
To write one: type only the `tq> ` and `$` lines, run --accept, read the result.

Keys, in lines behind a prompt:  <Tab> <Enter> <Esc> <Up> <Down> <Left> <Right> <Home> <End> <Backspace> <Delete>
    <PageUp> <PageDown> <Ctrl-C> (any letter) <Alt-b> <key q>, the key q; <size 20x60>: the window becomes so large;
    <wait 0.5>: until a statement has been running for so many seconds; <wait TEXT>: until TEXT has been shown.
    A line that ends with one of these gets no Enter:   tq> SELECT endless;<Enter><wait 0.5><Ctrl-C>
Where the screen does not show the line as it was typed (keys, completion, history), what it shows is expected first.
An expected line that begins like one of the above (prompt, $, #, @) has a backslash before it.

In expected lines {number} {seconds} (a number and its unit of time) {version} {word} {any} {folder} (the one it runs
in) stand for what differs from run to run, and runs of blanks in such lines match others; a line {lines} stands for
any number of lines. --accept keeps lines that match, and puts seconds, rates per second, versions and the folder in
by itself.

Lines that begin with @ say under what conditions, and stand before the first command:
    @ needs libedit         else it is skipped; also `needs hdf5`, `zip`, `csv`, or a program such as `less`
    @ size 40x120           rows and columns of the terminal; this is the default
    @ env NAME=VALUE        e.g. PAGER, NO_COLOR, TERM; unless it says otherwise PAGER is cat and TERM xterm
    @ prompt "words> "      a prompt beside tq>, tq*> and ...>
    @ colours               expected lines show them: \\e[1mbold\\e[0m
Output that is longer than the screen is compared as a whole. A step may take two minutes ($TQ_DIALOGUE_SECONDS).
"""
import argparse
import difflib
import glob
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import time

from terminal import Ended, ESCAPE, Terminal

HERE = os.path.dirname(os.path.abspath(__file__))
PROMPT = r"(?:tq\*?|\.\.\.)> "
KEYS = {"Tab": "\t", "Enter": "\r", "Esc": "\x1b", "Up": "\x1b[A", "Down": "\x1b[B", "Right": "\x1b[C",
        "Left": "\x1b[D", "Home": "\x1b[H", "End": "\x1b[F", "Delete": "\x1b[3~", "Backspace": "\x7f",
        "PageUp": "\x1b[5~", "PageDown": "\x1b[6~"}
KEY = re.compile(r"<(%s|Ctrl-[A-Z\\]|Alt-.|key .|size \d+x\d+|wait [^>]+)>" % "|".join(KEYS))
NUMBER = r"-?[0-9][0-9,]*(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?"
SECONDS = NUMBER + r" ?(?:ns|µs|us|ms|s|min|h)\b"
MASKS = {"number": NUMBER, "seconds": SECONDS, "version": r"[0-9]+(?:\.[0-9]+)+", "word": r"\S+", "any": r".*?"}


class Masks:
    """Expected lines with {number} and the like."""

    def __init__(self, folder, versions=()):
        self.folder, self.versions = folder, versions

    def pattern(self, line):
        if line == "{lines}":
            return r"(?:[^\n]*\n)*?"
        parts = re.split(r"\{(number|seconds|version|word|any|folder)\}", line)
        if len(parts) == 1:
            return re.escape(line) + "\n"
        texts = [re.sub(r"(?:\\ )+", r"[ ]+", re.escape(part)) for part in parts]
        names = [re.escape(self.folder) if name == "folder" else MASKS[name] for name in parts[1::2]]
        texts[1::2] = ["[ ]*(?:%s)" % name for name in names]
        return "".join(texts) + "\n"

    def same(self, expected, got):
        return re.fullmatch("".join(map(self.pattern, expected)), "".join(line + "\n" for line in got)) is not None

    def put_in(self, line):
        line = line.replace(self.folder, "{folder}")
        for version in self.versions:
            line = line.replace(version, "{version}")
        line = re.sub(NUMBER + r"((?: [kMG]i?B)?/s)\b", r"{number}\1", line)
        return re.sub(r"(?<![\w.])" + SECONDS, "{seconds}", line)


class Build:
    """The shell under test, and what it was built with."""

    def __init__(self, folder):
        self.folder = os.path.abspath(folder)
        self.program = os.path.join(self.folder, "tqshell")
        self.about = self.ask(".version")
        self.libedit = "libedit" in self.about.replace("without libedit", "")
        self.versions = self.ask("-csv", "SELECT tq_version()", "SELECT sqlite_version()").split()

    def ask(self, *arguments):
        options = [a for a in arguments if a.startswith("-")]
        rest = [a for a in arguments if not a.startswith("-")]
        return subprocess.run([self.program, *options, ":memory:", *rest], stdin=subprocess.DEVNULL,
                              capture_output=True, encoding="utf-8", check=False).stdout

    def lacks(self, need):
        if need == "libedit":
            return not self.libedit
        if need in ("csv", "zip", "hdf5"):
            linked = subprocess.run(["ldd", self.program], capture_output=True, encoding="utf-8", check=False)
            return "lib" + need not in linked.stdout
        return shutil.which(need) is None


class Session:
    """A folder, and at most one program that runs in it."""

    def __init__(self, build, folder, size=(40, 120), variables=(), prompts=(), links=None):
        self.build, self.folder, self.size, self.colours = build, os.path.realpath(folder), size, False
        self.masks = Masks(self.folder, build.versions)
        self.prompt = re.compile("|".join([PROMPT, *map(re.escape, prompts)]))
        self.environment = dict(os.environ, TERM="xterm", LC_ALL="C.UTF-8", HOME=self.folder, PAGER="cat",
                                PATH=build.folder + ":" + os.environ["PATH"], BUILD=build.folder, TMPDIR=self.folder)
        for name in ("NO_COLOR", "COLUMNS", "LINES", "LESS", "TQSHELL_HISTORY", "EDITRC", "LC_CTYPE", "LANG"):
            self.environment.pop(name, None)
        self.environment.update(dict(v.split("=", 1) for v in variables))
        for name, target in (links or {"data": os.path.join(HERE, "..", "data")}).items():
            os.symlink(target, os.path.join(self.folder, name))
        self.terminal = None
        self.first = 0  # the row where the output that is to be compared begins

    def asks(self):
        """A prompt stands at the cursor, and keys are waited for."""
        screen = self.terminal.screen
        if screen.row < self.first:
            return False
        text = screen.text(screen.row)
        if not self.prompt.fullmatch(text) or screen.column != len(text):
            return False
        return (self.terminal.edits() or not self.terminal.raw) and self.terminal.idle()

    def done(self):
        return self.terminal.status is not None or self.asks()

    def output(self):
        screen = self.terminal.screen
        ended = self.terminal.status is not None
        lines = screen.lines(self.first, screen.row + (ended and screen.column > 0), self.colours)
        if ended and self.terminal.status != 0:
            lines.append("[exit status %d]" % self.terminal.status)
        return lines

    def command(self, text):
        """Run it, and return what it prints until it ends or asks."""
        self.leave()
        raw = self.build.libedit
        self.terminal = Terminal(["bash", "-c", text], self.folder, self.environment, self.size, raw)
        self.first = 0
        self.terminal.wait(self.done, "its end or a prompt")
        return self.output()

    def steps(self, lines):
        """[(line that does something, what is written below it)]; the first one does nothing"""
        steps = [("", [])]
        for line in lines:
            if line.startswith("$ ") or self.prompt.match(line + " "):
                steps.append((line, []))
            else:
                steps[-1][1].append(line)
        return steps

    def play(self, line):
        """One step: the line with the prompt that really was there, and what followed."""
        if line.startswith("$ "):
            return line, self.command(line[2:])
        text = line[self.prompt.match(line + " ").end():]
        prompt, got = self.typed(text)
        return (prompt + text).rstrip(" "), got

    def typed(self, text):
        """Type a line, and return the prompt and what the screen shows up to the next one, with the line itself only
        if it looks different."""
        if self.terminal is None:
            self.command("tqshell test.db")
        terminal = self.terminal
        if terminal.status is not None:
            raise Ended("the program had ended before")
        start = terminal.screen.row
        shown = terminal.screen.text(start)
        plain = KEY.sub("", text) == text
        echo = (shown + text).rstrip()
        self.first = start + 1
        parts = KEY.split(text)  # texts and keys by turns
        if len(parts) == 1 or parts[-1]:
            parts[-1] += KEYS["Enter"]
        for at, part in enumerate(parts):
            if at % 2 == 0:
                self.press(part)
            else:
                self.press_key(part, parts[at - 2] if at > 2 and not parts[at - 1] else "")
        terminal.wait(self.done, "a prompt")
        self.first = start
        lines = self.output()
        return shown, lines[1:] if plain and lines[0] == echo else lines

    def press(self, keys):
        """Keys that come while others are being heeded may be lost, and Ctrl-C overtakes all others."""
        if keys and self.terminal.status is None:
            self.terminal.settle()
            self.terminal.press(keys)

    def press_key(self, name, before):
        terminal = self.terminal
        if name.startswith("wait "):
            self.wait(name[5:], before)
        elif name.startswith("size "):
            terminal.resize(*map(int, name[5:].split("x")))
        elif name.startswith("Ctrl-"):
            self.press(chr(ord(name[5]) & 31))
        elif name.startswith("Alt-"):
            self.press("\x1b" + name[4])
        else:
            self.press(name[4] if name.startswith("key ") else KEYS[name])

    def wait(self, text, before):
        terminal = self.terminal
        if not re.fullmatch(r"[0-9.]+", text):
            terminal.wait(lambda: text in ESCAPE.sub("", terminal.recent), repr(text))
            return
        if before == "Enter" and terminal.raw:
            terminal.wait(lambda: not terminal.edits() or self.done(), "a start of the statement")
        until = time.monotonic() + float(text)
        while time.monotonic() < until and terminal.status is None:
            terminal.read(until - time.monotonic())

    def leave(self):
        """End a shell that still runs, as Ctrl-D does."""
        if self.terminal is None or self.terminal.status is not None:
            return
        self.terminal.press("\x04")
        try:
            self.terminal.wait(lambda: False, "the end of the shell")
        except Ended:
            pass
        if self.terminal.status != 0:
            raise Ended("left with Ctrl-D, the shell ended with status %d" % self.terminal.status)

    def close(self):
        """However it ended."""
        if self.terminal is not None:
            self.terminal.kill()


# ---- Files ----

def unescaped(line):
    return line[1:] if line.startswith("\\") else line


def escaped(line, prompt):
    return "\\" + line if prompt.match(line + " ") or line.startswith(("$ ", "#", "@", "\\")) else line


class Dialogue:
    def __init__(self, path, build):
        self.path, self.build = path, build
        with open(path, encoding="utf-8") as file:
            self.text = file.read()
        self.size, self.variables, self.prompts, self.needs, self.colours = (40, 120), [], [], [], False
        for line in self.text.split("\n"):
            if line.startswith("@"):
                self.condition(*line[1:].split(None, 1))

    def condition(self, word, rest=""):
        if word == "needs":
            self.needs += rest.split()
        elif word == "size":
            self.size = tuple(map(int, rest.split("x")))
        elif word == "env":
            self.variables.append(rest.strip())
        elif word == "prompt":
            self.prompts.append(rest.strip().strip('"'))
        elif word == "colours":
            self.colours = True
        else:
            raise ValueError("%s: unknown condition @ %s" % (self.path, word))

    def lacks(self):
        return [need for need in self.needs if self.build.lacks(need)]

    def play(self):
        """The text as it would have to be, and what went wrong, if the dialogue could not be played to its end."""
        with tempfile.TemporaryDirectory() as folder:
            session = Session(self.build, folder, self.size, self.variables, self.prompts)
            session.colours = self.colours
            steps = session.steps(self.text.rstrip("\n").split("\n"))
            text, trouble, line = steps.pop(0)[1], "", ""
            try:
                while steps:
                    line, expected = steps[0]
                    text += self.step(session, line, list(expected))
                    del steps[0]
                session.leave()
            except (Ended, TimeoutError) as error:
                trouble = "%s: %s" % (line, error)
                text += [line for step in steps for line in (step[0], *step[1])]
            finally:
                session.close()
            return "\n".join(text) + "\n", trouble

    def step(self, session, line, expected):
        """Play one, and return its lines as they would have to be."""
        end = len(expected)
        while end > 0 and (expected[end - 1].startswith(("#", "@")) or not expected[end - 1]):
            end -= 1
        typed, got = session.play(line)
        empty = len(got)
        while empty > 0 and not got[empty - 1]:
            empty -= 1
        while end < len(expected) and not expected[end] and empty < len(got):  # what the shell printed, and no layout
            end, empty = end + 1, empty + 1
        wanted = [line for line in expected[:end] if not line.startswith(("#", "@"))]
        return [typed] + self.written(session, wanted, got) + expected[end:]

    def written(self, session, expected, got):
        """What is expected if it fits, or what came, with the lines that fit left as they are."""
        masks = session.masks
        wanted = [unescaped(line) for line in expected]
        if masks.same(wanted, got):
            return expected
        lines, at = [], 0
        for one in got:
            fits = [i for i in range(at, len(wanted)) if wanted[i] != "{lines}" and masks.same([wanted[i]], [one])]
            if fits:
                at = fits[0] + 1
                lines.append(expected[fits[0]])
            else:
                lines.append(escaped(masks.put_in(one), session.prompt))
        return lines


def check(dialogue, accept):
    """None if it is as written, else what is different."""
    text, trouble = dialogue.play()
    if not trouble and text == dialogue.text:
        return None
    if accept and not trouble:
        with open(dialogue.path, "w", encoding="utf-8") as file:
            file.write(text)
        print("written: %s" % os.path.relpath(dialogue.path))
        return None
    lines = difflib.unified_diff(dialogue.text.split("\n"), text.split("\n"), "written", "played", lineterm="", n=2)
    return "\n".join([*lines, trouble])


def need_terminal():
    try:
        for fd in pty.openpty():
            os.close(fd)
    except OSError as error:  # a chroot without /dev/pts
        print("skipped: no pseudo-terminal, %s" % error)
        sys.exit(77)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accept", action="store_true", default=bool(os.environ.get("TQ_ACCEPT")))
    parser.add_argument("build")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    need_terminal()
    build = Build(options.build)
    paths = [os.path.join(HERE, "dialogues", os.path.basename(n).replace(".dialogue", "") + ".dialogue")
             for n in options.names] or sorted(glob.glob(os.path.join(HERE, "dialogues", "*.dialogue")))
    failed = skipped = 0
    for path in paths:
        dialogue = Dialogue(path, build)
        if dialogue.lacks():
            print("skipped: %s needs %s" % (os.path.basename(path), ", ".join(dialogue.lacks())))
            skipped += 1
            continue
        difference = check(dialogue, options.accept)
        if difference is not None:
            print("FAILED: %s\n%s" % (os.path.basename(path), difference))
            failed += 1
    print("dialogues: %d passed, %d failed, %d skipped" % (len(paths) - failed - skipped, failed, skipped))
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()

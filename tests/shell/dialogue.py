#!/usr/bin/env python3
"""A dialogue with tqshell, typed through a pseudo-terminal: dialogue.py <tqshell>

Each step types something and waits for what must appear behind it.
"""
import fcntl
import os
import pty
import re
import select
import struct
import sys
import tempfile
import termios
import time

SECONDS = 60  # a sanitized build on a busy machine
UP, CTRL_A, CTRL_C, CTRL_D, CTRL_U = "\x1b[A", "\x01", "\x03", "\x04", "\x15"


class Terminal:
    edits = True  # until the shell says that it was built without a line editor

    def __init__(self, arguments, environment):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(arguments[0], arguments, environment)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
        self.seen = ""  # and not yet waited for

    def read(self, until):
        ready, _, _ = select.select([self.fd], [], [], max(0, until - time.monotonic()))
        if not ready:
            raise AssertionError("nothing came for %d s" % SECONDS)
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # the other side has gone
            data = b""
        if not data:
            return False
        self.seen += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", data.decode("utf-8", "replace"))
        return True

    def wait(self, pattern):
        """Wait for a regular expression and forget everything up to its end."""
        until = time.monotonic() + SECONDS
        while True:
            match = re.search(pattern, self.seen, re.S)
            if match:
                self.seen = self.seen[match.end():]
                return match
            if not self.read(until):
                raise AssertionError("the shell ended")

    def type(self, text):
        """The line editor throws away what was typed before it took over the terminal: wait for it to be raw."""
        until = time.monotonic() + (1 if Terminal.edits else 0)
        while time.monotonic() < until and termios.tcgetattr(self.fd)[3] & termios.ICANON:
            time.sleep(0.01)
        os.write(self.fd, text.encode())

    def say(self, text, pattern, prompt=r"tq> $"):
        self.type(text)
        match = self.wait(pattern)
        self.wait(prompt)
        return match

    def end(self, key=""):
        """Wait for the end. A key typed while the line editor takes over the terminal may be lost: type it again."""
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            if key:
                self.type(key)
            if select.select([self.fd], [], [], 1)[0] and not self.read(until):
                break
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def statements(shell):
    shell.wait(r"\.help lists commands.*tq> $")
    shell.type("SELECT 40 +\r")
    shell.wait(r"\.\.\.> $")
    shell.say("2 AS sum;\r", r"\| sum \|.*\|  42 \|")
    shell.say("SELECT bogus;\r", r"error: no such column: bogus")
    shell.say("SELECT 'zw\u00f6lf';\r", r"\| zw\u00f6lf +\|")
    shell.say(".bogus\r", r"error: unknown command")
    shell.say("BEGIN;\r", r"BEGIN;", r"tq\*> $")
    shell.say("ROLLBACK;\r", r"ROLLBACK;")


def interruptions(shell):
    shell.say("SELECT 'never run'" + CTRL_C, r"\n")
    shell.type("SELECT 1,\r")
    shell.wait(r"\.\.\.> $")
    shell.say(CTRL_C, r"\n")  # of a statement half typed, nothing stays
    shell.say("SELECT 5 AS five;\r", r"\|    5 \|")
    shell.type("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c;\r")
    time.sleep(0.5)
    shell.say(CTRL_C, r"error: interrupted")
    shell.say("SELECT 6 AS six;\r", r"\|   6 \|")


def import_file(shell, path):
    shell.say(".import %s words\r" % path, r"words: 20000 vectors of 100 dimensions, rowids 0 to 19999")
    shell.say("SELECT count(*) FROM words;\r", r"\| +20000 \|")


def main():
    try:
        for fd in pty.openpty():
            os.close(fd)
    except OSError as error:  # a chroot without /dev/pts
        print("skipped: no pseudo-terminal, %s" % error)
        sys.exit(77)
    program = os.path.abspath(sys.argv[1])
    data = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "data", "base.f16.npy"))
    with tempfile.TemporaryDirectory() as folder:
        history = os.path.join(folder, "history")
        environment = dict(os.environ, TERM="xterm", LC_ALL="C.UTF-8", HOME=folder, TQSHELL_HISTORY=history)
        shell = Terminal([program, os.path.join(folder, "x.db")], environment)
        statements(shell)
        interruptions(shell)
        import_file(shell, data)
        edits = shell.say(".version\r", r"lines typed: ([^\r\n]*)").group(1) == "libedit"
        Terminal.edits = edits
        if edits:
            shell.say("SELECT 40 +\r", "", r"\.\.\.> $")
            shell.say("3 AS sum;\r", r"\|  43 \|")
            shell.say(UP + "\r", r"\|  43 \|")  # both lines are one entry
            shell.say("7 AS seven;" + CTRL_A + "SELECT \r", r"\|     7 \|")
        shell.type(".quit\r")
        assert shell.end() == 0

        shell = Terminal([program, "-bail"], environment)
        shell.wait(r"database :memory:.*tq> $")
        if edits:
            assert os.stat(history).st_mode & 0o077 == 0, "the history is readable by others"
            shell.say(UP + UP + "\r", r"\|     7 \|")
        shell.type("SELECT bogus;\r")
        shell.wait("error: no such column")
        assert shell.end() == 1

        shell = Terminal([program], environment)
        shell.wait(r"tq> $")
        assert shell.end(CTRL_U + CTRL_D) == 0  # Ctrl-U: a Ctrl-D that came too early stands in the line
    print("dialogue: ok, %s" % ("with history" if edits else "without libedit"))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Line editing where dialogues do not reach: Ctrl-C with keys behind it, Ctrl-Z and fg, what becomes of the history.

  line_editing.py BUILD
"""
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import termios

from terminal import Ended, Terminal

SIZE = (24, 80)


class Shell:
    """tqshell at a terminal, started by bash after `before`, in `folder`."""

    def __init__(self, build, folder, before="true", **variables):
        environment = dict(os.environ, TERM="xterm", LC_ALL="C.UTF-8", HOME=folder, PAGER="cat", NO_COLOR="1")
        environment.pop("TQSHELL_HISTORY", None)
        environment.update(variables)
        command = ["bash", "-c", "%s; exec %s/tqshell" % (before, os.path.abspath(build))]
        self.terminal = Terminal(command, folder, environment, SIZE, True)
        self.wait_for("tq>")

    def wait_for(self, text):
        """`text` stands where keys go."""
        terminal, screen = self.terminal, self.terminal.screen
        terminal.wait(lambda: screen.text(screen.row).rstrip() == text and terminal.edits() and terminal.idle(), text)

    def type(self, line):
        self.terminal.press(line + "\r")
        self.wait_for("tq>")

    def leave(self):
        self.terminal.press("\x04")
        try:
            self.terminal.wait(lambda: False, "the end")
        except Ended:
            return self.terminal.status


def key_behind_interrupt(build, folder):
    """A key that is there when Ctrl-C ends the waiting neither hides Ctrl-C nor gets lost."""
    shell = Shell(build, folder)
    for _ in range(20):
        shell.terminal.press("SELECT 1\x03SELECT 'behind';\r")
        shell.wait_for("tq>")
    shell.terminal.settle()
    assert "| behind   |" in "\n".join(shell.terminal.screen.lines(0, shell.terminal.screen.row))
    assert shell.leave() == 0


def continued(build, folder):
    """After Ctrl-Z and fg: the modes that the other shell left are undone, the line is shown again and goes on."""
    shell = Shell(build, folder)
    shell.terminal.press("SELECT 40 +")
    shell.wait_for("tq> SELECT 40 +")
    edits = termios.tcgetattr(shell.terminal.fd)
    plain = list(edits)
    plain[3] |= termios.ICANON | termios.ECHO
    termios.tcsetattr(shell.terminal.fd, termios.TCSANOW, plain)
    shell.terminal.screen.feed(b"\r\nfg\r\n")
    os.kill(shell.terminal.pid, signal.SIGCONT)
    shell.wait_for("tq> SELECT 40 +")
    shell.type(" 2 AS sum;")
    assert "|  42 |" in shell.terminal.screen.lines(0, shell.terminal.screen.row), "the line does not go on"
    assert shell.leave() == 0


def history_without_room(build, folder):
    """A history that cannot be written leaves the old one."""
    path = os.path.join(folder, ".tqshell_history")
    old = "_HiStOrY_V2_\n" + "".join("SELECT\\040%d;\n" % i for i in range(300))
    with open(path, "w", encoding="utf-8") as file:
        file.write(old)
    shell = Shell(build, folder, "trap '' XFSZ; ulimit -f 1")
    shell.type("SELECT 'new';")
    assert shell.leave() == 0
    with open(path, encoding="utf-8") as file:
        assert file.read() == old, "the old history is lost"
    assert os.listdir(folder) == [".tqshell_history"], os.listdir(folder)


def history_behind_link(build, folder):
    """A link stays one, also where nothing is there yet."""
    os.symlink("kept", os.path.join(folder, ".tqshell_history"))
    for word in ("first", "second"):
        shell = Shell(build, folder)
        shell.type("SELECT '%s';" % word)
        assert shell.leave() == 0
    assert os.path.islink(os.path.join(folder, ".tqshell_history")), "the link is gone"
    with open(os.path.join(folder, "kept"), encoding="utf-8") as file:
        text = file.read()
    assert "first" in text and "second" in text, text


def history_in_device(build, folder):
    """/dev/null keeps everybody's rights. Only root can make such a device here, or do it harm."""
    path = os.path.join(folder, "null")
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        return
    os.chmod(path, 0o666)
    shell = Shell(build, folder, TQSHELL_HISTORY=path)
    shell.type("SELECT 1;")
    assert shell.leave() == 0
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o666, "the device has other rights now"


def main():
    build = sys.argv[1]
    version = subprocess.run([os.path.join(build, "tqshell"), ":memory:", ".version"], stdout=subprocess.PIPE,
                             encoding="utf-8", check=True).stdout
    if "libedit" not in version:
        print("line editing: skipped, built without libedit")
        return
    failed, tests = 0, [key_behind_interrupt, continued, history_without_room, history_behind_link, history_in_device]
    for test in tests:
        folder = tempfile.mkdtemp()
        try:
            test(build, folder)
        except (AssertionError, Ended, TimeoutError) as wrong:
            failed += 1
            print("FAILED: %s %s" % (test.__doc__, wrong), file=sys.stderr)
        shutil.rmtree(folder)
    print("line editing: %d passed, %d failed" % (len(tests) - failed, failed))
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()

"""A pseudo-terminal with a screen: what a program sends becomes the rows a person sees. Standard library only."""
import codecs
import fcntl
import os
import pty
import re
import select
import struct
import termios
import time
import unicodedata

SECONDS = float(os.environ.get("TQ_DIALOGUE_SECONDS", "120"))  # a sanitized build on a busy machine
ESCAPE = re.compile(r"\x1b(?:\[([?>=]?)([0-9;]*)([@-~])|\]([^\x07\x1b]*)(?:\x07|\x1b\\)|[()#][0-9A-Za-z]|([^\[\]()#]))")
BEGUN = re.compile(r"\x1b(?:\[[?>=]?[0-9;]*|\][^\x07]*|[()#]?)?$")  # an escape sequence whose end is still to come


def width(character):
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


class Screen:
    """Rows are counted from the first one ever written, so that scrolling moves none of them."""

    def __init__(self, rows, columns):
        self.height, self.columns = rows, columns
        self.rows = [[]]     # each a list of (text, attributes); a wide character is followed by ("", ...)
        self.joined = set()  # rows that go on in the next one, because their text was too long
        self.top = self.row = self.column = 0
        self.past_margin = False
        self.attributes = ""
        self.saved = (0, 0)
        self.rest = ""
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data):
        text = self.rest + self.decoder.decode(data)
        self.rest = ""
        at = 0
        while at < len(text):
            if text[at] != "\x1b":
                self.put(text[at])
                at += 1
                continue
            match = ESCAPE.match(text, at)
            if match:
                self.escape(match)
                at = match.end()
            elif BEGUN.match(text, at):
                self.rest = text[at:]
                return
            else:
                at += 1

    # ---- Text ----

    def put(self, character):
        if character == "\r":
            self.move(self.row, 0)
        elif character == "\n":
            self.line_feed()
        elif character == "\b":
            self.move(self.row, self.column - 1)
        elif character == "\t":
            self.move(self.row, self.column // 8 * 8 + 8)
        elif character >= " " and character != "\x7f":
            self.write(character)

    def write(self, character):
        columns = width(character)
        row = self.rows[self.row]
        if columns == 0:
            before = self.column - (0 if self.past_margin else 1)
            if 0 <= before < len(row):
                before -= row[before][0] == ""
                row[before] = (row[before][0] + character, row[before][1])
            return
        if self.past_margin or self.column + columns > self.columns:
            self.joined.add(self.row)
            self.line_feed()
            self.move(self.row, 0)
            row = self.rows[self.row]
        row.extend([(" ", "")] * (self.column + columns - len(row)))
        row[self.column] = (character, self.attributes)
        if columns == 2:
            row[self.column + 1] = ("", self.attributes)
        self.past_margin = self.column + columns == self.columns
        self.column = min(self.column + columns, self.columns - 1)

    def line_feed(self):
        self.past_margin = False
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append([])
        self.top = max(self.top, self.row - self.height + 1)

    def move(self, row, column):
        self.past_margin = False
        self.row = min(max(row, self.top), self.top + self.height - 1)
        while len(self.rows) <= self.row:
            self.rows.append([])
        self.column = min(max(column, 0), self.columns - 1)

    # ---- Escape sequences ----

    def escape(self, match):
        private, numbers, final, _, single = match.groups()
        if single is not None:
            if single == "7":
                self.saved = (self.row, self.column)
            elif single == "8":
                self.move(*self.saved)
            elif single == "M":
                self.reverse_line_feed()
            return
        if final is None or private:
            return
        values = [int(n) if n else 0 for n in numbers.split(";")]
        if final == "m":
            self.attributes = "" if numbers in ("", "0") else self.attributes + ";" * (self.attributes != "") + numbers
        else:
            self.control(final, values[0], values[1] if len(values) > 1 else 0)

    def control(self, final, first, second):
        count = max(first, 1)
        if final in "ABCD":
            down, right = {"A": (-1, 0), "B": (1, 0), "C": (0, 1), "D": (0, -1)}[final]
            self.move(self.row + down * count, self.column + right * count)
        elif final in "G`":
            self.move(self.row, count - 1)
        elif final == "d":
            self.move(self.top + count - 1, self.column)
        elif final in "Hf":
            self.move(self.top + count - 1, max(second, 1) - 1)
        elif final == "K":
            self.erase_line(first)
        elif final == "J":
            self.erase_screen(first)
        else:
            self.shift(final, count)

    def shift(self, final, count):
        row = self.rows[self.row]
        row.extend([(" ", "")] * (self.column - len(row)))
        if final == "P":
            del row[self.column:self.column + count]
        elif final == "@":
            row[self.column:self.column] = [(" ", "")] * count
            del row[self.columns:]
        elif final == "X":
            row[self.column:self.column + count] = [(" ", "")] * min(count, len(row) - self.column)
        elif final == "L":
            self.rows[self.row:self.row] = [[] for _ in range(count)]
            del self.rows[self.top + self.height:]
        elif final == "M":
            del self.rows[self.row:self.row + count]
            self.rows.extend([] for _ in range(self.row + 1 - len(self.rows)))

    def erase_line(self, which):
        row = self.rows[self.row]
        self.joined.discard(self.row)
        if which == 0:
            del row[self.column:]
        elif which == 1:
            row[:self.column + 1] = [(" ", "")] * min(self.column + 1, len(row))
        else:
            row.clear()

    def erase_screen(self, which):
        first, last = self.top, len(self.rows)
        if which == 0:
            self.erase_line(0)
            first = self.row + 1
        elif which == 1:
            self.erase_line(1)
            last = self.row
        for row in range(first, last):
            self.rows[row].clear()
            self.joined.discard(row)

    def reverse_line_feed(self):
        if self.row > self.top:
            self.move(self.row - 1, self.column)
        else:
            self.rows.insert(self.row, [])
            del self.rows[self.top + self.height:]

    # ---- What it shows ----

    def text(self, row):
        return "".join(cell[0] for cell in self.rows[row])

    def styled(self, row):
        text, last = "", ""
        for character, attributes in self.rows[row]:
            if attributes != last:
                text += "\\e[%sm" % (attributes or "0")
            text += character
            last = attributes
        return text + "\\e[0m" * (last != "")

    def lines(self, first, end, colours=False):
        """The texts of these rows without blanks behind; rows that belong together are one line."""
        found, line = [], ""
        for row in range(first, end):
            line += self.styled(row) if colours else self.text(row)
            if row not in self.joined or row + 1 == end:
                found.append(line.rstrip())
                line = ""
        return found


GET_NUMBER = 0x80045430  # TIOCGPTN, which the standard library does not name


class Ended(Exception):
    """The program has ended; what was waited for did not come."""


class Terminal:
    """A program at a pseudo-terminal. `raw`: it edits lines itself, and is ready for keys only while it does."""

    def __init__(self, command, folder, environment, size, raw):
        self.screen = Screen(*size)
        self.raw = raw
        self.recent = ""  # what came since the last key
        self.status = None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
            os.chdir(folder)
            os.execvpe(command[0], command, environment)
        self.until = time.monotonic() + SECONDS

    def resize(self, rows, columns):
        self.screen.height, self.screen.columns = rows, columns
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds):
        """Take what has come, waiting for it at most so long. False: nothing came."""
        if self.status is not None or not select.select([self.fd], [], [], max(0, seconds))[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # the other side has gone
            data = b""
        if not data:
            self.reap(os.waitpid(self.pid, 0)[1])  # before the terminal goes, which would kill one that still ends
            return False
        self.screen.feed(data)
        self.recent += data.decode("utf-8", "replace")
        return True

    def edits(self):
        return not termios.tcgetattr(self.fd)[3] & termios.ICANON

    def idle(self):
        """All that was typed has been read, and the program sleeps until more comes."""
        try:
            side = os.open(self.side(), os.O_RDONLY | os.O_NOCTTY)
        except OSError:
            return False
        try:
            left = struct.unpack("i", fcntl.ioctl(side, termios.FIONREAD, bytes(4)))[0]
        finally:
            os.close(side)
        if left or not os.path.exists("/proc/self/stat"):
            return left == 0
        with open("/proc/%d/stat" % self.pid, encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "S"

    def side(self):
        return "/dev/pts/%d" % struct.unpack("i", fcntl.ioctl(self.fd, GET_NUMBER, bytes(4)))[0]

    def wait(self, ready, what):
        """Read until ready() is true. TimeoutError says what never came."""
        self.until = time.monotonic() + SECONDS
        while not ready():
            if self.status is not None:
                raise Ended("the program ended before %s came" % what)
            if time.monotonic() > self.until:
                raise TimeoutError("%s did not come in %.0f s; the screen ends with: %r" % (
                    what, SECONDS, self.screen.lines(max(0, self.screen.row - 3), self.screen.row + 1)))
            self.read(0.005)

    def press(self, keys):
        self.recent = ""
        at, data = 0, keys.encode()
        while at < len(data):  # a terminal takes few bytes at once: read the echo in between
            at += os.write(self.fd, data[at:at + 512])
            while self.read(0):
                pass

    def settle(self):
        """Wait until the keys pressed last have been heeded, or at least shown: most make something be sent."""
        if not self.recent:
            self.read(0.3)
        times = 0
        self.until = time.monotonic() + SECONDS
        while times < 2 and self.status is None and time.monotonic() < self.until:
            waits = self.idle() if self.raw and self.edits() else True
            times = 0 if self.read(0.005) or not waits else times + 1

    def kill(self):
        if self.status is None:
            os.kill(self.pid, 9)
            self.reap(os.waitpid(self.pid, 0)[1])

    def reap(self, status):
        os.close(self.fd)
        self.status = os.waitstatus_to_exitcode(status)

#!/usr/bin/env python3
"""The pictures of tqshell in this folder: screenshot.py BUILD [NAME...]

Each is what a terminal shows after the lines below have been typed, drawn as SVG with the colours that the shell sends.
"""
import html
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "shell"))
from dialogue import Build, Session  # noqa: E402
from terminal import width  # noqa: E402

PICTURES = {
    "recall": [
        " $ python3 tests/data/glove_text.py >glove.txt",
        "$ tqshell words.db",
        "tq> .import glove.txt words",
        "tq> .search words piano 5",
        "tq> .recall words",
        "tq> .tune words .99",
    ],
    "modes": [
        " $ python3 tests/data/glove_text.py >glove.txt",
        " $ tqshell words.db",
        " tq> .import glove.txt words",
        "tq> .mode box",
        "tq> SELECT word, score, embedding FROM words(",
        "...> (SELECT embedding FROM words WHERE word = 'tea')) ORDER BY score DESC LIMIT 4;",
        "tq> .explain",
        "tq> .mode markdown",
        "tq> .export \"SELECT word, embedding FROM words LIMIT 100\" first.jsonl",
        "tq> .import first.jsonl first",
        "tq> SELECT count(*), min(word), max(word) FROM first;",
        "tq> SELECT wrod FROM words;",
    ],
}
SIZE, CELL, LINE, MARGIN = 14, 8.43, 17, 16
BACKGROUND, TEXT = "#16181d", "#d7dae0"
COLOURS = ["#5c6370", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d7dae0"]


def style(attributes):
    """SVG's attributes for a row of SGR numbers."""
    colour, bold, dim = TEXT, False, False
    for number in map(int, attributes.split(";") if attributes else []):
        if number in (1, 2):
            bold, dim = bold or number == 1, dim or number == 2
        elif 30 <= number <= 37 or 90 <= number <= 97:
            colour = COLOURS[number % 10]
        elif number in (22, 39):
            colour, bold, dim = (TEXT, bold, dim) if number == 39 else (colour, False, False)
    return 'fill="%s"%s%s' % (colour, ' font-weight="bold"' * bold, ' opacity=".6"' * dim)


def runs(row):
    """[(column, text, attributes)] of neighbours that look the same."""
    found = []
    for column, (text, attributes) in enumerate(row):
        if found and found[-1][2] == attributes:
            found[-1][1] += text
        else:
            found.append([column, text, attributes])
    return [run for run in found if run[1].strip()]


def draw(rows):
    across = 2 * MARGIN + CELL * max(map(len, rows))
    lines = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %d" width="%.0f" height="%d">' % (
        (across, 2 * MARGIN + LINE * len(rows)) * 2),
        '<rect width="100%%" height="100%%" rx="8" fill="%s"/>' % BACKGROUND,
        '<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,DejaVu Sans Mono,monospace" font-size="%d" '
        'xml:space="preserve">' % SIZE]
    for number, row in enumerate(rows):
        for column, text, attributes in runs(row):
            blank = len(text) - len(text.lstrip())
            shown = text.strip()
            place = (MARGIN + CELL * (column + blank), MARGIN + LINE * number + SIZE, CELL * sum(map(width, shown)))
            lines.append('<text x="%.1f" y="%d" textLength="%.1f" ' % place + '%s>%s</text>' % (
                style(attributes), html.escape(shown, quote=False)))
    return "\n".join(lines + ["</g>", "</svg>", ""])


def take(build, steps):
    """The rows of the screen after these lines; one that begins with a blank is typed, but not in the picture."""
    with tempfile.TemporaryDirectory() as folder:
        session = Session(build, folder, size=(200, 110), links={"tests": os.path.join(ROOT, "tests")})
        rows = []
        try:
            for step in steps:
                before = session.terminal.screen.row if session.terminal else 0
                session.play(step.strip())
                screen = session.terminal.screen
                if step.startswith("$ "):
                    rows = [[(c, "1;32" if i == 0 else "") for i, c in enumerate(step)]]
                    before = 0
                if not step.startswith(" "):
                    rows += screen.rows[before:screen.row]
        finally:
            session.close()
    return rows


def main():
    build = Build(sys.argv[1])
    for name in sys.argv[2:] or PICTURES:
        with open(os.path.join(HERE, name + ".svg"), "w", encoding="utf-8") as file:
            file.write(draw(take(build, PICTURES[name])))


if __name__ == "__main__":
    main()

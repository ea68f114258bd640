"""Small charts in plain SVG: recall against bytes (codes), time against recall (exact rows), build times."""
import html
import math

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 1040, 680, 64, 44, 250, 52
OURS = ("#d62728", "#ff7f7f")
COLOURS = "#1f77b4 #2ca02c #9467bd #ff7f0e #8c564b #17becf #7f7f7f #bcbd22 #e377c2 #3b4cc0 #1b9e77".split()
MARKS = (("circle", "none"), ("square", "6 3"), ("diamond", "2 3"))  # of the first, second and third use of a colour
TIMES = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
BYTES = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
RECALLS = (0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.9995)
KINDS = ("RaBitQfs", "EDEN", "SQtqmse", "SQtq", "SQ", "PQ")


def nines(recall):
    return -math.log10(max(1 - recall, 1e-4))


def group(result, kind):
    """Curves of `codes` join the bit widths of one kind of code."""
    family = result["family"]
    if kind != "codes":
        return family
    if family.startswith("tqlite"):
        return "tqlite with QJL" if family.endswith("q") else "tqlite"
    if family.startswith("FAISS"):
        return next(("FAISS " + start + ("fs" if start == "PQ" else "") for start in KINDS if start in family), family)
    return " ".join(word for word in family.split() if not word.isdigit() and not word.startswith(("INT", "LVQ")))


def log_axis(values, ticks, spread=1.08):
    low, high = math.log10(min(values) / spread), math.log10(max(values) * spread)
    return (low, high), [(math.log10(v), f"{v:g}") for v in ticks if low <= math.log10(v) <= high]


def axes(results, kind, k):
    if kind == "codes":
        points = [(math.log10(r["code_bytes"]), r["recall"], r) for r in results if r["code_bytes"] > 0]
        xs, x_ticks = log_axis([10 ** p[0] for p in points], BYTES)
        y_ticks = [(v / 10, f"{v / 10:g}") for v in range(0, 11)]
        low = max(0, math.floor(10 * min(p[1] for p in points)) / 10)
        return (points, xs, (low, 1.01), x_ticks, [t for t in y_ticks if t[0] >= low],
                "bytes a row, side data counted (logarithmic)", f"recall@{k} by score")
    points = [(nines(r["recall"]), math.log10(r["ms_median"]), r) for r in results if r["recall"] >= 0.8]
    ys, y_ticks = log_axis([r["ms_median"] for _, _, r in points], TIMES)
    x_ticks = [(nines(v), f"{v:g}") for v in RECALLS] + [(4, "1")]
    return points, (nines(0.8) - 0.03, 4.08), ys, x_ticks, y_ticks, f"recall@{k} by score", "ms, one query"


def best_of(members):
    """The points that no faster point of the same curve beats: those a user would choose, and which are compared."""
    kept, best = [], -1
    for point in sorted(members, key=lambda p: (p[1], -p[0])):
        if point[0] > best:
            best = point[0]
            kept.append(point)
    return kept


def mark(shape, x, y, colour, title):
    hint = f"<title>{html.escape(title)}</title>"
    if shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.4" fill="{colour}">{hint}</circle>'
    turn = f' transform="rotate(45 {x:.1f} {y:.1f})"' if shape == "diamond" else ""
    return f'<rect x="{x - 3:.1f}" y="{y - 3:.1f}" width="6" height="6" fill="{colour}"{turn}>{hint}</rect>'


def opening(title, width, height):
    return [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
            'font-family="sans-serif" font-size="12">', f'<rect width="{width}" height="{height}" fill="#fff"/>',
            f'<text x="{LEFT}" y="24" font-size="15">{html.escape(title)}</text>']


def close(path, out):
    with open(path, "w") as file:
        file.write("\n".join(out) + "\n</svg>\n")


def write(path, title, results, kind, k=10):
    points, xs, ys, x_ticks, y_ticks, x_name, y_name = axes(results, kind, k)
    groups = {}
    for point in points:
        groups.setdefault(group(point[2], kind), []).append(point)
    ordered = sorted(groups.items(), key=lambda g: (not g[0].startswith("tqlite"), g[0].lower()))
    height = max(HEIGHT, TOP + BOTTOM + 18 * len(ordered))
    px = lambda x: LEFT + (x - xs[0]) / (xs[1] - xs[0]) * (WIDTH - LEFT - RIGHT)
    py = lambda y: height - BOTTOM - (y - ys[0]) / (ys[1] - ys[0]) * (height - TOP - BOTTOM)
    out = opening(title, WIDTH, height)
    for value, text in x_ticks:
        out.append(f'<path d="M{px(value):.1f} {TOP}V{height - BOTTOM}" stroke="#e4e4e4"/>'
                   f'<text x="{px(value):.1f}" y="{height - BOTTOM + 16}" text-anchor="middle">{text}</text>')
    for value, text in y_ticks:
        out.append(f'<path d="M{LEFT} {py(value):.1f}H{WIDTH - RIGHT}" stroke="#e4e4e4"/>'
                   f'<text x="{LEFT - 6}" y="{py(value) + 4:.1f}" text-anchor="end">{text}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{height - 14}" text-anchor="middle">{x_name}</text>'
               f'<text transform="translate(16 {height / 2}) rotate(-90)" text-anchor="middle">{y_name}</text>')
    drawn, others = [], 0
    for number, (name, members) in enumerate(ordered):
        ours = name.startswith("tqlite")
        if ours:
            colour, (shape, dash) = OURS[number % len(OURS)], MARKS[0]
        else:
            colour, (shape, dash) = COLOURS[others % len(COLOURS)], MARKS[others // len(COLOURS) % len(MARKS)]
            others += 1
        members = sorted(members, key=lambda p: p[:2]) if kind == "codes" else best_of(members)
        line = " ".join(f"{px(x):.1f},{py(y):.1f}" for x, y, _ in members)
        curve = [f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="{3 if ours else 1.4}" '
                 f'stroke-dasharray="{dash}"/>']
        curve += [mark(shape, px(x), py(y), colour, r["system"]) for x, y, r in members]
        drawn.append((ours, curve))
        legend = TOP + 18 * number
        weight = "bold" if ours else "normal"
        out.append(mark(shape, WIDTH - RIGHT + 20, legend + 6, colour, name)
                   + f'<text x="{WIDTH - RIGHT + 32}" y="{legend + 10}" font-weight="{weight}">{html.escape(name)}'
                   '</text>')
    for _, curve in sorted(drawn, key=lambda d: d[0]):  # ours on top
        out += curve
    close(path, out)


def write_builds(path, title, results):
    """One bar a family, on a logarithmic axis: from .05 s to minutes."""
    seconds = {}
    for r in results:
        seconds.setdefault(r["family"], r["build_s"])
    rows = sorted(seconds.items(), key=lambda item: item[1])
    left, step, width = 240, 22, 900
    height = TOP + step * len(rows) + 40
    ticks = [v for v in (0.01, 0.1, 1, 10, 100, 1000) if v < 3 * rows[-1][1]]
    low, high = math.log10(min(0.01, rows[0][1])), math.log10(1.6 * rows[-1][1])
    px = lambda v: left + (math.log10(max(v, 10 ** low)) - low) / (high - low) * (width - left - 70)
    out = opening(title, width, height)
    for v in (t for t in ticks if t <= 10 ** high):
        out.append(f'<path d="M{px(v):.1f} {TOP - 4}V{height - 34}" stroke="#e4e4e4"/>'
                   f'<text x="{px(v):.1f}" y="{height - 18}" text-anchor="middle">{v:g}</text>')
    for number, (family, value) in enumerate(rows):
        y = TOP + step * number
        colour = OURS[0] if family.startswith("tqlite") else "#8fa8bf"
        shown = f"{value:.2g}" if value < 10 else f"{value:.0f}"
        out.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{html.escape(family)}</text>'
                   f'<rect x="{left}" y="{y + 2}" width="{max(px(value) - left, 1):.1f}" height="{step - 7}" '
                   f'fill="{colour}"/><text x="{px(value) + 6:.1f}" y="{y + 13}">{shown}</text>')
    out.append(f'<text x="{width / 2}" y="{height - 4}" text-anchor="middle">seconds on one core (logarithmic)</text>')
    close(path, out)

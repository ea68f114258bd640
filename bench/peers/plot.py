"""A small chart: recall against bytes (codes) or time against recall (exact rows). Plain SVG, no library."""
import html
import math

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 860, 520, 70, 40, 250, 50
COLOURS = ("#d62728 #1f77b4 #2ca02c #9467bd #ff7f0e #8c564b #17becf #7f7f7f #bcbd22 #e377c2").split()
TIMES = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)


def nines(recall):
    return -math.log10(max(1 - recall, 1e-5))


def group(result, kind):
    """Curves of `codes` join the bit widths of one kind of code."""
    family = result["family"]
    if kind != "codes":
        return family
    name = family.rstrip("0123456789q") if family.startswith(("tqlite", "turbovec")) else family
    if family.startswith("tqlite"):
        return "tqlite with QJL" if family.endswith("q") else "tqlite"
    for start in ("RaBitQfs", "EDEN", "SQtqmse", "SQtq", "PQ"):
        if start in family:
            return "FAISS " + start
    return name.strip()


def axes(results, kind):
    if kind == "codes":
        points = [(r["code_bytes"], r["recall"], r) for r in results if r["code_bytes"] > 0]
        xs, ys = (0, 1.05 * max(p[0] for p in points)), (0, 1)
        x_ticks = [(v, str(v)) for v in range(0, int(xs[1]) + 1, 20)]
        y_ticks = [(v / 10, str(v / 10)) for v in range(0, 11, 2)]
        return points, xs, ys, x_ticks, y_ticks, "bytes a row, side data counted", "recall@10"
    points = [(nines(r["recall"]), math.log10(r["ms_median"]), r) for r in results if r["recall"] >= 0.8]
    ys = min(p[1] for p in points) - 0.1, max(p[1] for p in points) + 0.1
    x_ticks = [(nines(v), str(v)) for v in (0.8, 0.9, 0.97, 0.99, 0.998, 0.9995)] + [(5, "1")]
    y_ticks = [(math.log10(v), str(v)) for v in TIMES if ys[0] <= math.log10(v) <= ys[1]]
    return points, (0.6, 5.1), ys, x_ticks, y_ticks, "recall@10 by score", "ms, one query"


def write(path, title, results, kind):
    points, xs, ys, x_ticks, y_ticks, x_name, y_name = axes(results, kind)
    px = lambda x: LEFT + (x - xs[0]) / (xs[1] - xs[0]) * (WIDTH - LEFT - RIGHT)
    py = lambda y: HEIGHT - BOTTOM - (y - ys[0]) / (ys[1] - ys[0]) * (HEIGHT - TOP - BOTTOM)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" '
           'font-size="12">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
           f'<text x="{LEFT}" y="24" font-size="15">{html.escape(title)}</text>']
    for value, text in x_ticks:
        out.append(f'<path d="M{px(value):.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>'
                   f'<text x="{px(value):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{text}</text>')
    for value, text in y_ticks:
        out.append(f'<path d="M{LEFT} {py(value):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 6}" y="{py(value) + 4:.1f}" text-anchor="end">{text}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">{x_name}</text>'
               f'<text transform="translate(16 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">{y_name}</text>')
    groups = {}
    for point in points:
        groups.setdefault(group(point[2], kind), []).append(point)
    ordered = sorted(groups.items(), key=lambda g: (not g[0].startswith("tqlite"), g[0]))
    for number, (name, members) in enumerate(ordered):
        thick = 3 if name.startswith("tqlite") else 1.5
        colour = COLOURS[number % len(COLOURS)]
        members.sort(key=lambda p: p[:2])
        line = " ".join(f"{px(x):.1f},{py(y):.1f}" for x, y, _ in members)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="{thick}"/>')
        out += [f'<circle cx="{px(x):.1f}" cy="{py(y):.1f}" r="3.5" fill="{colour}">'
                f'<title>{html.escape(r["system"])}</title></circle>' for x, y, r in members]
        out.append(f'<rect x="{WIDTH - RIGHT + 14}" y="{TOP + 20 * number}" width="12" height="12" fill="{colour}"/>'
                   f'<text x="{WIDTH - RIGHT + 32}" y="{TOP + 20 * number + 11}">{html.escape(name)}</text>')
    with open(path, "w") as file:
        file.write("\n".join(out) + "\n</svg>\n")

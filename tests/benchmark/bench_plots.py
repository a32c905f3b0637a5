#!/usr/bin/env python3
"""Draws what `tools/bench --json FILE` wrote: how each cost grows.

    tests/benchmark/bench_plots.py FILE FOLDER
    tests/benchmark/bench_plots.py FILE [NAME ...]   as text
    tests/benchmark/bench_plots.py FILE --markdown [NAME ...]

A file NAME.svg for each benchmark whose rows have several sizes: seconds over
objects, both logarithmic; ours, the limit and the peer.  As text, a bar for
each of them at each size, of a length that is the logarithm of its seconds.
--markdown: no growth, but the table of docs/BENCHMARKS.md, with the goals.
"""
import json
import math
import os
import sys
from xml.sax.saxutils import escape

from bench_goals import judge
from bench_table import complete, markdown

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 640, 360, 70, 40, 50
KEY = 200
BAR = 44
LINES = (("ours", "#1f5fa8", ""), ("limit", "#3a8a3a", "6 3"),
         ("peer", "#b03030", "2 3"))


def costs(row, key):
    """(objects, seconds) of ours, the limit or the peer; a rate is turned
    round by what ours did in its time."""
    points = []
    for point in row["points"]:
        value, ours = point[key], point["ours"]
        took = point["cpu"] or point["wall"]
        if not value or not ours or not took:
            continue
        if row["unit"].endswith("/s"):
            value = took * ours / value
        elif row["unit"] != "s":
            continue
        points.append((point["objects"], value))
    return points if len(points) > 1 else []


class Axis:

    def __init__(self, values, begin, end):
        self.low = math.floor(math.log10(min(values)))
        self.high = max(math.ceil(math.log10(max(values))), self.low + 1)
        self.begin, self.end = begin, end

    def at(self, value):
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)

    def ticks(self):
        return [10.0 ** power for power in range(self.low, self.high + 1)]


def tick_name(value, is_time):
    if not is_time:
        return "%d" % value
    for unit, size in (("s", 1), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9)):
        if value >= size * 0.999:
            return "%g %s" % (round(value / size, 3), unit)
    return "%g s" % value


def text(x, y, words, anchor="start", size=11):
    return ('<text x="%.0f" y="%.0f" font-size="%d" text-anchor="%s">%s'
            '</text>' % (x, y, size, anchor, escape(words)))


def grid(across, up):
    out = []
    for value in across.ticks():
        x = across.at(value)
        out.append('<path d="M%.0f %d V%d" stroke="#ddd"/>'
                   % (x, TOP, HEIGHT - BOTTOM))
        out.append(text(x, HEIGHT - BOTTOM + 16, tick_name(value, False),
                        "middle"))
    for value in up.ticks():
        y = up.at(value)
        out.append('<path d="M%d %.0f H%d" stroke="#ddd"/>'
                   % (LEFT, y, WIDTH - KEY))
        out.append(text(LEFT - 6, y + 4, tick_name(value, True), "end"))
    out.append(text((LEFT + WIDTH - KEY) / 2, HEIGHT - 12, "objects",
                    "middle"))
    return out


def curve(points, across, up, colour, dash):
    path = " ".join("%s%.1f %.1f" % ("L" if i else "M", across.at(x),
                                     up.at(y))
                    for i, (x, y) in enumerate(points))
    return ('<path d="%s" fill="none" stroke="%s" stroke-width="2" '
            'stroke-dasharray="%s"/>' % (path, colour, dash))


def drawn(row):
    """One row as an SVG; "" if nothing of it has two sizes."""
    lines = [(key, colour, dash, costs(row, key))
             for key, colour, dash in LINES]
    lines = [line for line in lines if line[3]]
    if not lines:
        return ""
    points = [point for line in lines for point in line[3]]
    across = Axis([x for x, _ in points], LEFT, WIDTH - KEY)
    up = Axis([y for _, y in points], HEIGHT - BOTTOM, TOP)
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
           'font-family="sans-serif">' % (WIDTH, HEIGHT),
           '<rect width="100%" height="100%" fill="white"/>',
           text(LEFT, 22, "%s %s" % (row["bench"], row["what"]), size=13)]
    out += grid(across, up)
    for number, (key, colour, dash, points) in enumerate(lines):
        out.append(curve(points, across, up, colour, dash))
        y = TOP + 12 + 20 * number
        out.append('<path d="M%d %d h24" stroke="%s" stroke-width="2" '
                   'stroke-dasharray="%s"/>' % (WIDTH - KEY + 12, y, colour,
                                                dash))
        name = row["peer_name"] if key == "peer" else key
        out.append(text(WIDTH - KEY + 42, y + 4, name))
    if row.get("exponent") is not None:
        out.append(text(WIDTH - KEY + 12, TOP + 12 + 20 * len(lines) + 4,
                        "exponent %.2f" % row["exponent"]))
    return "\n".join(out + ["</svg>"]) + "\n"


def duration(value):
    for unit, size in (("s", 1), ("ms", 1e-3), ("us", 1e-6)):
        if value >= size:
            return "%.3g %s" % (value / size, unit)
    return "%.3g us" % (value * 1e6)


def bars(row):
    """One row as text; "" if nothing of it has two sizes."""
    lines = [(key, costs(row, key)) for key, _, _ in LINES]
    lines = [line for line in lines if line[1]]
    if not lines:
        return ""
    across = Axis([y for _, points in lines for _, y in points], 1, BAR)
    grown = "" if row.get("exponent") is None else \
        ", exponent %.2f" % row["exponent"]
    out = ["%s %s%s" % (row["bench"], row["what"], grown)]
    for objects in sorted({x for _, points in lines for x, _ in points}):
        head = "{:,}".format(objects)
        for key, points in lines:
            for value in (y for x, y in points if x == objects):
                name = row["peer_name"] if key == "peer" else key
                out.append("%12s  %s %s  %s" % (
                    head, ("#" * round(across.at(value))).ljust(BAR),
                    duration(value).rjust(8), name))
                head = ""
    return "\n".join(out) + "\n"


def table(run, names):
    """The run's rows in markdown, with what they were measured on."""
    rows = [row for row in run["rows"] if row["name"] in names]
    for row in rows:
        complete(row)
        judge(row)
    head = "Size %s, on %s" % (run["size"], run["machine"])
    if run.get("commit"):
        head += ", commit %s" % run["commit"]
    return "%s.\n\n%s" % (head, markdown(rows))


def draw(rows, folder):
    os.makedirs(folder, exist_ok=True)
    counts = {}
    for row in rows:
        svg = drawn(row) if row.get("points") else ""
        if not svg:
            continue
        number = counts[row["name"]] = counts.get(row["name"], 0) + 1
        path = os.path.join(folder, "%s-%d.svg" % (row["name"], number))
        with open(path, "w") as file:
            file.write(svg)
        print(path)


def main():
    arguments = sys.argv[1:]
    is_table = "--markdown" in arguments
    if is_table:
        arguments.remove("--markdown")
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    with open(arguments[0]) as file:
        run = json.load(file)
    rows = run["rows"]
    names = {row["name"] for row in rows}
    wanted = set(arguments[1:]) or names
    if is_table:
        print(table(run, wanted), end="")
    elif len(arguments) == 2 and arguments[1] not in names:
        draw(rows, arguments[1])
    else:
        print("\n".join(text for text in (
            bars(row) for row in rows
            if row.get("points") and row["name"] in wanted) if text), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())

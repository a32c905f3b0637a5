#!/usr/bin/env python3
"""Draws what `tools/bench --json FILE` wrote: how each cost grows.

    tests/benchmark/bench_plots.py FILE FOLDER

A file NAME.svg for each benchmark whose rows have several sizes: seconds over
objects, both logarithmic; ours, the limit and the peer.
"""
import json
import math
import os
import sys
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 640, 360, 70, 40, 50
KEY = 200
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


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    with open(sys.argv[1]) as file:
        rows = json.load(file)["rows"]
    os.makedirs(sys.argv[2], exist_ok=True)
    counts = {}
    for row in rows:
        svg = drawn(row) if row.get("points") else ""
        if not svg:
            continue
        number = counts[row["name"]] = counts.get(row["name"], 0) + 1
        path = os.path.join(sys.argv[2], "%s-%d.svg" % (row["name"], number))
        with open(path, "w") as file:
            file.write(svg)
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())

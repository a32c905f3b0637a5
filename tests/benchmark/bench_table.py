"""Rows as a table, and how they grow with the size."""
import math

COLUMNS = ("bench", "size", "what", "ours", "limit", "of limit", "peer",
           "times peer", "cpu", "wall", "peak", "exponent", "oracle", "note")
# What grows faster is told below the table.
EXPONENT_MAX = 1.1


def seconds(value):
    if value is None:
        return "-"
    if value < 0.001:
        return "%.1f us" % (value * 1e6)
    if value < 1:
        return "%.1f ms" % (value * 1e3)
    return "%.2f s" % value


def shown(value, unit):
    if value is None:
        return "-"
    return seconds(value) if unit == "s" else "%.4g %s" % (value, unit)


def ratios(row):
    """(of the limit, times the peer): of a rate more is better, of all else
    less."""
    ours, limit, peer = row["ours"], row["limit"], row["peer"]
    if row["unit"].endswith("/s"):
        return (ours / limit if limit else None,
                ours / peer if peer else None)
    return (limit / ours if limit and ours else None,
            peer / ours if peer and ours else None)


def cells(row):
    of_limit, times = ratios(row)
    peer = row["peer"]
    return (row["bench"], row["size"], row["what"],
            shown(row["ours"], row["unit"]), shown(row["limit"], row["unit"]),
            "-" if of_limit is None else "%.0f %%" % (of_limit * 100),
            "-" if peer is None else "%s %s" % (shown(peer, row["unit"]),
                                                row["peer_name"]),
            "-" if times is None else "%.3g" % times,
            seconds(row["cpu"] or None), seconds(row["wall"] or None),
            "-" if not row["peak_bytes"] else
            "%d MiB" % (row["peak_bytes"] >> 20),
            "-" if row.get("exponent") is None else
            "%.2f" % row["exponent"],
            "green" if row["oracle"] else "RED", row["note"])


def print_table(rows):
    lines = [COLUMNS] + [cells(row) for row in rows]
    widths = [max(len(line[i]) for line in lines)
              for i in range(len(COLUMNS))]
    for number, line in enumerate(lines):
        print("| " + " | ".join(cell.ljust(width) for cell, width
                                in zip(line, widths)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    for row in rows:
        if (row.get("exponent") or 0) > EXPONENT_MAX:
            print("above linear: %s %s: exponent %.2f" % (
                row["bench"], row["what"], row["exponent"]))


def exponent(points):
    """Of a cost over a size, by least squares of the logarithms: 1 is
    linear."""
    logs = [(math.log(size), math.log(cost)) for size, cost in points]
    mean = [sum(axis) / len(logs) for axis in zip(*logs)]
    across = sum((x - mean[0]) * (y - mean[1]) for x, y in logs)
    return across / sum((x - mean[0]) ** 2 for x, _ in logs)


def cost_of(row):
    """What is fitted: the CPU's time where it was taken, and else the wall's.
    A figure that is a latency or a count is its own cost."""
    if row["unit"] == "s" and row["ours"] not in (row["wall"], row["cpu"]):
        return row["ours"]
    return row["cpu"] or row["wall"]


def fit(same):
    """Puts into the last of one row's sizes what they say together."""
    last = same[-1]
    last["points"] = [{key: row[key] for key in
                       ("objects", "ours", "limit", "peer", "cpu", "wall")}
                      for row in same]
    # A disagreement at a smaller size is one all the same.
    last["oracle"] = all(row["oracle"] for row in same)
    if last["unit"] != "s" and not last["unit"].endswith("/s"):
        return last  # a count or a size: its own row has the time
    costs = [(row["objects"], cost_of(row)) for row in same]
    if len({size for size, _ in costs}) > 2 and all(
            cost for _, cost in costs):
        last["exponent"] = exponent(costs)
    return last

"""Rows as a table, and how they grow with the size."""
import math

COLUMNS = ("bench", "size", "what", "ours", "limit", "of limit", "peer",
           "times peer", "goal", "met", "cpu", "wall", "peak", "exponent",
           "oracle", "note")
# Of docs/BENCHMARKS.md; what it leaves out is in the JSON.
MARKDOWN = ("bench", "what", "size", "ours", "limit", "of limit", "peer",
            "times peer", "goal", "met", "cpu", "wall", "peak", "oracle")
# What grows faster is told below the table.
EXPONENT_MAX = 1.1
# What not every row has, and every row of the JSON.
OPTIONAL = ("peer_cpu", "peer_wall", "peer_peak", "p50", "p99", "max", "rounds",
            "peer_rounds", "peer_objects", "exponent", "goal", "goal_met")


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
    """(of the limit, times the peer), each of figures of one unit: of a rate
    more is better, of all else less."""
    ours, limit, peer = row["ours"], row["limit"], row["peer"]
    if row["unit"].endswith("/s"):
        return (ours / limit if limit and ours else None,
                ours / peer if peer and ours else None)
    return (limit / ours if limit and ours else None,
            peer / ours if peer and ours else None)


def met_cell(row):
    """Of each goal, as they stand in the cell before."""
    words = {True: "yes", False: "no", None: "?"}
    return ", ".join(words[goal["met"]] for goal in row.get("goals", ()))


def cells(row):
    """{column: its text}"""
    peer = row["peer"]
    of_limit, times = row.get("of_limit"), row.get("times_peer")
    return {
        "bench": row["bench"], "size": row["size"], "what": row["what"],
        "ours": shown(row["ours"], row["unit"]),
        "limit": shown(row["limit"], row["unit"]),
        "of limit": "-" if of_limit is None else "%.0f %%" % (of_limit * 100),
        "peer": "-" if peer is None else "%s %s" % (shown(peer, row["unit"]),
                                                    row["peer_name"]),
        "times peer": "-" if times is None else "%.3g" % times,
        "goal": row.get("goal") or "-", "met": met_cell(row) or "-",
        "cpu": seconds(row["cpu"] or None),
        "wall": seconds(row["wall"] or None),
        "peak": "-" if not row["peak_bytes"] else
                "%d MiB" % (row["peak_bytes"] >> 20),
        "exponent": "-" if row.get("exponent") is None else
                    "%.2f" % row["exponent"],
        "oracle": "green" if row["oracle"] else "RED", "note": row["note"]}


def print_table(rows):
    lines = [dict(zip(COLUMNS, COLUMNS))] + [cells(row) for row in rows]
    widths = {name: max(len(line[name]) for line in lines) for name in COLUMNS}
    for number, line in enumerate(lines):
        print("| " + " | ".join(line[name].ljust(widths[name])
                                for name in COLUMNS) + " |")
        if number == 0:
            print("|" + "|".join("-" * (widths[name] + 2)
                                 for name in COLUMNS) + "|")
    for row in rows:
        if (row.get("exponent") or 0) > EXPONENT_MAX:
            print("above linear: %s %s: exponent %.2f" % (
                row["bench"], row["what"], row["exponent"]))


def markdown(rows):
    """The table of docs/BENCHMARKS.md."""
    lines = ["| %s |" % " | ".join(MARKDOWN),
             "|%s" % ("---|" * len(MARKDOWN))]
    for row in rows:
        line = cells(row)
        lines.append("| %s |" % " | ".join(
            line[name].replace("|", "\\|") for name in MARKDOWN))
    return "\n".join(lines) + "\n"


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


def take_peer(same):
    """A peer that takes too long for the last size stands there with what it
    took at the largest that it was run at, and the ratio is that size's."""
    last = same[-1]
    for row in reversed(same[:-1]):
        if last["peer"] or not row["peer"]:
            continue
        for key in ("peer", "peer_cpu", "peer_wall", "peer_peak",
                    "peer_rounds"):
            last[key] = row.get(key)
        last["peer_name"] = "{} at {:,}".format(row["peer_name"],
                                                row["objects"])
        last["peer_objects"] = row["objects"]
        last["times_peer"] = ratios(row)[1]


def complete(row):
    """Puts in what every row has, unless it is there."""
    for key in OPTIONAL:
        row.setdefault(key, None)
    if "of_limit" not in row:
        row["of_limit"], row["times_peer"] = ratios(row)


def fit(same):
    """Puts into the last of one row's sizes what they say together."""
    last = same[-1]
    complete(last)
    last["points"] = [{key: row[key] for key in
                       ("objects", "ours", "limit", "peer", "cpu", "wall")}
                      for row in same]
    take_peer(same)
    # A disagreement at a smaller size is one all the same.
    last["oracle"] = all(row["oracle"] for row in same)
    if last["unit"] != "s" and not last["unit"].endswith("/s"):
        return last  # a count or a size: its own row has the time
    costs = [(row["objects"], cost_of(row)) for row in same]
    if len({size for size, _ in costs}) > 2 and all(
            cost for _, cost in costs):
        last["exponent"] = exponent(costs)
    return last

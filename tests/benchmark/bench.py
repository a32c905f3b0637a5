#!/usr/bin/env python3
"""Runs benchmarks and prints ours beside the physical limit and the peer.

    tools/bench [NAME ...] [--size S|M|L] [--json FILE] [--list]

A row counts only with its oracle green: the same run has compared the result
with the truth.  Ratios are results, absolute times information: the machine is
small and not ours alone.  docs/BENCHMARKS.md says how to read and repeat them.
"""
import argparse
import json
import os
import platform
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bench_daemon  # noqa: E402
import bench_graph  # noqa: E402
import bench_trees  # noqa: E402
from bench_world import Bench  # noqa: E402

BENCHES = {**bench_graph.BENCHES, **bench_trees.BENCHES,
           **bench_daemon.BENCHES}
COLUMNS = ("bench", "size", "what", "ours", "limit", "of limit", "peer",
           "times peer", "cpu", "peak", "oracle", "note")


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
    if unit == "s":
        return seconds(value)
    return "%.4g %s" % (value, unit)


def cells(row):
    limit, peer, ours = row["limit"], row["peer"], row["ours"]
    # Of a duration less is better, of a rate more.
    is_rate = row["unit"].endswith("/s")
    of_limit = None if not limit else (
        ours / limit if is_rate else limit / ours)
    times = None if not peer else (ours / peer if is_rate else peer / ours)
    return (row["bench"], row["size"], row["what"],
            shown(ours, row["unit"]), shown(limit, row["unit"]),
            "-" if of_limit is None else "%.0f %%" % (of_limit * 100),
            "-" if peer is None else "%s %s" % (shown(peer, row["unit"]),
                                                row["peer_name"]),
            "-" if times is None else "%.3g" % times,
            seconds(row.get("cpu")),
            "-" if not row.get("peak_bytes") else
            "%d MiB" % (row["peak_bytes"] >> 20),
            "green" if row["oracle"] else "RED", row.get("note", ""))


def print_table(rows):
    lines = [COLUMNS] + [cells(row) for row in rows]
    widths = [max(len(line[i]) for line in lines)
              for i in range(len(COLUMNS))]
    for number, line in enumerate(lines):
        print("| " + " | ".join(cell.ljust(width) for cell, width
                                in zip(line, widths)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


def machine():
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":", 1)[1].strip() for line in file
                      if line.startswith("model name")), "unknown")
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) >> 20
    return "%d x %s, %d GiB, Linux %s" % (os.cpu_count(), model, memory,
                                          platform.release())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--size", default="S", choices=("S", "M", "L"))
    parser.add_argument("--json")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        print("\n".join(BENCHES))
        return 0
    unknown = [name for name in options.names if name not in BENCHES]
    if unknown:
        print("no such benchmark: %s; there are %s"
              % (", ".join(unknown), ", ".join(BENCHES)), file=sys.stderr)
        return 2
    rows = []
    for name in options.names or BENCHES:
        print("== " + name, file=sys.stderr, flush=True)
        bench = Bench()
        try:
            rows.extend(BENCHES[name](bench, options.size))
        finally:
            bench.close()
    print(machine())
    print_table(rows)
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"machine": machine(), "rows": rows}, file, indent=1)
    return 0 if all(row["oracle"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Runs benchmarks and prints ours beside the physical limit and the peer.

    tools/bench [NAME ...] [--size S|M|L] [--json FILE] [--oracles] [--list]

A row counts only with its oracle green: the same run has compared the result
with the truth.  Ratios are results, absolute times information: the machine is
small and not ours alone.  docs/BENCHMARKS.md says how to read and repeat them.

Each runs at a sixteenth and a quarter of its size as well, for the exponent of
its growth.  Which goals are met stands in the table and in the JSON; of that
bench_plots.py makes the table of the document.  --oracles asks for nothing but
right or wrong: one size, no peers, no times; writes the XML of a test program
if XML_OUTPUT_FILE is set.
"""
import argparse
import json
import os
import platform
import subprocess
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.getcwd(), "tools"))
import bench_daemon  # noqa: E402
import bench_engines  # noqa: E402
import bench_graph  # noqa: E402
import bench_ingest  # noqa: E402
import bench_trees  # noqa: E402
import bench_whole  # noqa: E402
import xml_cases  # noqa: E402
from bench_goals import judge  # noqa: E402
from bench_table import complete, fit, print_table  # noqa: E402
from bench_world import BINARIES, Bench, Scale  # noqa: E402

BENCHES = {**bench_graph.BENCHES, **bench_whole.BENCHES,
           **bench_trees.BENCHES, **bench_ingest.BENCHES,
           **bench_daemon.BENCHES, **bench_engines.BENCHES}
PARTS = (16, 4, 1)


def machine():
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":", 1)[1].strip() for line in file
                      if line.startswith("model name")), "unknown")
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) >> 20
    return "%d x %s, %d GiB, Linux %s" % (os.cpu_count(), model, memory,
                                          platform.release())


def commit():
    """Of what is measured; "" where this is no clone."""
    done = subprocess.run(["git", "describe", "--always", "--dirty"],
                          capture_output=True, text=True)
    return done.stdout.strip()


def failed_row(name, size, error):
    """A benchmark that ended early is one that found a fault."""
    lines = [line for line in str(error).splitlines()
             if line.strip(" >")] or [type(error).__name__]
    return {"bench": name, "what": "ended early", "size": size, "unit": "s",
            "objects": 0, "ours": None, "wall": None, "cpu": None,
            "peak_bytes": 0, "limit": None, "peer": None, "peer_name": "",
            "oracle": False, "note": lines[-1][:200]}


def rows_of(function, scale):
    bench = Bench(getattr(function, "on_disk", False))
    try:
        return list(function(bench, scale))
    finally:
        bench.close()


def run(name, size, oracles):
    function = BENCHES[name]
    if oracles:
        scales = [Scale(size, with_peers=False, rounds=1)]
    elif getattr(function, "one_size", False):
        scales = [Scale(size)]
    else:
        scales = [Scale(size, part) for part in PARTS]
    try:
        sizes = []
        for scale in scales:
            begin = time.monotonic()
            sizes.append(rows_of(function, scale))
            if scale.part > 1:
                print("== %s at a part of %d, %.0f s" % (
                    name, scale.part, time.monotonic() - begin),
                    file=sys.stderr, flush=True)
        if len({len(rows) for rows in sizes}) != 1:
            raise RuntimeError("its sizes have different rows")
        rows = [fit(same) for same in zip(*sizes)]
    except Exception as error:  # The other benchmarks go on; this one is red.
        traceback.print_exc()
        rows = [failed_row(name, size, error)]
    for row in rows:
        row["name"] = name
        complete(row)
        if not oracles:
            judge(row)
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--size", default="S", choices=("S", "M", "L"))
    parser.add_argument("--json")
    parser.add_argument("--oracles", action="store_true")
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
    names = options.names or [
        name for name, function in BENCHES.items()
        if not (options.oracles and getattr(function, "has_own_tests",
                                            False))]
    rows = []
    for name in names:
        begin = time.monotonic()
        rows.extend(run(name, options.size, options.oracles))
        print("== %s, %.0f s" % (name, time.monotonic() - begin),
              file=sys.stderr, flush=True)
    if options.oracles:
        for row in rows:
            print("%-5s %s %s: %s" % ("green" if row["oracle"] else "RED",
                                      row["bench"], row["what"], row["note"]))
    else:
        print(machine())
        print_table(rows)
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"machine": machine(), "commit": commit(),
                       "binaries": BINARIES, "size": options.size,
                       "rows": rows}, file, indent=1)
    xml_cases.write("benchmark", {
        name: all(row["oracle"] for row in rows if row["name"] == name)
        for name in names})
    return 0 if all(row["oracle"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())

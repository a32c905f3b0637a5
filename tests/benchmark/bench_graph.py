"""B1, B2, B8, B11 and B13: the graph in memory and in the database."""
import json
import math
import shutil
import subprocess

from bench_world import binary

SIZES = {"S": 100_000, "M": 1_000_000, "L": 10_000_000}


def lines(bench, name, size):
    """Rows of one run of the program; its exit code says what they say."""
    folder = bench.folder_for("%s-%s" % (name, size))
    done = subprocess.run([binary("tests/benchmark/graph_benchmark"), name,
                           str(SIZES[size]), folder], capture_output=True,
                          text=True)
    shutil.rmtree(folder)
    if done.returncode not in (0, 1):
        raise RuntimeError("graph_benchmark %s: %s" % (name, done.stderr))
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    for row in rows:
        row.update({"size": size, "peer": None, "peer_name": "",
                    "limit": row["limit"] or None,
                    "oracle": row["oracle"] and done.returncode == 0})
    return rows


def exponent(points):
    """Of CPU seconds over objects, by least squares of the logarithms: 1 is
    linear."""
    logs = [(math.log(objects), math.log(cpu)) for objects, cpu in points]
    mean = [sum(axis) / len(logs) for axis in zip(*logs)]
    across = sum((x - mean[0]) * (y - mean[1]) for x, y in logs)
    return across / sum((x - mean[0]) ** 2 for x, _ in logs)


def measured(name):
    def run(bench, size):
        """Rows of one size; the smaller ones tell how the cost grows."""
        sizes = [each for each in SIZES if SIZES[each] <= SIZES[size]]
        runs = [lines(bench, name, each) for each in sizes]
        for same in zip(*runs):
            points = [(SIZES[row["size"]], row["cpu"]) for row in same]
            if len(points) > 1 and all(cpu > 0 for _, cpu in points):
                same[-1]["note"] = ("exponent %.2f; %s" % (
                    exponent(points), same[-1]["note"])).rstrip("; ")
            # A disagreement at a smaller size is one all the same.
            same[-1]["oracle"] = all(row["oracle"] for row in same)
        return runs[-1]
    return run


BENCHES = {"mark": measured("mark"),
           "mark-cold": measured("mark-cold"),
           "exclusive": measured("exclusive"),
           "memory": measured("memory"),
           "sweep-db": measured("sweep-db"),
           "whole": measured("whole")}

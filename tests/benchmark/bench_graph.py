"""B1, B2, B8, B11 and B13: the graph in memory and in the database."""
import json
import math
import subprocess

from bench_world import binary

SIZES = {"S": 100_000, "M": 1_000_000, "L": 10_000_000}


def lines(bench, name, size):
    """Rows of one run of the program; its exit code says what they say."""
    folder = bench.folder_for("%s-%s" % (name, size))
    done = subprocess.run([binary("tests/benchmark/graph_benchmark"), name,
                           str(SIZES[size]), folder], capture_output=True,
                          text=True)
    if done.returncode not in (0, 1):
        raise RuntimeError("graph_benchmark %s: %s" % (name, done.stderr))
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    for row in rows:
        row.update({"size": size, "peer": None, "peer_name": "",
                    "limit": row["limit"] or None,
                    "oracle": row["oracle"] and done.returncode == 0})
    return rows


def exponent(small, large):
    """Of the CPU time over the number of objects: 1 is linear."""
    times = small["cpu"], large["cpu"]
    if min(times) <= 0:
        return None
    return (math.log(times[1] / times[0]) /
            math.log(SIZES[large["size"]] / SIZES[small["size"]]))


def measured(name, grows=True):
    def run(bench, size):
        rows = lines(bench, name, size)
        # The same at the size below tells how the cost grows.
        below = {"M": "S", "L": "M"}.get(size)
        if grows and below:
            for small, large in zip(lines(bench, name, below), rows):
                fitted = exponent(small, large)
                if fitted is not None:
                    large["note"] = ("exponent %.2f; %s" % (
                        fitted, large["note"])).rstrip("; ")
        return rows
    return run


BENCHES = {"mark": measured("mark"),
           "mark-cold": measured("mark-cold"),
           "exclusive": measured("exclusive"),
           "memory": measured("memory"),
           "sweep-db": measured("sweep-db"),
           "whole": measured("whole")}

"""B1, B2, B8, B11, B12 and B13: the graph in memory and in the database."""
import json
import subprocess
import sys
import tempfile

import bench_sql
from bench_world import binary

SIZES = {"S": 100_000, "M": 1_000_000, "L": 10_000_000}
# Of images that may go: issue and goals speak of 2,000 and 100,000.
CANDIDATES = {"S": 2_000, "M": 100_000, "L": 100_000}
# What can be repeated is: the median of so many runs.
ROUNDS = 5


def run(command):
    """(exit code, its rows, its faults); how far it is goes on to whoever
    waits."""
    faults = []
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE,
                                   text=True)
        for line in process.stderr:
            if line.startswith("== "):
                print(line, end="", file=sys.stderr, flush=True)
            else:
                faults.append(line.strip())
        process.wait()
        out.seek(0)
        return process.returncode, [json.loads(line) for line in out], faults


def rows_of(bench, name, scale, objects):
    """Rows of one run of the program; its exit code says what they say."""
    rounds = ROUNDS if scale.rounds > 1 else 1
    code, rows, faults = run([
        binary("tests/benchmark/graph_benchmark"), name, str(objects),
        bench.folder_for(name), "1", str(rounds)])
    if code not in (0, 1) or not rows:
        raise RuntimeError("graph_benchmark %s ended with %d: %s" % (
            name, code, " ".join(faults)))
    is_told = code == 0 or not all(row["oracle"] for row in rows)
    for row in rows:
        row.update({"size": scale.letter, "objects": objects,
                    # A fault that no row tells is one of all of them.
                    "oracle": row["oracle"] and is_told})
        # 0 is what the program has for none.
        for key in ("limit", "peer", "p50", "p99", "max"):
            row[key] = row[key] or None
        if faults:
            row["note"] = "; ".join([row["note"]] + faults)[:200]
    return rows


def with_peer(bench, scale, objects, row, ask, count=None):
    """`ask` of tables gives what SQLite took; `count`: what was done in that,
    where the row's unit is a rate.  Ours and its figure are both of the CPU."""
    if not scale.with_peers or objects > bench_sql.OBJECTS_MAX:
        return
    took = ask(bench_sql.Tables(bench.folder_for("tables"), objects))
    if row["unit"].endswith("/s"):
        row["peer"] = (took.count or count) / took.cpu
    else:
        row["peer"] = took.cpu
    row.update({"peer_name": bench_sql.NAME, "peer_cpu": took.cpu,
                "peer_wall": took.wall, "peer_rounds": took.rounds})


def b1_mark(bench, scale):
    objects = scale.of(SIZES)
    rows = rows_of(bench, "mark", scale, objects)
    with_peer(bench, scale, objects, rows[0], lambda tables: tables.mark(),
              rows[0]["ours"] * rows[0]["cpu"])
    return rows


def b2_cold_mark(bench, scale):
    objects = scale.of(SIZES)
    rows = rows_of(bench, "mark-cold", scale, objects)
    with_peer(bench, scale, objects, rows[0], lambda tables: tables.mark(),
              rows[0]["ours"] * rows[0]["cpu"])
    return rows


def b8_exclusive(bench, scale):
    objects = scale.of(SIZES)
    rows = rows_of(bench, "exclusive", scale, objects)
    with_peer(bench, scale, objects, rows[0],
              lambda tables: tables.exclusive())
    return rows


def b13_sweep(bench, scale):
    objects = scale.of(SIZES)
    rows = rows_of(bench, "sweep-db", scale, objects)
    with_peer(bench, scale, objects, rows[0], lambda tables: tables.delete())
    return rows


def alone(name, sizes):
    return lambda bench, scale: rows_of(bench, name, scale, scale.of(sizes))


BENCHES = {"mark": b1_mark, "mark-cold": b2_cold_mark,
           "exclusive": b8_exclusive, "memory": alone("memory", SIZES),
           "evict": alone("evict", CANDIDATES), "sweep-db": b13_sweep,
           "whole": alone("whole", SIZES)}

"""B1, B2, B8, B11, B12 and B13: the graph in memory and in the database."""
import json
import subprocess

import bench_sql
from bench_world import binary

SIZES = {"S": 100_000, "M": 1_000_000, "L": 10_000_000}
# Of images that may go: issue and goals speak of 2,000 and 100,000.
CANDIDATES = {"S": 2_000, "M": 100_000, "L": 100_000}


def rows_of(bench, name, scale, objects):
    """Rows of one run of the program; its exit code says what they say."""
    done = subprocess.run([binary("tests/benchmark/graph_benchmark"), name,
                           str(objects), bench.folder_for(name)],
                          capture_output=True, text=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode not in (0, 1) or not rows:
        raise RuntimeError("graph_benchmark %s ended with %d: %s" % (
            name, done.returncode, done.stderr))
    is_told = done.returncode == 0 or not all(row["oracle"] for row in rows)
    for row in rows:
        row.update({"size": scale.letter, "objects": objects,
                    "limit": row["limit"] or None, "peer": row["peer"] or None,
                    # A fault that no row tells is one of all of them.
                    "oracle": row["oracle"] and is_told})
        if done.stderr:
            row["note"] = (row["note"] + "; " + done.stderr.strip())[:200]
    return rows


def with_peer(bench, scale, objects, row, ask):
    """`ask`: seconds, or a rate where the row's unit is one."""
    # Ten million rows and their edges would take it an hour to load.
    if scale.with_peers and scale.letter != "L":
        tables = bench_sql.Tables(bench.folder_for("tables"), objects)
        row["peer"] = ask(tables)
        row["peer_name"] = bench_sql.NAME


def b1_mark(bench, scale):
    objects = scale.of(SIZES)
    rows = rows_of(bench, "mark", scale, objects)
    live = rows[0]["ours"] * rows[0]["cpu"]
    with_peer(bench, scale, objects, rows[0],
              lambda tables: live / tables.mark())
    return rows


def b2_cold_mark(bench, scale):
    objects = scale.of(SIZES)
    rows = rows_of(bench, "mark-cold", scale, objects)
    edges = rows[0]["ours"] * rows[0]["cpu"]
    with_peer(bench, scale, objects, rows[0],
              lambda tables: edges / tables.mark())
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

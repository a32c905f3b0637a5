"""A peer for the graph: the same population in SQLite, asked as tools do that
keep references in tables (an anti-join, deletes with cascades)."""
import json
import os
import sqlite3
import subprocess
import time

from bench_world import binary

MARK = """WITH RECURSIVE live(id) AS (
  SELECT id FROM nodes WHERE kind = 2
  UNION SELECT target FROM edges JOIN live ON source = live.id)
SELECT coalesce(sum(bytes), 0), count(*) FROM live JOIN nodes USING (id)"""
EXCLUSIVE = """WITH RECURSIVE reach(image, id) AS (
  SELECT id, id FROM nodes WHERE kind = 1
  UNION SELECT image, target FROM edges JOIN reach ON source = reach.id
  WHERE is_referrer = 0)
SELECT coalesce(sum(bytes), 0), count(*) FROM (
  SELECT id FROM reach GROUP BY id HAVING count(*) = 1) JOIN nodes USING (id)"""
DELETE = """WITH RECURSIVE live(id) AS (
  SELECT id FROM nodes WHERE kind = 2
  UNION SELECT target FROM edges JOIN live ON source = live.id)
DELETE FROM nodes WHERE id IN (
  SELECT id FROM nodes WHERE kind < 2 AND id NOT IN live LIMIT ?)"""
NAME = "SQLite"


def numbers(path):
    with open(path) as file:
        for line in file:
            yield tuple(map(int, line.split()))


class Tables:
    """The tables of one population in one file, and what is true of it."""

    def __init__(self, folder, objects):
        done = subprocess.run(
            [binary("tests/benchmark/graph_benchmark"), "tables",
             str(objects), folder], capture_output=True, text=True, check=True)
        self.truth = json.loads(done.stdout)
        self.path = os.path.join(folder, "graph.sqlite")
        self.objects = objects
        base = sqlite3.connect(self.path)
        base.execute("CREATE TABLE nodes (id INTEGER PRIMARY KEY, "
                     "bytes INTEGER, kind INTEGER)")
        base.execute("CREATE TABLE edges ("
                     "source INTEGER REFERENCES nodes ON DELETE CASCADE, "
                     "target INTEGER REFERENCES nodes ON DELETE CASCADE, "
                     "is_referrer INTEGER)")
        base.executemany("INSERT INTO nodes VALUES (?, ?, ?)",
                         numbers(os.path.join(folder, "nodes.tsv")))
        base.executemany("INSERT INTO edges VALUES (?, ?, ?)",
                         numbers(os.path.join(folder, "edges.tsv")))
        base.execute("CREATE INDEX by_source ON edges (source)")
        base.execute("CREATE INDEX by_target ON edges (target)")
        base.commit()
        base.close()

    def ask(self, query, truth):
        """Seconds, nothing of it read before; its answer has to be right."""
        base = sqlite3.connect(self.path)
        begin = time.monotonic()
        found, _ = base.execute(query).fetchone()
        took = time.monotonic() - begin
        base.close()
        if found != self.truth[truth]:
            raise RuntimeError("%s: SQLite finds %d, the sweeps %d"
                               % (truth, found, self.truth[truth]))
        return took

    def mark(self):
        return self.ask(MARK, "live_bytes")

    def exclusive(self):
        return self.ask(EXCLUSIVE, "exclusive_bytes")

    def delete(self):
        """Objects a second: a tenth of all, dead ones."""
        base = sqlite3.connect(self.path)
        base.execute("PRAGMA foreign_keys = ON")
        count, = base.execute("SELECT count(*) FROM nodes").fetchone()
        begin = time.monotonic()
        base.execute(DELETE, (self.objects // 10,))
        base.commit()
        took = time.monotonic() - begin
        left, = base.execute("SELECT count(*) FROM nodes").fetchone()
        base.close()
        return (count - left) / took

"""A peer for the graph: the same population in SQLite, asked as tools do that
keep references in tables (an anti-join, deletes with cascades)."""
import collections
import json
import os
import sqlite3
import statistics
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
# A question is asked again until so much time has passed: five times at most.
ROUNDS = 5
PATIENCE = 10
# Ten million rows and their edges would take it an hour to load.
OBJECTS_MAX = 1_000_000

# Seconds, of the thread that asked and by the wall; of how many times they are
# the median; and of what was done in them, where that is not known before.
Took = collections.namedtuple("Took", ("cpu", "wall", "rounds", "count"),
                              defaults=(1, None))


def timed(work):
    """(what it gave, what it took)"""
    wall, cpu = time.monotonic(), time.thread_time()
    result = work()
    return result, Took(time.thread_time() - cpu, time.monotonic() - wall)


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
        """Nothing of it is read before; its answer has to be right."""
        runs = []
        begin = time.monotonic()
        while not runs or (len(runs) < ROUNDS and
                           time.monotonic() - begin < PATIENCE):
            base = sqlite3.connect(self.path)
            (found, _), took = timed(
                lambda: base.execute(query).fetchone())
            base.close()
            if found != self.truth[truth]:
                raise RuntimeError("%s: SQLite finds %d, the sweeps %d"
                                   % (truth, found, self.truth[truth]))
            runs.append(took)
        return Took(statistics.median(run.cpu for run in runs),
                    statistics.median(run.wall for run in runs), len(runs))

    def mark(self):
        return self.ask(MARK, "live_bytes")

    def exclusive(self):
        return self.ask(EXCLUSIVE, "exclusive_bytes")

    def delete(self):
        """A tenth of all objects, dead ones."""
        base = sqlite3.connect(self.path)
        base.execute("PRAGMA foreign_keys = ON")
        live, = base.execute(MARK).fetchone()[:1]
        count, = base.execute("SELECT count(*) FROM nodes").fetchone()

        def work():
            base.execute(DELETE, (self.objects // 10,))
            base.commit()

        _, took = timed(work)
        left, = base.execute("SELECT count(*) FROM nodes").fetchone()
        after, = base.execute(MARK).fetchone()[:1]
        base.close()
        if left == count or after != live:
            raise RuntimeError("SQLite deleted %d rows; of %d live bytes %d "
                               "are left" % (count - left, live, after))
        return took._replace(count=count - left)

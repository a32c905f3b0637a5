#!/usr/bin/env python3
"""Pushes and prunes without pause: what the daemon holds does not grow.

Tags of a registry's tree are moved again and again; each round collects what
that leaves, and asks a few things.  Resident memory, descriptors, threads and
the bytes of the data directory are looked at after each; the last quarter of
the rounds is compared with the second.  What stays is what tags reach.

Run me from the root, after `bazel build //cli:reclaim //server:reclaimd`;
tools/test does for some seconds, tools/soak for longer (TRUST D.3, "soak").
RECLAIM_SECONDS sets for how long.
"""
import os
import shutil
import statistics
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, os.pardir, "crash"))
import e2e_test as e2e  # noqa: E402
import xml_cases  # noqa: E402
import xml_results  # noqa: E402
from crash_test import folder_for_trees  # noqa: E402
from crash_tree import CrashTree  # noqa: E402

SECONDS = float(os.environ.get("RECLAIM_SECONDS", "15"))
TAG_COUNT = 8
ROUNDS_MIN = 12
ROUNDS_BETWEEN_QUESTIONS = 5
# What may come and go: connections, the threads that serve them, files of the
# database, and the memory in which it keeps what it has not written yet.
FILES_MORE = 16
THREADS_MORE = 16
MEMORY_TIMES = 1.2
MEMORY_MORE = 64 << 20
# Runs, plans and events are kept for days, so that somebody may ask.
DATA_BYTES_A_ROUND = 64 << 10
DATA_MORE = 64 << 20


def disk_bytes(folder):
    """Files of a database may go while somebody looks."""
    total = 0
    for path, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(path, name)).st_blocks * 512
            except FileNotFoundError:
                pass
    return total


class GrowthTest(e2e.World):

    def setUp(self):
        super().setUp()
        # Nothing here is about the disk, and a sync of one takes a while.
        self.folder = tempfile.mkdtemp(prefix="reclaim-growth-",
                                       dir=folder_for_trees())
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.tree = CrashTree(self.path("registry"), 1)
        with open(self.path("reclaim.toml"), "w") as file:
            file.write('[gc]\ngrace_period = "0s"\npurge_interval = "0s"\n'
                       'large_plan_percent = 100\n')
        self.keeps_configuration = True
        self.daemon = self.start_daemon()
        self.reclaim("store", "add", "registry:" + self.tree.root, "--name",
                     "hub", "--write-duration", "0s", "--descriptor-cache",
                     "none")

    def sample(self):
        """{what: how much} of the daemon."""
        top = "/proc/%d/" % self.daemon.pid
        with open(top + "status") as file:
            status = dict(line.split(":", 1) for line in file)
        return {"memory": int(status["VmRSS"].split()[0]) << 10,
                "threads": int(status["Threads"]),
                "files": len(os.listdir(top + "fd")),
                "data": disk_bytes(self.path("data"))}

    def work(self, number):
        tag = "t%d" % (number % TAG_COUNT)
        self.tree.put_image("app", tag, False)
        self.reclaim("system", "prune", "--force", "--purge")
        self.reclaim("pin", "add", "app:" + tag, "--id", "p")
        self.reclaim("pin", "rm", "p")
        if number % ROUNDS_BETWEEN_QUESTIONS == 0:
            for question in (["df"], ["image", "ls"], ["runs", "ls"],
                             ["verify"], ["audit", "verify"]):
                self.reclaim(*question)

    def test_nothing_grows(self):
        samples = []
        end = time.monotonic() + SECONDS
        while len(samples) < ROUNDS_MIN or time.monotonic() < end:
            self.work(len(samples))
            samples.append(self.sample())
        count = len(samples)
        xml_cases.FIGURES["rounds_of_push_and_prune"] = count
        print("%d rounds; %-10s %14s %14s" % (count, "", "second quarter",
                                              "last quarter"))
        middle = {}
        for what in samples[0]:
            middle[what] = [
                statistics.median(sample[what] for sample in part)
                for part in (samples[count // 4:count // 2],
                             samples[3 * count // 4:])]
            print("%-18s %14d %14d" % (what, *middle[what]))
        for what, (before, after) in middle.items():
            allowed = {
                "memory": before * MEMORY_TIMES + MEMORY_MORE,
                "threads": before + THREADS_MORE,
                "files": before + FILES_MORE,
                "data": before + DATA_MORE + count * DATA_BYTES_A_ROUND,
            }[what]
            self.assertLessEqual(after, allowed, what)
        self.reclaim("system", "prune", "--force", "--purge")
        self.assertEqual(self.tree.stored(), self.tree.live())


if __name__ == "__main__":
    xml_results.main()

#!/usr/bin/env python3
"""Pushes and prunes without pause: what one daemon holds does not grow.

Tags of a registry's tree are moved again and again; each round collects what
that leaves, and asks a few things.  Resident memory, descriptors, threads, the
tables of the database (SST) and the whole data directory are looked at all the
time; through the second half of that a line is laid, whose slope has a limit.
What stays is what tags reach.

Run me from the root, after `bazel build //cli:reclaim //server:reclaimd`;
tools/test does for some seconds, tools/soak for as long as it lasts (TRUST D.3,
"soak").  RECLAIM_SECONDS sets for how long.
"""
import collections
import os
import shutil
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
from slopes import slope  # noqa: E402

SECONDS = float(os.environ.get("RECLAIM_SECONDS", "15"))
TAG_COUNT = 8
ROUNDS_MIN = 12
ROUNDS_BETWEEN_QUESTIONS = 5
SAMPLES_MAX = 5000
# What is kept so that somebody may ask for it later is kept for minutes, or as
# little of it as can be said: what grows then is what nobody takes away.
CONFIGURATION = """
[gc]
grace_period = "0s"
purge_interval = "0s"
large_plan_percent = 100
plan_lifetime = "1m"
plan_memory = "0s"
run_count_max = 100
history_interval = "0s"
[graph]
request_memory = "1m"
event_count_max = 1000
[audit]
segment_bytes = 1048576
segment_count_max = 2
"""
# What the line may rise by over the half: what comes and goes (connections, the
# threads that serve them, what the database has not written or not merged yet),
# what is in doubt by the hour, and by the round: numbers of nodes are not used
# again before the next start, so what was there once takes a line of a table.
Limit = collections.namedtuple("Limit", "always an_hour a_round")
LIMITS = {
    "memory": Limit(64 << 20, 2 << 20, 2 << 10),
    "threads": Limit(16, 0.25, 0),
    "files": Limit(16, 0.5, 0),
    "tables": Limit(32 << 20, 2 << 20, 0),
    "data": Limit(128 << 20, 2 << 20, 0),
}
Sample = collections.namedtuple("Sample", "seconds rounds of")


def disk_bytes(folder, suffix=""):
    """Files of a database may go while somebody looks."""
    total = 0
    for path, _, files in os.walk(folder):
        for name in files:
            if not name.endswith(suffix):
                continue
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
            file.write(CONFIGURATION)
        self.keeps_configuration = True
        self.daemon = self.start_daemon()
        self.reclaim("store", "add", "registry:" + self.tree.root, "--name",
                     "hub", "--write-duration", "0s", "--descriptor-cache",
                     "none")

    def look(self):
        """{what: how much} of the daemon."""
        top = "/proc/%d/" % self.daemon.pid
        with open(top + "status") as file:
            status = dict(line.split(":", 1) for line in file)
        return {"memory": int(status["VmRSS"].split()[0]) << 10,
                "threads": int(status["Threads"]),
                "files": len(os.listdir(top + "fd")),
                "tables": disk_bytes(self.path("data/graph"), ".sst"),
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

    def work_and_look(self):
        """Samples of the whole time."""
        begin = time.monotonic()
        samples, rounds, seconds = [], 0, 0.0
        while rounds < ROUNDS_MIN or seconds < SECONDS:
            self.work(rounds)
            rounds += 1
            seconds = time.monotonic() - begin
            if (not samples or
                    seconds - samples[-1].seconds >= SECONDS / SAMPLES_MAX):
                samples.append(Sample(seconds, rounds, self.look()))
        xml_cases.FIGURES["rounds_of_push_and_prune"] = rounds
        xml_cases.FIGURES["seconds_of_push_and_prune"] = int(seconds)
        return samples

    def judge(self, half):
        hours = (half[-1].seconds - half[0].seconds) / 3600
        rounds = half[-1].rounds - half[0].rounds
        print("the second half: %d rounds in %.2f hours" % (rounds, hours))
        print("%-8s %14s %14s %14s %14s" % ("", "first", "last", "an hour",
                                            "may rise by"))
        wrong = []
        for what, limit in LIMITS.items():
            hourly = slope([(sample.seconds / 3600, sample.of[what])
                            for sample in half])
            allowed = (limit.always + hours * limit.an_hour +
                       rounds * limit.a_round)
            print("%-8s %14d %14d %14.1f %14d" % (
                what, half[0].of[what], half[-1].of[what], hourly, allowed))
            if hourly * hours > allowed:
                wrong.append(what)
        return wrong

    def test_nothing_grows(self):
        samples = self.work_and_look()
        self.assertEqual(self.judge(samples[len(samples) // 2:]), [])
        self.reclaim("system", "prune", "--force", "--purge")
        self.assertEqual(self.tree.stored(), self.tree.live())


if __name__ == "__main__":
    xml_results.main()

#!/usr/bin/env python3
"""Collection beside a running registry: nobody stops, nothing is lost.

    race.py [--seconds N] [--seed N] [--clients N] [--cache] [--peer]
            [--crash-registry] [--keep]

Clients push, push again, mount, delete and pull; collections run without pause;
the daemon is killed at random and started again.  Every pull of what was
acknowledged must work, at once, once the registry's word has been followed up,
or after a scan at the latest (load.py), and after two quiet runs nothing is left
that no tag reaches.  With --peer
the registry's own collector takes the daemon's place: what it loses is printed,
and no failure.
"""
import argparse
import collections
import os
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from load import Figures, Worker  # noqa: E402
from world import GRACE, WRITE_DURATION, World, outcome_of  # noqa: E402

# Of all races of this process.
COUNTED = ("pushes", "pulls", "deletions", "blobs purged", "blobs restored",
           "crashes of the daemon")
TOTALS = collections.Counter()


class Race:

    def __init__(self, options):
        self.options = options
        self.figures = Figures()
        self.stopped = threading.Event()
        self.can_crash = [] if options.peer else ["the daemon"]
        if options.crash_registry:
            self.can_crash += ["the registry"]
            self.can_crash += [] if options.peer else ["both"]
        self.left = []  # what the quiet runs left behind, and why
        self.world = World(options.cache, has_daemon=not options.peer)
        self.workers = [
            Worker(number, self.world.registry_host, options.seed,
                   self.figures, self.stopped, patience=15,
                   world=None if options.peer else self.world)
            for number in range(options.clients)]

    def close(self, keeps):
        for worker in self.workers:
            worker.client.close()
        self.world.close(keeps)

    # What runs beside the clients.

    def collect(self):
        while not self.stopped.is_set():
            if self.options.peer:
                done = subprocess.run(
                    ["docker-registry", "garbage-collect",
                     self.world.path("registry.yml")],
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    check=False)
                self.figures.add("collections of the peer" if
                                 done.returncode == 0 else
                                 "collections of the peer that failed")
                continue
            code, output = self.world.reclaim("system", "prune", "--force",
                                              "--allow-large")
            self.figures.add(outcome_of(code, output))
            if code != 0:
                self.stopped.wait(0.1)

    def crash(self):
        chance = random.Random(self.options.seed)
        while self.can_crash and not self.stopped.wait(
                chance.uniform(1.5, 5)):
            what = chance.choice(self.can_crash)
            if what == "the registry":
                self.world.restart_registry()
            else:
                self.world.crash_daemon(with_registry=what == "both")
            self.figures.add("crashes of " + what)

    def run(self):
        others = [threading.Thread(target=self.collect),
                  threading.Thread(target=self.crash)]
        for thread in self.workers + others:
            thread.start()
        time.sleep(self.options.seconds)
        self.stopped.set()
        for thread in self.workers + others:
            thread.join()
        for worker in self.workers:
            if worker.failure is not None:
                raise worker.failure
        self.check_tags("tags whole at the end")
        if not self.options.peer:
            self.check_garbage()
            self.check_tags("tags whole after the quiet runs")

    # What must hold in the end.

    def check_tags(self, what):
        for worker in self.workers:
            worker.check_all(what)

    def check_garbage(self):
        """Two quiet runs take all that no tag reaches, and nothing else."""
        world = self.world
        for worker in self.workers:
            worker.leave_garbage()
        if self.options.crash_registry:
            self.figures.add("tags that a killed registry left empty",
                             world.clear_torn_tags())
            self.figures.add("other links that it left empty",
                             len(world.empty_links()[1]))
        time.sleep(max(GRACE, 3) + 1)
        for _ in range(2):
            world.insist("system", "prune", "--force", "--allow-large")
            # What the registry remembered is forgotten.
            if self.options.cache:
                time.sleep(0.1)
                world.restart_registry()
            time.sleep(WRITE_DURATION)
            world.insist("purge", "--now", "--force")
        expected = set()
        for worker in self.workers:
            expected |= worker.expected_blobs()
        for digest in sorted(expected - world.blobs()):
            self.figures.lose("%s is not on the disk" % digest)
        # A tag that a broken connection hid from its client is one all the
        # same.
        for repository, digest in world.tags():
            for worker in self.workers:
                expected |= worker.blobs_of(repository, digest)
        extra = world.blobs() - expected
        self.figures.add("blobs that no tag reaches, left", len(extra))
        for digest in sorted(extra):
            self.left.append("%s: %s" % (
                digest, world.reclaim("why", digest)[1].strip()))
        held = world.must("quarantine", "ls", "--format",
                          "{{.Run}} {{.Action}} {{.Subject}} {{.Quarantined}}")
        self.figures.add("items in quarantine, left", len(held.splitlines()))
        self.left += held.splitlines()
        self.figures.add("uploads that nobody ended, left",
                         len(world.uploads()))
        verified = world.must("verify", "hub", "--read-data")
        if " 0 findings" not in verified:
            self.figures.lose("verify: " + verified)
        world.note_held()
        for kind, count in world.events().items():
            self.figures.add("blobs " + kind, count)

    def print_figures(self):
        counts = dict(self.figures.counts)
        counts["lost"] = len(self.figures.lost)
        print("  %s, %s the descriptor cache, seed %d, %d clients, %d s" % (
            "docker-registry garbage-collect" if self.options.peer
            else "reclaim", "with" if self.options.cache else "without",
            self.options.seed, self.options.clients, self.options.seconds))
        for what in sorted(counts):
            print("  %8d %s" % (counts[what], what))
        for what, seconds in sorted(self.figures.slowest.items()):
            print("  %8.3f s the longest %s" % (seconds, what))
        if not self.options.peer:
            print("  %8.6f s the longest that a sweep batch held writers of "
                  "the graph" % self.world.held)
        for why in self.figures.lost[:20]:
            print("  LOST %s" % why)
        for what in self.left[:20]:
            print("  LEFT %s" % what)


def parse(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--cache", action="store_true")
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--crash-registry", action="store_true")
    parser.add_argument("--keep", action="store_true",
                        help="keep the folder when something was lost")
    return parser.parse_args(arguments)


def race(arguments):
    """Returns what went wrong, as lines."""
    options = parse(arguments)
    one = Race(options)
    wrong = ["it did not come to its end"]
    try:
        one.run()
        wrong = list(one.figures.lost)
        if not options.peer:
            for what in ("blobs that no tag reaches, left",
                         "items in quarantine, left",
                         "uploads that nobody ended, left"):
                if one.figures[what]:
                    wrong.append("%d %s" % (one.figures[what], what))
            wrong += [what for what in one.figures.counts
                      if what.startswith("collections that failed")]
            for what in ("pushes", "pulls", "deletions", "mounts",
                         "blobs quarantined", "blobs purged"):
                if not one.figures[what]:
                    wrong.append("no %s: the test shows nothing" % what)
    finally:
        one.print_figures()
        for what in COUNTED:
            TOTALS[what] += one.figures[what]
        TOTALS["lost"] += len(one.figures.lost)
        keeps = bool(wrong) and options.keep
        if keeps:
            print("  kept: %s" % one.world.folder)
        one.close(keeps)
    return wrong


if __name__ == "__main__":
    found = race(sys.argv[1:])
    sys.exit(1 if found and "--peer" not in sys.argv else 0)

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
import os
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ending  # noqa: E402
from load import OUTLIVED, Figures, Worker  # noqa: E402
from registry_tree import HISTORIES, LAYERS, REVISIONS  # noqa: E402
from world import GRACE, WRITE_DURATION, World, outcome_of  # noqa: E402

# How long a failing pull is tried again.  Beside the peer, who gives nothing back,
# a moment: a client who waits is load that it does not have.
PATIENCE = 15
PEER_PATIENCE = 1
PEER_END_PATIENCE = 0.3
# What may be left behind by nobody.
LEFT = ("blobs that no tag reaches, left", "links to what is gone, left",
        "links that no tag of their repository needs, left",
        "items in quarantine, left", "files in quarantine's folder, left",
        "uploads that nobody ended, left")


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
                   self.figures, self.stopped,
                   patience=PEER_PATIENCE if options.peer else PATIENCE,
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
        if not self.can_crash:
            return
        chance = random.Random(self.options.seed)
        for what, pause in ending.crashes_of(self.can_crash, chance, (1, 3)):
            if self.stopped.wait(pause):
                return
            if what == "the registry":
                self.world.restart_registry()
            else:
                self.world.crash_daemon(with_registry=what == "both")
            self.figures.add("crashes of " + what)

    def run(self):
        ending.run_all(self.workers + [ending.Beside(self.collect),
                                       ending.Beside(self.crash)],
                       self.options.seconds, self.stopped)
        if self.options.peer:
            for worker in self.workers:
                worker.patience = PEER_END_PATIENCE
            self.check_tags("tags whole at the end")
            return
        self.figures.add("blobs purged beside clients",
                         self.world.events()["purged"])
        self.check_tags("tags whole at the end")
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
        self.check_ruins()
        time.sleep(max(GRACE, 3) + 1)
        ending.run_quietly(
            world, pause=WRITE_DURATION,
            between=world.forget_cache if self.options.cache else None)
        self.check_disk()
        self.left += ending.check_quarantine(world, self.figures,
                                             world.tree.root)
        ending.check_verified(world, "hub", self.figures)
        world.note_held()
        ending.add_events(world, self.figures)

    def check_ruins(self):
        """Only a registry that is killed leaves a link empty."""
        world = self.world
        world.note_emptied()
        for link in sorted(world.emptied.values()):
            self.figures.lose("%s is empty, and no kill of the registry left "
                              "it so" % link)
        if self.options.crash_registry:
            self.figures.add("tags that a killed registry left empty",
                             world.tree.clear_torn_tags(world.torn))
            self.figures.add("blobs that a killed registry left empty",
                             world.tree.clear_empty_blobs())

    def note_left(self, what, items):
        self.figures.add(what + ", left", len(items))
        self.left += ["%s: %s" % (what, item) for item in items]

    def blobs_of(self, images):
        return {digest for image in images for worker in self.workers
                for digest in worker.blobs_of(*image)}

    def check_disk(self):
        tree = self.world.tree
        blobs = tree.blobs()
        images = set()
        for worker in self.workers:
            images |= worker.expected_images()
        for digest in sorted(self.blobs_of(images) - blobs):
            self.figures.lose("%s is not on the disk" % digest)
        # A tag that a broken connection hid from its client is one all the
        # same.
        images |= tree.tags()
        self.note_left("blobs that no tag reaches", [
            "%s: %s" % (digest, self.world.reclaim("why", digest)[1].strip())
            for digest in sorted(blobs - self.blobs_of(images))])
        self.check_links(blobs, images)
        # What a registry was making when it was killed, nobody has filled.
        folders = tree.empty_folders(
            {image for worker in self.workers for image in worker.deleted})
        self.note_left("folders with nothing in them", folders)
        self.note_left("uploads that nobody ended", tree.uploads())

    def check_links(self, blobs, images):
        links = self.world.tree.links()
        needed = {repository: self.blobs_of(
            image for image in images if image[0] == repository)
                  for repository, _, _ in links}
        gone = {link for link in links if link[2] not in blobs}
        # The registry keeps what a tag named once; nobody reads it.
        self.figures.add("links of what tags named once, to what is gone",
                         sum(kind == HISTORIES for _, kind, _ in gone))
        links = {link for link in links if link[1] in (LAYERS, REVISIONS)}
        self.note_left("links to what is gone", sorted(gone & links))
        self.note_left("links that no tag of their repository needs", sorted(
            link for link in links - gone
            if link[2] not in needed[link[0]]))

    def faults(self):
        """What went wrong, as lines."""
        options, figures, world = self.options, self.figures, self.world
        if options.peer:
            return list(figures.lost)
        needed = ["pushes", "pulls by tag", "pulls by digest", "mounts",
                  "deletions", "uploads aborted", "blobs quarantined",
                  "blobs purged"]
        if options.seconds >= ending.LONG_SECONDS:
            needed += ["blobs restored", OUTLIVED]
            # One that remembers all is asked to forget only in the end.
            if options.crash_registry or not options.cache:
                needed.append("blobs purged beside clients")
        wrong = ending.faults_of(figures, needed)
        wrong += ["%d %s" % (figures[what], what)
                  for what in LEFT if figures[what]]
        if not figures["crashes of the daemon"] + figures["crashes of both"]:
            wrong.append("the daemon was not killed")
        if not world.held:
            wrong.append("no sweep batch told how long it held writers")
        if options.crash_registry and not world.registry_kills:
            wrong.append("the registry was not killed")
        bound = ending.TORN_PER_KILL * world.registry_kills
        torn = {"links that a killed registry tore": len(world.torn),
                "folders with nothing in them, left":
                figures["folders with nothing in them, left"]}
        wrong += ["%d %s, and %d kills explain %d" % (
            count, what, world.registry_kills, bound)
                  for what, count in torn.items() if count > bound]
        return wrong

    def print_figures(self):
        counts = dict(self.figures.counts)
        counts["lost"] = len(self.figures.lost)
        counts["images lost"] = len(self.figures.images_lost)
        if self.options.crash_registry:
            counts["links that a killed registry tore"] = len(self.world.torn)
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
        figures = one.figures
        figures.add("pulls", figures["pulls by tag"] +
                    figures["pulls by digest"])
        wrong = one.faults()
    finally:
        one.print_figures()
        ending.count_totals(one.figures)
        keeps = bool(wrong) and options.keep
        if keeps:
            print("  kept: %s" % one.world.folder)
        one.close(keeps)
    return wrong


def main():
    wrong = race(sys.argv[1:])
    if "--peer" in sys.argv:
        return 0
    for what in wrong:
        print("  WRONG %s" % what)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

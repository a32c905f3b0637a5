"""How a race ends, beside a registry and beside folders of image layouts alike:
quiet runs, what must hold after them, what its figures must show, and the sums of
all races of this process."""
import collections
import os
import threading
import time

from registry_tree import left_in_quarantine
from world import PARTIAL

# What cannot be certain in the few seconds of the gate is asked for in a race of so
# many seconds: something comes back from quarantine, and something is freed while
# clients are at work, which takes grace, quarantine, proof and, where the registry
# has a cache, its death in between.
LONG_SECONDS = 60
# A pull that has to wait for longer is a failure, though it works in the end: 15 s
# of patience, then a scan that begins behind the run that is at work, of a daemon
# that may be killed meanwhile.  The longest that was seen is 15 s and a scan.
WAIT_SECONDS_MAX = 60
# A killed registry leaves empty what it was just making: one link or folder for each
# call that it was at, and mostly none at all.
TORN_PER_KILL = 2

# Sums of these, and of what was lost, are told to the gate.
COUNTED = ("pushes", "pulls", "pulls by tag", "pulls by digest", "mounts",
           "deletions", "uploads aborted", "blobs quarantined",
           "blobs restored", "blobs purged", "blobs purged beside clients",
           "crashes of the daemon", "crashes of the registry",
           "crashes of both")
TOTALS = collections.Counter()


def count_totals(figures):
    for what in COUNTED:
        TOTALS[what] += figures[what]
    TOTALS["lost"] += len(figures.lost)


class Beside(threading.Thread):
    """Does something beside the clients, and keeps what it died of."""

    def __init__(self, deed, *arguments):
        super().__init__()
        self.deed = deed
        self.arguments = arguments
        self.failure = None

    def run(self):
        try:
            self.deed(*self.arguments)
        except Exception as error:  # pylint: disable=broad-except
            self.failure = error
            raise


def run_all(threads, seconds, stopped):
    """For so long; then a failure of any of them is raised."""
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    stopped.set()
    for thread in threads:
        thread.join()
    for thread in threads:
        if thread.failure is not None:
            raise thread.failure


def crashes_of(kinds, chance, first):
    """(what is killed, after how many seconds), for ever.  Each of the kinds
    comes once, soon, before any comes again: in a short race, too, daemon and
    registry are both killed."""
    while True:
        for what in chance.sample(kinds, len(kinds)):
            yield what, chance.uniform(*first)
        first = 1.5, 5


def run_quietly(world, pause=0, between=None):
    """Two runs that nobody disturbs; `between` comes before what frees.  What
    was a second copy, and is the only one since a client or a crash took the
    first, the first purge keeps until a scan has looked once more."""
    for accepted in ((0, PARTIAL), (0,)):
        world.insist("system", "prune", "--force", "--allow-large")
        if between is not None:
            between()
        time.sleep(pause)
        world.insist("purge", "--now", "--force", accepted=accepted)


def check_quarantine(world, figures, top):
    """Returns what is left in quarantine, by the daemon's word and on the
    disk.  The folders of runs that were broken off or given back may lie there
    still, with nothing in them but a journal: the next start takes them."""
    held = world.must("quarantine", "ls", "--format",
                      "{{.Run}} {{.Action}} {{.Subject}} {{.Quarantined}}")
    figures.add("items in quarantine, left", len(held.splitlines()))
    files = left_in_quarantine(top)
    left = [path for path in files if "/tree/" in path]
    figures.add("folders of runs that a start had to take", sum(
        os.path.basename(path) == "journal" for path in files))
    world.crash_daemon()
    left = sorted({*left, *left_in_quarantine(top)})
    figures.add("files in quarantine's folder, left", len(left))
    return held.splitlines() + left


def check_verified(world, store, figures):
    """A verification has nothing to say, but of links that a registry left empty
    when it was killed: nobody but a client mends them."""
    for finding in world.verify(store):
        if (finding["check"], finding["severity"]) == (
                "empty-link", "warning") and world.explains(
                    finding["subject"]):
            figures.add("links that a killed registry left empty, by verify")
            continue
        figures.lose("verify: %s %s %s: %s" % (
            finding["severity"], finding["check"], finding["subject"],
            finding["detail"]))


def add_events(world, figures):
    for kind, count in world.events().items():
        figures.add("blobs " + kind, count)


def faults_of(figures, needed):
    """What is wrong with any race's figures: `needed` must not be 0."""
    wrong = list(figures.lost)
    wrong += [what for what in figures.counts
              if what.startswith("collections that failed")]
    wrong += ["no %s: the test shows nothing" % what
              for what in needed if not figures[what]]
    waited = figures.slowest.get("wait of a pull", 0)
    if waited > WAIT_SECONDS_MAX:
        wrong.append("a pull waited for %.1f s" % waited)
    return wrong

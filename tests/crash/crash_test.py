#!/usr/bin/env python3
"""kill -9 of the whole daemon at random moments, beside writers.

    tests/crash/crash_test.py [--kills N] [--seed S] [--parallel P]

Run me from the root, after `bazel build //cli:reclaim //server:reclaimd`;
tools/test does, and tools/soak for hours.  A cycle starts a deed
(crash_deeds.py) on a real registry tree that a writer goes on filling, kills the
daemon somewhere in it, starts it again (and sometimes kills it in that start as
well), and asks an oracle that shares nothing with the daemon: every blob that a
tag reaches is there with the right bytes, with the links by which its repository
serves it; every tag names what it was pushed with; every acknowledged record
stands, and every end that was told; no run fails, and no call, but of the kill;
`verify` finds nothing.  The chain of the audit holds, and each blob that was taken
or freed is on record there, whether that was acknowledged or not.  At the end two
quiet runs take all that is garbage.

After KILLS_PER_TREE kills a new tree begins, with the next seed; P trees are
worked on at a time, each by a process and a daemon of its own, so `--seed S
--kills N` of a failure repeats it with N up to KILLS_PER_TREE.
"""
import argparse
import collections
import concurrent.futures
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(0, os.path.join(os.getcwd(), "tools"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import xml_cases  # noqa: E402
from crash_audit import PURGE, AuditTrail, sees_gaps  # noqa: E402
from crash_daemon import Daemon, Refused  # noqa: E402
from crash_deeds import (AFTER, BEFORE, CANCELLED, DEEDS, DURING,  # noqa: E402
                         FAILED, PATIENCE, Pins, how_it_ended)
from crash_tree import TOP, CrashTree, digest_of  # noqa: E402
from crash_writer import WRITE_SECONDS_MAX, Writer  # noqa: E402

CLI = os.path.join(os.getcwd(), "bazel-bin/cli/reclaim")
DAMAGE = 3  # of FindingSeverity
RECOVERY = "recovery"
STAGES = (BEFORE, DURING, AFTER)
KILLS_PER_TREE = 25
KILLS_IN_RECOVERY = 0.15
# A fuse burns for up to this many times of what its deed takes.
FUSE = 1.25
FIRST_LENGTH = 0.05
# With so many kills each deed is met in its midst.
KILLS_FOR_EACH_DEED = 400
# What no call may come to, but of the kill: the daemon itself said so, or nothing
# for a minute.
ALARMS = ("INTERNAL", "DATA_LOSS", "DEADLINE_EXCEEDED", "UNAVAILABLE")
# Of the pushes, those that were too slow to be judged; with more of them (and so
# many kills as above) the oracle says little.  A machine that has much else to do
# has some.
TOO_SLOW_PERCENT_MAX = 40
# A kill is not a power cut: what was written is there, synced or not.
MEMORY = "/dev/shm"
MEMORY_BYTES_MIN = 1 << 30


def folder_for_trees():
    """In memory where there is enough of it, else on disk."""
    try:
        of = os.statvfs(MEMORY)
    except OSError:
        return "/tmp"
    return MEMORY if of.f_bavail * of.f_frsize > MEMORY_BYTES_MIN else "/tmp"


class Lengths:
    """How long each deed takes here: fuses end in the midst of it."""

    def __init__(self):
        self.of = collections.defaultdict(lambda: FIRST_LENGTH)

    def learn(self, deed, seconds, has_ended):
        if has_ended:
            self.of[deed] += (seconds - self.of[deed]) / 4
        elif seconds > self.of[deed]:
            self.of[deed] = seconds * FUSE

    def fuse(self, deed, chance):
        return chance.uniform(0, FUSE * self.of[deed])


class Crash:

    def __init__(self, folder, seed):
        self.folder = folder
        self.random = random.Random(seed)
        self.tree = CrashTree(os.path.join(folder, "registry"), seed + 1)
        self.daemon = Daemon(folder)
        self.writer = Writer(self.tree, seed + 2)
        self.pins = Pins()
        self.trail = AuditTrail(os.path.join(folder, "data", "audit"))
        self.lengths = Lengths()
        self.kills = collections.Counter()  # of (deed, stage)
        self.refusals = collections.Counter()
        self.lost = []
        self.deeds = []
        with open(os.path.join(folder, "reclaim.toml"), "w") as file:
            # The writer's grace is what a registry's would be; garbage in
            # this tree is years old.
            file.write('data_directory = "%s/data"\nballast_bytes = 65536\n'
                       '[listen]\nsocket = "%s/r.sock"\n'
                       '[gc]\ngrace_period = "1h"\nlarge_plan_percent = 100\n'
                       'batch_item_count = %d\n'
                       '[[store]]\nname = "hub"\nuri = "registry:%s"\n'
                       'write_duration_max = "%dms"\n'
                       'descriptor_cache = "none"\n'
                       % (folder, folder, self.random.choice((2, 8, 32)),
                          self.tree.root, WRITE_SECONDS_MAX * 1000))

    def fill(self):
        shared = [self.tree.random.randbytes(5000)]
        for number in range(12):
            self.tree.put_image("live/r%d" % (number % 4), "t%d" % number,
                                True, shared)
        self.tree.put_index("live/r0", "multi", [
            self.tree.put_image("live/r0", None, True),
            self.tree.put_image("live/r0", None, True)], True)
        self.tree.put_image("live/r0", "t0", True)
        self.make_garbage()

    def make_garbage(self):
        for _ in range(self.random.randrange(2, 7)):
            repository = "old/r%d" % self.random.randrange(3)
            self.tree.put_garbage(repository)
        for _ in range(self.random.randrange(8)):
            self.tree.put_blob(self.tree.random.randbytes(700), True)

    def start(self):
        """Ready means that it answers; what it resumes may still go on."""
        begin = time.monotonic()
        self.daemon.launch()
        self.daemon.wait()
        self.lengths.learn(RECOVERY, time.monotonic() - begin, True)

    def start_and_kill(self):
        self.daemon.launch()
        time.sleep(self.lengths.fuse(RECOVERY, self.random))
        stage = (BEFORE if not self.daemon.listens() else
                 AFTER if self.daemon.serves() else DURING)
        self.daemon.kill()
        self.kills[RECOVERY, stage] += 1

    def next_deed(self):
        """All of them, each time in another order."""
        if not self.deeds:
            self.deeds = list(DEEDS)
            self.random.shuffle(self.deeds)
        return self.deeds.pop()

    def do(self, name, deed):
        begin = time.monotonic()
        try:
            deed.do()
        except Refused as refusal:
            self.note_refusal(name, refusal)
        except Exception:  # pylint: disable=broad-except
            self.lost.append("%s broke: %s" % (name, traceback.format_exc()))
        self.lengths.learn(name, time.monotonic() - begin,
                           deed.stage == AFTER)

    def note_refusal(self, name, refusal):
        """Of a call that the kill cut off there is nothing to say."""
        if refusal.code == "UNAVAILABLE" and self.daemon.is_doomed:
            return
        self.refusals[name + " " + refusal.code] += 1
        if refusal.code in ALARMS:
            self.lost.append("%s: %s" % (name, refusal))

    def cycle(self, kills_left):
        name = self.next_deed()
        deed = DEEDS[name](self)
        deed.prepare()
        worker = threading.Thread(target=self.do, args=(name, deed))
        self.writer.is_fast = True
        worker.start()
        time.sleep(self.lengths.fuse(name, self.random))
        self.daemon.kill()
        self.writer.is_fast = False
        worker.join()
        self.daemon.hang_up()
        self.kills[name, deed.stage] += 1
        if kills_left > 1 and self.random.random() < KILLS_IN_RECOVERY:
            self.start_and_kill()
        self.start()
        self.judge(name, deed)

    def judge(self, name, deed):
        lost = list(deed.complaints())
        lost += self.lost_content()
        pins = self.daemon.call("Lease", "ListPins", store="hub",
                                page_size=1000).pins
        lost += self.pins.complaints([pin.id for pin in pins])
        lost += self.trail.complaints(self.tree)
        lost += deed.unrecorded(self.trail)
        try:
            for part in self.daemon.call("Store", "VerifyStore", name="hub"):
                lost += ["verify: %s %s: %s" % (
                    finding.check, finding.subject, finding.detail)
                    for finding in part.findings
                    if finding.severity == DAMAGE or
                    finding.check == "counter-mismatch"]
        except Refused as refusal:
            lost.append("verify: %s" % refusal)
        if self.writer.broke:
            lost.append(self.writer.broke)
        self.lost += ["%s: %s" % (name, loss) for loss in lost]

    def lost_content(self):
        """What was named after its quarantine comes back with the next scan."""
        try:
            self.tree.live(True, self.writer.too_slow)
            return []
        except OSError:
            pass
        with self.writer.pushes_stand:  # one that was under way is judged whole
            try:
                self.tree.live(True, self.writer.too_slow)
                return []
            except OSError as error:
                return [str(error)]

    def ask(self, *arguments):
        return subprocess.run(
            [CLI, "--host", "unix:%s/r.sock" % self.folder, *arguments],
            capture_output=True, text=True, timeout=PATIENCE)

    def await_rest(self):
        """What was interrupted comes to its end."""
        deadline = time.monotonic() + PATIENCE
        while True:
            run = self.daemon.call("Store", "GetStore", name="hub").run_id
            if not run:
                return
            if time.monotonic() > deadline:
                raise RuntimeError("run %s is at work %d s after the last kill"
                                   % (run, PATIENCE))
            time.sleep(0.01)

    def failed_runs(self):
        """Those too that nobody watched: that went on after a kill, or are of
        the daemon's own."""
        token = ""
        while True:
            page = self.daemon.call("Collection", "ListRuns", store="hub",
                                    page_size=1000, page_token=token)
            yield from (run for run in page.runs
                        if run.phase in (FAILED, CANCELLED))
            token = page.next_page_token
            if not token:
                return

    def settle(self):
        """Two quiet runs; what is left must be what tags reach."""
        self.await_rest()
        for pin in sorted(self.pins.stand):
            self.daemon.call("Lease", "DeletePin", store="hub", id=pin)
        for command in (("scan", "hub"), ("system", "prune", "--force"),
                        ("purge", "--now", "--force")) * 2:
            done = self.ask(*command)
            if done.returncode != 0:
                self.lost.append("%s: %s" % (command[0], done.stderr))
        self.lost += [how_it_ended(run) for run in self.failed_runs()]
        self.lost += self.trail.complaints(self.tree)
        audit = self.ask("audit", "verify")
        if audit.returncode != 0:
            self.lost.append("at the end: " + audit.stdout + audit.stderr)
        self.tree.forget_what_was_read()
        try:
            live = self.tree.live(False, self.writer.too_slow)
        except OSError as error:
            self.lost.append("at the end: %s" % error)
            return 0
        # What the writer pushed is young: its moved tags' manifests stay.
        left = self.tree.stored() - live - self.tree.young()
        if left:
            self.lost.append("%d blobs of garbage are left" % len(left))
        quarantined = self.ask("quarantine", "ls", "--format",
                               "{{.Run}} {{.Subject}}").stdout.splitlines()
        if quarantined:
            self.lost.append("left in quarantine: %s" % quarantined[:5])
        verified = self.ask("verify", "hub", "--read-data")
        if "0 findings" not in verified.stdout:
            self.lost.append("at the end: " + verified.stdout)
        return len(live)

    def work(self, kills):
        self.fill()
        self.start()
        DEEDS["scan"](self).do()
        self.writer.start()
        while sum(self.kills.values()) < kills:
            self.cycle(kills - sum(self.kills.values()))
        self.end_writer()
        return self.settle()

    def end_writer(self):
        self.writer.ends.set()
        if self.writer.is_alive():
            self.writer.join()


def run(kills, seed):
    """One tree; its kills, and how many runs went on, things were lost, pushes
    came beside, and were too slow, and blobs were freed and are on record."""
    folder = tempfile.mkdtemp(prefix="reclaim-crash-", dir=folder_for_trees())
    crash = Crash(folder, seed)
    live = 0
    try:
        live = crash.work(kills)
    except Exception:  # pylint: disable=broad-except
        crash.lost.append("this program broke: " + traceback.format_exc())
    finally:
        crash.end_writer()
        if crash.daemon.is_alive():
            crash.daemon.kill()
    went_on = crash.daemon.runs_that_went_on()
    if not crash.lost:
        shutil.rmtree(folder, True)
    print("seed %d: %d kill points, %d runs went on, %d pushes beside them (%d "
          "of what was garbage), %d blobs live at the end, lost: %d%s%s"
          % (seed, sum(crash.kills.values()), went_on, crash.writer.pushes,
             crash.writer.pushes_of_garbage, live, len(crash.lost),
             "".join(", %d x %s" % (count, what)
                     for what, count in sorted(crash.refusals.items())),
             " (%d pushes were too slow)" % crash.writer.slow_pushes
             if crash.writer.slow_pushes else ""), flush=True)
    for loss in crash.lost[:20]:
        print("LOST", loss)
    if crash.lost:
        print("the folder is kept:", folder, flush=True)
    return (crash.kills, went_on, len(crash.lost), crash.writer.pushes,
            crash.writer.slow_pushes, len(crash.trail.blobs[PURGE]))


def verdict(tree, or_in_quarantine=False):
    try:
        tree.live(or_in_quarantine)
        return "whole"
    except OSError:
        return "lost"


def oracle_sees_losses():
    """Whether it tells of a blob that is gone, of a wrong byte in one that it has
    read before, and of nothing else."""
    with tempfile.TemporaryDirectory(prefix="reclaim-crash-") as folder:
        tree = CrashTree(folder, 1)
        image = tree.make_image()
        tree.push("r", "t", image, True)
        tree.live()
        seen = []
        for data in (image[0], image[-1]):
            path = os.path.join(folder, TOP, tree.blob_path(digest_of(data)))
            for wrong in (None, data[:-1] + b"?", data):
                os.unlink(path)
                if wrong is not None:
                    tree.write(tree.blob_path(digest_of(data)), wrong, True)
                seen.append(verdict(tree, True))
                if wrong is None:
                    tree.write(tree.blob_path(digest_of(data)), data, True)
    return seen == ["lost", "lost", "whole"] * 2


def oracle_sees_lost_links():
    """Whether it tells of a link that is gone or says something else, and takes
    one in quarantine for a link only as long as it may lie there."""
    with tempfile.TemporaryDirectory(prefix="reclaim-crash-") as folder:
        tree = CrashTree(folder, 1)
        images = [tree.put_image("r", None, True) for _ in range(2)]
        tree.put_index("r", "t", images, True)
        tree.put_image("other", "t", True)
        seen = []
        for kind in ("_layers", "_manifests/revisions"):
            below = os.path.join(folder, TOP, "repositories/r", kind, "sha256")
            for digest in sorted(os.listdir(below)):
                link = os.path.join(below, digest, "link")
                aside = link.replace(folder, folder + "/.reclaim/q/run/tree")
                os.makedirs(os.path.dirname(aside))
                os.rename(link, aside)
                seen.append((verdict(tree), verdict(tree, True)))
                tree.link(os.path.relpath(link, folder + "/" + TOP), "", True)
                os.unlink(aside)
                seen.append((verdict(tree, True), "whole"))
                tree.link(os.path.relpath(link, folder + "/" + TOP), digest,
                          True)
        seen.append((verdict(tree), verdict(tree, True)))
    return len(seen) > 2 * 7 and seen == [("lost", "whole")] * (
        len(seen) - 1) + [("whole", "whole")]


def oracle_sees_lost_tags():
    """Whether it tells of a tag that is gone, in quarantine too, of one that
    names what it named before, and of one that nobody has pushed."""
    with tempfile.TemporaryDirectory(prefix="reclaim-crash-") as folder:
        tree = CrashTree(folder, 1)
        before, now = [tree.put_image("r", "t", True) for _ in range(2)]
        tag = "repositories/r/_manifests/tags/t"
        seen = [verdict(tree)]
        tree.link(tag + "/current/link", before, True)
        seen.append(verdict(tree, True))
        tree.link(tag + "/current/link", now, True)
        tree.link(tag + "2/current/link", now, True)
        seen.append(verdict(tree, True))
        shutil.rmtree(os.path.join(folder, TOP, tag + "2"))
        seen.append(verdict(tree))
        aside = os.path.join(folder, ".reclaim/q/run/tree", TOP)
        os.makedirs(os.path.dirname(os.path.join(aside, tag)))
        os.rename(os.path.join(folder, TOP, tag), os.path.join(aside, tag))
        seen.append(verdict(tree, True))
        tree.live(False, {("r", now)})  # It has no promise.
    return seen == ["whole", "lost", "lost", "whole", "lost"]


def print_kills(kills):
    """Where they fell."""
    print("%-10s %8s %8s %8s" % (("killed in",) + STAGES))
    for deed in [*DEEDS, RECOVERY]:
        print("%-10s %8d %8d %8d" % (
            (deed,) + tuple(kills[deed, stage] for stage in STAGES)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--parallel", type=int, default=4)
    parser.add_argument("--seed", type=int,
                        default=random.SystemRandom().randrange(1 << 30))
    options = parser.parse_args()
    begin = time.monotonic()
    trees = [min(KILLS_PER_TREE, options.kills - at)
             for at in range(0, options.kills, KILLS_PER_TREE)]
    with concurrent.futures.ProcessPoolExecutor(
            options.parallel, multiprocessing.get_context("spawn")) as pool:
        results = list(pool.map(run, trees, range(
            options.seed, options.seed + len(trees))))
    kills = sum((result[0] for result in results), collections.Counter())
    went_on, lost, pushes, slow, freed = (
        sum(result[at] for result in results) for at in range(1, 6))
    print_kills(kills)
    total = sum(kills.values())
    midst = sum(kills[deed, DURING] for deed in [*DEEDS, RECOVERY])
    print("%d kill points, %d in the midst of a deed, %d runs went on, %d kills "
          "a minute, lost: %d" % (total, midst, went_on,
                                  total * 60 / (time.monotonic() - begin), lost))
    print("%d pushes beside them, %d too slow to be judged; %d blobs were freed, "
          "and are on record" % (pushes, slow, freed))
    xml_cases.FIGURES["kill_points"] = total
    xml_cases.FIGURES["kill_points_in_the_midst_of_a_deed"] = midst
    xml_cases.FIGURES["lost_to_kills"] = lost
    results = {"nothing_is_lost": lost == 0,
               "the_oracle_sees_losses": oracle_sees_losses(),
               "the_oracle_sees_lost_links": oracle_sees_lost_links(),
               "the_oracle_sees_lost_tags": oracle_sees_lost_tags(),
               "the_oracle_sees_gaps_in_the_audit": sees_gaps(
                   lambda root: CrashTree(root, 1))}
    if total >= KILLS_FOR_EACH_DEED:
        results["each_deed_is_met_in_its_midst"] = all(
            kills[deed, DURING] > 0 for deed in [*DEEDS, RECOVERY])
        results["blobs_were_freed"] = freed > 0
        results["most_pushes_are_judged"] = (
            slow * 100 <= pushes * TOO_SLOW_PERCENT_MAX)
    xml_cases.write("crash", results)
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

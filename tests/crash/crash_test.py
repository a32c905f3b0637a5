#!/usr/bin/env python3
"""kill -9 of the whole daemon at random moments, beside writers.

    tests/crash/crash_test.py [--kills N] [--seed S] [--parallel P]

Run me from the root, after `bazel build //cli:reclaim //server:reclaimd`;
tools/test does, in short, and tools/soak for hours.  A cycle starts a deed
(scan, plan and apply, restore, purge, records) on a real registry tree that a
writer goes on filling, kills the daemon somewhere in it, starts it again, and
asks an oracle that shares nothing with the daemon: every blob that a tag
reaches is there with the right bytes; every acknowledged record stands;
`verify` finds nothing.  At the end two quiet runs take all that is garbage.

After KILLS_PER_TREE kills a new tree begins, with the next seed; P trees are
worked on at a time, each by a daemon of its own, so `--seed S --kills N` of a
failure repeats it with N up to KILLS_PER_TREE.
"""
import argparse
import collections
import concurrent.futures
import http.client
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.getcwd(), "tools"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import xml_cases  # noqa: E402
from crash_tree import CrashTree  # noqa: E402

CLI = os.path.join(os.getcwd(), "bazel-bin/cli/reclaim")
DAEMON = os.path.join(os.getcwd(), "bazel-bin/server/reclaimd")
DEEDS = ("scan", "apply", "restore", "purge", "records", "prune")
LONGEST_FUSE = 0.2
START_PATIENCE = 60
KILLS_PER_TREE = 60
# Longer than a push of our writer takes, from its look at a blob to its tag.
WRITE_SECONDS_MAX = 2
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


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_ready(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class Writer(threading.Thread):
    """Pushes images into the tree while the daemon lives and dies; of some, a
    client finds that the blobs are there already, garbage though they are."""

    def __init__(self, tree, seed):
        super().__init__(daemon=True)
        self.tree = tree
        self.random = random.Random(seed)
        self.ends = threading.Event()
        self.pushes = 0
        self.pushes_of_garbage = 0
        self.too_slow = 0

    def run(self):
        while not self.ends.wait(self.random.uniform(0, 0.05)):
            repository = "live/r%d" % self.random.randrange(4)
            tag = "t%d" % self.random.randrange(12)
            begin = time.monotonic()
            if self.tree.garbage and self.random.random() < 0.2:
                self.tree.push_garbage(repository, tag, self.random)
                self.pushes_of_garbage += 1
            else:
                self.tree.put_image(repository, tag, False)
            self.pushes += 1
            # Such a writer has broken the promise that the proof rests on.
            self.too_slow += time.monotonic() - begin > WRITE_SECONDS_MAX


class Crash:

    def __init__(self, folder, seed):
        self.folder = folder
        self.random = random.Random(seed)
        self.tree = CrashTree(os.path.join(folder, "registry"), seed + 1)
        self.daemon = None
        self.pins = set()
        self.kills = {deed: 0 for deed in DEEDS}
        self.finished = 0
        self.lost = []
        with open(os.path.join(folder, "reclaim.toml"), "w") as file:
            # The writer's grace is what a registry's would be; garbage in
            # this tree is years old.
            file.write('data_directory = "%s/data"\nballast_bytes = 65536\n'
                       '[listen]\nsocket = "%s/r.sock"\n'
                       '[gc]\ngrace_period = "1h"\nlarge_plan_percent = 100\n'
                       'batch_item_count = 8\n'
                       '[[store]]\nname = "hub"\nuri = "registry:%s"\n'
                       'write_duration_max = "%ds"\n'
                       'descriptor_cache = "none"\n'
                       % (folder, folder, self.tree.root, WRITE_SECONDS_MAX))

    def start(self):
        """Ready means that it answers; what it resumes may still go on."""
        port = free_port()
        self.daemon = subprocess.Popen(
            [DAEMON, "--config", self.folder + "/reclaim.toml", "--http",
             "127.0.0.1:%d" % port],
            stdout=subprocess.DEVNULL,
            stderr=open(self.folder + "/daemon.log", "a"))
        end = time.monotonic() + START_PATIENCE
        while not is_ready(port):
            if time.monotonic() > end or self.daemon.poll() is not None:
                with open(self.folder + "/daemon.log") as log:
                    raise SystemExit("the daemon does not start:\n" +
                                     log.read()[-3000:])
            time.sleep(0.005)

    def kill(self):
        self.daemon.kill()
        self.daemon.wait()

    def ask(self, *arguments):
        return subprocess.run(
            [CLI, "--host", "unix:%s/r.sock" % self.folder, *arguments],
            capture_output=True, text=True)

    def make_garbage(self):
        for _ in range(self.random.randrange(2, 7)):
            repository = "old/r%d" % self.random.randrange(3)
            self.tree.put_garbage(repository)
        for _ in range(self.random.randrange(8)):
            self.tree.put_blob(self.tree.random.randbytes(700), True)

    def last_apply(self):
        lines = self.ask("runs", "ls", "--format",
                         "{{.ID}} {{.Kind}}").stdout.splitlines()
        return next((line.split()[0] for line in lines
                     if line.endswith(" apply")), None)

    def commands(self, deed):
        if deed == "scan":
            return [["scan", "hub"]]
        if deed in ("apply", "prune"):
            return [["scan", "hub"], ["system", "prune", "--force"]]
        if deed == "restore":
            run = self.last_apply()
            return [["restore", run]] if run else [["scan", "hub"]]
        if deed == "purge":
            return [["purge", "--now", "--force"]]
        return [["pin", "add", "live/r0:t0", "--id", "p%d" % number]
                for number in range(len(self.pins), len(self.pins) + 20)]

    def do(self, deed, commands):
        for command in commands:
            done = self.ask(*command)
            if done.returncode != 0:
                return
            if command[0] == "pin":
                self.pins.add(command[-1])
        self.finished += 1

    def cycle(self):
        deed = DEEDS[sum(self.kills.values()) % len(DEEDS)]
        if deed in ("apply", "prune"):
            self.make_garbage()
        commands = self.commands(deed)
        if len(commands) == 2:
            self.ask(*commands.pop(0))  # The fuse is for what deletes.
        worker = threading.Thread(target=self.do, args=(deed, commands))
        worker.start()
        time.sleep(self.random.uniform(0, LONGEST_FUSE))
        self.kill()
        worker.join()
        self.kills[deed] += 1
        self.start()
        self.judge(deed)

    def judge(self, deed):
        # What was named after its quarantine comes back with the next scan.
        try:
            self.tree.live(or_in_quarantine=True)
        except OSError as error:
            self.lost.append("%s: %s" % (deed, error))
        stand = {json.loads(line)["ID"] for line in self.ask(
            "pin", "ls", "--format", "json").stdout.splitlines()}
        for pin in self.pins - stand:
            self.lost.append("%s: the acknowledged pin %s" % (deed, pin))
        verified = self.ask("verify", "hub")
        if verified.returncode != 0 or "counter-mismatch" in verified.stdout:
            self.lost.append("%s: verify ended with %d: %s%s" % (
                deed, verified.returncode, verified.stdout, verified.stderr))

    def settle(self):
        """Two quiet runs; what is left must be what tags reach."""
        for pin in sorted(self.pins):
            self.ask("pin", "rm", pin)
        for command in (("scan", "hub"), ("system", "prune", "--force"),
                        ("purge", "--now", "--force")) * 2:
            done = self.ask(*command)
            if done.returncode != 0:
                self.lost.append("%s: %s" % (command[0], done.stderr))
        try:
            live = self.tree.live()
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


def run(kills, seed):
    """One tree; the Crash, with what was lost, and a line about it."""
    folder = tempfile.mkdtemp(prefix="reclaim-crash-", dir=folder_for_trees())
    crash = Crash(folder, seed)
    writer = Writer(crash.tree, seed + 2)
    live = 0
    try:
        shared = [crash.tree.random.randbytes(5000)]
        for number in range(12):
            crash.tree.put_image("live/r%d" % (number % 4), "t%d" % number,
                                 True, shared)
        crash.tree.put_index("live/r0", "multi", [
            crash.tree.put_image("live/r0", None, True),
            crash.tree.put_image("live/r0", None, True)], True)
        crash.make_garbage()
        crash.start()
        writer.start()
        for _ in range(kills):
            crash.cycle()
        writer.ends.set()
        writer.join()
        live = crash.settle()
    finally:
        writer.ends.set()
        if crash.daemon and crash.daemon.poll() is None:
            crash.kill()
        if not crash.lost:
            shutil.rmtree(folder, True)
    print("seed %d: %d kill points, %d deeds ended before their kill, %d "
          "pushes beside them (%d of what was garbage), %d blobs live at the "
          "end, lost: %d%s"
          % (seed, kills, crash.finished, writer.pushes,
             writer.pushes_of_garbage, live, len(crash.lost),
             " (%d writers were too slow)" % writer.too_slow
             if writer.too_slow else ""), flush=True)
    for loss in crash.lost[:20]:
        print("LOST", loss)
    if crash.lost:
        print("the folder is kept:", folder)
    return crash


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--seed", type=int,
                        default=random.SystemRandom().randrange(1 << 30))
    options = parser.parse_args()
    begin = time.monotonic()
    trees = [min(KILLS_PER_TREE, options.kills - at)
             for at in range(0, options.kills, KILLS_PER_TREE)]
    with concurrent.futures.ThreadPoolExecutor(options.parallel) as pool:
        crashes = list(pool.map(run, trees, range(
            options.seed, options.seed + len(trees))))
    kills = collections.Counter()
    for crash in crashes:
        kills.update(crash.kills)
    lost = sum(len(crash.lost) for crash in crashes)
    took = time.monotonic() - begin
    print("%d kill points (%s), %d a minute, lost: %d" % (
        sum(kills.values()), ", ".join("%s %d" % item
                                       for item in kills.items()),
        sum(kills.values()) * 60 / took, lost))
    xml_cases.FIGURES["kill_points"] = sum(kills.values())
    xml_cases.FIGURES["lost_to_kills"] = lost
    xml_cases.write("crash", {"nothing_is_lost": lost == 0})
    return 0 if lost == 0 else 1


if __name__ == "__main__":
    sys.exit(main())

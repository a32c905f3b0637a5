#!/usr/bin/env python3
"""kill -9 of the whole daemon at random moments, beside writers.

    tests/crash/crash_test.py [--kills N] [--seed S]

Run me from the root, after `bazel build //cli:reclaim //server:reclaimd`;
tools/test does, in short, and tools/soak for hours.  A cycle starts a deed
(scan, plan and apply, restore, purge, records) on a real registry tree that a
writer goes on filling, kills the daemon somewhere in it, starts it again, and
asks an oracle that shares nothing with the daemon: every blob that a tag
reaches is there with the right bytes; every acknowledged record stands;
`verify` finds nothing.  At the end two quiet runs take all that is garbage.
"""
import argparse
import json
import os
import random
import shutil
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
LONGEST_FUSE = 0.25
START_PATIENCE = 60


class Writer(threading.Thread):
    """Pushes images into the tree while the daemon lives and dies."""

    def __init__(self, tree, seed):
        super().__init__(daemon=True)
        self.tree = tree
        self.random = random.Random(seed)
        self.ends = threading.Event()
        self.pushes = 0

    def run(self):
        while not self.ends.wait(self.random.uniform(0, 0.05)):
            self.tree.put_image("live/r%d" % self.random.randrange(4),
                                "t%d" % self.random.randrange(12), False)
            self.pushes += 1


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
            file.write('data_directory = "%s/data"\n[listen]\n'
                       'socket = "%s/r.sock"\n[http]\naddress = ""\n'
                       '[gc]\ngrace_period = "1h"\nlarge_plan_percent = 100\n'
                       'batch_item_count = 8\n'
                       '[[store]]\nname = "hub"\nuri = "registry:%s"\n'
                       % (folder, folder, self.tree.root))

    def start(self):
        self.daemon = subprocess.Popen(
            [DAEMON, "--config", self.folder + "/reclaim.toml"],
            stdout=subprocess.DEVNULL,
            stderr=open(self.folder + "/daemon.log", "a"))
        end = time.monotonic() + START_PATIENCE
        while self.ask("store", "ls").returncode != 0:
            if time.monotonic() > end or self.daemon.poll() is not None:
                with open(self.folder + "/daemon.log") as log:
                    raise SystemExit("the daemon does not start:\n" +
                                     log.read()[-3000:])
            time.sleep(0.02)

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
            self.tree.put_image(repository, None, True)
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
        try:
            self.tree.live()
        except OSError as error:
            self.lost.append("%s: %s" % (deed, error))
        stand = {json.loads(line)["ID"] for line in self.ask(
            "pin", "ls", "--format", "json").stdout.splitlines()}
        for pin in self.pins - stand:
            self.lost.append("%s: the acknowledged pin %s" % (deed, pin))
        verified = self.ask("verify", "hub")
        if verified.returncode == 13 or "counter-mismatch" in verified.stdout:
            self.lost.append("%s: verify: %s" % (deed, verified.stdout))

    def settle(self):
        """Two quiet runs; what is left must be what tags reach."""
        for pin in sorted(self.pins):
            self.ask("pin", "rm", pin)
        # What the writer pushed is young: its moved tags' manifests stay.
        young = {digest for digest in self.tree.stored()
                 if os.path.getmtime(os.path.join(
                     self.tree.root, "docker/registry/v2",
                     self.tree.blob_path(digest))) > 1700000000}
        for command in (("scan", "hub"), ("system", "prune", "--force"),
                        ("purge", "--now", "--force")) * 2:
            done = self.ask(*command)
            # 3: a registry is not asked here, so bytes stay in quarantine.
            if done.returncode not in (0, 3):
                self.lost.append("%s: %s" % (command[0], done.stderr))
        live = self.tree.live()
        left = self.tree.stored() - live - young
        if left:
            self.lost.append("%d blobs of garbage are left" % len(left))
        verified = self.ask("verify", "hub", "--read-data")
        if "0 findings" not in verified.stdout:
            self.lost.append("at the end: " + verified.stdout)
        return len(live)


def run(kills, seed):
    folder = tempfile.mkdtemp(prefix="reclaim-crash-", dir="/tmp")
    crash = Crash(folder, seed)
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
        writer = Writer(crash.tree, seed + 2)
        writer.start()
        for _ in range(kills):
            crash.cycle()
        writer.ends.set()
        writer.join()
        live = crash.settle()
    finally:
        if crash.daemon.poll() is None:
            crash.kill()
        if not crash.lost:
            shutil.rmtree(folder, True)
    xml_cases.FIGURES["kill_points"] = sum(crash.kills.values())
    xml_cases.FIGURES["lost_to_kills"] = len(crash.lost)
    print("seed %d: %d kill points (%s), %d deeds ended before their kill, "
          "%d pushes beside them, %d blobs live at the end, lost: %d"
          % (seed, sum(crash.kills.values()),
             ", ".join("%s %d" % item for item in crash.kills.items()),
             crash.finished, writer.pushes, live, len(crash.lost)))
    for loss in crash.lost[:20]:
        print("LOST", loss)
    if crash.lost:
        print("the folder is kept:", folder)
    return not crash.lost


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int,
                        default=random.SystemRandom().randrange(1 << 30))
    options = parser.parse_args()
    good = run(options.kills, options.seed)
    xml_cases.write("crash", {"nothing_is_lost": good})
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

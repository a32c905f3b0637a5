#!/usr/bin/env python3
"""The power goes while a store's files are moved: what was not synced is lost,
in any order (tests/e2e/strict_disk.py; below the database it is
index/power_cut_test).

A daemon prunes, restores and prunes a registry's tree under strace.  After each
call that changed a name there, a disk that keeps no more than it must is cut
off: every file must be found, where it was or in quarantine, and one in
quarantine only with the journal beside it that tells where it belongs.  What
was acknowledged stands even if nothing that was left unsynced is there.

Run me from the root, after `bazel build //cli:reclaim //server:reclaimd`;
tools/test does.
"""
import copy
import os
import random
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "crash"))
import e2e_test as e2e  # noqa: E402
import strict_disk  # noqa: E402
import xml_cases  # noqa: E402
import xml_results  # noqa: E402
from crash_tree import CrashTree  # noqa: E402

SEED = int(os.environ.get("RECLAIM_SEED", "20260102"))
CUTS_PER_CALL = int(os.environ.get("RECLAIM_CUTS_PER_CALL", "12"))
QUARANTINE = ".reclaim/quarantine/"
OUR_OWN = "/journal"


class StorePowerCutTest(e2e.World):

    def setUp(self):
        super().setUp()
        print("seed %d" % SEED)
        self.random = random.Random(SEED)
        self.tree = CrashTree(self.path("registry"), SEED)
        self.root = os.path.realpath(self.tree.root)
        for number in range(3):
            self.tree.put_image("live/r%d" % number, "t", True)
        for number in range(6):
            self.tree.put_garbage("old/r%d" % (number % 2))
        for _ in range(4):
            self.tree.put_blob(self.tree.random.randbytes(700), True)
        with open(self.path("reclaim.toml"), "w") as file:
            file.write('ballast_bytes = 0\n[gc]\ngrace_period = "0s"\n'
                       'large_plan_percent = 100\nbatch_item_count = 5\n'
                       '[[store]]\nname = "hub"\nuri = "registry:%s"\n'
                       'write_duration_max = "0s"\n'
                       'descriptor_cache = "none"\n' % self.root)

    def traced(self, name, *command):
        """The disk before a daemon did this, and the calls of that."""
        trace = self.path(name)
        disk = strict_disk.Disk(self.root)
        daemon = self.start(
            "strace", "-D", "-f", "-qq", "-y", "-o", trace, "-s", "600", "-e",
            "trace=" + strict_disk.CALLS, e2e.DAEMON, "--config",
            self.path("reclaim.toml"), "--data-directory", self.path("data"),
            "--socket", self.path("r.sock"), "--http", "127.0.0.1:0")
        port = e2e.await_port(daemon, e2e.HTTP)
        e2e.await_url("http://127.0.0.1:%d/readyz" % port)
        self.reclaim("scan", "hub")
        self.reclaim(*command)
        self.stop(daemon)
        return disk, list(strict_disk.read_trace(trace, self.root))

    def home(self, path):
        """Where a file belongs that is found here."""
        if not path.startswith(QUARANTINE):
            return path
        return path[len(QUARANTINE):].split("/tree/", 1)[-1]

    def expect_all(self, files, known):
        """{path: inode} of a disk that was cut off has all that is `known`."""
        xml_cases.FIGURES["power_cuts_of_a_store"] += 1
        found = {inode: path for path, inode in files.items()}
        for path, inode in known.items():
            self.assertTrue(inode in found, "lost: " + path)
            self.assertEqual(self.home(found[inode]), path)
            if found[inode].startswith(QUARANTINE):
                run = found[inode].split("/")[2]
                self.assertTrue(QUARANTINE + run + OUR_OWN in files,
                                "no journal tells of " + path)

    def cut_off(self, disk, calls, but=()):
        """After each call; `but` these files all that are there now must be
        found."""
        known = {self.home(path): inode
                 for path, inode in disk.files(disk.now).items()
                 if path not in but and not path.endswith(OUR_OWN)}
        self.assertGreater(len(calls), 20)
        for call in calls:
            disk.do(call)
            self.expect_all(disk.after_a_cut(None), known)
            for _ in range(CUTS_PER_CALL if disk.pending else 0):
                self.expect_all(disk.after_a_cut(self.random), known)

    def quarantined(self, files):
        return {path for path in files if "/tree/" in path}

    def test_what_is_moved_and_moved_back(self):
        disk, calls = self.traced("prune.trace", "system", "prune", "--force")
        self.cut_off(disk, calls)
        moved = self.quarantined(disk.files(disk.now))
        self.assertGreater(len(moved), 20)
        self.assertEqual(self.quarantined(disk.after_a_cut(None)), moved)
        run = os.listdir(os.path.join(self.root, QUARANTINE))[0]
        disk, calls = self.traced("restore.trace", "restore", run)
        self.cut_off(disk, calls)
        self.assertFalse(self.quarantined(disk.files(disk.now)))
        self.assertFalse(self.quarantined(disk.after_a_cut(None)))

    def test_what_is_freed(self):
        """Whatever of it is lost: what is not in quarantine stays."""
        disk, calls = self.traced("prune.trace", "system", "prune", "--force",
                                  "--purge")
        self.cut_off(disk, calls, self.gone(disk, calls))

    @staticmethod
    def gone(disk, calls):
        """The files that these calls delete."""
        after = copy.deepcopy(disk)
        for call in calls:
            after.do(call)
        left = set(after.files(after.now).values())
        return {path for path, inode in disk.files(disk.now).items()
                if inode not in left}

    def test_the_disk_sees_what_is_not_synced(self):
        """Without one kind of sync, something is lost or not durable."""
        disk, calls = self.traced("prune.trace", "system", "prune", "--force")
        lacking = [call for call in calls if call.name != "fsync"]
        self.assertLess(len(lacking), len(calls))
        with self.assertRaises(AssertionError):
            self.cut_off(disk, lacking)


if __name__ == "__main__":
    xml_cases.FIGURES["power_cuts_of_a_store"] = 0
    xml_results.main()

#!/usr/bin/env python3
"""What `reclaim` ends with when a store is damaged, a caller may not, or a
signal comes, beside a real daemon; and what is there afterwards.

Run me from the root, after `bazel build //cli:reclaim //server:reclaimd`;
tools/test does.
"""
import os
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, os.pardir, "crash"))
import e2e_test as e2e  # noqa: E402
import xml_results  # noqa: E402
from crash_tree import CrashTree, TOP  # noqa: E402

FORBIDDEN = 12
DAMAGED = 13
GARBAGE_COUNT = 40
# Each item is a batch, and its two blocks on the disk take a second: most are
# still there when the signal comes.
BYTES_PER_SECOND = 8192


class ExitCodesTest(e2e.World):

    def setUp(self):
        super().setUp()
        self.tree = CrashTree(self.path("registry"), 1)
        self.live = self.tree.put_image("app", "v1", True)
        self.garbage = [self.tree.put_blob(b"garbage %d " % number * 500, True)
                        for number in range(GARBAGE_COUNT)]
        with open(self.path("reclaim.toml"), "w") as file:
            file.write('[listen]\nread_socket = "%s"\n[gc]\n'
                       'grace_period = "0s"\nlarge_plan_percent = 100\n'
                       'batch_item_count = 1\npurge_interval = "0s"\n'
                       % self.path("read.sock"))
        self.keeps_configuration = True
        self.daemon = self.start_daemon()
        self.reclaim("store", "add", "registry:" + self.tree.root, "--name",
                     "hub", "--write-duration", "0s", "--descriptor-cache",
                     "none")
        self.reclaim("scan", "hub")

    def file_of(self, digest):
        return os.path.join(self.tree.root, TOP, self.tree.blob_path(digest))

    def still_there(self):
        return [digest for digest in self.garbage
                if os.path.exists(self.file_of(digest))]

    def begin_slowly(self):
        """A prune that has taken something and will not be done for long."""
        process = subprocess.Popen(
            [e2e.CLI, "--host", "unix:" + self.path("r.sock"), "system",
             "prune", "--force", "--pace", str(BYTES_PER_SECOND)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdout.close)
        self.addCleanup(self.stop, process)
        e2e.await_true(lambda: len(self.still_there()) < GARBAGE_COUNT)
        return process

    def last_apply(self):
        """(id, how it ended) of the last run that took something away."""
        for line in self.reclaim("runs", "ls", "--format",
                                 "{{.ID}} {{.Kind}} {{.State}}").splitlines():
            run, kind, phase = line.split()
            if kind == "apply":
                return run, phase
        return self.fail("there is no such run")

    def test_damage(self):
        self.assertIn("0 findings", self.reclaim("verify", "--read-data"))
        path = self.file_of(self.live)
        with open(path, "r+b") as file:
            file.seek(5)
            byte = file.read(1)
            file.seek(5)
            file.write(bytes([byte[0] ^ 1]))
        # It has its size, so only the bytes tell.
        self.reclaim("verify")
        said = self.reclaim("verify", "--read-data", code=DAMAGED)
        self.assertIn("digest-mismatch", said)
        self.assertIn(self.live, said)

    def test_who_may_only_look(self):
        before = e2e.snapshot(self.tree.root)
        for command in (["system", "prune", "--force"],
                        ["purge", "--now", "--force"],
                        ["verify", "--read-data"],
                        ["pin", "add", "app:v1"]):
            done = subprocess.run(
                [e2e.CLI, "--host", "unix:" + self.path("read.sock"), *command],
                capture_output=True, text=True)
            self.assertEqual(done.returncode, FORBIDDEN,
                             done.stdout + done.stderr)
            self.assertIn("an administrator can add a [[grant]]", done.stderr)
        self.assertEqual(e2e.snapshot(self.tree.root), before)

    def test_a_signal_ends_an_apply_and_what_it_did_stands(self):
        before = e2e.snapshot(self.tree.root)
        for number, name in ((signal.SIGINT, "interrupt"),
                             (signal.SIGTERM, "termination")):
            with self.subTest(name):
                process = self.begin_slowly()
                process.send_signal(number)
                said = "".join(process.communicate(timeout=60))
                self.assertEqual(process.returncode, 128 + number, said)
                self.assertIn("what it had done stands", said)
                run, phase = self.last_apply()
                self.assertEqual(phase, "cancelled")
                self.assertIn(run, said)
                left = self.still_there()
                self.assertLess(0, len(left))
                self.assertLess(len(left), GARBAGE_COUNT)
                self.assertIn("0 findings", self.reclaim("verify"))
                self.reclaim("restore", run)
                self.assertEqual(e2e.snapshot(self.tree.root), before)
        # The next one takes the rest of what a cancelled one has left.
        process = self.begin_slowly()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 128 + signal.SIGINT)
        self.assertNotEqual(self.still_there(), [])
        self.reclaim("system", "prune", "--force")
        self.assertEqual(self.still_there(), [])
        self.assertTrue(os.path.exists(self.file_of(self.live)))
        self.assertIn("0 findings", self.reclaim("verify", "--read-data"))

    def test_a_run_outlives_its_client(self):
        """Nobody asked it to stop."""
        process = self.begin_slowly()
        process.kill()
        process.communicate(timeout=30)
        left = len(self.still_there())
        e2e.await_true(lambda: len(self.still_there()) < left - 1)
        self.assertEqual(self.last_apply()[1], "running")


if __name__ == "__main__":
    xml_results.main()

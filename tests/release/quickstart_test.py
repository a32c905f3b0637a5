#!/usr/bin/env python3
"""tools/quickstart from its first step to its last, but for the build.

tools/check_release runs this with the folder of the programs that it has built in
RECLAIM_BINARIES.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
for folder in ("tools", "tests/crash", "tests/e2e"):
    sys.path.insert(0, os.path.join(ROOT, folder))
import quickstart_images as images  # noqa: E402
import xml_results  # noqa: E402
from crash_tree import CrashTree  # noqa: E402
from e2e_test import snapshot  # noqa: E402

STEPS = 10  # of the tour without an argument


class QuickstartTest(unittest.TestCase):

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="reclaim-quickstart-test-",
                                       dir="/tmp")
        self.addCleanup(shutil.rmtree, self.folder, True)

    def run_it(self, *stores):
        done = subprocess.run(
            [os.path.join(ROOT, "tools/quickstart"), *stores], cwd=ROOT,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def test_the_tour(self):
        said = self.run_it()
        steps = [int(step) for step in re.findall(r"^(\d+)\. ", said, re.M)]
        self.assertEqual(steps, list(range(1, STEPS + 1)), said)
        for word in ("$ reclaim scan hub", "$ reclaim df", "$ reclaim df -v",
                     "$ reclaim df --by repository", "$ reclaim plan",
                     "$ reclaim apply", "$ reclaim restore", "$ reclaim verify",
                     "$ reclaim purge", "Kept by", "Unreferenced since",
                     "0 findings", "reclaim_blob_bytes{", "Done."):
            self.assertIn(word, said)
        work = re.search(r"/tmp/reclaim-quickstart\.\w+", said).group()
        self.assertFalse(os.path.exists(work), "it removes what it made")

    def test_on_stores_of_ones_own_it_looks_and_touches_nothing(self):
        tree = CrashTree(os.path.join(self.folder, "registry"), 1)
        tree.put_image("app", "v1", True)
        tree.put_garbage("app")
        layout = images.Layout(os.path.join(self.folder, "layout"))
        layout.name(layout.image([("base", 5000)]), "one")
        layout.blob(b"nothing names me")
        before = snapshot(self.folder)
        said = self.run_it("registry:" + tree.root,
                           "image-layout:" + layout.folder)
        self.assertIn("--read-only", said)
        self.assertEqual(said.count("4. What a prune would free, and why"), 2)
        self.assertIn("Nothing was changed.", said)
        self.assertEqual(snapshot(self.folder), before)


if __name__ == "__main__":
    xml_results.main()

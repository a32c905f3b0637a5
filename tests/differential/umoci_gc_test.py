#!/usr/bin/env python3
"""Random image layouts through `umoci gc` and through ours.

Folders of layouts are written file by file (tests/e2e/known_truth_test.py).
`umoci gc` runs over a copy of each layout, ours over the folder.  Whatever blob
one of the two leaves and the other does not has to be one of the peer's known
faults (below), each of which has a rule that says which blobs of this very layout
it may concern; anything else fails, with the seed.  Ours keeps what an oracle
keeps, and nothing else.

Run me from the root, after `bazel build //cli:reclaim //server:reclaimd`;
tools/test does.  RECLAIM_TREES sets how many, RECLAIM_SEED the first seed.
"""
import collections
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "e2e"))
from e2e_test import World  # noqa: E402
from known_truth_test import FAMILIES, Layouts  # noqa: E402
import xml_cases  # noqa: E402
import xml_results  # noqa: E402

TREES = int(os.environ.get("RECLAIM_TREES", "100"))
SEED = int(os.environ.get("RECLAIM_SEED", "20260302"))
MEMORY = "/dev/shm"

KNOWN = {
    "lost_of_dockers_types": "what manifests of Docker's media types name",
    "left_listed": "what entries without a name list beside named ones",
    "left_after_a_stop":
        "the peer stops at what is not there (a platform, a layer that lies "
        "elsewhere, a subject) or is of another type than its referrer says",
}
MANIFEST = FAMILIES["oci"]["manifest"]
INDEX = FAMILIES["oci"]["index"]


class Layout:
    """One layout of a folder, and what becomes of it."""

    def __init__(self, tree, place):
        self.content = tree.contents[place]
        self.kept = {digest for of, digest in tree.kept if of == place}
        with open(os.path.join(tree.root, place, "index.json"),
                  encoding="utf-8") as file:
            entries = json.load(file)["manifests"]
        self.subjects = {referrer: subject for subject, referrers in
                         self.content.referrers.items()
                         for referrer in referrers}
        self.stops = False
        self.listed = self.followed([(entry["digest"], entry["mediaType"])
                                     for entry in entries])

    def followed(self, stack):
        """What the peer follows: by the type that a descriptor says, and
        Docker's types are none."""
        seen = set()
        while stack:
            digest, media_type = stack.pop()
            if digest not in self.content.data:
                self.stops = True
            seen.add(digest)
            if media_type == MANIFEST:
                self.stops |= digest in self.content.children
                stack += [(part, "") for part in
                          self.content.parts.get(digest, [])]
                if digest in self.subjects:
                    stack.append((self.subjects[digest], MANIFEST))
            elif media_type == INDEX:
                stack += [(child, self.content.kinds.get(child, ""))
                          for child in self.content.children.get(digest, [])]
        return seen

    def why_lost(self, digest):
        """Of a blob that ours has kept and the peer has not."""
        docker = [one for one, kind in self.content.kinds.items()
                  if "docker" in kind]
        is_known = (digest in self.kept and digest not in self.listed and
                    digest in self.content.reached(docker))
        return "lost_of_dockers_types" if is_known else None

    def why_left(self, digest):
        """Of a blob that the peer has kept and ours has not."""
        if digest in self.kept:
            return None
        if self.stops:
            return "left_after_a_stop"
        return "left_listed" if digest in self.listed else None


class UmociGcTest(World):

    def setUp(self):
        super().setUp()
        # Nothing here is about the disk, and a sync of one takes a while.
        if os.access(MEMORY, os.W_OK):
            self.folder = tempfile.mkdtemp(prefix="reclaim-gc-", dir=MEMORY)
            self.addCleanup(shutil.rmtree, self.folder, True)
        self.counts = collections.Counter()
        self.start_daemon()

    def peer(self, layout):
        """(whether it stopped, what it said)."""
        done = subprocess.run(["umoci", "gc", "--layout", layout],
                              capture_output=True, text=True, check=False)
        return done.returncode != 0, done.stdout[-500:] + done.stderr[-1500:]

    def compare(self, layout, copy, ours):
        stopped, said = self.peer(copy)
        self.assertEqual(stopped, layout.stops, said)
        theirs = {"sha256:" + name for name in
                  os.listdir(os.path.join(copy, "blobs/sha256"))}
        for digest in sorted(ours - theirs):
            self.count(layout.why_lost(digest), digest)
        for digest in sorted(theirs - ours):
            self.count(layout.why_left(digest), digest)
        self.counts["runs_of_the_peer"] += 1
        self.counts["runs_that_stopped"] += stopped

    def count(self, why, what):
        self.assertIn(why, KNOWN, what)
        self.counts[why] += 1

    def check(self, seed):
        root = self.path("tree-%d" % seed)
        copy = self.path("peer-%d" % seed)
        os.makedirs(root)
        tree = Layouts(root, random.Random(seed))
        layouts = {place: Layout(tree, place) for place in tree.names}
        shutil.copytree(root, copy)
        before = tree.found()
        self.reclaim("store", "add", "image-layout:" + root, "--name",
                     "s%d" % seed, "--write-duration", "0s")
        self.reclaim("system", "prune", "--store", "s%d" % seed, "--force",
                     "--purge")
        left = tree.found()
        self.assertEqual(left, tree.kept)
        self.counts["deleted_by_ours"] += len(before - left)
        self.counts["kept_by_ours"] += len(left)
        for place, layout in sorted(layouts.items()):
            with self.subTest(place=place):
                self.compare(layout, os.path.join(copy, place),
                             {digest for of, digest in left if of == place})
        shutil.rmtree(copy)

    def test_random_layouts(self):
        for seed in range(SEED, SEED + TREES):
            with self.subTest(seed=seed):
                self.check(seed)
        print("%d folders of layouts from seed %d" % (TREES, SEED))
        for name, count in sorted(self.counts.items()):
            print("%8d %s%s" % (count, name.replace("_", " "),
                                ": " + KNOWN[name] if name in KNOWN else ""))
            xml_cases.FIGURES["umoci_gc_" + name] = count
        xml_cases.FIGURES["umoci_gc_trees"] = TREES
        if TREES >= 100:
            self.assertEqual(set(KNOWN) - set(self.counts), set(),
                             "a known fault that is gone, or never met")


if __name__ == "__main__":
    xml_results.main()

#!/usr/bin/env python3
"""The short form of tools/race.  Run me from the root, after
`bazel build //cli:reclaim //server:reclaimd`; tools/test does."""
import os
import random
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.getcwd(), "tools"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ending  # noqa: E402
from layouts import race_layouts  # noqa: E402
from load import Figures, Worker, manifest_of  # noqa: E402
from race import Race, parse, race  # noqa: E402
from registry_client import Client, digest_of  # noqa: E402
from registry_tree import RegistryTree, left_in_quarantine  # noqa: E402
from world import World  # noqa: E402
import xml_cases  # noqa: E402
import xml_results  # noqa: E402

# tools/soak gives more.
SECONDS = os.environ.get("RECLAIM_RACE_SECONDS", "10")


class RegistryRaceTest(unittest.TestCase):

    @classmethod
    def tearDownClass(cls):
        for what, count in ending.TOTALS.items():
            name = "race_" + what.replace(" ", "_")
            xml_cases.FIGURES[name] = count

    def check(self, *options):
        self.assertEqual(race(["--seconds", SECONDS, *options]), [])

    def test_without_the_descriptor_cache(self):
        self.check()

    def test_with_the_descriptor_cache(self):
        self.check("--cache")

    def test_with_crashes_of_the_registry(self):
        self.check("--crash-registry")

    def test_with_the_descriptor_cache_and_crashes_of_the_registry(self):
        # A cache that never dies lets nothing be freed beside its clients.
        self.check("--cache", "--crash-registry")

    def test_folders_of_image_layouts(self):
        self.assertEqual(race_layouts(["--seconds", SECONDS]), [])


class LostWordTest(unittest.TestCase):
    """What the race takes for lost, and what only waits for a scan: a registry
    that tells nobody accepts an image over a layer that a plan takes."""

    LAYER = b"a layer that lies there" * 100

    def setUp(self):
        self.world = World(has_cache=False, has_daemon=True)
        self.addCleanup(self.world.close)
        # Its proof would be the scan.
        self.world.must("schedule", "pause", "purge")
        self.mute_host = self.world.start_mute_registry()
        self.client = Client(self.mute_host)
        self.addCleanup(self.client.close)
        self.figures = Figures()
        self.worker = Worker(0, self.world.registry_host, 1, self.figures,
                             threading.Event(), patience=0.3, world=self.world)
        self.addCleanup(self.worker.client.close)
        self.push_what_is_taken()

    def push_what_is_taken(self):
        config = b'{"client": 0}'
        for data in (config, self.LAYER):
            self.client.upload("app", data)
        self.world.must("plan", "--grace", "0s")
        plan = self.world.must("plans", "ls", "--format", "{{.ID}}").strip()
        manifest = manifest_of(config, [self.LAYER])
        self.client.put_manifest("app", "v1", manifest)
        self.world.must("apply", plan, "--force", "--allow-large")
        self.worker.tags["app", "v1"] = digest_of(manifest)
        self.assertIn("404", self.client.why_not_whole("app", "v1",
                                                       digest_of(manifest)))

    def blob_file(self):
        digest = digest_of(self.LAYER)
        return os.path.join(self.world.tree.top, "blobs/sha256", digest[7:9],
                            digest[7:], "data")

    def test_what_is_pulled_comes_back_without_one(self):
        # The first pull is given the manifest, and told of.
        self.worker.patience = 30
        self.worker.check_all("tags")
        self.assertEqual(self.figures.lost, [])
        self.assertEqual(self.figures["tags"], 1)
        self.assertEqual(self.figures["tags that waited for a scan"], 0)

    def test_what_comes_back_with_a_scan_is_not_lost(self):
        # Nobody is told of these pulls.
        self.worker.client.close()
        self.worker.client = Client(self.mute_host)
        self.addCleanup(self.worker.client.close)
        self.worker.check_all("tags")
        self.assertEqual(self.figures.lost, [])
        self.assertEqual(self.figures["tags that waited for a scan"], 1)

    def test_what_no_scan_brings_back_is_lost_and_it_says_where_it_is(self):
        self.world.must("scan", "hub")
        os.remove(self.blob_file())
        self.worker.check_all("tags")
        self.assertEqual(self.figures["tags"], 0)
        self.assertEqual(len(self.figures.lost), 1, self.figures.lost)
        self.assertIn("on the disk: layer link of 71 bytes;",
                      self.figures.lost[0])

    def test_what_a_killed_registry_left_empty_is_counted_apart(self):
        self.world.must("scan", "hub")
        link = self.world.path(
            "registry/docker/registry/v2/repositories/app/_layers/%s/link" %
            digest_of(self.LAYER).replace(":", "/"))
        os.truncate(link, 0)
        self.worker.check_all("tags")
        self.assertEqual(len(self.figures.lost), 1, "it was not killed")
        self.world.restart_registry()
        self.worker.check_all("tags")
        self.assertEqual(len(self.figures.lost), 1)
        self.assertEqual(self.figures["tags that a killed registry tore"], 1)
        self.assertEqual(self.figures["tags"], 0)

    def test_of_findings_only_what_a_killed_registry_left_empty_is_none(self):
        self.world.must("scan", "hub")
        link = self.world.path(
            "registry/docker/registry/v2/repositories/app/_layers/%s/link" %
            digest_of(self.LAYER).replace(":", "/"))
        os.truncate(link, 0)
        ending.check_verified(self.world, "hub", self.figures,
                              was_killed=False)
        self.assertEqual(len(self.figures.lost), 1, self.figures.lost)
        self.assertIn("empty-link", self.figures.lost[0])
        ending.check_verified(self.world, "hub", self.figures, was_killed=True)
        self.assertEqual(len(self.figures.lost), 1, self.figures.lost)
        os.truncate(self.blob_file(), 1)
        ending.check_verified(self.world, "hub", self.figures, was_killed=True)
        self.assertGreater(len(self.figures.lost), 1)
        self.assertNotIn("empty-link", "".join(self.figures.lost[1:]))


class PeerLossTest(unittest.TestCase):
    """Beside a collector that loses what it likes."""

    def setUp(self):
        self.world = World(has_cache=False, has_daemon=False)
        self.addCleanup(self.world.close)
        self.figures = Figures()
        self.worker = Worker(0, self.world.registry_host, 1, self.figures,
                             threading.Event(), patience=0)
        self.addCleanup(self.worker.client.close)

    def test_an_image_that_is_lost_is_told_once(self):
        config, layer = b'{"client": 0}', b"a layer" * 100
        manifest = manifest_of(config, [layer])
        for tag in ("v1", "v2"):
            for data in (config, layer):
                self.worker.client.upload("app", data)
            self.worker.put("app", tag, manifest)
        digest = digest_of(layer)
        os.remove(os.path.join(self.world.tree.top, "blobs/sha256",
                               digest[7:9], digest[7:], "data"))
        for _ in range(2):
            self.worker.check_all("tags")
        self.assertEqual(self.worker.tags, {})
        self.assertEqual(len(self.figures.lost), 1, self.figures.lost)
        self.assertEqual(self.figures.images_lost,
                         {("app", digest_of(manifest))})


class DiskTest(unittest.TestCase):
    """What the end of a race finds on the disk."""

    DIGEST = "sha256:" + "ab" * 32

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="reclaim-tree-")
        self.addCleanup(self.folder.cleanup)
        self.tree = RegistryTree(self.folder.name)
        for name in ("blobs", "repositories/team/api/_uploads",
                     "repositories/team/api/_manifests/tags"):
            os.makedirs(os.path.join(self.tree.top, name))

    def make(self, name, text=None):
        path = os.path.join(self.tree.top, name)
        os.makedirs(path)
        if text is not None:
            with open(os.path.join(path, "link"), "w") as file:
                file.write(text)

    def test_links_of_each_kind(self):
        name = self.DIGEST.replace(":", "/")
        self.make("repositories/team/api/_layers/" + name, self.DIGEST)
        self.make("repositories/team/api/_manifests/revisions/" + name, "")
        tag = "repositories/team/api/_manifests/tags/v1/"
        self.make(tag + "index/" + name, self.DIGEST)
        self.make(tag + "current", self.DIGEST)
        self.assertEqual(self.tree.links(), {
            ("team/api", kind, self.DIGEST)
            for kind in ("_layers", "revisions", "index")})
        self.assertEqual(self.tree.tags(), {("team/api", self.DIGEST)})
        self.assertEqual([len(links) for links in self.tree.empty_links()],
                         [0, 1])

    def test_folders_that_nobody_has_a_reason_to_leave_empty(self):
        self.assertEqual(self.tree.empty_folders(set()), [])
        name = self.DIGEST.replace(":", "/")
        revision = "repositories/team/api/_manifests/revisions/" + name
        empty = ["blobs/sha256/ab",
                 "repositories/team/api/_layers/sha256", revision]
        for path in empty:
            self.make(path)
        self.assertEqual(self.tree.empty_folders(set()), empty)
        self.assertEqual(self.tree.empty_folders({("team/api", self.DIGEST)}),
                         empty[:2])

    def test_what_lies_in_quarantine(self):
        self.assertEqual(left_in_quarantine(self.folder.name), [])
        run = os.path.join(self.folder.name, ".reclaim/quarantine/run")
        os.makedirs(run)
        self.assertEqual(left_in_quarantine(self.folder.name), [run])


class VerdictTest(unittest.TestCase):
    """What makes a race fail besides a loss."""

    def setUp(self):
        self.race = Race(parse(["--crash-registry", "--seconds", "1"]))
        self.addCleanup(self.race.close, False)

    def test_garbage_that_is_left(self):
        digest = "sha256:" + "ab" * 32
        tree = self.race.world.tree
        link = os.path.join(tree.repositories, "app/_layers",
                            digest.replace(":", "/"))
        os.makedirs(link)
        with open(os.path.join(link, "link"), "w") as file:
            file.write(digest)
        os.makedirs(os.path.join(tree.top, "blobs/sha256/ab"))
        os.makedirs(os.path.join(tree.root,
                                 ".reclaim/quarantine/run/tree/docker"))
        self.race.check_disk()
        self.race.left += ending.check_quarantine(
            self.race.world, self.race.figures, tree.root)
        faults = self.race.faults()
        for what in ("1 links to what is gone, left",
                     "3 files in quarantine's folder, left",
                     "1 folders with nothing in them, left, and 0 kills "
                     "explain 0"):
            self.assertIn(what, faults)

    def test_figures_that_show_nothing(self):
        faults = self.race.faults()
        for what in ("no pulls by digest: the test shows nothing",
                     "no uploads aborted: the test shows nothing",
                     "the daemon was not killed",
                     "the registry was not killed",
                     "no sweep batch told how long it held writers"):
            self.assertIn(what, faults)
        self.assertNotIn("no blobs restored: the test shows nothing", faults)
        self.race.options.seconds = ending.LONG_SECONDS
        for what in ("blobs restored", "blobs purged beside clients"):
            self.assertIn("no %s: the test shows nothing" % what,
                          self.race.faults())

    def test_bounds(self):
        figures, world = self.race.figures, self.race.world
        figures.took("wait of a pull", ending.WAIT_SECONDS_MAX + 1)
        world.registry_kills = 1
        world.torn = set(range(ending.TORN_PER_KILL))
        faults = self.race.faults()
        self.assertIn("a pull waited for 61.0 s", faults)
        self.assertFalse([what for what in faults if "tore" in what])
        world.torn.add("one more")
        self.assertIn("3 links that a killed registry tore, and 1 kills "
                      "explain 2", self.race.faults())


class ThreadsTest(unittest.TestCase):

    def test_a_thread_that_dies_fails_the_race(self):
        def die():
            raise ValueError("on purpose")
        hook, threading.excepthook = threading.excepthook, lambda _: None
        self.addCleanup(setattr, threading, "excepthook", hook)
        with self.assertRaisesRegex(ValueError, "on purpose"):
            ending.run_all([ending.Beside(die)], 0, threading.Event())

    def test_both_are_killed_by_the_second_crash(self):
        for seed in range(50):
            crashes = ending.crashes_of(["the daemon", "the registry", "both"],
                                        random.Random(seed), (1, 3))
            first = {next(crashes)[0] for _ in range(2)}
            self.assertTrue(first & {"both", "the daemon"})
            self.assertTrue(first & {"both", "the registry"})


if __name__ == "__main__":
    xml_results.main()

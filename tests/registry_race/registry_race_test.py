#!/usr/bin/env python3
"""The short form of tools/race.  Run me from the root, after
`bazel build //cli:reclaim //server:reclaimd`; tools/test does."""
import os
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.getcwd(), "tools"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from layouts import race_layouts  # noqa: E402
from load import Figures, Worker, manifest_of  # noqa: E402
from race import TOTALS, race  # noqa: E402
from registry_client import Client, digest_of  # noqa: E402
from world import World  # noqa: E402
import xml_cases  # noqa: E402
import xml_results  # noqa: E402

# tools/soak gives more.
SECONDS = os.environ.get("RECLAIM_RACE_SECONDS", "10")


class RegistryRaceTest(unittest.TestCase):

    @classmethod
    def tearDownClass(cls):
        for what, count in TOTALS.items():
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
        self.client = Client(self.world.start_mute_registry())
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

    def test_what_comes_back_with_a_scan_is_not_lost(self):
        self.worker.check_all("tags")
        self.assertEqual(self.figures.lost, [])
        self.assertEqual(self.figures["tags that waited for a scan"], 1)

    def test_what_no_scan_brings_back_is_lost_and_it_says_where_it_is(self):
        self.world.must("scan", "hub")
        digest = digest_of(self.LAYER)
        os.remove(self.world.path(
            "registry/docker/registry/v2/blobs/sha256/%s/%s/data" % (
                digest[7:9], digest[7:])))
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


if __name__ == "__main__":
    xml_results.main()

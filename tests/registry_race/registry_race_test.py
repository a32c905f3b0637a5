#!/usr/bin/env python3
"""The short form of tools/race.  Run me from the root, after
`bazel build //cli:reclaim //server:reclaimd`; tools/test does."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.getcwd(), "tools"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from layouts import race_layouts  # noqa: E402
from race import TOTALS, race  # noqa: E402
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


if __name__ == "__main__":
    xml_results.main()

#!/usr/bin/env python3
"""The short form of tools/race.  Run me from the root, after
`bazel build //cli:reclaim //server:reclaimd`; tools/test does."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from layouts import race_layouts  # noqa: E402
from race import race  # noqa: E402

SECONDS = "10"


class RegistryRaceTest(unittest.TestCase):

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
    result = unittest.main(exit=False, verbosity=2).result
    output = os.environ.get("XML_OUTPUT_FILE")
    if output:
        with open(output, "w", encoding="utf-8") as file:
            file.write("<testsuite>")
            for number in range(result.testsRun):
                broken = len(result.failures) + len(result.errors)
                skipped = broken + len(result.skipped)
                outcome = ("<failure/>" if number < broken else
                           "<skipped/>" if number < skipped else "")
                file.write('<testcase name="race%d">%s</testcase>' %
                           (number, outcome))
            file.write("</testsuite>")
    sys.exit(0 if result.wasSuccessful() else 1)

#!/usr/bin/env python3
"""The short form of tools/race.  Run me from the root, after
`bazel build //cli:reclaim //server:reclaimd`; tools/test does."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from race import race  # noqa: E402

SECONDS = "10"


class RegistryRaceTest(unittest.TestCase):

    def test_without_the_descriptor_cache(self):
        self.assertEqual(race(["--seconds", SECONDS]), [])

    def test_with_the_descriptor_cache(self):
        self.assertEqual(race(["--seconds", SECONDS, "--cache"]), [])


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=2).result
    output = os.environ.get("XML_OUTPUT_FILE")
    if output:
        with open(output, "w", encoding="utf-8") as file:
            file.write("<testsuite>")
            for number in range(result.testsRun):
                broken = number < len(result.failures) + len(result.errors)
                file.write('<testcase name="race%d">%s</testcase>' %
                           (number, "<failure/>" if broken else ""))
            file.write("</testsuite>")
    sys.exit(0 if result.wasSuccessful() else 1)

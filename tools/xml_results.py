"""unittest.main() that also writes the file that tools/count_tests.py reads."""
import os
import sys
import unittest
from xml.sax.saxutils import quoteattr

import xml_cases


class _Recorder(unittest.TextTestResult):
    """Remembers the name of every test, and how it ended."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.broken = set()
        self.left_out = {}  # and why
        self.names = []

    def startTest(self, test):
        self.names.append(test.id())
        super().startTest(test)

    def addFailure(self, test, err):
        self.broken.add(test.id())
        super().addFailure(test, err)

    def addError(self, test, err):
        self.broken.add(test.id())
        if test.id() not in self.names:  # a setUpClass
            self.names.append(test.id())
        super().addError(test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.broken.add(test.id())
        super().addSubTest(test, subtest, err)

    def addSkip(self, test, reason):
        self.left_out[test.id()] = reason
        if test.id() not in self.names:  # a whole class
            self.names.append(test.id())
        super().addSkip(test, reason)

    def outcome(self, name):
        if name in self.broken:
            return "<failure/>"
        if name in self.left_out:
            return "<skipped message=%s/>" % quoteattr(self.left_out[name])
        return ""


def main():
    """Runs the tests of __main__; XML_OUTPUT_FILE names the file."""
    runner = unittest.TextTestRunner(verbosity=2, resultclass=_Recorder)
    result = unittest.main(module="__main__", exit=False,
                           testRunner=runner).result
    path = os.environ.get("XML_OUTPUT_FILE")
    if path:
        with open(path, "w", encoding="utf-8") as file:
            file.write("<testsuite>%s" % xml_cases.properties())
            for name in result.names:
                file.write("<testcase name=%s>%s</testcase>" % (
                    quoteattr(name), result.outcome(name)))
            file.write("</testsuite>")
    sys.exit(not result.wasSuccessful())

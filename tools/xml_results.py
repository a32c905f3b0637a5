"""unittest.main() that also writes the file that tools/count_tests.py reads."""
import os
import sys
import unittest
from xml.sax.saxutils import quoteattr


class _Recorder(unittest.TextTestResult):
    """Remembers the name of every test, and whether it failed or was skipped."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.broken = set()
        self.omitted = set()
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

    def addSkip(self, test, reason):
        self.omitted.add(test.id())
        super().addSkip(test, reason)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.broken.add(test.id())
        super().addSubTest(test, subtest, err)


def main():
    """Runs the tests of __main__; XML_OUTPUT_FILE names the file."""
    runner = unittest.TextTestRunner(verbosity=2, resultclass=_Recorder)
    result = unittest.main(module="__main__", exit=False,
                           testRunner=runner).result
    path = os.environ.get("XML_OUTPUT_FILE")
    if path:
        with open(path, "w", encoding="utf-8") as file:
            file.write("<testsuite>")
            for name in result.names:
                file.write("<testcase name=%s>%s</testcase>" % (
                    quoteattr(name),
                    "<failure/>" if name in result.broken else
                    "<skipped/>" if name in result.omitted else ""))
            file.write("</testsuite>")
    sys.exit(not result.wasSuccessful())

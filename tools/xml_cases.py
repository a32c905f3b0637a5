"""The file that tools/count_tests.py reads, for tools that are no unittest."""
import os
from xml.sax.saxutils import quoteattr


def write(suite, results):
    """`results`: {name: whether it passed}.  XML_OUTPUT_FILE names the file."""
    path = os.environ.get("XML_OUTPUT_FILE")
    if not path:
        return
    with open(path, "w", encoding="utf-8") as file:
        file.write("<testsuite>")
        for name, passed in results.items():
            file.write("<testcase classname=%s name=%s>%s</testcase>" % (
                quoteattr(suite), quoteattr(name),
                "" if passed else "<failure/>"))
        file.write("</testsuite>")

"""The file that tools/count_tests.py reads, for tools that are no unittest.

A program also says there how much it tried: FIGURES, by name ("kill_points").
tools/test prints their sums (TRUST D.3).
"""
import os
from xml.sax.saxutils import quoteattr

FIGURES = {}


def properties():
    return "<properties>%s</properties>" % "".join(
        '<property name=%s value="%d"/>' % (quoteattr("figure_" + name), value)
        for name, value in FIGURES.items())


def write(suite, results):
    """`results`: {name: whether it passed}.  XML_OUTPUT_FILE names the file."""
    path = os.environ.get("XML_OUTPUT_FILE")
    if not path:
        return
    with open(path, "w", encoding="utf-8") as file:
        file.write("<testsuite>%s" % properties())
        for name, passed in results.items():
            file.write("<testcase classname=%s name=%s>%s</testcase>" % (
                quoteattr(suite), quoteattr(name),
                "" if passed else "<failure/>"))
        file.write("</testsuite>")

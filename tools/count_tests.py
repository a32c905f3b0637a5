#!/usr/bin/env python3
"""Sums what the test programs under some folders of logs really ran.

Reads each program's test.xml (one <testcase> a test; a program that writes no
cases counts as one).  Names what was skipped and what failed, and prints
"PASSED FAILED" on the last line.
"""
import os
import sys
import xml.etree.ElementTree as ElementTree


def count(path):
    """(passed, failed, skipped names, failed names) of one test.xml."""
    program = os.path.dirname(path)
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        return 0, 1, [], ["%s: %s" % (program, error)]
    passed, failed, skipped, broken = 0, 0, [], []
    for case in root.iter("testcase"):
        name = "%s: %s.%s" % (program, case.get("classname", ""),
                              case.get("name", ""))
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
            broken.append(name)
        elif case.get("status") == "notrun":
            continue
        elif (case.find("skipped") is not None
              or case.get("result") == "skipped"):
            skipped.append(name)
        else:
            passed += 1
    return passed, failed, skipped, broken


def main():
    passed, failed, skipped, broken = 0, 0, [], []
    folders = [entry for top in sys.argv[1:]
               for entry in sorted(os.walk(top, followlinks=True))]
    for folder, _, files in folders:
        if "test.xml" in files:
            p, f, s, b = count(os.path.join(folder, "test.xml"))
            passed += p
            failed += f
            skipped += s
            broken += b
    for name in skipped:
        print("SKIPPED", name)
    for name in broken:
        print("FAILED", name)
    print(passed, failed)


main()

#!/usr/bin/env python3
"""Sums what the test programs of some runs really ran.

Each argument is a file of Bazel's build events (--build_event_json_file), which
names the test.xml of every program of that run, or a folder with such files
below it.  Reads each test.xml (one <testcase> a test).  Names what was skipped
and why, and what failed, prints the sums of the figures (the properties
"figure_NAME": kill points, faults, seeds, ...), and "PASSED FAILED" on the last
line.

The figures that show the guarantees (tests/guarantees.toml) come last, in one
block.  With --all before the arguments, these were all tests of a run, and with
--soak all of tools/soak: then a figure that is below what each such run has to
show is a failure.  Anything lost always is one.
"""
import collections
import json
import os
import sys
import tomllib
import urllib.parse
import xml.etree.ElementTree as ElementTree

FIGURE = "figure_"
GUARANTEES = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                          os.pardir, "tests", "guarantees.toml")
# What is asked of a whole run, by how it was begun.
COLUMNS = {"--all": "gate", "--soak": "soak"}


def guarantees():
    """(figures, names of what there may be none of), as the file says."""
    with open(GUARANTEES, "rb") as file:
        said = tomllib.load(file)
    return said["figure"], [loss["name"] for loss in said["loss"]]


def figures_of(root):
    """{name: sum}: of properties, which outside of a test are attributes."""
    figures = collections.Counter()
    for element in root.iter():
        if element.tag == "property":
            pairs = [(element.get("name", ""), element.get("value"))]
        else:
            pairs = element.items()
        for name, value in pairs:
            if name.startswith(FIGURE):
                figures[name[len(FIGURE):]] += int(value)
    return figures


def print_figures(figures, names, title):
    names = [name for name in names if name in figures]
    if not names:
        return
    width = max(len("{:,}".format(figures[name])) for name in names)
    print(title)
    for name in names:
        print("  %*s  %s" % (width, "{:,}".format(figures[name]), words(name)))


def words(name):
    return name.replace("_", " ")


def print_all_figures(figures):
    asked, losses = guarantees()
    shown = [name for figure in asked
             for name in (figure["name"], figure.get("or_refused"))
             if name] + losses
    print_figures(figures, sorted(set(figures) - set(shown)),
                  "what else was tried:")
    print_figures(figures, shown, "what shows the guarantees (TRUST D.3):")


def missing(figures, column):
    """What a whole run lacks."""
    asked, losses = guarantees()
    lacking = []
    for figure in asked:
        name, least = figure["name"], figure.get(column, 0)
        count = figures[name] + figures[figure.get("or_refused")]
        if count < least:
            lacking.append("%s: %d, and %d are asked for" % (
                words(name), count, least))
    return lacking + ["%s: nobody has told" % words(name)
                      for name in losses if name not in figures]


def lost(figures):
    return ["%s: %d" % (words(name), figures[name])
            for name in guarantees()[1] if figures[name]]


def why_skipped(case):
    element = case.find("skipped")
    why = "" if element is None else element.get("message", "").strip()
    return ": " + why.splitlines()[-1] if why else ""


def count(path, figures):
    """(passed, failed, skipped names, failed names) of one test.xml, whose
    figures are added to `figures`."""
    program = os.path.dirname(path)
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        return 0, 1, [], ["%s: %s" % (program, error)]
    figures.update(figures_of(root))
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
            skipped.append(name + why_skipped(case))
        else:
            passed += 1
    return passed, failed, skipped, broken


def of_events(path):
    """The test.xml of each program that this run of Bazel tested, and the
    labels of those that ended badly without writing one."""
    files, lost = [], []
    with open(path, encoding="utf-8") as file:
        for line in file:
            event = json.loads(line)
            test = event.get("id", {}).get("testResult")
            if not test:
                continue
            outputs = event.get("testResult", {}).get("testActionOutput", [])
            found = [urllib.parse.unquote(output["uri"][len("file://"):])
                     for output in outputs
                     if output.get("name") == "test.xml"
                     and output.get("uri", "").startswith("file://")]
            files += found
            if not found:
                lost.append(test["label"])
    return files, lost


def of_folder(top):
    return [os.path.join(folder, "test.xml")
            for folder, _, files in sorted(os.walk(top, followlinks=True))
            if "test.xml" in files]


def main():
    passed, failed, skipped, broken = 0, 0, [], []
    figures = collections.Counter()
    arguments = sys.argv[1:]
    column = COLUMNS.get(arguments[0]) if arguments else None
    for argument in arguments[column is not None:]:
        gone = []
        if os.path.isdir(argument):
            files = of_folder(argument)
        else:
            files, gone = of_events(argument)
        failed += len(gone)
        broken += gone
        for path in files:
            p, f, s, b = count(path, figures)
            passed += p
            failed += f
            skipped += s
            broken += b
    lacking = lost(figures) + (missing(figures, column) if column else [])
    failed += len(lacking)
    broken += lacking
    for name in skipped:
        print("SKIPPED", name)
    for name in broken:
        print("FAILED", name)
    print_all_figures(figures)
    print(passed, failed)


if __name__ == "__main__":
    main()

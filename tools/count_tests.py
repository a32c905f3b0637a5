#!/usr/bin/env python3
"""Sums what the test programs of some runs really ran.

  tools/count_tests.py PATH...
  tools/count_tests.py --all PATH...                    all of tools/test
  tools/count_tests.py [--soak HOURS] [--once] PATH...  all of tools/soak

Each PATH is a file of Bazel's build events (--build_event_json_file), which
names the test.xml of every program of that run, or a folder with such files
below it.  Reads each test.xml (one <testcase> a test).  Names what was skipped
and why, and what failed, prints the sums of the figures (the properties
"figure_NAME": kill points, faults, seeds, ...), and "PASSED FAILED" on the last
line.

The figures that show the guarantees (tests/guarantees.toml) come last, in one
table, of a whole run all of them ("-": nobody has told it).  With --all, one
that is below what each such run has to show is a failure.  With --soak each is
printed beside what so many hours are to come to, and one of which there is none
is a failure; --once says the same of the tools that only a longer run takes.
Anything lost always is a failure.
"""
import argparse
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
LONG_HOURS = 8  # that `long` in GUARANTEES is of

# How a run was begun, and so what it has to show.  `hours` is None but of a
# soak.
Run = collections.namedtuple("Run", "is_gate hours has_tools")


def guarantees():
    """(figures, what there may be none of), as the file says."""
    with open(GUARANTEES, "rb") as file:
        said = tomllib.load(file)
    return said["figure"], said["loss"]


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


def words(name):
    return name.replace("_", " ")


def goal(figure, hours):
    """What a figure is to come to in a soak of so many hours.

    None if that is not known: of no soak, but of what is whole or there once
    however long it takes.
    """
    if figure.get("whole") or figure.get("once"):
        return figure["long"]
    if hours is None:
        return None
    return max(1, round(figure["long"] * hours / LONG_HOURS))


def is_asked(one, run):
    """Whether a figure or a loss has to be told in such a soak."""
    return run.has_tools if one.get("once") else run.hours is not None


def count_of(figures, figure):
    return figures[figure["name"]] + figures[figure.get("or_refused")]


def print_rows(title, rows):
    """`rows`: [(name, count or None, goal or None)]."""
    if not rows:
        return
    counts = ["-" if count is None else "{:,}".format(count)
              for _, count, _ in rows]
    goals = ["" if of is None else "{:,}".format(of) for _, _, of in rows]
    width, goal_width = max(map(len, counts)), max(map(len, goals))
    print(title)
    for (name, _, _), count, of in zip(rows, counts, goals):
        beside = ""
        if goal_width:
            beside = (" of " if of else "    ") + of.rjust(goal_width)
        print("  %s%s  %s" % (count.rjust(width), beside, words(name)))


def rows_of(figures, run):
    """Those of the table: all of them of a whole run."""
    asked, losses = guarantees()
    shows_goals = run.hours is not None or run.has_tools
    rows = []
    for figure in asked:
        name, refused = figure["name"], figure.get("or_refused")
        rows.append((name, figures.get(name),
                     goal(figure, run.hours) if shows_goals else None))
        if refused in figures:
            rows.append((refused, figures[refused], None))
    rows += [(loss["name"], figures.get(loss["name"]), None)
             for loss in losses]
    if run.is_gate or run.hours is not None:
        return rows
    return [row for row in rows if row[1] is not None]


def print_all_figures(figures, run):
    rows = rows_of(figures, run)
    shown = {name for name, _, _ in rows}
    print_rows("what else was tried:",
               [(name, figures[name], None)
                for name in sorted(set(figures) - shown)])
    of = ("" if run.hours is None
          else ", of what %g hours are to show" % run.hours)
    print_rows("what shows the guarantees (TRUST D.3)%s:" % of, rows)


def too_little(figures, figure, least):
    return "%s: %d, and %d are asked for" % (
        words(figure["name"]), count_of(figures, figure), least)


def untold(figures, losses):
    return ["%s: nobody has told" % words(loss["name"]) for loss in losses
            if loss["name"] not in figures]


def missing_in_gate(figures):
    """What a run of tools/test lacks."""
    asked, losses = guarantees()
    return [too_little(figures, figure, figure["gate"]) for figure in asked
            if count_of(figures, figure) < figure.get("gate", 0)
            ] + untold(figures, [loss for loss in losses
                                 if not loss.get("once")])


def missing_in_soak(figures, run):
    """What a run of tools/soak lacks: an enumeration that ended early, and
    whatever has come to nothing."""
    asked, losses = guarantees()
    lacking = []
    for figure in asked:
        least = figure["long"] if figure.get("whole") else 1
        if is_asked(figure, run) and count_of(figures, figure) < least:
            lacking.append(too_little(figures, figure, least))
    return lacking + untold(figures, [loss for loss in losses
                                      if is_asked(loss, run)])


def lost(figures):
    return ["%s: %d" % (words(loss["name"]), figures[loss["name"]])
            for loss in guarantees()[1] if figures[loss["name"]]]


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
    files, gone = [], []
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
                gone.append(test["label"])
    return files, gone


def of_folder(top):
    return [os.path.join(folder, "test.xml")
            for folder, _, files in sorted(os.walk(top, followlinks=True))
            if "test.xml" in files]


def summarize(paths, run):
    """Prints everything; (passed, failed)."""
    passed, failed, skipped, broken = 0, 0, [], []
    figures = collections.Counter()
    for path in paths:
        gone = []
        if os.path.isdir(path):
            files = of_folder(path)
        else:
            files, gone = of_events(path)
        failed += len(gone)
        broken += gone
        for file in files:
            p, f, s, b = count(file, figures)
            passed += p
            failed += f
            skipped += s
            broken += b
    lacking = lost(figures) + missing_in_soak(figures, run)
    if run.is_gate:
        lacking += missing_in_gate(figures)
    for name in skipped:
        print("SKIPPED", name)
    for name in broken + lacking:
        print("FAILED", name)
    print_all_figures(figures, run)
    return passed, failed + len(lacking)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--soak", type=float, metavar="HOURS")
    parser.add_argument("--once", action="store_true")
    parser.add_argument("paths", nargs="*", metavar="PATH")
    said = parser.parse_args()
    print(*summarize(said.paths, Run(said.all, said.soak, said.once)))


if __name__ == "__main__":
    main()

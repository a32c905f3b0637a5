#!/usr/bin/env python3
"""Sums what the test programs of some runs really ran.

Each argument is a file of Bazel's build events (--build_event_json_file), which
names the test.xml of every program of that run, or a folder with such files
below it.  Reads each test.xml (one <testcase> a test).  Names what was skipped and what failed, prints the sums of
the figures (the properties "figure_NAME": kill points, faults, seeds, ...), and
"PASSED FAILED" on the last line.

The figures that show the guarantees (TRUST D.3) come last, in one block.  With
--all before the arguments, these were all tests of a run: then a figure that is
below what each run has to show is a failure.  Anything lost always is one.
"""
import collections
import json
import os
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree


FIGURE = "figure_"

# What shows the guarantees, and how much of it each run has to show at least.
# What has one place for each call, offset or interleaving is as much as there is;
# its least is somewhat below what there is today, for an enumeration that ends
# early is silent otherwise.  What goes on for a given time does more on a faster
# machine: its least tells one that did something from one that stood still, and no
# slow machine from a fast one.
GUARANTEES = [
    ("kill_points", 2000),
    ("kill_points_in_the_midst_of_a_deed", 1000),
    ("runs_with_one_fault_point", 70),
    ("runs_with_two_fault_points", 800),
    ("runs_with_a_failing_system_call", 6500),
    ("runs_with_two_failing_system_calls", 500),
    ("power_cuts", 5000),
    ("leaps_of_the_clock", 60),
    ("torn_documents", 3900),
    ("interleavings_run", 5000),
    ("seconds_of_eight_threads_under_tsan", 600),
    ("deeds_of_eight_threads_under_tsan", 20),
    ("api_sequences_against_a_twin", 20000),
    ("random_graphs_planned", 7000),
    ("mutations_after_each_of_which_df_was_recounted", 100000),
    ("registry_gc_trees", 200),
    ("umoci_gc_trees", 100),
    # Four races of ten seconds, on two cores that others have, too.
    ("race_pushes", 60),
    ("race_pulls_by_tag", 20),
    ("race_pulls_by_digest", 10),
    ("fuzz_executions", 200000),
    ("expensive_documents", 85),
    ("hostile_names", 700),
]
# Of these there may be none, and a whole run tells that.
LOSSES = ["lost_to_kills", "race_lost"]


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
        print("  %*s  %s" % (width, "{:,}".format(figures[name]),
                             name.replace("_", " ")))


def print_all_figures(figures):
    shown = [name for name, _ in GUARANTEES] + LOSSES
    print_figures(figures, sorted(set(figures) - set(shown)),
                  "what else was tried:")
    print_figures(figures, shown, "what shows the guarantees (TRUST D.3):")


def missing(figures):
    """What a whole run lacks."""
    lacking = ["%s: %d, and %d are asked for" % (
        name.replace("_", " "), figures[name], least)
        for name, least in GUARANTEES if figures[name] < least]
    return lacking + ["%s: nobody has told" % name.replace("_", " ")
                      for name in LOSSES if name not in figures]


def losses(figures):
    return ["%s: %d" % (name.replace("_", " "), figures[name])
            for name in LOSSES if figures[name]]


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
            skipped.append(name)
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
    is_all = arguments[:1] == ["--all"]
    for argument in arguments[is_all:]:
        lost = []
        if os.path.isdir(argument):
            files = of_folder(argument)
        else:
            files, lost = of_events(argument)
        failed += len(lost)
        broken += lost
        for path in files:
            p, f, s, b = count(path, figures)
            passed += p
            failed += f
            skipped += s
            broken += b
    lacking = losses(figures) + (missing(figures) if is_all else [])
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

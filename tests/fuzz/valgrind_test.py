#!/usr/bin/env python3
"""Each seed of each parser once under Valgrind, which sees what the sanitizers
do not: a value that was never set (TRUST D.3, "parsers").  Not those of
WITHOUT, which call the kernel in a way that Valgrind does not know.

Run me from the root, after `bazel build //tests/fuzz:corpus_test`; tools/test
does.
"""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.getcwd(), "tools"))
import xml_cases  # noqa: E402

PROGRAM = os.path.join(os.getcwd(), "bazel-bin/tests/fuzz/corpus_test")
CORPUS = "tests/fuzz/corpus"
# Its store opens files by openat2(), of which Debian's Valgrind says ENOSYS.
WITHOUT = ("registry_tree",)
ERROR = 9


def main():
    seeds = {target: len(os.listdir(os.path.join(CORPUS, target)))
             for target in sorted(set(os.listdir(CORPUS)) - set(WITHOUT))}
    environment = dict(os.environ)
    environment.pop("XML_OUTPUT_FILE", None)  # mine
    done = subprocess.run(
        ["valgrind", "-q", "--error-exitcode=%d" % ERROR, "--num-callers=30",
         "--suppressions=tests/fuzz/valgrind.supp",
         PROGRAM, "--gtest_filter=*.EverySeed/*-" + ":".join(
             "*.EverySeed/" + name for name in WITHOUT)], env=environment,
        capture_output=True, text=True, errors="replace", check=False)
    passed = re.search(r"\[  PASSED  \] (\d+) test", done.stdout)
    results = {
        "valgrind_has_nothing_to_tell": done.returncode == 0,
        "every_target_was_run":
            passed is not None and int(passed[1]) == len(seeds)}
    if not all(results.values()):
        print(done.stdout[-4000:] + done.stderr[-20000:])
    print("%d seeds of %d parsers under valgrind, which ended with %d" %
          (sum(seeds.values()), len(seeds), done.returncode))
    xml_cases.FIGURES["seeds_under_valgrind"] = sum(seeds.values())
    xml_cases.write("valgrind", results)
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""How many instructions the pure algorithms take, and how that grows.

    tests/benchmark/instructions_test.py [--print]

Run me from the root, after `bazel build //tests/benchmark:instruction_counts`.
Counts under callgrind at three sizes: nothing else on the machine disturbs
them, and no clock is asked.  Fails where an algorithm takes more an object than
instruction_bounds.toml allows, or where its cost grows faster than it may.  --print
writes bounds for what was counted, a tenth above it.
"""
import os
import re
import subprocess
import sys
import tempfile
import tomllib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(os.getcwd(), "tools"))
import xml_cases  # noqa: E402
from bench_table import exponent  # noqa: E402

PROGRAM = os.path.join(
    os.environ.get("RECLAIM_BENCH_BINARIES",
                   os.path.join(os.getcwd(), "bazel-bin")),
    "tests/benchmark/instruction_counts")
BOUNDS = os.path.join(HERE, "instruction_bounds.toml")
SIZES = (6_250, 25_000, 100_000)


def parts(folder):
    """{name: instructions} of the parts of one profile."""
    counts = {}
    for name in os.listdir(folder):
        with open(os.path.join(folder, name)) as file:
            text = file.read()
        trigger = re.search(r"^desc: Trigger: Client Request: (\w+)$", text,
                            re.M)
        total = re.search(r"^(?:summary|totals): (\d+)", text, re.M)
        if trigger and total:
            counts[trigger[1]] = int(total[1])
    return counts


def counted(objects):
    """{name: instructions an object, or an event} at one size."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", "--instr-atstart=no", "-q",
             "--callgrind-out-file=" + os.path.join(folder, "profile"),
             PROGRAM, str(objects)], capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit("instruction_counts %d ended with %d: %s%s" % (
                objects, done.returncode, done.stdout, done.stderr[-2000:]))
        instructions = parts(folder)
    found = {}
    for line in done.stdout.splitlines():
        name, count = line.split()
        found[name] = instructions[name] / int(count)
    return found


def told(name, each, grows, bound):
    """(whether it is within its bounds, what to say)."""
    each_max, grows_max = bound["per_object_max"], bound["exponent_max"]
    words = "%-10s %9.1f instructions each, at most %g; exponent %.3f, at " \
        "most %g" % (name, each, each_max, grows, grows_max)
    if each > each_max or grows > grows_max:
        return False, "WORSE  " + words
    if each < each_max / 2:
        return True, "BETTER " + words + ": lower the bound"
    return True, "       " + words


def main():
    sizes = [counted(size) for size in SIZES]
    with open(BOUNDS, "rb") as file:
        bounds = tomllib.load(file)
    results = {"every_algorithm_has_a_bound": bounds.keys() == sizes[-1].keys()}
    for name, each in sizes[-1].items():
        # An event's cost by itself; of the others that of the whole graph.
        grows = exponent([(size, found[name] * (1 if name == "event" else size))
                          for size, found in zip(SIZES, sizes)])
        if "--print" in sys.argv[1:]:
            print("[%s]\nper_object_max = %d\nexponent_max = %.2f\n" % (
                name, round(each * 1.1), 0.15 if name == "event" else 1.1))
            continue
        if name not in bounds:
            continue
        results[name], words = told(name, each, grows, bounds[name])
        print(words)
    xml_cases.FIGURES["instruction_counts"] = len(sizes[-1])
    xml_cases.write("instructions", results)
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

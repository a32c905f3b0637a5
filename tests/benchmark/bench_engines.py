"""B7 on engines: df beside `docker system df` and `podman system df`, on what they
hold themselves.  The truth is what lies on the disk: podman's own sum counts what
images share once for each (docs/ENGINES.md)."""
import os
import re
import subprocess
import sys

import bench_world

# Images that share a base; with Docker's plain driver each is unpacked whole.
IMAGES = {"S": 20, "M": 100, "L": 300}
# A tenth of a megabyte is printed; a small engine has five.
PRECISION = 0.02


def amounts(text):
    """All amounts of a cell, in bytes."""
    return [float(number) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[unit]
            for number, unit in re.findall(r"([\d.]+) ?([kMG]?)B", text)]


def agree(ours, theirs):
    ours, theirs = amounts(ours), amounts(theirs)
    return len(ours) == len(theirs) > 0 and all(
        abs(a - b) <= PRECISION * max(a, b) for a, b in zip(ours, theirs))


def milliseconds(text):
    found = re.search(r"([\d.]+) ms", text)
    return float(found[1]) / 1e3 if found else None


def prepared(bench):
    """The folder that tests/engines runs in, with the programs measured."""
    for name in ("proto", "tools", "tests"):
        os.symlink(os.path.join(bench_world.ROOT, name), bench.path(name))
    os.symlink(bench_world.BINARIES, bench.path("bazel-bin"))


def engines(bench, scale):
    prepared(bench)
    count = scale.of(IMAGES)
    done = subprocess.run(
        [sys.executable, os.path.join(bench_world.ROOT,
                                      "tests/engines/measure.py"),
         str(count)], cwd=bench.folder, capture_output=True, text=True)
    table = [[cell.strip() for cell in line.strip("|").split("|")]
             for line in done.stdout.splitlines() if line.startswith("| ")]
    if len(table) < 2:
        raise RuntimeError("no engine runs here: " + done.stderr[-300:])
    for engine, theirs, took, ours, ours_took, disk, du, scan in table[1:]:
        wall = milliseconds(ours_took)
        yield {"bench": "B7", "size": scale.letter, "unit": "s",
               "what": "df of %s, %d images" % (engine, count),
               "objects": count, "ours": wall, "wall": wall, "cpu": None,
               "peak_bytes": 0, "limit": None, "peer": milliseconds(took),
               "peer_name": "its own system df", "oracle": agree(disk, du),
               "note": "theirs %s, ours %s, on disk %s, du %s" % (
                   theirs, ours, disk, du)}


# It counts what engines unpack, not how it grows: ENGINES.md.
engines.one_size = True
# tests/engines holds the same against the same disk, to the byte.
engines.has_own_tests = True

BENCHES = {"engines": engines}

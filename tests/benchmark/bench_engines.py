"""B7 on engines: df beside `docker system df` and `podman system df`, on what they
hold themselves.  The truth is what lies on the disk: podman's own sum counts what
images share once for each (docs/ENGINES.md)."""
import os
import re
import shutil
import subprocess
import sys

import bench_world

# Images that share a base; with Docker's plain driver each is unpacked whole.
IMAGES = {"S": 20, "M": 100, "L": 300}
# A tenth of a megabyte is printed; a small engine has five.
PRECISION = 0.02
# As tests/engines/measure.py names them, and what each needs.
ENGINES = {"containerd": ("containerd", "ctr"), "Docker": ("dockerd", "docker"),
           "podman": ("podman",)}
# Steps of tests/engines in which an engine works by itself: one that fails there
# says nothing of us.
OWN_STEPS = {"setUp", "engine", "ctr"}
HEADING = re.compile(r"(?:ERROR|FAIL): test_table \(__main__\.(\w+)Table\b")
STEP = re.compile(r'^  File ".*", line \d+, in (\w+)$', re.M)


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


def failures(said):
    """{engine: [(whether the engine itself failed, why)]} by what unittest
    says."""
    found = {}
    for section in said.split("=" * 70 + "\n")[1:]:
        heading = HEADING.search(section)
        lines = section.split("-" * 70 + "\n")
        if heading is None or len(lines) < 2:
            continue
        trace = lines[1].strip()
        is_own = not OWN_STEPS.isdisjoint(STEP.findall(trace))
        found.setdefault(heading[1].lower(), []).append(
            (is_own, trace.splitlines()[-1] if trace else "no reason"))
    return found


def absent(engine):
    """Why an engine can't be here at all; None if it may."""
    missing = [program for program in ENGINES[engine]
               if shutil.which(program) is None]
    return "no %s on this machine" % " and no ".join(missing) \
        if missing else None


def row_of(scale, engine, count, **figures):
    row = {"bench": "B7", "size": scale.letter, "unit": "s",
           "what": "df of %s, %d images" % (engine, count), "objects": count,
           "ours": None, "wall": None, "cpu": None, "peak_bytes": 0,
           "limit": None, "peer": None, "peer_name": "its own system df",
           "oracle": False, "note": ""}
    row.update(figures)
    return row


def measured_row(scale, count, cells):
    engine, theirs, took, ours, ours_took, disk, du, _ = cells
    wall = milliseconds(ours_took)
    return row_of(scale, engine, count, ours=wall, wall=wall,
                  peer=milliseconds(took),
                  oracle=wall is not None and agree(disk, du),
                  note="theirs %s, ours %s, on disk %s, du %s" % (
                      theirs, ours, disk, du))


def unmeasured_row(scale, count, engine, failed):
    """Nothing was found wrong where the engine does not run; anything else is
    a fault of ours until somebody has looked."""
    why = absent(engine)
    if why is None and failed and all(is_own for is_own, _ in failed):
        why = failed[0][1]
    if why is not None:
        return row_of(scale, engine, count, oracle=True, cannot_run=why,
                      note="cannot run: " + why[:200])
    return row_of(scale, engine, count,
                  note="; ".join(why for _, why in failed)[:200] or
                  "neither measured nor failed")


def engines(bench, scale):
    prepared(bench)
    count = scale.of(IMAGES)
    done = subprocess.run(
        [sys.executable, os.path.join(bench_world.ROOT,
                                      "tests/engines/measure.py"),
         str(count)], cwd=bench.folder, capture_output=True, text=True)
    table = [[cell.strip() for cell in line.strip("|").split("|")]
             for line in done.stdout.splitlines() if line.startswith("| ")]
    if not table:
        raise RuntimeError("no table: " + done.stderr[-300:])
    measured = {cells[0]: cells for cells in table[1:]}
    failed = failures(done.stderr)
    for engine in ENGINES:
        faults = failed.get(engine.lower(), [])
        if engine in measured and not faults:
            yield measured_row(scale, count, measured[engine])
        else:
            yield unmeasured_row(scale, count, engine, faults)


# It counts what engines unpack, not how it grows: ENGINES.md.
engines.one_size = True
# tests/engines holds the same against the same disk, to the byte.
engines.has_own_tests = True

BENCHES = {"engines": engines}

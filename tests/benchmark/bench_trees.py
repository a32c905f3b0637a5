"""B5 and B14: trees that are read, and what came and went behind the daemon's
back.  B3 and B4 are in bench_prune.py."""
import json
import os
import random
import shutil

import bench_prune
from bench_world import measure, repeated, row

# Of trees beside which something else is measured (bench_daemon.py).
SIZES = {"S": 20_000, "M": 100_000, "L": 400_000}
# So that there are 50,000, 200,000 and a million blobs.
READ_SIZES = {"S": 54_000, "M": 215_000, "L": 1_080_000}


class ReadTree:
    """A registry's tree that is read whole, as large as there is room for."""

    def __init__(self, bench, scale):
        asked = READ_SIZES[scale.letter]
        fitting = bench.settle_for(asked)
        self.objects = max(1, fitting // scale.part)
        self.truth = bench.tree("tree", "registry", self.objects)
        self.live = bench.lines("tree.live")
        self.garbage = bench.lines("tree.garbage")
        self.blobs = self.live | self.garbage
        self.uri = "registry:" + bench.path("tree")
        self.note = "on " + bench.file_system()
        if fitting < asked:
            self.note += "; %d objects of the %d asked for fit here" % (
                fitting, asked)

    def rate(self, cost):
        return "%s; %.0f blobs/s" % (cost.told(), len(self.blobs) / cost.wall)


def b5_import(bench, scale):
    tree = ReadTree(bench, scale)
    limit = bench.limit("import", "tree", scale.rounds)
    du = repeated(lambda: measure(["du", "-s", bench.path("tree")])[0],
                  scale.rounds)

    def from_nothing():
        bench.forget()
        return bench.imported(tree.uri)

    first = repeated(from_nothing, scale.rounds)
    again = repeated(lambda: bench.reclaim("scan", "s")[0], scale.rounds)
    # Every blob and every byte is known; so is which of them are needed, for a
    # plan takes all others.
    _, verified = bench.reclaim("verify", "s")
    good = ("0 findings" in verified
            and bench.stored("tree") == tree.blobs
            and limit["count"] == len(tree.blobs)
            and bench.content_bytes() == (tree.truth["live_bytes"] +
                                          tree.truth["garbage_bytes"])
            and bench.planned_blobs() == tree.garbage)
    yield row("B5", "import of a registry to the first df, %d blobs"
              % len(tree.blobs), scale, tree.objects, first, limit["seconds"],
              du, "du -s", good, "%s; limit: names, sizes and manifests read; "
              "%s" % (tree.rate(first), tree.note))
    yield row("B5", "scanned again, nothing changed", scale, tree.objects,
              again, limit["seconds"], du, "du -s", good, tree.rate(again))


def subjects(findings, check):
    """Digests (hexadecimal) of the findings of one check."""
    return {word for line in findings.splitlines()
            for finding in [json.loads(line)] if finding.get("check") == check
            for word in finding["subject"].replace(":", " ").split()
            if len(word) == 64}


def spoil(bench, tree):
    """(phantoms, orphans): blobs that were taken away and put there, as
    hexadecimal digits."""
    draw = random.Random(14)
    live = sorted(digest[7:] for digest in tree.live)
    phantoms = set(draw.sample(live, max(5, len(live) // 1000)))
    orphans = {"%064x" % draw.getrandbits(256) for _ in phantoms}
    top = bench.path("tree/docker/registry/v2/blobs/sha256")
    for digest in phantoms:
        shutil.rmtree(os.path.join(top, digest[:2], digest))
    for digest in orphans:
        os.makedirs(os.path.join(top, digest[:2], digest))
        with open(os.path.join(top, digest[:2], digest, "data"), "w") as file:
            file.write("orphan")
    bench.sync()
    return phantoms, orphans


def b14_drift(bench, scale):
    """Blobs that come and go behind the daemon's back are all found."""
    tree = ReadTree(bench, scale)
    with open(bench.path("recorded"), "w") as file:
        file.writelines(digest + "\n" for digest in sorted(tree.blobs))
    bench.imported(tree.uri)
    phantoms, orphans = spoil(bench, tree)
    limit = bench.limit("drift", "tree", scale.rounds, "recorded")
    found = []

    def verify():
        # 13: damage was found.
        cost, text = bench.reclaim("--json", "verify", "s", codes=(13,))
        found.append((subjects(text, "missing-blob"),
                      subjects(text, "unknown-content")))
        return cost

    cost = repeated(verify, scale.rounds)
    # All of them, each time, and no other; of the limit their numbers are
    # known.
    good = (all(one == (phantoms, orphans) for one in found)
            and limit["missing"] == len(phantoms)
            and limit["unknown"] == len(orphans))
    missing, unknown = found[-1]
    yield row("B14", "drift: of %d phantoms %d, of %d orphans %d found" % (
        len(phantoms), len(missing & phantoms), len(orphans),
        len(unknown & orphans)), scale, tree.objects, cost, limit["seconds"],
        None, "", good, "%s; limit: names listed and merged with those "
        "recorded; nothing else that runs here tells it; %s" % (
            tree.rate(cost), tree.note))
    scan, _ = bench.reclaim("scan", "s")
    _, findings = bench.reclaim("--json", "verify", "s")
    good = good and not subjects(findings, "unknown-content")
    yield row("B14", "the same taken in by a scan", scale, tree.objects, scan,
              limit["seconds"], None, "", good, tree.rate(scan))


BENCHES = {"import": b5_import, **bench_prune.BENCHES, "drift": b14_drift}

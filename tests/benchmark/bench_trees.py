"""B3, B4, B5 and B14: trees of files, beside the collectors of others."""
import json
import os
import random
import shutil

from bench_world import Cost, measure

SIZES = {"S": 20_000, "M": 100_000, "L": 400_000}
# Tags of the one tall repository, and what belongs to a tag.
TALL = {"S": 300, "M": 1_000, "L": 10_000}
OBJECTS_PER_TAG = 30


def row(name, what, scale, objects, ours, limit=None, peer=None, peer_name="",
        oracle=False, note=""):
    """A row of seconds; `objects` is what the cost may grow with."""
    return {"bench": name, "what": what, "size": scale.letter, "unit": "s",
            "objects": objects, "ours": ours.wall, "wall": ours.wall,
            "cpu": ours.cpu, "peak_bytes": ours.rss, "limit": limit,
            "peer": peer.wall if peer else None, "peer_name": peer_name,
            "oracle": oracle, "note": note}


def b5_import(bench, scale):
    objects = scale.of(SIZES)
    bench.tree("tree", "registry", objects)
    count, limit = bench.limit("import", "tree")
    du = Cost.median([measure(["du", "-s", bench.path("tree")])[0]
                      for _ in range(scale.rounds)])
    scan = bench.imported("registry:" + bench.path("tree"))
    again, _ = bench.reclaim("scan", "s")
    _, verified = bench.reclaim("verify", "s")
    good = "0 findings" in verified and count == len(bench.stored("tree"))
    yield row("B5", "import of a registry, %d blobs" % count, scale, objects,
              scan, limit, du, "du -s", good)
    yield row("B5", "the same again, nothing changed", scale, objects, again,
              limit, du, "du -s", good)


class Collected:
    """A tree that is planned, applied and purged; the truth beside it decides
    whether that counts."""

    def __init__(self, bench, scale, layout, objects, tags=0):
        self.bench, self.layout, self.objects = bench, layout, objects
        bench.tree("tree", layout, objects, tags)
        self.live = bench.lines("tree.live")
        self.garbage = bench.lines("tree.garbage")
        self.scale = scale
        self.what = "%s%s, %d blobs, %d garbage" % (
            layout, ", %d tags a repository" % tags if tags else "",
            len(self.live) + len(self.garbage), len(self.garbage))

    def peer(self, command, copies):
        """What somebody else's collector takes; `copies`: it deletes."""
        target = "tree"
        if copies:
            shutil.copytree(self.bench.path("tree"), self.bench.path("peer"))
            target = "peer"
        cost, _ = measure(command(target))
        if copies:
            shutil.rmtree(self.bench.path("peer"))
        return cost

    def unlink_limit(self):
        shutil.copytree(self.bench.path("tree"), self.bench.path("limit"))
        _, limit = self.bench.limit("unlink", "limit", "tree.garbage")
        shutil.rmtree(self.bench.path("limit"))
        return limit

    def run(self):
        bench = self.bench
        _, self.read_limit = bench.limit("import", "tree")
        self.delete_limit = self.unlink_limit()
        self.scan = bench.imported("%s:%s" % (self.layout,
                                              bench.path("tree")))
        self.plan, text = bench.reclaim("plan", "--store", "s")
        plan_id = text.rsplit("reclaim apply ", 1)[1].split()[0]
        self.apply, _ = bench.reclaim("apply", plan_id, "--force",
                                      "--allow-large")
        moved_good = bench.stored("tree") == self.live
        self.purge, _ = bench.reclaim("purge", "--now", "--force")
        _, verified = bench.reclaim("verify", "s")
        self.good = (moved_good and bench.stored("tree") == self.live
                     and "0 findings" in verified)

    def whole(self):
        """From nothing known to a plan: what a peer does in one run."""
        return Cost(self.scan.wall + self.plan.wall,
                    self.scan.cpu + self.plan.cpu,
                    max(self.scan.rss, self.plan.rss))

    def row(self, name, what, cost, limit, peer=None, peer_name="", note=""):
        return row(name, "%s: %s" % (what, self.what), self.scale,
                   self.objects, cost, limit, peer, peer_name, self.good, note)


def collected(name, tree, peers):
    """`peers`: (name, command of a target, whether it deletes)."""
    costs = [(peer_name, tree.peer(command, copies))
             for peer_name, command, copies in peers]
    tree.run()
    for peer_name, cost in costs or [("", None)]:
        yield tree.row(name, "read and planned", tree.whole(),
                       tree.read_limit, cost, peer_name,
                       "limit: every name, size and manifest read")
        yield tree.row(name, "planned once it is known", tree.plan,
                       None, cost, peer_name, "what changed is read first")
    yield tree.row(name, "applied (quarantine)", tree.apply,
                   tree.delete_limit, note="limit: unlink of the same blobs")
    yield tree.row(name, "purged", tree.purge, tree.delete_limit,
                   note="limit: unlink of the same blobs")
    blobs = len(tree.live) + len(tree.garbage)
    peer_name, cost = costs[0] if costs else ("", None)
    memory = tree.row("B11", "memory of a whole collection", tree.purge, None,
                      None, peer_name,
                      "the daemon's peak; its runtime is in it")
    memory.update({"unit": "B/blob", "ours": tree.purge.rss / blobs,
                   "peer": cost.rss / blobs if cost else None})
    yield memory


def garbage_collect(bench, *flags):
    return lambda target: ["docker-registry", "garbage-collect", "--dry-run",
                           *flags, bench.registry_config(target)]


def b3_prune_registry(bench, scale):
    peers = []
    if scale.with_peers:
        peers.append(("garbage-collect, dry", garbage_collect(bench), False))
        if scale.letter == "S":
            peers.append(("garbage-collect -m, dry", garbage_collect(
                bench, "--delete-untagged"), False))
    tree = Collected(bench, scale, "registry", scale.of(SIZES))
    yield from collected("B3", tree, peers)


def b3_prune_tall(bench, scale):
    tags = scale.of(TALL)
    peers = []
    # It is quadratic: 10,000 tags would take it most of an hour.
    if scale.with_peers and tags <= TALL["M"]:
        peers.append(("garbage-collect -m, dry", garbage_collect(
            bench, "--delete-untagged"), False))
    tree = Collected(bench, scale, "registry", tags * OBJECTS_PER_TAG, tags)
    yield from collected("B3", tree, peers)


def b4_prune_layout(bench, scale):
    peers = [("umoci gc", lambda target: [
        "umoci", "gc", "--layout", bench.path(target)], True)]
    tree = Collected(bench, scale, "image-layout", scale.of(SIZES))
    yield from collected("B4", tree, peers if scale.with_peers else [])


def subjects(findings, check):
    """Digests (hexadecimal) of the findings of one check."""
    return {word for line in findings.splitlines()
            for finding in [json.loads(line)] if finding.get("check") == check
            for word in finding["subject"].replace(":", " ").split()
            if len(word) == 64}


def b14_drift(bench, scale):
    """Blobs that come and go behind the daemon's back are all found."""
    objects = scale.of(SIZES)
    bench.tree("tree", "registry", objects)
    bench.imported("registry:" + bench.path("tree"))
    draw = random.Random(14)
    live = sorted(digest[7:] for digest in bench.lines("tree.live"))
    phantoms = set(draw.sample(live, max(5, len(live) // 1000)))
    orphans = {"%064x" % draw.getrandbits(256) for _ in phantoms}
    top = bench.path("tree/docker/registry/v2/blobs/sha256")
    for digest in phantoms:
        shutil.rmtree(os.path.join(top, digest[:2], digest))
    for digest in orphans:
        os.makedirs(os.path.join(top, digest[:2], digest))
        with open(os.path.join(top, digest[:2], digest, "data"), "w") as file:
            file.write("orphan")
    _, limit = bench.limit("import", "tree")
    # 13: damage was found.
    verify, findings = bench.reclaim("--json", "verify", "s", codes=(13,))
    missing = subjects(findings, "missing-blob")
    unknown = subjects(findings, "unknown-content")
    good = missing == phantoms and unknown == orphans
    yield row("B14", "drift: of %d phantoms %d, of %d orphans %d found" % (
        len(phantoms), len(missing & phantoms), len(orphans),
        len(unknown & orphans)), scale, objects, verify, limit, None, "", good,
        "nothing else that runs here tells it")
    scan, _ = bench.reclaim("scan", "s")
    _, findings = bench.reclaim("--json", "verify", "s")
    good = good and not subjects(findings, "unknown-content")
    yield row("B14", "the same taken in by a scan", scale, objects, scan,
              limit, None, "", good)


BENCHES = {"import": b5_import, "prune-registry": b3_prune_registry,
           "prune-tall": b3_prune_tall, "prune-oci": b4_prune_layout,
           "drift": b14_drift}

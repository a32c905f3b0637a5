"""B3, B4, B5 and B14: trees of files, beside the collectors of others."""
import random
import os
import shutil

from bench_world import Cost, measure

SIZES = {"S": 20_000, "M": 100_000, "L": 400_000}
TALL = {"S": 300, "M": 1_000, "L": 10_000}


def row(name, what, size, ours, limit=None, peer=None, peer_name="",
        oracle=False, unit="s", note=""):
    return {"bench": name, "what": what, "size": size, "unit": unit,
            "ours": ours.wall, "cpu": ours.cpu, "peak_bytes": ours.rss,
            "limit": limit, "peer": peer.wall if peer else None,
            "peer_name": peer_name, "oracle": oracle, "note": note}


def imported(bench, uri):
    """Seconds from nothing to the first df, and what the scan said."""
    bench.start()
    bench.reclaim("store", "add", uri, "--name", "s")
    scan, text = bench.reclaim("scan", "s")
    bench.reclaim("df")
    return scan, text


def b5_import(bench, size):
    bench.tree("tree", "registry", SIZES[size])
    count, limit = bench.limit("import", "tree")
    du = Cost.median([measure(["du", "-s", bench.path("tree")])[0]
                      for _ in range(3)])
    scan, _ = imported(bench, "registry:" + bench.path("tree"))
    again, _ = bench.reclaim("scan", "s")
    _, verified = bench.reclaim("verify", "s")
    good = "0 findings" in verified and count == len(bench.stored("tree"))
    yield row("B5", "import of a registry, %d blobs" % count, size, scan,
              limit, du, "du -s", good)
    yield row("B5", "the same again, nothing changed", size, again, limit, du,
              "du -s", good)


def collected(bench, name, size, layout, tags, peers, unlink_limit):
    """Plan, then apply and purge; the truth decides whether it counts."""
    bench.tree("tree", layout, SIZES[size] if not tags else
               max(SIZES[size], tags * 30), tags)
    live, garbage = bench.lines("tree.live"), bench.lines("tree.garbage")
    results = []
    for peer_name, command, copies in peers:
        target = "tree"
        if copies:
            shutil.copytree(bench.path("tree"), bench.path("peer"))
            target = "peer"
        cost, _ = measure(command(target))
        results.append((peer_name, cost))
        if copies:
            shutil.rmtree(bench.path("peer"))
    limit = None
    if unlink_limit:
        shutil.copytree(bench.path("tree"), bench.path("limit"))
        _, limit = bench.limit("unlink", "limit", "tree.garbage")
        shutil.rmtree(bench.path("limit"))
    imported(bench, "%s:%s" % (layout, bench.path("tree")))
    plan, text = bench.reclaim("plan", "--store", "s")
    plan_id = text.rsplit("reclaim apply ", 1)[1].split()[0]
    apply, _ = bench.reclaim("apply", plan_id, "--force", "--allow-large")
    moved_good = bench.stored("tree") == live
    purge, _ = bench.reclaim("purge", "--now", "--force")
    good = moved_good and bench.stored("tree") == live
    what = "%s%s, %d blobs, %d garbage" % (
        layout, ", %d tags a repository" % tags if tags else "",
        len(live) + len(garbage), len(garbage))
    for peer_name, cost in results:
        yield row(name, "plan: " + what, size, plan, None, cost, peer_name,
                  good)
    yield row(name, "apply (quarantine): " + what, size, apply, limit, None,
              "", good, note="limit: unlink of the same blobs")
    yield row(name, "purge: " + what, size, purge, limit, None, "", good)


def b3_prune_registry(bench, size):
    def dry(*flags):
        return lambda target: ["docker-registry", "garbage-collect",
                               "--dry-run", *flags,
                               bench.registry_config(target)]
    peers = [("garbage-collect, dry", dry(), False)]
    if size == "S":
        peers.append(("garbage-collect -m, dry", dry("--delete-untagged"),
                      False))
    yield from collected(bench, "B3", size, "registry", 0, peers, True)


def b3_prune_tall(bench, size):
    def dry(target):
        return ["docker-registry", "garbage-collect", "--dry-run",
                "--delete-untagged", bench.registry_config(target)]
    # The peer is quadratic: 10,000 tags would take it most of an hour.
    peers = [] if size == "L" else [("garbage-collect -m, dry", dry, False)]
    yield from collected(bench, "B3", size, "registry", TALL[size], peers,
                         False)


def b4_prune_layout(bench, size):
    peers = [("umoci gc", lambda target: [
        "umoci", "gc", "--layout", bench.path(target)], True)]
    yield from collected(bench, "B4", size, "image-layout", 0, peers, True)


def b14_drift(bench, size):
    """Blobs that come and go behind the daemon's back are all found."""
    bench.tree("tree", "registry", SIZES[size])
    imported(bench, "registry:" + bench.path("tree"))
    draw = random.Random(14)
    live = sorted(bench.lines("tree.live"))
    lost = set(draw.sample(live, max(5, len(live) // 1000)))
    top = bench.path("tree/docker/registry/v2/blobs/sha256")
    for digest in lost:
        hexa = digest[7:]
        shutil.rmtree(os.path.join(top, hexa[:2], hexa))
    for number in range(len(lost)):
        hexa = "%064x" % draw.getrandbits(256)
        os.makedirs(os.path.join(top, hexa[:2], hexa))
        with open(os.path.join(top, hexa[:2], hexa, "data"), "w") as file:
            file.write("orphan %d" % number)
    _, limit = bench.limit("import", "tree")
    scan, _ = bench.reclaim("scan", "s")
    found = bench.reclaim("verify", "s")
    missing = {word for line in
               found[1].splitlines() for word in line.replace(":", " ").split()
               if len(word) == 64}
    recall = sum(1 for digest in lost if digest[7:] in missing) / len(lost)
    yield row("B14", "drift: %d blobs lost, as many new; recall %.0f %%"
              % (len(lost), recall * 100), size, scan, limit, None, "",
              recall == 1.0)


BENCHES = {"import": b5_import, "prune-registry": b3_prune_registry,
           "prune-tall": b3_prune_tall, "prune-oci": b4_prune_layout,
           "drift": b14_drift}

"""B3 and B4: trees that are collected, beside the collectors of others.

Where times are asked for the tree lies on a disk, and its blobs have the sizes
of the population, divided by what the notes say, blocks and all.  What deletes,
ours and theirs, deletes: each on a tree of its own."""
from collections import namedtuple

from bench_world import DISK, Cost, measure, repeated, row

# So that there are 5,000, 50,000 and 200,000 blobs.
SIZES = {"S": 5_400, "M": 54_000, "L": 216_000}
WIDE_TAGS = 50
# Tags of the one tall repository, and what belongs to a tag.
TALL = {"S": 300, "M": 1_000, "L": 10_000}
OBJECTS_PER_TAG = 30
# With these a tenth of the blobs is garbage.  An image layout has more of it
# for each image without a name: nothing leads to its referrers.
SHARES = {"registry": {"untagged": 0.09, "deleted": 0},
          "image-layout": {"untagged": 0.06, "deleted": 0}}
# With --delete-untagged the registry's collector reads each tag of a
# repository for each manifest; beyond so many objects that takes it most of an
# hour, unless all repositories are small.
DRAWN_MAX = 25_000
TALL_MAX = 2_500 * OBJECTS_PER_TAG
# Of blobs where nobody asks for times.
SMALL_BYTES = 64 << 20

Shape = namedtuple("Shape", "name layout objects whole tags")
# A collector of others: the command for a target, whether it deletes, and up to
# how many objects it is asked to.
Peer = namedtuple("Peer", "name command deletes objects_max")

# The rows beside a peer of the largest part at which it ran: parts run one
# after the other, the smallest first.
LARGEST = {}


class Collected:
    """A tree that is planned, applied and purged; the truth beside it decides
    whether that counts."""

    def __init__(self, bench, scale, shape):
        self.bench, self.scale, self.shape = bench, scale, shape
        if scale.is_timed:
            bench.settle(DISK)
        budget = (bench.file_budget(shape.whole) if scale.is_timed
                  else SMALL_BYTES)
        truth = bench.tree("tree", shape.layout, shape.objects,
                           tags=shape.tags, bytes=budget, whole=shape.whole,
                           **SHARES[shape.layout])
        self.live = bench.lines("tree.live")
        self.garbage = bench.lines("tree.garbage")
        self.what = "%s%s, %d blobs, %d garbage" % (
            shape.layout,
            ", %d tags a repository" % shape.tags if shape.tags else "",
            len(self.live) + len(self.garbage), len(self.garbage))
        self.files = "sizes / %d, %d MiB, on %s" % (
            truth["size_divisor"],
            (truth["live_bytes"] + truth["garbage_bytes"]) >> 20,
            bench.file_system())

    def run_peer(self, peer):
        """(what it takes, what there is to say of it); no cost where it does
        not run."""
        if peer.objects_max and self.shape.objects > peer.objects_max:
            return None, "it would take too long here"
        bench = self.bench
        try:
            if not peer.deletes:
                return repeated(lambda: measure(peer.command("tree"))[0],
                                self.scale.rounds), ""
            bench.copy("tree", "peer")
            cost, _ = measure(peer.command("peer"))
            left = bench.stored("peer")
            return cost, "it leaves %d that nobody needs and %d that are " \
                "needed are gone" % (len(left - self.live),
                                     len(self.live - left))
        except (OSError, RuntimeError) as error:
            return None, "it ended badly: %s" % str(error)[-200:]
        finally:
            bench.remove("peer")

    def delete_limit(self, mode):
        self.bench.copy("tree", "limit")
        limit = self.bench.limit(mode, "limit", stdin="tree.garbage")
        self.bench.remove("limit")
        return limit

    def run(self):
        bench, rounds = self.bench, self.scale.rounds
        self.read_limit = bench.limit("import", "tree", rounds)["seconds"]
        self.unlinked = self.delete_limit("unlink")
        self.trashed = self.delete_limit("trash")
        texts = []

        def from_nothing():
            bench.forget()
            return bench.imported("%s:%s" % (self.shape.layout,
                                             bench.path("tree")))

        def plan():
            cost, text = bench.reclaim("plan", "--store", "s")
            texts.append(text)
            return cost

        self.read = repeated(from_nothing, rounds)
        self.plan = repeated(plan, rounds)
        plan_id = texts[-1].rsplit("reclaim apply ", 1)[1].split()[0]
        self.apply, _ = bench.reclaim("apply", plan_id, "--force",
                                      "--allow-large")
        moved_good = bench.stored("tree") == self.live
        self.purge, _ = bench.reclaim("purge", "--now", "--force")
        _, verified = bench.reclaim("verify", "s")
        self.good = (moved_good and bench.stored("tree") == self.live
                     and "0 findings" in verified
                     and self.unlinked["count"] == len(self.garbage)
                     and self.trashed["count"] == len(self.garbage))

    def planned(self):
        """From nothing known to a plan: what a peer does in one dry run."""
        return Cost.total([self.read, self.plan])

    def deleted(self):
        return Cost.total([self.apply, self.purge])

    def row(self, name, what, cost, limit, note):
        return row(name, "%s: %s" % (what, self.what), self.scale,
                   self.shape.objects, cost, limit, oracle=self.good,
                   note="%s; %s; %s" % (cost.told(), note, self.files))

    def rows(self, name):
        """Ours beside what the machine can do."""
        yield self.row(name, "read and planned", self.planned(),
                       self.read_limit,
                       "limit: every name, size and manifest read")
        yield self.row(name, "planned once it is known", self.plan, None,
                       "what changed is read first")
        yield self.row(name, "applied (quarantine)", self.apply,
                       self.trashed["rename_seconds"],
                       "limit: renamed into one folder, a sync for 64")
        yield self.row(name, "purged", self.purge,
                       self.trashed["unlink_seconds"],
                       "limit: unlinked there, a sync for 64")
        yield self.row(name, "applied and purged", self.deleted(),
                       self.unlinked["seconds"],
                       "limit: the same blobs unlinked, nothing synced")
        yield self.row(name, "applied and purged, beside a trash",
                       self.deleted(), self.trashed["seconds"],
                       "limit: renamed and unlinked, a sync for 64 of each")

    def beside(self, name, peer, theirs):
        """Ours beside what one peer took: a whole collection beside one that
        deletes, plans beside a dry run."""
        cost, said = theirs
        if peer.deletes:
            ours = [("read, planned, applied and purged",
                     Cost.total([self.planned(), self.deleted()]),
                     self.read_limit + self.unlinked["seconds"])]
        else:
            ours = [("read and planned", self.planned(), self.read_limit),
                    ("planned once it is known", self.plan, None)]
        for what, our_cost, limit in ours:
            key = (self.shape.name, peer.name, what)
            made = self.row(name, what, our_cost, limit, "beside %s: %s" % (
                peer.name, said if cost is None else ", ".join(
                    filter(None, (cost.told(), "cpu %.2f s" % cost.cpu,
                                  said)))))
            if cost is not None:
                made.update({"peer": cost.wall, "peer_name": peer.name,
                             "peer_cpu": cost.cpu,
                             "peer_peak_bytes": cost.rss})
                LARGEST[key] = dict(made)
            elif key in LARGEST:
                made = dict(LARGEST[key])
                made["note"] = ("of the largest part that the peer ran at; " +
                                made["note"])
            yield made

    def memory(self, theirs):
        blobs = len(self.live) + len(self.garbage)
        peer, cost = next(((peer, cost) for peer, (cost, _) in theirs if cost),
                          (None, None))
        made = self.row("B11", "memory of a whole collection", self.purge,
                        None, "the daemon's peak; its runtime is in it")
        made.update({"unit": "B/blob", "ours": self.purge.rss / blobs,
                     "peer": cost.rss / blobs if cost else None,
                     "peer_name": peer.name if cost else ""})
        return made


def collected(name, tree, peers):
    theirs = [(peer, tree.run_peer(peer)) for peer in peers
              if tree.scale.with_peers]
    tree.run()
    yield from tree.rows(name)
    for peer, taken in theirs:
        yield from tree.beside(name, peer, taken)
    yield tree.memory(theirs)


def registry_peers(bench, untagged_max=None):
    """The registry's collector, with and without its flag, dry and in earnest.
    Without, it leaves what only untagged manifests need."""

    def collect(*flags):
        return lambda target: ["docker-registry", "garbage-collect", *flags,
                               bench.registry_config(target)]

    untagged = "--delete-untagged"
    return [
        Peer("garbage-collect, dry", collect("--dry-run"), False, None),
        Peer("garbage-collect -m, dry", collect("--dry-run", untagged), False,
             untagged_max),
        Peer("garbage-collect", collect(), True, None),
        Peer("garbage-collect -m", collect(untagged), True, untagged_max)]


def b3_prune_registry(bench, scale):
    """As many tags a repository as real ones have: a few have thousands."""
    shape = Shape("drawn", "registry", scale.of(SIZES), SIZES[scale.letter], 0)
    yield from collected("B3", Collected(bench, scale, shape),
                         registry_peers(bench, DRAWN_MAX))


def b3_prune_wide(bench, scale):
    shape = Shape("wide", "registry", scale.of(SIZES), SIZES[scale.letter],
                  WIDE_TAGS)
    yield from collected("B3", Collected(bench, scale, shape),
                         registry_peers(bench))


def b3_prune_tall(bench, scale):
    tags = scale.of(TALL)
    shape = Shape("tall", "registry", tags * OBJECTS_PER_TAG,
                  TALL[scale.letter] * OBJECTS_PER_TAG, tags)
    yield from collected("B3", Collected(bench, scale, shape),
                         registry_peers(bench, TALL_MAX))


def b4_prune_layout(bench, scale):
    shape = Shape("layout", "image-layout", scale.of(SIZES),
                  SIZES[scale.letter], 0)
    peer = Peer("umoci gc", lambda target: [
        "umoci", "gc", "--layout", bench.path(target)], True, None)
    yield from collected("B4", Collected(bench, scale, shape), [peer])


BENCHES = {"prune-registry": b3_prune_registry, "prune-wide": b3_prune_wide,
           "prune-tall": b3_prune_tall, "prune-oci": b4_prune_layout}

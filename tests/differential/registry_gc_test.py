#!/usr/bin/env python3
"""Random registry trees through the registry's own collector and through ours.

Each tree is written file by file (tests/e2e/known_truth_test.py), a part of them
with damage.  `docker-registry garbage-collect` runs over a copy, without and then
with --delete-untagged; ours over the tree.  Whatever blob or name one of the two
leaves and the other does not has to be one of the peer's known faults (below),
each of which has a rule that says which blobs of this very tree it may concern;
anything else fails, with the seed.  Ours has to keep what an oracle keeps, and
nothing else but what is in doubt.

Run me from the root, after `bazel build //cli:reclaim //server:reclaimd`;
tools/test does.  RECLAIM_TREES sets how many, RECLAIM_SEED the first seed.
"""
import collections
import os
import random
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "e2e"))
from e2e_test import CLI, World, blobs  # noqa: E402
from known_truth_test import Registry, write  # noqa: E402
import xml_cases  # noqa: E402
import xml_results  # noqa: E402

TREES = int(os.environ.get("RECLAIM_TREES", "200"))
SEED = int(os.environ.get("RECLAIM_SEED", "20260301"))
MEMORY = "/dev/shm"
# Done, but for what is kept and named.
PARTIAL = 3

# What the two may differ in.  "lost": the peer deletes what ours keeps.
KNOWN = {
    "lost_of_an_index": "below a child of a tagged index, which has no tag",
    "lost_of_a_referrer": "signatures and the like of what is kept",
    "lost_of_an_unlinked_child":
        "parts of a child of a tagged index whose link a client has deleted",
    "lost_of_a_missing_manifest": "what a manifest named that is not there",
    "lost_in_doubt": "what else the repository of a damaged manifest links",
    "left_after_a_stop":
        "the peer stops at damage, and with the flag at a repository that never "
        "had a tag, and deletes nothing",
    "left_untagged": "what manifests without a tag name: kept without the flag",
    "lost_links": "links to children of indexes and to referrers",
    "lost_history": "former manifests of a tag, that are kept",
    "left_links": "links of a repository to what it does not keep",
    "left_history": "former manifests of a tag, that the repository has lost",
    "left_uploads": "uploads that nobody goes on with",
}
DAMAGES = ("none",) * 12 + ("torn", "missing", "empty_link", "stray",
                            "unlinked_child", "unlinked_child")


def names_below(root):
    """Paths of links and uploads, from the folder of repositories on."""
    top = os.path.join(root, "docker/registry/v2/repositories")
    return {os.path.relpath(os.path.join(path, name), top)
            for path, _, files in os.walk(top) for name in files}


class Tree(Registry):
    """A registry's tree, and what may become of it."""

    def __init__(self, root, rng):
        self.root = root
        self.rng = rng
        self.tags = {}  # (repository, tag): digest
        self.linked = {}  # repository: digests
        super().__init__(root, rng)
        self.add_leftovers()
        self.damage = rng.choice(DAMAGES)
        self.victim = None
        self.of_victim = set()
        self.in_doubt = set()
        getattr(self, "do_" + self.damage)()
        roots = set(self.tags.values())
        self.kept = self.content.reached(roots)
        self.kept_by_tags = self.content.reached(roots, with_referrers=False)
        self.names = names_below(root)
        self.peer_stops = {untagged: self.stops(untagged)
                           for untagged in (False, True)}

    # What is written, seen on the way.

    def tag(self, name, tag, digest):
        self.tags[name, tag] = digest
        super().tag(name, tag, digest)

    def link(self, folder, digest):
        self.linked.setdefault(folder.rsplit("/_", 1)[0], set()).add(digest)
        return super().link(folder, digest)

    def revision_folder(self, name, digest):
        return os.path.join(self.top, "repositories", name,
                            "_manifests/revisions/sha256", digest[7:])

    def manifests_of(self, name):
        return sorted(self.linked[name] & set(self.content.kinds))

    def add_leftovers(self):
        """Former manifests of tags, folders of tags that are gone, uploads."""
        for name in sorted(self.linked):
            if self.rng.random() < 0.8:
                os.makedirs(os.path.join(self.top, "repositories", name,
                                         "_manifests/tags"), exist_ok=True)
        for (name, tag), _ in sorted(self.tags.items()):
            if self.rng.random() < 0.3:
                former = self.rng.choice(self.manifests_of(name))
                write(os.path.join(
                    self.top, "repositories", name, "_manifests/tags", tag,
                    "index/sha256", former[7:], "link"), former.encode())
        if self.rng.random() < 0.3:
            folder = os.path.join(self.top, "repositories/app/_uploads",
                                  "0c9d1d30-0f0e-4b63-9d6a-1f3d0e1b2c3d")
            write(os.path.join(folder, "data"), b"x" * 5000)
            write(os.path.join(folder, "startedat"), b"2020-01-01T00:00:00Z")
            for path in (os.path.join(folder, "data"),
                         os.path.join(folder, "startedat"), folder):
                os.utime(path, (1577836800, 1577836800))

    # Damage, one kind a tree.

    def do_none(self):
        pass

    def choose_victim(self):
        self.victim = self.rng.choice(sorted(self.content.kinds))
        self.of_victim = self.content.reached([self.victim],
                                              with_referrers=False)

    def forget_edges_of_victim(self):
        self.content.parts.pop(self.victim, None)
        self.content.children.pop(self.victim, None)
        for referrers in self.content.referrers.values():
            if self.victim in referrers:
                referrers.remove(self.victim)

    def doubt_repositories(self):
        """What decision 0009 keeps for a manifest that nobody understands."""
        doubted = {name for name, linked in self.linked.items()
                   if self.victim in linked}
        everywhere = set().union(*self.linked.values())
        links = set().union(*(self.linked[name] for name in doubted))
        self.in_doubt = self.content.reached(links)
        self.in_doubt |= set(self.content.data) - everywhere

    def do_torn(self):
        self.choose_victim()
        data = self.content.data[self.victim]
        write(self.blob_path(self.victim),
              data[:self.rng.randrange(len(data))])
        self.forget_edges_of_victim()
        self.doubt_repositories()

    def do_missing(self):
        self.choose_victim()
        os.unlink(self.blob_path(self.victim))
        del self.content.data[self.victim]
        self.forget_edges_of_victim()
        if self.victim in self.tags.values():
            self.doubt_repositories()

    def do_empty_link(self):
        self.choose_victim()
        name = self.rng.choice(sorted(
            name for name, linked in self.linked.items()
            if self.victim in linked))
        write(os.path.join(self.revision_folder(name, self.victim), "link"),
              b"")

    def do_stray(self):
        write(os.path.join(self.top, "blobs/sha256/zz/stray/data"), b"?")

    def do_unlinked_child(self):
        """As after a DELETE of one platform over the registry's API."""
        tagged = set(self.tags.values())
        children = sorted({child for index in tagged for child in
                           self.content.children.get(index, [])} - tagged)
        if not children:
            return
        self.victim = self.rng.choice(children)
        self.of_victim = self.content.reached([self.victim])
        for name in self.linked:
            shutil.rmtree(self.revision_folder(name, self.victim), True)

    # What is known of the peer.

    def stops(self, untagged):
        if untagged and any(self.never_tagged(name) for name in self.linked):
            return True
        if self.damage == "torn":
            return not untagged or self.victim in self.tags.values()
        return self.damage in ("empty_link", "stray")

    def never_tagged(self, name):
        """Whether it has manifests and not even a folder for tags."""
        folder = os.path.join(self.top, "repositories", name, "_manifests")
        return (not os.path.exists(os.path.join(folder, "tags")) and
                any(digest in self.content.data and os.path.exists(
                    os.path.join(self.revision_folder(name, digest), "link"))
                    for digest in self.manifests_of(name)))

    def below_children(self):
        children = [child for index in self.kept_by_tags
                    for child in self.content.children.get(index, [])]
        return self.content.reached(children, with_referrers=False)

    def named_by_linked(self):
        named = set()
        for linked in self.linked.values():
            for digest in linked & set(self.content.kinds):
                named |= {digest}
                named.update(self.content.parts.get(digest, []))
                named.update(self.content.children.get(digest, []))
        return named

    def why_lost(self, digest, untagged):
        """Of a blob that ours has kept and the peer has not."""
        if digest not in self.kept:
            if digest not in self.in_doubt:
                return None
            return ("lost_of_a_missing_manifest"
                    if self.damage == "missing" and digest in self.of_victim
                    else "lost_in_doubt")
        if self.damage == "unlinked_child" and digest in self.of_victim:
            return "lost_of_an_unlinked_child"
        if not untagged:
            return None
        if digest not in self.kept_by_tags:
            return "lost_of_a_referrer"
        return ("lost_of_an_index" if digest in self.below_children()
                else None)

    def why_left(self, digest, untagged, stopped):
        """Of a blob that the peer has kept and ours has not."""
        if digest in self.kept:
            return None
        if stopped:
            return "left_after_a_stop"
        if not untagged and digest in self.named_by_linked():
            return "left_untagged"
        return None

    def why_name_lost(self, name, untagged):
        digest = "sha256:" + name.split("/")[-2]
        if not untagged or digest not in self.kept | self.in_doubt:
            return None
        if "/_manifests/revisions/" in name:
            return "lost_links"
        return ("lost_history" if "/_manifests/tags/" in name
                and "/index/" in name else None)

    def why_name_left(self, name, our_names):
        if name in self.needed_names():
            return None
        if "/_uploads/" in name:
            return "left_uploads"
        if "/_manifests/tags/" in name and "/index/" in name:
            revision = "%s/_manifests/revisions/%s/link" % (
                name.split("/_")[0], "/".join(name.split("/")[-3:-1]))
            return None if revision in our_names else "left_history"
        if "/_layers/" in name or "/_manifests/revisions/" in name:
            return "left_links"
        return None

    def needed_names(self):
        """The links that the tags of each repository need there."""
        reached = {}
        for (name, _), digest in self.tags.items():
            reached.setdefault(name, set()).update(
                self.content.reached([digest]))
        return {name for name in self.names if name.endswith("/link") and (
            name.endswith("/current/link") or (
                "/_manifests/tags/" not in name and
                "sha256:" + name.split("/")[-2] in
                reached.get(name.split("/_")[0], set())))}


class RegistryGcTest(World):

    def setUp(self):
        super().setUp()
        # Nothing here is about the disk, and a sync of one takes a while.
        if os.access(MEMORY, os.W_OK):
            self.folder = tempfile.mkdtemp(prefix="reclaim-gc-", dir=MEMORY)
            self.addCleanup(shutil.rmtree, self.folder, True)
        self.counts = collections.Counter()
        with open(self.path("peer.yml"), "w", encoding="utf-8") as file:
            file.write("version: 0.1\nlog: {level: error}\nstorage:\n"
                       "  filesystem: {rootdirectory: /nowhere}\n"
                       "  delete: {enabled: true}\n")
        self.start_daemon()

    def peer(self, root, untagged):
        """(whether it stopped, what it said)."""
        done = subprocess.run(
            ["docker-registry", "garbage-collect", self.path("peer.yml")] +
            ["--delete-untagged"] * untagged,
            env=dict(os.environ,
                     REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=root),
            capture_output=True, text=True, check=False)
        return done.returncode != 0, done.stdout[-500:] + done.stderr[-1500:]

    def ours(self, tree, root, seed):
        """What is left when ours has been here."""
        store = "s%d" % seed
        self.reclaim("store", "add", "registry:" + root, "--name", store,
                     "--write-duration", "0s", "--descriptor-cache", "none")
        done = subprocess.run(
            [CLI, "--host", "unix:" + self.path("r.sock"), "system", "prune",
             "--store", store, "--force", "--purge"],
            capture_output=True, text=True, check=False)
        whole = tree.damage in ("none", "unlinked_child", "empty_link")
        self.assertIn(done.returncode, (0,) if whole else (0, PARTIAL),
                      done.stdout + done.stderr)
        return blobs(root), names_below(root)

    def check_alone(self, tree, ours, names):
        """Ours beside the oracle."""
        there = set(tree.content.data)
        self.assertEqual(tree.kept - ours, set(), "live and gone")
        self.assertEqual(ours - tree.kept - tree.in_doubt - {"sha256:stray"},
                         set(), "garbage and kept")
        self.assertEqual(tree.needed_names() - names, set())
        self.counts["trees_with_damage"] += tree.damage != "none"
        self.counts["deleted_by_ours"] += len(there - ours)
        self.counts["kept_by_ours"] += len(ours)

    def count(self, why, what):
        self.assertIn(why, KNOWN, what)
        self.counts[why] += 1

    def compare(self, tree, root, untagged, ours, names):
        stopped, said = self.peer(root, untagged)
        self.assertEqual(stopped, tree.peer_stops[untagged],
                         tree.damage + ": " + said)
        theirs, their_names = blobs(root), names_below(root)
        for digest in sorted(ours - theirs):
            self.count(tree.why_lost(digest, untagged), digest)
        for digest in sorted(theirs - ours):
            self.count(tree.why_left(digest, untagged, stopped), digest)
        for name in sorted(names - their_names):
            self.count(tree.why_name_lost(name, untagged), name)
        for name in sorted(their_names - names):
            self.count(tree.why_name_left(name, names), name)
        self.counts["runs_of_the_peer"] += 1
        self.counts["runs_that_stopped"] += stopped

    def check(self, seed):
        root = self.path("tree-%d" % seed)
        copy = self.path("peer-%d" % seed)
        os.makedirs(root)
        tree = Tree(root, random.Random(seed))
        shutil.copytree(root, copy)
        ours, names = self.ours(tree, root, seed)
        self.check_alone(tree, ours, names)
        # What is left by the first is what the second one would leave of the
        # rest: it keeps less, and nothing that the first did not keep.
        for untagged in (False, True):
            with self.subTest(untagged=untagged):
                self.compare(tree, copy, untagged, ours, names)
        shutil.rmtree(copy)

    def test_random_trees(self):
        for seed in range(SEED, SEED + TREES):
            with self.subTest(seed=seed):
                self.check(seed)
        print("%d trees from seed %d" % (TREES, SEED))
        for name, count in sorted(self.counts.items()):
            print("%8d %s%s" % (count, name.replace("_", " "),
                                ": " + KNOWN[name] if name in KNOWN else ""))
            xml_cases.FIGURES["registry_gc_" + name] = count
        xml_cases.FIGURES["registry_gc_trees"] = TREES
        if TREES >= 200:
            self.assertEqual(set(KNOWN) - set(self.counts), set(),
                             "a known fault that is gone, or never met")


if __name__ == "__main__":
    xml_results.main()

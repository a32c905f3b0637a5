#!/usr/bin/env python3
"""Known faults of the registry's own collector, each beside ours on the same tree.

Run me from the root, after `bazel build //cli:reclaim //server:reclaimd`;
tools/test does.  When the peer has lost a fault, its half of the test fails: then
the fault is gone and this file is to be changed.
"""
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from e2e_test import CLI, World, blobs, disk_bytes, images, run  # noqa: E402

DAMAGED = "team/worker"
# Done, but for what is kept and named.
PARTIAL = 3


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def files_below(folder):
    return [os.path.join(path, name) for path, _, names in os.walk(folder)
            for name in names]


def empty_folders(folder):
    return [path for path, folders, names in os.walk(folder)
            if not folders and not names]


class PeerFaultsTest(World):
    """Damage is done to a copy for the peer and, alike, to the store of ours."""

    keeps_configuration = True

    def setUp(self):
        super().setUp()
        self.start_registry()
        self.fill()
        self.root = self.path("registry")

    # The trees.

    @staticmethod
    def top(root):
        return os.path.join(root, "docker/registry/v2")

    def blob_path(self, root, digest):
        return os.path.join(self.top(root), "blobs/sha256", digest[7:9],
                            digest[7:], "data")

    def revision_link(self, root):
        """Of the one image of the repository that is damaged."""
        links = files_below(os.path.join(
            self.top(root), "repositories", DAMAGED, "_manifests/revisions"))
        self.assertEqual(len(links), 1)
        return links[0]

    def manifest_path(self, root):
        return self.blob_path(root, read(self.revision_link(root)))

    def parts_of_damaged(self):
        manifest = json.loads(read(self.manifest_path(self.root)))
        return {part["digest"]
                for part in [manifest["config"]] + manifest["layers"]}

    # The two collectors.

    def peer(self, name, damage):
        """(exit code, what it says, its tree) over a damaged copy."""
        root = self.path(name)
        shutil.copytree(self.root, root)
        damage(root)
        write(self.path(name + ".yml"),
              "version: 0.1\nlog: {level: error}\nstorage:\n"
              "  filesystem: {rootdirectory: %s}\n"
              "  delete: {enabled: true}\n" % root)
        done = subprocess.run(
            ["docker-registry", "garbage-collect", self.path(name + ".yml")],
            capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr, root

    def ours(self, damage=lambda root: None, grace="0s"):
        """What the first scan of our damaged tree says, and its exit code."""
        damage(self.root)
        write(self.path("reclaim.toml"),
              '[gc]\ngrace_period = "%s"\nupload_lifetime = "1h"\n'
              "large_plan_percent = 100\n" % grace)
        self.start_daemon()
        self.add_registry()
        return self.call("scan", "hub")

    def call(self, *arguments):
        done = subprocess.run(
            [CLI, "--host", "unix:" + self.path("r.sock"), *arguments],
            capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def prune(self, code=0):
        """What our collector says over the whole store, bytes freed as well."""
        found, said = self.call("system", "prune", "--force", "--purge")
        self.assertEqual(found, code, said)
        return said

    # PEERS, 3.

    def test_a_blob_that_no_manifest_names_yet(self):
        """A push between its last upload and its manifest."""
        digest = images.upload(self.registry, DAMAGED, b"of a push under way")
        before = blobs(self.root)
        self.assertIn(digest, before)
        code, _, root = self.peer("peer", lambda root: None)
        self.assertEqual(code, 0)
        self.assertNotIn(digest, blobs(root))
        self.ours(grace="24h")
        self.prune()
        self.assertEqual(blobs(self.root), before)

    # PEERS, 4.

    def test_an_empty_link(self):
        """The peer stops and does not say where.  Ours counts it as a whole
        one, for its path says what it is of, collects the rest, and says which
        pull fails; a push mends that."""
        link = os.path.relpath(self.revision_link(self.root), self.root)

        def damage(root):
            write(os.path.join(root, link), "")

        code, said, root = self.peer("peer", damage)
        self.assertEqual(code, 1, said)
        self.assertNotIn(DAMAGED, said.split("failed to garbage collect")[1])
        before = blobs(self.root)
        self.assertEqual(blobs(root), before)
        digest = read(os.path.join(self.root, link))
        parts = self.parts_of_damaged()
        code, said = self.ours(damage)
        self.assertEqual(code, 0, said)
        said = self.call("verify", "hub")[1]
        self.assertIn("empty-link", said)
        self.assertIn("%s@%s" % (DAMAGED, digest), said)
        self.prune()
        self.assertEqual(parts - blobs(self.root), set())
        self.assertEqual(len(before - blobs(self.root)), 4)
        # What a registry does with it.
        with self.assertRaises(urllib.error.HTTPError) as refused:
            self.get_manifest(DAMAGED, digest)
        refused.exception.close()
        manifest = read(self.blob_path(self.root, digest)).encode()
        images.request(
            "PUT", "http://%s/v2/%s/manifests/%s" %
            (self.registry, DAMAGED, digest), data=manifest,
            headers={"Content-Type": json.loads(manifest)["mediaType"]})
        self.assertEqual(read(os.path.join(self.root, link)), digest)
        self.pull_everything()

    def test_an_empty_tag(self):
        """What it named nobody knows: ours says where, loses nothing, and
        collects when the damage is gone."""
        link = os.path.relpath(os.path.join(
            os.path.dirname(self.revision_link(self.root)),
            "../../../tags/latest/current/link"), self.root)
        digest = read(os.path.join(self.root, link))
        before = blobs(self.root)
        code, said = self.ours(
            lambda root: write(os.path.join(root, link), ""))
        self.assertEqual(code, PARTIAL)
        self.assertIn(link, said)
        said = self.prune(code=PARTIAL)
        self.assertIn("the whole store is kept", said)
        self.assertEqual(blobs(self.root), before)
        self.assertIn("Images", self.reclaim("df"), "the rest goes on")
        write(os.path.join(self.root, link), digest)
        self.reclaim("scan", "hub")
        self.prune()
        self.assertEqual(len(before - blobs(self.root)), 4)
        self.pull_everything()

    def test_a_truncated_manifest(self):
        parts = self.parts_of_damaged()
        digest = read(self.revision_link(self.root))

        def damage(root):
            path = self.blob_path(root, digest)
            text = read(path)
            write(path, text[:len(text) // 2])

        code, said, root = self.peer("peer", damage)
        self.assertEqual(code, 1, said)
        before = blobs(self.root)
        self.assertEqual(blobs(root), before)
        code, said = self.ours(damage)
        self.assertEqual(code, PARTIAL)
        self.assertIn(digest + ": the file holds other bytes", said)
        # Its repository is kept, the others are collected.
        self.assertIn(digest, self.prune(code=PARTIAL))
        self.assertEqual(parts - blobs(self.root), set())
        self.assertEqual(len(before - blobs(self.root)), 4)

    def test_a_stray_folder(self):
        stray = "blobs/sha256/zz/stray/data"

        def damage(root):
            write(os.path.join(self.top(root), stray), "what is this?")

        code, said, root = self.peer("peer", damage)
        self.assertEqual(code, 1, said)
        self.assertNotIn("stray", said.split("failed to garbage collect")[1])
        before = blobs(root)
        self.ours(damage)
        self.prune()
        self.assertEqual(len(before - blobs(self.root)), 4)
        self.assertTrue(os.path.exists(
            os.path.join(self.top(self.root), stray)))
        self.pull_everything()

    # PEERS, 5.

    def test_a_missing_manifest(self):
        parts = self.parts_of_damaged()
        digest = read(self.revision_link(self.root))

        def damage(root):
            os.unlink(self.blob_path(root, digest))

        manifest = read(self.blob_path(self.root, digest))
        code, said, root = self.peer("peer", damage)
        self.assertEqual(code, 0, said)
        lost = parts - blobs(root)
        self.assertEqual(len(lost), 2, "what nothing else references")
        code, said = self.ours(damage)
        self.assertEqual(code, PARTIAL)
        self.assertIn("%s: %s:latest names it, and it is not there" %
                      (digest, DAMAGED), said)
        # Its repository is kept, the others are collected.
        before = blobs(self.root)
        code, said = self.call("plan")
        self.assertEqual(code, PARTIAL, said)
        self.assertIn(DAMAGED + " is kept as it is", said)
        self.prune(code=PARTIAL)
        self.assertEqual(parts - blobs(self.root), set())
        self.assertEqual(len(before - blobs(self.root)), 4)
        self.assertIn(digest, self.call("verify", "hub")[1])
        # Given back, all is as it was.
        write(self.blob_path(self.root, digest), manifest)
        self.reclaim("scan", "hub")
        self.prune()
        self.pull_everything()

    # PEERS, 6.

    def test_what_a_collection_leaves_behind(self):
        upload = os.path.join(self.top(self.root), "repositories/app/_uploads",
                              "0c9d1d30-0f0e-4b63-9d6a-1f3d0e1b2c3d")
        write(os.path.join(upload, "data"), "x" * 50_000)
        write(os.path.join(upload, "startedat"), "2020-01-01T00:00:00Z")
        old = time.time() - 7200
        for path in files_below(upload) + [upload]:
            os.utime(path, (old, old))
        empty = set(empty_folders(self.root))
        code, said, root = self.peer("peer", lambda root: None)
        self.assertEqual(code, 0)
        self.assertNotRegex(said, r"(?i)bytes|[0-9] ?[kM]B")
        self.assertTrue(self.dangling_links(root))
        self.assertTrue(os.path.exists(
            os.path.join(root, os.path.relpath(upload, self.root))))
        self.ours()
        before = disk_bytes(self.root)
        self.reclaim("system", "prune", "--force")
        said = self.reclaim("purge", "--now", "--force")
        freed = int(said.split(" bytes on disk)")[0].split("(")[-1])
        self.assertEqual(before - disk_bytes(self.root), freed)
        self.assertEqual(self.dangling_links(self.root), [])
        self.assertFalse(os.path.exists(upload))
        # The registry's own deletions have emptied some; ours leave none.
        self.assertLessEqual(set(empty_folders(self.root)), empty)
        self.pull_everything()

    def dangling_links(self, root):
        """Links to layers that are gone, or in a repository without images."""
        top = os.path.join(self.top(root), "repositories")
        there = blobs(root)
        return [path for path in files_below(top) if "/_layers/" in path and
                (read(path) not in there or path.startswith(top + "/legacy/"))]


if __name__ == "__main__":
    run("__main__", "peer-faults")

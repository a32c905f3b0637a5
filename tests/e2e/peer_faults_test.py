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

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "registry_race")]
from e2e_test import CLI, REGISTRY, World, await_port  # noqa: E402
from e2e_test import blobs, disk_bytes, images, run  # noqa: E402
from registry_client import (  # noqa: E402
    MANIFEST, OCI, Broken, Client, digest_of)

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


class OurWorld(World):

    keeps_configuration = True

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


class PeerFaultsTest(OurWorld):
    """Damage is done to a copy for the peer and, alike, to the store of ours."""

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


class DescriptorCacheTest(OurWorld):
    """PEERS, 2: a registry that answers from memory, and a collector beside it.

    An image is deleted and collected; the registry still says that it has the
    layer, so a client does not send it, and its manifest is accepted."""

    CONFIG = b'{"architecture": "amd64", "os": "linux"}'
    LAYER = b"a layer that the registry remembers" * 100

    def setUp(self):
        super().setUp()
        self.root = self.path("registry")
        self.start_registry()
        self.assertEqual(self.push("v1"), [self.CONFIG, self.LAYER])
        self.assertEqual(self.why_not_whole("v1"), "")
        self.assertEqual(
            self.client.delete_manifest("app", digest_of(self.manifest("v1"))),
            202)

    def start_registry(self):
        write(self.path("registry.yml"),
              "version: 0.1\n"
              "log: {level: info, accesslog: {disabled: true}}\nstorage:\n"
              "  filesystem: {rootdirectory: %s}\n"
              "  delete: {enabled: true}\n"
              "  cache: {blobdescriptor: inmemory}\n"
              'http: {addr: "127.0.0.1:0"}\n' % self.root)
        process = self.start("docker-registry", "serve",
                             self.path("registry.yml"))
        self.registry = "127.0.0.1:%d" % await_port(process, REGISTRY)
        self.client = Client(self.registry)
        self.addCleanup(self.client.close)
        return process

    def restart_registry(self):
        """It remembers nothing."""
        self.client.close()
        self.stop(self.processes["docker-registry"])
        self.start_registry()

    def start(self, *command):
        process = super().start(*command)
        self.processes = dict(getattr(self, "processes", {}),
                              **{command[0]: process})
        return process

    def manifest(self, tag):
        """Of each tag another one, over the same blobs."""
        config, layer = ({"digest": digest_of(data), "size": len(data),
                          "mediaType": OCI + media_type}
                         for data, media_type in (
                             (self.CONFIG, "config.v1+json"),
                             (self.LAYER, "layer.v1.tar")))
        return json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config,
            "layers": [layer], "annotations": {"of": tag}}).encode()

    def push(self, tag):
        """What was sent: as docker does, nothing that is said to be there."""
        sent = [data for data in (self.CONFIG, self.LAYER)
                if not self.client.has_blob("app", digest_of(data))]
        for data in sent:
            self.client.upload("app", data)
        self.client.put_manifest("app", tag, self.manifest(tag))
        return sent

    def why_not_whole(self, tag):
        try:
            return self.client.why_not_whole("app", tag,
                                             digest_of(self.manifest(tag)))
        except Broken as error:
            return str(error)

    def push_over_what_was_collected(self):
        """The same image again, and another one over its blobs."""
        self.assertEqual(blobs(self.root), set())
        self.assertTrue(self.client.has_blob("app", digest_of(self.LAYER)))
        # 200, and no body.
        with self.assertRaisesRegex(Broken, r"IncompleteRead\(0 bytes"):
            self.client.get("/v2/app/blobs/" + digest_of(self.LAYER))
        for tag in ("v1", "v2"):
            self.assertEqual(self.push(tag), [])

    def test_beside_the_registrys_own_collector(self):
        subprocess.run(["docker-registry", "garbage-collect",
                        self.path("registry.yml")], check=True,
                       capture_output=True)
        self.push_over_what_was_collected()
        # Two pushes were accepted, of which one has left a manifest.
        self.assertEqual(blobs(self.root), {digest_of(self.manifest("v2"))})
        for _ in range(2):
            self.assertIn("manifests/v1: 404", self.why_not_whole("v1"))
            self.assertNotEqual(self.why_not_whole("v2"), "")
            self.restart_registry()
        self.assertFalse(self.client.has_blob("app", digest_of(self.LAYER)))

    def start_ours(self):
        """As docs/OPERATING.md, "Descriptor caches", says."""
        write(self.path("reclaim.toml"), """[gc]
grace_period = "0s"
large_plan_percent = 100
[[store]]
uri = "registry:%s"
name = "hub"
registry_url = "http://%s"
descriptor_cache = "memory"
write_duration_max = "0s"
""" % (self.root, self.registry))
        return self.start_daemon()

    def collect_and_push(self):
        """Our daemon, that nobody has told of the pushes."""
        for path in files_below(self.root):
            os.utime(path, (time.time() - 7200, time.time() - 7200))
        daemon = self.start_ours()
        said = self.prune(code=PARTIAL)
        run = said.split("; run ")[1].split()[0]
        self.assertIn("may remember it in a descriptor cache",
                      self.reclaim("runs", "show", run))
        self.push_over_what_was_collected()
        return daemon

    def expect_whole(self):
        for tag in ("v1", "v2"):
            self.assertEqual(self.why_not_whole(tag), "")
        self.assertIn("0 findings", self.reclaim("verify", "--read-data"))

    def test_beside_ours(self):
        self.collect_and_push()
        # The next collection finds it needed, and gives it back.
        self.prune()
        self.expect_whole()
        self.restart_registry()
        self.expect_whole()

    def test_beside_ours_when_the_memory_is_lost_before_anybody_looks(self):
        daemon = self.collect_and_push()
        self.restart_registry()
        # It listens on another port now.
        self.stop(daemon)
        self.start_ours()
        self.reclaim("purge", "--now", "--force")
        self.expect_whole()


if __name__ == "__main__":
    run("__main__", "peer-faults")

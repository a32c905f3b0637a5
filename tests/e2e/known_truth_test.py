#!/usr/bin/env python3
"""Random registry trees and image layouts of which is known what has to stay.

Each is written file by file, with nested and sparse indexes, untagged manifests,
orphans, shared bases, referrers, layers that are not here, and both families of
media types; what has to stay is found by an oracle that shares nothing with the
service.  Then for each: a prune with its defaults keeps exactly that; what the
plan predicts, what apply reports and what the disk loses by the purge is one
figure; and a restore gives back the tree, byte for byte and name for name.

Run me from the root, after `bazel build //cli:reclaim //server:reclaimd`;
tools/test does.  RECLAIM_TREES sets how many of each kind, RECLAIM_SEED the
first seed.
"""
import json
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from e2e_test import World, disk_bytes, snapshot  # noqa: E402
from quickstart_images import digest_of  # noqa: E402
import xml_cases  # noqa: E402
import xml_results  # noqa: E402

TREES = int(os.environ.get("RECLAIM_TREES", "20"))
SEED = int(os.environ.get("RECLAIM_SEED", "20260101"))

FAMILIES = {
    "oci": {
        "manifest": "application/vnd.oci.image.manifest.v1+json",
        "index": "application/vnd.oci.image.index.v1+json",
        "config": "application/vnd.oci.image.config.v1+json",
        "layer": "application/vnd.oci.image.layer.v1.tar+gzip",
        "foreign":
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    },
    "docker": {
        "manifest": "application/vnd.docker.distribution.manifest.v2+json",
        "index":
            "application/vnd.docker.distribution.manifest.list.v2+json",
        "config": "application/vnd.docker.container.image.v1+json",
        "layer": "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "foreign":
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    },
}


class Content:
    """Manifests and blobs in one place, and what references what."""

    def __init__(self, rng):
        self.rng = rng
        self.data = {}  # of what is here
        self.parts = {}  # of a manifest: config and layers
        self.children = {}  # of an index
        self.referrers = {}  # of a subject
        self.kinds = {}  # of a manifest: its media type
        self.bases = [self.blob() for _ in range(3)]
        for _ in range(rng.randrange(3, 9)):
            self.image()
        for _ in range(rng.randrange(4)):
            self.index()
        for _ in range(rng.randrange(4)):
            self.referrer()
        self.orphans = [self.blob() for _ in range(rng.randrange(3))]

    def put(self, data):
        digest = digest_of(data)
        self.data[digest] = data
        return digest

    def blob(self):
        return self.put(self.rng.randbytes(self.rng.choice(
            (0, 1, 700, 5_000, 70_000))) + b"%d" % self.rng.getrandbits(64))

    def absent(self):
        return digest_of(self.rng.randbytes(16))

    def descriptor(self, media_type, digest):
        return {"mediaType": media_type, "digest": digest,
                "size": len(self.data.get(digest, b"12345"))}

    def manifest(self, media_type, members):
        document = {"schemaVersion": 2, "mediaType": media_type, **members}
        if "oci" in media_type and self.rng.random() < 0.3:
            del document["mediaType"]  # as the first version of the spec
        digest = self.put(json.dumps(document).encode())
        self.kinds[digest] = media_type
        return digest

    def any_manifest(self):
        return self.rng.choice(sorted(self.kinds))

    def image(self):
        types = FAMILIES[self.rng.choice(("oci", "docker"))]
        config = self.put(json.dumps(
            {"os": "linux", "id": self.rng.getrandbits(64)}).encode())
        layers = [self.rng.choice(self.bases)]
        layers += [self.blob() for _ in range(self.rng.randrange(3))]
        if self.rng.random() < 0.2:
            layers.append(layers[0])  # the same twice
        described = [self.descriptor(types["layer"], one) for one in layers]
        if self.rng.random() < 0.2:
            layers.append(self.absent())
            described.append(self.descriptor(types["foreign"], layers[-1]))
        digest = self.manifest(types["manifest"], {
            "config": self.descriptor(types["config"], config),
            "layers": described})
        self.parts[digest] = [config] + layers

    def index(self):
        types = FAMILIES[self.rng.choice(("oci", "docker"))]
        children = [self.any_manifest()
                    for _ in range(self.rng.randrange(4))]
        described = [self.descriptor(self.kinds[one], one) for one in children]
        for _ in range(self.rng.randrange(3)):
            children.append(self.absent())
            described.append(self.descriptor(types["manifest"], children[-1]))
        digest = self.manifest(types["index"], {"manifests": described})
        self.children[digest] = children

    def referrer(self):
        types = FAMILIES["oci"]
        subject = (self.absent() if self.rng.random() < 0.2
                   else self.any_manifest())
        config, layer = self.put(b"{}"), self.blob()
        digest = self.manifest(types["manifest"], {
            "artifactType": "application/spdx+json",
            "config": self.descriptor("application/vnd.oci.empty.v1+json",
                                      config),
            "layers": [self.descriptor("application/spdx+json", layer)],
            "subject": self.descriptor(types["manifest"], subject)})
        self.parts[digest] = [config, layer]
        self.referrers.setdefault(subject, []).append(digest)

    def reached(self, roots, with_referrers=True):
        seen, stack = set(), list(roots)
        while stack:
            digest = stack.pop()
            if digest in seen:
                continue
            seen.add(digest)
            stack += self.parts.get(digest, []) + self.children.get(digest, [])
            if with_referrers:
                stack += self.referrers.get(digest, [])
        return seen & set(self.data)


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


class Registry:
    """distribution's tree; what a push puts there, and what was untagged."""

    kind = "registry"

    def __init__(self, root, rng):
        self.top = os.path.join(root, "docker/registry/v2")
        self.content = Content(rng)
        self.links = {}  # of a repository: paths that its tags need
        roots = set()
        for digest, data in self.content.data.items():
            write(self.blob_path(digest), data)
        for digest in sorted(self.content.kinds):
            for name in rng.sample(("app", "team/web", "c"), rng.choice((1, 1, 2))):
                linked = self.push(name, digest)
                if rng.random() < 0.35:
                    self.tag(name, "v%d" % rng.randrange(1000), digest)
                    roots.add(digest)
                    self.links.setdefault(name, set()).update(linked)
        for digest in self.content.orphans:
            if rng.random() < 0.5:
                self.link("app/_layers", digest)
        self.kept = self.content.reached(roots)

    def blob_path(self, digest):
        return os.path.join(self.top, "blobs/sha256", digest[7:9], digest[7:],
                            "data")

    def link(self, folder, digest):
        path = os.path.join(self.top, "repositories", folder, "sha256",
                            digest[7:], "link")
        write(path, digest.encode())
        return path

    def push(self, name, top):
        """Links, as the registry wants them, all that it names."""
        paths = set()
        for digest in self.content.reached([top], with_referrers=False):
            folder = ("_manifests/revisions" if digest in self.content.kinds
                      else "_layers")
            paths.add(self.link(os.path.join(name, folder), digest))
        return paths

    def tag(self, name, tag, digest):
        folder = os.path.join(self.top, "repositories", name,
                              "_manifests/tags", tag)
        write(os.path.join(folder, "current/link"), digest.encode())
        write(os.path.join(folder, "index/sha256", digest[7:], "link"),
              digest.encode())

    def found(self):
        return {"sha256:" + os.path.basename(path) for path, _, files in
                os.walk(os.path.join(self.top, "blobs")) if "data" in files}

    def missing_names(self):
        return [path for paths in self.links.values() for path in paths
                if not os.path.exists(path)]


class Layouts:
    """A folder of image layouts; in some nothing has a name."""

    kind = "image-layout"

    def __init__(self, root, rng):
        self.root = root
        self.kept = set()
        self.names = {}
        self.contents = {}
        for place in ("a", "b/c", "d")[:rng.randrange(1, 4)]:
            self.layout(place, rng)

    def layout(self, place, rng):
        content = self.contents[place] = Content(rng)
        folder = os.path.join(self.root, place)
        write(os.path.join(folder, "oci-layout"),
              b'{"imageLayoutVersion": "1.0.0"}')
        for digest, data in content.data.items():
            write(os.path.join(folder, "blobs/sha256", digest[7:]), data)
        referrers = {one for many in content.referrers.values() for one in many}
        names, plain, entries = [], [], []
        has_names = rng.random() < 0.8
        for digest in sorted(content.kinds):
            entry = content.descriptor(content.kinds[digest], digest)
            if has_names and rng.random() < 0.35:
                name = "v%d" % len(names)
                names.append((name, digest))
                entry["annotations"] = {
                    "org.opencontainers.image.ref.name": name}
            elif digest in referrers or rng.random() < 0.4:
                plain.append(digest)
            else:
                continue
            entries.append(entry)
        write(os.path.join(folder, "index.json"), json.dumps(
            {"schemaVersion": 2, "manifests": entries}).encode())
        self.names[place] = {name for name, _ in names}
        # Where no entry has a name, all are kept.
        roots = [digest for _, digest in names] or plain
        self.kept |= {(place, one) for one in content.reached(roots)}

    def found(self):
        return {(place, "sha256:" + name) for place in self.names for name in
                os.listdir(os.path.join(self.root, place, "blobs/sha256"))}

    def missing_names(self):
        missing = []
        for place, names in self.names.items():
            with open(os.path.join(self.root, place, "index.json"),
                      encoding="utf-8") as file:
                there = {entry.get("annotations", {}).get(
                    "org.opencontainers.image.ref.name")
                    for entry in json.load(file)["manifests"]}
            missing += sorted(names - there)
        return missing


def on_disk(removed):
    return sum(int(part.get("allocated_bytes", 0))
               for part in (removed["bytes"].get("content", {}),
                            removed["bytes"].get("metadata", {})))


class KnownTruthTest(World):

    def setUp(self):
        super().setUp()
        self.start_daemon()

    def ask(self, kind, *command):
        """The last message of a kind that a command prints."""
        said = self.reclaim("--json", *command)
        return [message for message in map(json.loads, said.splitlines())
                if message["message_type"] == kind][-1]

    def store_of(self, kind, seed):
        root = self.path("%s-%d" % (kind.kind, seed))
        os.makedirs(root)
        tree = kind(root, random.Random(seed))
        self.reclaim("store", "add", "%s:%s" % (kind.kind, root), "--name",
                     "s", "--write-duration", "0s",
                     *(["--descriptor-cache", "none"]
                       if kind is Registry else []))
        return root, tree

    def check(self, kind, seed):
        """How many bytes it freed."""
        root, tree = self.store_of(kind, seed)
        size = disk_bytes(root)
        before = snapshot(root)
        garbage = tree.found() - tree.kept
        self.reclaim("scan", "s")
        plan = self.ask("plan", "plan", "--store", "s")
        self.assertEqual(snapshot(root), before, "a preview changes nothing")
        self.assertEqual(int(plan.get("blob_count", 0)), len(garbage))
        freed = 0
        if int(plan.get("item_count", 0)) > 0:
            self.restore(root, tree, plan["id"], before)
            freed = self.free(root, tree, size)
        self.assertEqual(tree.found(), tree.kept)
        self.assertEqual(size - disk_bytes(root), freed)
        self.assertIn("0 findings", self.reclaim("verify", "s", "--read-data"))
        self.reclaim("store", "rm", "s")
        return freed

    def restore(self, root, tree, plan, before):
        done = self.ask("summary", "apply", plan, "--force")
        self.assertEqual(tree.found(), tree.kept)
        self.assertEqual(tree.missing_names(), [])
        self.reclaim("restore", done["id"])
        after = {path: what for path, what in snapshot(root).items()
                 if path.split("/")[0] != ".reclaim"}
        self.assertEqual(after, before)

    def free(self, root, tree, size):
        plan = self.ask("plan", "plan", "--store", "s")
        done = self.ask("summary", "system", "prune", "--store", "s",
                        "--force")
        self.assertEqual(on_disk(done), on_disk(plan))
        self.assertEqual(tree.found(), tree.kept)
        self.assertEqual(tree.missing_names(), [])
        purged = self.ask("summary", "purge", "--store", "s", "--now",
                          "--force")
        self.assertEqual(on_disk(purged), on_disk(plan))
        self.assertEqual(size - disk_bytes(root), on_disk(plan))
        again = self.ask("plan", "plan", "--store", "s")
        self.assertEqual(int(again.get("item_count", 0)), 0)
        return on_disk(plan)

    def check_all(self, kind):
        freed = 0
        for seed in range(SEED, SEED + TREES):
            with self.subTest(seed=seed):
                freed += self.check(kind, seed)
        self.assertGreater(freed, 0)
        print("%s: %d trees from seed %d, %d bytes freed as predicted" %
              (kind.kind, TREES, SEED, freed))
        name = "trees_of_known_truth"
        xml_cases.FIGURES[name] = xml_cases.FIGURES.get(name, 0) + TREES

    def test_registries(self):
        self.check_all(Registry)

    def test_folders_of_image_layouts(self):
        self.check_all(Layouts)


if __name__ == "__main__":
    xml_results.main()

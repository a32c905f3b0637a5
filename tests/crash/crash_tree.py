"""A registry's tree that a test writes as distribution does, and what is live
in it by the plainest reading."""
import hashlib
import json
import os
import random

TOP = "docker/registry/v2"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def digest_of(data):
    return hashlib.sha256(data).hexdigest()


class CrashTree:
    """Blobs are small; what is `old` was written long before any grace."""

    def __init__(self, root, seed):
        self.root = root
        self.random = random.Random(seed)
        self.number = 0
        os.makedirs(os.path.join(root, TOP, "blobs", "sha256"))
        os.makedirs(os.path.join(root, TOP, "repositories"))

    def write(self, path, data, old):
        full = os.path.join(self.root, TOP, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        # The registry writes a file beside and renames it.
        with open(full + ".new", "wb") as file:
            file.write(data)
        if old:
            os.utime(full + ".new", (1600000000, 1600000000))
        os.rename(full + ".new", full)

    def blob_path(self, digest):
        return "blobs/sha256/%s/%s/data" % (digest[:2], digest)

    def put_blob(self, data, old):
        digest = digest_of(data)
        if not os.path.exists(os.path.join(self.root, TOP,
                                           self.blob_path(digest))):
            self.write(self.blob_path(digest), data, old)
        return digest

    def link(self, path, digest, old):
        self.write(path, b"sha256:" + digest.encode(), old)

    def put_image(self, repository, tag, old, shared=()):
        """Blobs, layer links, the manifest's blob, its link, then the tag."""
        self.number += 1
        base = "repositories/%s/" % repository
        layers = [self.random.randbytes(self.random.randrange(200, 9000))
                  for _ in range(self.random.randrange(1, 4))]
        layers += list(shared)
        config = json.dumps({"architecture": "amd64", "os": "linux",
                             "number": self.number,
                             "rootfs": {"type": "layers",
                                        "diff_ids": []}}).encode()
        parts = []
        for data in layers + [config]:
            digest = self.put_blob(data, old)
            self.link(base + "_layers/sha256/%s/link" % digest, digest, old)
            parts.append({"digest": "sha256:" + digest, "size": len(data)})
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": dict(parts[-1], mediaType=MANIFEST.replace(
                "manifest", "config")),
            "layers": [dict(part, mediaType="application/vnd.oci.image."
                                            "layer.v1.tar+gzip")
                       for part in parts[:-1]]}).encode()
        return self.put_manifest(repository, tag, manifest, old)

    def put_index(self, repository, tag, digests, old):
        index = json.dumps({
            "schemaVersion": 2, "mediaType": INDEX,
            "manifests": [{"mediaType": MANIFEST, "digest": "sha256:" + d,
                           "size": os.path.getsize(os.path.join(
                               self.root, TOP, self.blob_path(d)))}
                          for d in digests]}).encode()
        return self.put_manifest(repository, tag, index, old)

    def put_manifest(self, repository, tag, manifest, old):
        base = "repositories/%s/_manifests/" % repository
        digest = self.put_blob(manifest, old)
        self.link(base + "revisions/sha256/%s/link" % digest, digest, old)
        if tag:
            self.link(base + "tags/%s/index/sha256/%s/link" % (tag, digest),
                      digest, old)
            self.link(base + "tags/%s/current/link" % tag, digest, old)
        return digest

    def read_blob(self, digest):
        with open(os.path.join(self.root, TOP, self.blob_path(digest)),
                  "rb") as file:
            return file.read()

    def live(self):
        """Digests that tags reach; a KeyError or OSError is a loss."""
        seen = set()
        queue = []
        for path, _, files in os.walk(os.path.join(self.root, TOP,
                                                   "repositories")):
            if path.endswith("/current") and "link" in files:
                with open(os.path.join(path, "link")) as file:
                    queue.append(file.read()[len("sha256:"):])
        while queue:
            digest = queue.pop()
            if digest in seen:
                continue
            seen.add(digest)
            data = self.read_blob(digest)
            if digest_of(data) != digest:
                raise OSError("wrong bytes in " + digest)
            if data[:1] != b"{" or b"schemaVersion" not in data:
                continue
            manifest = json.loads(data)
            for part in (manifest.get("layers", []) +
                         manifest.get("manifests", []) +
                         [manifest[k] for k in ("config",) if k in manifest]):
                queue.append(part["digest"][len("sha256:"):])
        return seen

    def stored(self):
        return {os.path.basename(path) for path, _, files in os.walk(
            os.path.join(self.root, TOP, "blobs")) if "data" in files}

"""A registry's tree that a test writes as distribution does, and what is live
in it by the plainest reading."""
import hashlib
import json
import os
import random
import time

TOP = "docker/registry/v2"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


OLD = 1600000000  # when what is old was written
# After so long a writer looks at the blobs once more before it writes the tag.
LOOK_SECONDS_MAX = 0.1


def digest_of(data):
    return hashlib.sha256(data).hexdigest()


class CrashTree:
    """Blobs are small; what is `old` was written long before any grace."""

    def __init__(self, root, seed):
        self.root = root
        self.random = random.Random(seed)
        self.number = 0
        self.garbage = []  # the blobs of images that nothing named at first
        self.read = {}  # of a blob that was read: its file then, what it names
        os.makedirs(os.path.join(root, TOP, "blobs", "sha256"))
        os.makedirs(os.path.join(root, TOP, "repositories"))

    def write(self, path, data, old):
        full = os.path.join(self.root, TOP, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        # The registry writes a file beside and renames it.
        with open(full + ".new", "wb") as file:
            file.write(data)
        if old:
            os.utime(full + ".new", (OLD, OLD))
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

    def make_image(self, shared=()):
        """The bytes of layers, of a config, and of a manifest."""
        self.number += 1
        layers = [self.random.randbytes(self.random.randrange(200, 9000))
                  for _ in range(self.random.randrange(1, 4))]
        layers += list(shared)
        config = json.dumps({"architecture": "amd64", "os": "linux",
                             "number": self.number,
                             "rootfs": {"type": "layers",
                                        "diff_ids": []}}).encode()
        parts = [{"digest": "sha256:" + digest_of(data), "size": len(data)}
                 for data in layers + [config]]
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": dict(parts[-1], mediaType=MANIFEST.replace(
                "manifest", "config")),
            "layers": [dict(part, mediaType="application/vnd.oci.image."
                                            "layer.v1.tar+gzip")
                       for part in parts[:-1]]}).encode()
        return layers + [config, manifest]

    def push(self, repository, tag, image, old):
        """Blobs that are not there, layer links, the manifest's blob, its
        link, then the tag; the manifest's digest, and the seconds from the
        last look at a blob to the tag."""
        looked = 0
        while time.monotonic() - looked > LOOK_SECONDS_MAX:
            looked = time.monotonic()
            for data in image[:-1]:
                digest = self.put_blob(data, old)
                self.link("repositories/%s/_layers/sha256/%s/link" %
                          (repository, digest), digest, old)
            digest = self.put_manifest(repository, image[-1], old)
        if tag:
            self.put_tag(repository, tag, digest, old)
        return digest, time.monotonic() - looked

    def put_image(self, repository, tag, old, shared=()):
        return self.push(repository, tag, self.make_image(shared), old)[0]

    def put_garbage(self, repository):
        image = self.make_image()
        self.push(repository, None, image, True)
        self.garbage.append(image)

    def put_index(self, repository, tag, digests, old):
        index = json.dumps({
            "schemaVersion": 2, "mediaType": INDEX,
            "manifests": [{"mediaType": MANIFEST, "digest": "sha256:" + d,
                           "size": os.path.getsize(os.path.join(
                               self.root, TOP, self.blob_path(d)))}
                          for d in digests]}).encode()
        self.put_tag(repository, tag,
                     self.put_manifest(repository, index, old), old)

    def put_manifest(self, repository, manifest, old):
        digest = self.put_blob(manifest, old)
        self.link("repositories/%s/_manifests/revisions/sha256/%s/link" %
                  (repository, digest), digest, old)
        return digest

    def put_tag(self, repository, tag, digest, old):
        base = "repositories/%s/_manifests/tags/%s/" % (repository, tag)
        self.link(base + "index/sha256/%s/link" % digest, digest, old)
        self.link(base + "current/link", digest, old)

    def read_blob(self, digest, or_in_quarantine=False):
        try:
            with open(os.path.join(self.root, TOP, self.blob_path(digest)),
                      "rb") as file:
                return file.read()
        except FileNotFoundError:
            if not or_in_quarantine:
                raise
        for path, _, files in os.walk(os.path.join(self.root, ".reclaim")):
            for name in files:
                if digest in os.path.join(path, name):
                    with open(os.path.join(path, name), "rb") as file:
                        data = file.read()
                    if digest_of(data) == digest:
                        return data
        # It may have come back while we looked.
        return self.read_blob(digest)

    def links(self, folder):
        """Digest and time of each link in folders of this name."""
        for path, _, files in os.walk(os.path.join(self.root, TOP,
                                                   "repositories")):
            if "/%s" % folder in path and "link" in files:
                name = os.path.join(path, "link")
                with open(name) as file:
                    yield file.read()[len("sha256:"):], os.path.getmtime(name)

    def tagged(self):
        """The digests that tags name."""
        for path, folders, files in os.walk(os.path.join(self.root, TOP,
                                                         "repositories")):
            for name in ("_layers", "_uploads", "revisions", "index"):
                if name in folders:
                    folders.remove(name)
            if path.endswith("/current") and "link" in files:
                with open(os.path.join(path, "link")) as file:
                    yield file.read()[len("sha256:"):]

    def live(self, or_in_quarantine=False, but=()):
        """Digests that tags reach, but those that name one of `but`; an OSError
        is a loss."""
        return self.reached([digest for digest in self.tagged()
                             if digest not in but], or_in_quarantine)

    def young(self):
        """What was written of late, or is of an image that was."""
        young = {digest for digest in self.stored() if os.path.getmtime(
            os.path.join(self.root, TOP, self.blob_path(digest))) > OLD}
        pushed = {digest for digest, time in self.links("revisions")
                  if time > OLD} & self.stored()
        for digest in pushed:
            try:
                young |= self.reached([digest])
            except FileNotFoundError:
                pass  # Nothing names it, so it need not be whole.
        return young

    def reached(self, queue, or_in_quarantine=False):
        seen = set()
        while queue:
            digest = queue.pop()
            if digest in seen:
                continue
            seen.add(digest)
            queue += self.parts_of(digest, or_in_quarantine)
        return seen

    def parts_of(self, digest, or_in_quarantine):
        """What it names.  Its bytes are read and compared unless its file is the
        one that was read before and nobody has touched it since."""
        path = os.path.join(self.root, TOP, self.blob_path(digest))
        try:
            of = os.stat(path)
            file = (of.st_ino, of.st_mtime_ns, of.st_ctime_ns, of.st_size)
        except FileNotFoundError:
            file = None
        if file is not None and self.read.get(digest, (None,))[0] == file:
            return self.read[digest][1]
        data = self.read_blob(digest, or_in_quarantine)
        if digest_of(data) != digest:
            raise OSError("wrong bytes in " + digest)
        parts = []
        if data[:1] == b"{" and b"schemaVersion" in data:
            manifest = json.loads(data)
            for part in (manifest.get("layers", []) +
                         manifest.get("manifests", []) +
                         [manifest[k] for k in ("config",) if k in manifest]):
                parts.append(part["digest"][len("sha256:"):])
        self.read[digest] = (file, parts)
        return parts

    def forget_what_was_read(self):
        self.read.clear()

    def stored(self):
        return {os.path.basename(path) for path, _, files in os.walk(
            os.path.join(self.root, TOP, "blobs")) if "data" in files}

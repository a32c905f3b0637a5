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
        # (repository, tag) -> the digest that it was pushed with last.
        self.promised = {}
        self.written = set()  # each blob that was ever there
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
        self.written.add(digest)
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
        self.promised[repository, tag] = digest

    def read_blob(self, digest, or_in_quarantine=False):
        try:
            with open(os.path.join(self.root, TOP, self.blob_path(digest)),
                      "rb") as file:
                return file.read()
        except FileNotFoundError:
            if not or_in_quarantine:
                raise
        for path in self.in_quarantine(digest):
            with open(path, "rb") as file:
                data = file.read()
            if digest_of(data) == digest:
                return data
        # It may have come back while we looked.
        return self.read_blob(digest)

    def in_quarantine(self, text):
        """The files there whose paths have this in them."""
        for path, _, files in os.walk(os.path.join(self.root, ".reclaim")):
            for name in files:
                if text in os.path.join(path, name):
                    yield os.path.join(path, name)

    def links(self, folder):
        """Digest and time of each link in folders of this name."""
        for path, _, files in os.walk(os.path.join(self.root, TOP,
                                                   "repositories")):
            if "/%s" % folder in path and "link" in files:
                name = os.path.join(path, "link")
                with open(name) as file:
                    yield file.read()[len("sha256:"):], os.path.getmtime(name)

    def tags(self):
        """(repository, tag) -> the digest that it names, of all on the disk."""
        found = {}
        top = os.path.join(self.root, TOP, "repositories")
        for path, folders, files in os.walk(top):
            for name in ("_layers", "_uploads", "revisions", "index"):
                if name in folders:
                    folders.remove(name)
            if path.endswith("/current") and "link" in files:
                repository, tag = os.path.relpath(
                    os.path.dirname(path), top).split("/_manifests/tags/")
                with open(os.path.join(path, "link")) as file:
                    found[repository, tag] = file.read()[len("sha256:"):]
        return found

    def live(self, or_in_quarantine=False, but=()):
        """Digests that tags reach, but tags of one of `but`, each a repository
        and a digest; an OSError is a loss: of a tag, of a blob, or of a link
        without which the repository does not serve it."""
        tags = self.tags()
        self.check_tags(tags, but)
        live = set()
        for repository, digest in {(key[0], digest)
                                   for key, digest in tags.items()} - set(but):
            reached = self.reached([digest], or_in_quarantine)
            for part in reached:
                self.check_link(repository, part, or_in_quarantine)
            live |= reached
        return live

    def check_tags(self, tags, but):
        """A tag is a root: it stands at any time, and nobody takes one away or
        moves it here but who pushes it."""
        promised = dict(self.promised)
        for key in sorted(promised.keys() | tags.keys()):
            digest = promised.get(key)
            if tags.get(key) != digest and (key[0], digest) not in but:
                raise OSError("the tag %s:%s names %s, and was pushed with %s" %
                              (key + (tags.get(key), digest)))

    def check_link(self, repository, digest, or_in_quarantine):
        """That of what has been read as a part of an image."""
        path = "repositories/%s/%s/sha256/%s/link" % (
            repository, "_manifests/revisions" if self.read[digest][1]
            else "_layers", digest)
        full = os.path.join(self.root, TOP, path)
        if self.is_link(full, digest):
            return
        if or_in_quarantine and any(
                self.is_link(found, digest)
                for found in self.in_quarantine("/" + path)):
            return
        # It may have come back while we looked.
        if not (or_in_quarantine and self.is_link(full, digest)):
            raise OSError("no link in " + path)

    @staticmethod
    def is_link(path, digest):
        try:
            with open(path, "rb") as file:
                return file.read() == b"sha256:" + digest.encode()
        except FileNotFoundError:
            return False

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

    def quarantined(self):
        """Digests of the blobs there."""
        return {os.path.basename(path) for path, _, files in os.walk(
            os.path.join(self.root, ".reclaim")) if "data" in files}

    def gone(self):
        """Blobs that lie neither in their place nor in quarantine; one may be
        on its way back."""
        gone = self.written.copy() - self.stored() - self.quarantined()
        return gone - self.stored()

    def stored(self):
        return {os.path.basename(path) for path, _, files in os.walk(
            os.path.join(self.root, TOP, "blobs")) if "data" in files}

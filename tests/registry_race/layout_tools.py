"""Writers of image layouts: buildah, and zot's way of writing.

Debian has no zot, so `Zot` does on the disk what zot 2 does with local storage
and deduplication: uploads in `.uploads`, a rename or a hard link (with a new time)
into `blobs`, an index.json that is emptied and written in place, one lock for all
repositories, and a manifest that is refused if its repository lacks a blob.
"""
import json
import os
import threading
import uuid

from registry_client import MANIFEST, OCI, Refused, digest_of

NAME = "org.opencontainers.image.ref.name"


class Zot:

    def __init__(self, root):
        self.root = root
        self.lock = threading.Lock()
        self.cache = {}  # digest -> paths, as zot's database remembers them

    def path(self, repository, *names):
        return os.path.join(self.root, repository, *names)

    def blob(self, repository, digest):
        return self.path(repository, "blobs", "sha256", digest[7:])

    @staticmethod
    def write_in_place(path, data):
        # Opened, then emptied: two steps, as zot does it.
        file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        os.ftruncate(file, 0)
        os.write(file, data)
        os.close(file)

    def begin(self, repository):
        for folder in ("blobs/sha256", ".uploads"):
            os.makedirs(self.path(repository, folder), exist_ok=True)
        for name, content in (("oci-layout", {"imageLayoutVersion": "1.0.0"}),
                              ("index.json", {"schemaVersion": 2,
                                              "manifests": []})):
            if not os.path.exists(self.path(repository, name)):
                self.write_in_place(self.path(repository, name),
                                    json.dumps(content).encode())

    def index(self, repository):
        with open(self.path(repository, "index.json")) as file:
            return json.load(file)

    def put_index(self, repository, index):
        self.write_in_place(self.path(repository, "index.json"),
                            json.dumps(index).encode())

    @staticmethod
    def link(source, target):
        os.link(source, target)
        os.utime(target)

    def known_copy(self, digest):
        """A file of the digest anywhere, of those that are remembered."""
        for path in list(self.cache.get(digest, [])):
            if os.path.exists(path):
                return path
            self.cache[digest].remove(path)
        return None

    # What its API does.

    def has_blob(self, repository, digest):
        with self.lock:
            return os.path.exists(self.blob(repository, digest))

    def mount(self, repository, digest):
        """True if any repository had it."""
        with self.lock:
            source = self.known_copy(digest)
            target = self.blob(repository, digest)
            if source is None or os.path.exists(target):
                return False
            try:
                self.link(source, target)
            except (FileNotFoundError, FileExistsError):
                return False  # taken away, or given back, since the look
            self.cache.setdefault(digest, []).append(target)
            return True

    def upload(self, repository, data):
        """True if it became one more name of a file that was there."""
        digest = digest_of(data)
        upload = self.path(repository, ".uploads", str(uuid.uuid4()))
        with open(upload, "wb") as file:
            file.write(data)
        target = self.blob(repository, digest)
        with self.lock:
            while True:
                source = self.known_copy(digest)
                if source is None:
                    os.rename(upload, target)
                    break
                try:
                    if not (os.path.exists(target) and
                            os.path.samefile(source, target)):
                        if os.path.exists(target):
                            os.unlink(target)
                        self.link(source, target)
                except (FileNotFoundError, FileExistsError):
                    continue  # taken away, or given back, since the look
                os.unlink(upload)
                break
            self.cache.setdefault(digest, []).append(target)
            return source is not None

    def put_manifest(self, repository, tag, data):
        digest = digest_of(data)
        manifest = json.loads(data)
        with self.lock:
            for part in [manifest["config"]] + manifest["layers"]:
                if not os.path.exists(self.blob(repository, part["digest"])):
                    raise Refused(part["digest"])
            index = self.index(repository)
            path = self.blob(repository, digest)
            if not os.path.exists(path):
                self.write_in_place(path, data)
            index["manifests"] = [
                entry for entry in index["manifests"]
                if entry.get("annotations", {}).get(NAME) != tag and
                (entry["digest"] != digest or NAME in entry.get(
                    "annotations", {}))]
            index["manifests"].append({
                "mediaType": MANIFEST, "digest": digest, "size": len(data),
                "annotations": {NAME: tag}})
            self.put_index(repository, index)

    def delete_tag(self, repository, tag):
        with self.lock:
            index = self.index(repository)
            gone = [entry["digest"] for entry in index["manifests"]
                    if entry.get("annotations", {}).get(NAME) == tag]
            index["manifests"] = [
                entry for entry in index["manifests"]
                if entry.get("annotations", {}).get(NAME) != tag]
            self.put_index(repository, index)
            for digest in set(gone) - {entry["digest"] for entry in
                                       index["manifests"]}:
                try:
                    os.unlink(self.blob(repository, digest))
                except FileNotFoundError:
                    pass


def zot_image(number):
    """(manifest, blobs) of an image whose layers others share."""
    layers = [(b"zot layer %d\n" % n) * 700
              for n in (number % 2, 2 + number % 3, 5 + number)]
    config = json.dumps({"architecture": "amd64", "os": "linux",
                         "number": number}).encode()
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": {"mediaType": OCI + "config.v1+json",
                   "digest": digest_of(config), "size": len(config)},
        "layers": [{"mediaType": OCI + "layer.v1.tar",
                    "digest": digest_of(data), "size": len(data)}
                   for data in layers]}).encode()
    return manifest, [config] + layers


class Buildah:
    """Images in a storage of its own, which are pushed into layouts."""

    def __init__(self, run, folder):
        self.run = run
        self.flags = ("buildah", "--root", os.path.join(folder, "root"),
                      "--runroot", os.path.join(folder, "run"),
                      "--storage-driver", "vfs")
        self.folder = folder
        os.makedirs(folder)

    def must(self, *arguments):
        done = self.run(*self.flags, *arguments)
        if done.returncode != 0:
            raise RuntimeError("buildah %s: %s" % (arguments, done.stderr))
        return done.stdout.strip().splitlines()[-1]

    def build(self, count):
        """Images b0, b1, ..., each on the one before."""
        container = self.must("from", "scratch")
        for number in range(count):
            path = os.path.join(self.folder, "file-%d" % number)
            with open(path, "wb") as file:
                file.write(b"of buildah %d\n" % number * 900)
            self.must("copy", container, path, "/")
            self.must("commit", container, "b%d" % number)
            self.must("rm", container)
            container = self.must("from", "--pull-never", "b%d" % number)

    def push(self, number, layout, tag):
        """The digest, or None if it failed."""
        digest = os.path.join(self.folder, "digest")
        done = self.run(*self.flags, "push", "--digestfile", digest,
                        "b%d" % number, "oci:%s:%s" % (layout, tag))
        if done.returncode != 0:
            return None
        with open(digest) as file:
            return file.read().strip()

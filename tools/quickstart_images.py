#!/usr/bin/env python3
"""Makes small images and pushes them to a registry with skopeo.

    quickstart_images.py FOLDER HOST:PORT

A base that several images share, a multi-arch index, a tag that has moved, a
deleted tag, an artifact whose subject is an image, and a blob that nothing
names.  Writes FOLDER/kept.digest and FOLDER/doomed.digest.
"""
import gzip
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import tarfile
import urllib.request

OCI = "application/vnd.oci.image."


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer(seed, size):
    """A gzipped tar with one file of `size` bytes that do not compress."""
    data = random.Random(seed).randbytes(size)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("file-%s" % seed)
        info.size = size
        tar.addfile(info, io.BytesIO(data))
    return gzip.compress(out.getvalue(), mtime=0), digest_of(out.getvalue())


class Layout:
    """An OCI image layout that skopeo copies from."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(os.path.join(folder, "blobs", "sha256"), exist_ok=True)
        with open(os.path.join(folder, "oci-layout"), "w") as file:
            json.dump({"imageLayoutVersion": "1.0.0"}, file)
        self.entries = []

    def blob(self, data):
        digest = digest_of(data)
        with open(self.path(digest), "wb") as file:
            file.write(data)
        return {"digest": digest, "size": len(data)}

    def path(self, digest):
        return os.path.join(self.folder, "blobs", "sha256", digest[7:])

    def read(self, digest):
        with open(self.path(digest), "rb") as file:
            return json.load(file)

    def image(self, layers, architecture="amd64", labels=None):
        packed = [layer(seed, size) for seed, size in layers]
        config = {
            "created": "2026-01-02T03:04:05Z",
            "architecture": architecture,
            "os": "linux",
            "config": {"Labels": labels or {"made-by": "quickstart"}},
            "rootfs": {"type": "layers", "diff_ids": [d for _, d in packed]},
            "history": [{"created": "2026-01-02T03:04:05Z",
                         "created_by": "COPY file-%s /" % seed}
                        for seed, _ in layers],
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI + "manifest.v1+json",
            "config": dict(self.blob(json.dumps(config).encode()),
                           mediaType=OCI + "config.v1+json"),
            "layers": [dict(self.blob(data),
                            mediaType=OCI + "layer.v1.tar+gzip")
                       for data, _ in packed],
        }
        return dict(self.blob(json.dumps(manifest).encode()),
                    mediaType=OCI + "manifest.v1+json",
                    platform={"os": "linux", "architecture": architecture})

    def index(self, manifests):
        index = {"schemaVersion": 2, "mediaType": OCI + "index.v1+json",
                 "manifests": manifests}
        return dict(self.blob(json.dumps(index).encode()),
                    mediaType=OCI + "index.v1+json")

    def name(self, descriptor, name):
        entry = dict(descriptor)
        entry.pop("platform", None)
        entry["annotations"] = {"org.opencontainers.image.ref.name": name}
        self.entries.append(entry)
        with open(os.path.join(self.folder, "index.json"), "w") as file:
            json.dump({"schemaVersion": 2, "manifests": self.entries}, file)


def push(layout, name, target):
    print("$ skopeo copy oci:%s docker://%s" % (name, target), flush=True)
    subprocess.run(
        ["skopeo", "copy", "--quiet", "--all", "--dest-tls-verify=false",
         "--insecure-policy", "oci:%s:%s" % (layout.folder, name),
         "docker://" + target], check=True)


def request(method, url, data=None, headers=None):
    call = urllib.request.Request(url, data=data, method=method,
                                  headers=headers or {})
    with urllib.request.urlopen(call) as answer:
        return answer.headers


def upload(registry, repository, data):
    """A blob by the registry's own API."""
    headers = request("POST", "http://%s/v2/%s/blobs/uploads/"
                      % (registry, repository), data=b"")
    location = headers["Location"]
    glue = "&" if "?" in location else "?"
    request("PUT", location + glue + "digest=" + digest_of(data), data=data,
            headers={"Content-Type": "application/octet-stream"})
    return digest_of(data)


def attach(registry, repository, subject):
    """An artifact whose subject is an image: a signature, say."""
    empty = b"{}"
    note = b"signed, sealed, delivered"
    for data in (empty, note):
        upload(registry, repository, data)
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
        "artifactType": "application/vnd.example.signature",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json",
                   "digest": digest_of(empty), "size": len(empty)},
        "layers": [{"mediaType": "application/octet-stream",
                    "digest": digest_of(note), "size": len(note)}],
        "subject": {"mediaType": OCI + "manifest.v1+json",
                    "digest": subject["digest"], "size": subject["size"]},
    }).encode()
    request("PUT", "http://%s/v2/%s/manifests/%s"
            % (registry, repository, digest_of(manifest)), data=manifest,
            headers={"Content-Type": OCI + "manifest.v1+json"})


def main():
    folder, registry = sys.argv[1:]
    layout = Layout(folder)
    base = ("base", 900_000)
    first = layout.image([base, ("app-1", 300_000)])
    second = layout.image([base, ("app-2", 350_000)])
    arm = layout.image([("base-arm", 800_000), ("app-2-arm", 340_000)],
                       "arm64")
    worker = layout.image([base, ("worker", 200_000)])
    old = layout.image([base, ("old", 500_000)])
    layout.name(first, "first")
    layout.name(second, "second")
    layout.name(layout.index([second, arm]), "multi")
    layout.name(worker, "worker")
    layout.name(old, "old")

    push(layout, "first", registry + "/app:v1")
    push(layout, "second", registry + "/app:v2")
    push(layout, "multi", registry + "/app:multi")
    push(layout, "worker", registry + "/team/worker:latest")
    print("A tag moves, so that its first manifest is untagged:")
    push(layout, "old", registry + "/app:edge")
    push(layout, "second", registry + "/app:edge")
    print("A tag is deleted:")
    push(layout, "first", registry + "/legacy:v1")
    print("$ curl -X DELETE http://%s/v2/legacy/manifests/%s..."
          % (registry, first["digest"][:19]))
    request("DELETE", "http://%s/v2/legacy/manifests/%s"
            % (registry, first["digest"]))
    print("An artifact is attached to app:v1, and a blob is uploaded that "
          "nothing names.")
    attach(registry, "app", first)
    orphan = upload(registry, "app", random.Random("orphan").randbytes(400_000))

    with open(os.path.join(folder, "kept.digest"), "w") as file:
        file.write(json.load(open(os.path.join(
            folder, "blobs", "sha256", first["digest"][7:])))
            ["layers"][0]["digest"])
    with open(os.path.join(folder, "doomed.digest"), "w") as file:
        file.write(orphan)


if __name__ == "__main__":
    main()

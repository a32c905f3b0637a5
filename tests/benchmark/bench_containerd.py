"""A peer: a containerd of its own, asked over its own API."""
import hashlib
import os
import subprocess
import time

from bench_rpc import CONTAINERD, Caller

CONFIG = """version = 2
root = "%s"
state = "%s"
disabled_plugins = ["io.containerd.grpc.v1.cri",
                    "io.containerd.internal.v1.opt",
                    "io.containerd.tracing.processor.v1.otlp"]
[grpc]
address = "%s"
"""


class CannotRun(Exception):
    """This machine runs no containerd for us; says why."""


class Containerd:

    def __init__(self, folder):
        self.folder = folder
        self.socket = os.path.join(folder, "c.sock")
        with open(os.path.join(folder, "containerd.toml"), "w") as file:
            file.write(CONFIG % (os.path.join(folder, "c-root"),
                                 os.path.join(folder, "c-state"),
                                 self.socket))
        self.count = 0
        self.start()

    def start(self):
        path = os.path.join(self.folder, "containerd.log")
        try:
            with open(path, "a") as log:
                self.process = subprocess.Popen(
                    ["containerd", "--config",
                     os.path.join(self.folder, "containerd.toml")],
                    stdout=log, stderr=log)
        except OSError as error:
            raise CannotRun(str(error))
        self.caller = Caller(self.socket, CONTAINERD,
                             (("containerd-namespace", "bench"),))
        service = "containerd.services.images.v1.Images"
        self.creating, self.create_request = self.caller.method(service,
                                                                "Create")
        self.deleting, self.delete_request = self.caller.method(service,
                                                                "Delete")
        listing, request = self.caller.method(service, "List")
        end = time.monotonic() + 30
        while True:
            try:
                return listing(request(filters=["name==none"]))
            except Exception as error:  # Whatever gRPC makes of no server.
                if self.process.poll() is not None or time.monotonic() > end:
                    self.stop()
                    with open(path) as log:
                        raise CannotRun("containerd: %s; %s" % (
                            log.read()[-200:], error))
            time.sleep(0.02)

    def stop(self, kill=False):
        self.caller.close()
        if self.process.poll() is None:
            (self.process.kill if kill else self.process.terminate)()
        self.process.wait()

    def create(self, number):
        """Seconds that one image's record takes."""
        request = self.create_request()
        request.image.name = "bench/image:v%d" % number
        target = request.image.target
        target.media_type = "application/vnd.oci.image.manifest.v1+json"
        target.digest = "sha256:" + hashlib.sha256(
            b"%d" % number).hexdigest()
        target.size = 1000
        begin = time.monotonic()
        self.creating(request)
        return time.monotonic() - begin

    def collect(self, number):
        """Removes an image and waits until its collector has run."""
        self.deleting(self.delete_request(name="bench/image:v%d" % number,
                                          sync=True))

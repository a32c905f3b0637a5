"""Clients that push from another process while something is measured."""
import json
import os
import subprocess
import time

from bench_rpc import Usage
from bench_world import binary, measure

BASES_MAX = 100
# Where a registry has its blobs.
BLOBS = "docker/registry/v2/blobs/sha256"
# So many event rows, and the clients are past their first calls.
EVENTS_AT_LEAST = 100
PATIENCE_S = 60


def command(bench, store, prefix, messages, words):
    """See tests/benchmark/ingest_benchmark.cc; `words` are its others."""
    words = dict(words, socket=bench.path("r.sock"), store=store,
                 prefix=prefix, messages=messages)
    return [binary("tests/benchmark/ingest_benchmark"), "writers",
            *("%s=%s" % word for word in words.items())]


def write_alone(bench, store, prefix, messages, **words):
    """What they tell of so many messages a client, with nothing beside."""
    _, output = measure(command(bench, store, prefix, messages, words))
    return json.loads(output)


class Writers:
    """They write while the block runs; then `told` is what was acknowledged
    and how long each message took."""

    def __init__(self, bench, store, prefix, **words):
        self.bench, self.told = bench, None
        self.command = command(bench, store, prefix, 0, words)

    def __enter__(self):
        with Usage(self.bench.path("r.sock")) as usage:
            begin = usage.ask().sequence
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True)
            try:
                self.wait(usage, begin)
            except BaseException:
                self.process.kill()
                self.process.communicate()
                raise
        return self

    def wait(self, usage, begin):
        """Until the daemon's own count says that they are at work."""
        end = time.monotonic() + PATIENCE_S
        while usage.ask().sequence < begin + EVENTS_AT_LEAST:
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("the writers do not write")
            time.sleep(0.01)

    def finish(self):
        """They end when their standard input does."""
        if self.told is None:
            output, said = self.process.communicate()
            if not output:
                raise RuntimeError("the writers: " + said[-2000:])
            self.told = json.loads(output)

    def __exit__(self, *_):
        self.finish()


def blob_path(bench, tree, digest):
    name = digest[7:]
    return bench.path(os.path.join(tree, BLOBS, name[:2], name, "data"))


def write_bases(bench, tree, name):
    """Layers of a registry's tree that are live, for images to stand on."""
    found = []
    for digest in sorted(bench.lines(tree + ".live")):
        path = blob_path(bench, tree, digest)
        with open(path, "rb") as file:
            # What tree_writer begins each layer with.
            if file.read(5) == b"blob ":
                found.append((digest, os.path.getsize(path)))
        if len(found) == BASES_MAX:
            break
    if not found:
        raise RuntimeError("the tree has no live layer")
    with open(bench.path(name), "w") as file:
        for base in found:
            file.write("%s %d\n" % base)

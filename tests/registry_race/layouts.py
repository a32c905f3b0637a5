#!/usr/bin/env python3
"""Collection beside tools that write folders of image layouts.

    layouts.py [--seconds N] [--seed N] [--keep]

Each writer has a layout of its own below one folder, for skopeo, buildah and umoci
keep no locks against each other.  They copy images in with skopeo or push them with
buildah, tag and untag with umoci, and link blobs from each other's layouts (one
file, several names); two clients of a zot (layout_tools.py) push, mount and delete
in two repositories that share files.  Meanwhile collections run without pause and
the daemon is killed.  What a tool has said is done must be there, and whole, in the
end, and after two quiet runs nothing else.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import threading
import time
from functools import partial

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.getcwd(), "tools"))
import ending  # noqa: E402
import quickstart_images as images  # noqa: E402
from layout_tools import Buildah, Zot, zot_image  # noqa: E402
from load import Figures  # noqa: E402
from registry_client import Refused, digest_of  # noqa: E402
from world import DAEMON, World, await_url, outcome_of  # noqa: E402

IMAGE_COUNT = 6
BUILDAH_COUNT = 3
GRACE = 1


class LayoutWorld(World):
    """A daemon over a folder of layouts, and no registry."""

    def __init__(self):
        super().__init__(has_cache=False, has_daemon=True)

    def write_configuration(self):
        os.makedirs(self.path("layouts"))
        self.write("reclaim.toml", """data_directory = "%s"
[listen]
socket = "%s"
[http]
address = "127.0.0.1:%d"
[gc]
grace_period = "%ds"
quarantine_period = "1s"
purge_interval = "1s"
large_plan_percent = 100
""" % (self.path("data"), self.path("r.sock"), self.http_port, GRACE))

    def start_registry(self):
        self.registry = None

    def start_daemon(self):
        self.daemon = self.start(DAEMON, "--config", self.path("reclaim.toml"))
        await_url("http://127.0.0.1:%d/readyz" % self.http_port, self.daemon)


def make_sources(folder):
    """Images that share layers, in one layout, by tag."""
    layout = images.Layout(folder)
    for number in range(IMAGE_COUNT):
        entry = layout.image([("shared-%d" % (number % 2), 20000),
                              ("own-%d" % number, 8000 + 1000 * number)])
        entry["annotations"] = {
            "org.opencontainers.image.ref.name": "s%d" % number}
        layout.entries.append(entry)
    with open(os.path.join(folder, "index.json"), "w") as file:
        json.dump({"schemaVersion": 2, "manifests": layout.entries}, file)


def why_not_whole(layout, tag, digest):
    """"" if the tag names the digest and all of it is there."""
    try:
        with open(os.path.join(layout, "index.json")) as file:
            entries = json.load(file)["manifests"]
        named = [entry["digest"] for entry in entries
                 if entry.get("annotations", {}).get(
                     "org.opencontainers.image.ref.name") == tag]
        if named != [digest]:
            return "%s names %s, not %s" % (tag, named, digest)

        def read(what):
            with open(os.path.join(layout, "blobs/sha256", what[7:]),
                      "rb") as file:
                data = file.read()
            if images.digest_of(data) != what:
                raise ValueError("%s holds other bytes" % what)
            return data

        manifest = json.loads(read(digest))
        for part in [manifest["config"]] + manifest["layers"]:
            read(part["digest"])
    except (OSError, ValueError) as error:
        return str(error)
    return ""


class Writer(threading.Thread):
    pause = 0

    def __init__(self, number, world, sources, seed, figures, stopped):
        super().__init__()
        self.world = world
        self.sources = sources
        self.layout = world.path("layouts/repo%d" % number)
        self.random = random.Random(seed * 100 + number)
        self.figures = figures
        self.stopped = stopped
        self.tags = {}
        self.failure = None

    def run(self):
        try:
            while not self.stopped.is_set():
                choice = self.random.random()
                if choice < 0.5 or not self.tags:
                    self.copy()
                elif choice < 0.6:
                    self.link_blobs()
                elif choice < 0.75:
                    self.tag()
                elif choice < 0.9:
                    self.untag()
                else:
                    self.check_all(patience=15)
                self.stopped.wait(self.pause)
        except Exception as error:  # pylint: disable=broad-except
            self.failure = error
            raise

    @staticmethod
    def tool(*command):
        return subprocess.run(command, capture_output=True, text=True,
                              check=False)

    def copy(self):
        number = self.random.randrange(IMAGE_COUNT)
        tag = "t%d" % self.random.randint(1, 4)
        self.tags.pop(tag, None)
        done = self.tool("skopeo", "copy", "--insecure-policy",
                         "oci:%s:s%d" % (self.sources, number),
                         "oci:%s:%s" % (self.layout, tag))
        if done.returncode != 0:
            self.figures.add("copies that failed")
            return
        self.tags[tag] = self.digest_of_source(number)
        self.figures.add("copies")

    def digest_of_source(self, number):
        with open(os.path.join(self.sources, "index.json")) as file:
            for entry in json.load(file)["manifests"]:
                if entry["annotations"][
                        "org.opencontainers.image.ref.name"] == "s%d" % number:
                    return entry["digest"]
        raise KeyError(number)

    def link_blobs(self):
        """What a deduplicating tool does before it copies."""
        other = self.world.path("layouts/repo%d" % self.random.randrange(3))
        try:
            names = os.listdir(os.path.join(other, "blobs/sha256"))
        except FileNotFoundError:
            return
        for name in self.random.sample(names, min(3, len(names))):
            try:
                os.link(os.path.join(other, "blobs/sha256", name),
                        os.path.join(self.layout, "blobs/sha256", name))
                self.figures.add("blobs linked")
            except (FileExistsError, FileNotFoundError):
                pass

    def tag(self):
        old = self.random.choice(sorted(self.tags))
        new = "t%d" % self.random.randint(1, 4)
        if new == old:
            return
        digest = self.tags[old]
        self.tags.pop(new, None)
        done = self.tool("umoci", "tag", "--image",
                         "%s:%s" % (self.layout, old), new)
        if done.returncode == 0:
            self.tags[new] = digest
            self.figures.add("tags")
        else:
            self.figures.add("tags that failed")

    def untag(self):
        tag = self.random.choice(sorted(self.tags))
        del self.tags[tag]
        self.tool("umoci", "rm", "--image", "%s:%s" % (self.layout, tag))
        self.figures.add("tags removed")

    def check_all(self, patience):
        for tag, digest in sorted(self.tags.items()):
            deadline = time.monotonic() + patience
            why = why_not_whole(self.layout, tag, digest)
            while why and time.monotonic() < deadline:
                time.sleep(0.1)
                why = why_not_whole(self.layout, tag, digest)
            if why:
                self.figures.lose("%s: %s" % (self.layout, why))
            else:
                self.figures.add("tags read whole")


class BuildahWriter(Writer):
    """Pushes out of buildah's storage instead of copying."""

    def __init__(self, buildah, *arguments):
        super().__init__(*arguments)
        self.buildah = buildah

    def copy(self):
        tag = "t%d" % self.random.randint(1, 4)
        self.tags.pop(tag, None)
        digest = self.buildah.push(self.random.randrange(BUILDAH_COUNT),
                                   self.layout, tag)
        if digest is None:
            self.figures.add("pushes of buildah that failed")
            return
        self.tags[tag] = digest
        self.figures.add("pushes of buildah")


class ZotWriter(Writer):
    """A client of a zot; asks before it uploads, as clients do."""
    # It answers at once, where the tools take a while to begin.
    pause = 0.02

    def __init__(self, zot, *arguments):
        super().__init__(*arguments)
        self.zot = zot
        self.repository = os.path.basename(self.layout)
        zot.begin(self.repository)

    def send(self, data, asks):
        digest = digest_of(data)
        if asks and self.zot.has_blob(self.repository, digest):
            self.figures.add("blobs that zot had")
        elif asks and self.random.random() < 0.5 and self.zot.mount(
                self.repository, digest):
            self.figures.add("mounts of zot")
        elif self.zot.upload(self.repository, data):
            self.figures.add("uploads that zot linked")

    def copy(self):
        manifest, blobs = zot_image(self.random.randrange(IMAGE_COUNT))
        tag = "t%d" % self.random.randint(1, 4)
        before = self.tags.pop(tag, None)
        for attempt in range(4):
            try:
                for data in blobs:
                    # Refused once, a client uploads without asking.
                    self.send(data, asks=attempt == 0)
                self.zot.put_manifest(self.repository, tag, manifest)
            except Refused:
                self.figures.add("pushes of zot refused, tried again")
                continue
            self.tags[tag] = digest_of(manifest)
            self.figures.add("pushes of zot")
            return
        if before is not None:
            self.tags[tag] = before
        self.figures.add("pushes of zot given up")

    tag = copy

    def untag(self):
        tag = self.random.choice(sorted(self.tags))
        del self.tags[tag]
        self.zot.delete_tag(self.repository, tag)
        self.figures.add("tags removed")

    link_blobs = untag


def left_in(layout):
    """Blobs that no entry of the layout's index leads to."""
    blobs = os.path.join(layout, "blobs/sha256")
    with open(os.path.join(layout, "index.json")) as file:
        entries = json.load(file)["manifests"]
    kept = set()
    for entry in entries:
        kept.add(entry["digest"][7:])
        with open(os.path.join(blobs, entry["digest"][7:])) as file:
            manifest = json.load(file)
        kept |= {part["digest"][7:]
                 for part in [manifest["config"]] + manifest["layers"]}
    return sorted(set(os.listdir(blobs)) - kept)


def collect(world, figures, stopped):
    while not stopped.is_set():
        code, output = world.reclaim("system", "prune", "--force",
                                     "--allow-large")
        figures.add(outcome_of(code, output))
        if code != 0:
            stopped.wait(0.1)


def crash(world, figures, stopped, seed):
    for what, pause in ending.crashes_of(["the daemon"], random.Random(seed),
                                         first=(1.5, 4)):
        if stopped.wait(pause):
            return
        world.crash_daemon()
        figures.add("crashes of " + what)


def check_end(world, writers, figures):
    """What must hold once nobody writes; returns what was left behind."""
    figures.add("blobs purged beside clients", world.events()["purged"])
    world.insist("scan", "layouts")
    for writer in writers:
        writer.check_all(patience=5)
    time.sleep(GRACE + 1)
    ending.run_quietly(world)
    for writer in writers:
        writer.check_all(patience=0)
    ending.check_verified(world, "layouts", figures)
    world.note_held()
    ending.add_events(world, figures)
    left = []
    for writer in writers:
        left += ["%s in %s" % (name, writer.layout)
                 for name in left_in(writer.layout)]
    figures.add("blobs that no tag reaches, left", len(left))
    left += ending.check_quarantine(world, figures, world.path("layouts"))
    return ["%s, left" % what for what in left]


def make_writers(world, sources, seed, figures, stopped):
    buildah = Buildah(Writer.tool, world.path("buildah"))
    buildah.build(BUILDAH_COUNT)
    zot = Zot(world.path("layouts"))
    kinds = [Writer, Writer, partial(BuildahWriter, buildah),
             partial(ZotWriter, zot), partial(ZotWriter, zot)]
    return [kind(number, world, sources, seed, figures, stopped)
            for number, kind in enumerate(kinds)]


def run(options, world, figures):
    """Returns what was left behind."""
    stopped = threading.Event()
    sources = world.path("sources")
    make_sources(sources)
    writers = make_writers(world, sources, options.seed, figures, stopped)
    for writer in writers:
        writer.copy()
    world.must("store", "add", "image-layout:" + world.path("layouts"),
               "--name", "layouts", "--write-duration", "5s")
    ending.run_all(writers + [
        ending.Beside(collect, world, figures, stopped),
        ending.Beside(crash, world, figures, stopped, options.seed)],
                   options.seconds, stopped)
    return check_end(world, writers, figures)


def print_figures(options, world, figures):
    figures.counts["lost"] = len(figures.lost)
    print("  image layouts, seed %d, %d s" % (options.seed, options.seconds))
    for what in sorted(figures.counts):
        print("  %8d %s" % (figures.counts[what], what))
    print("  %8.6f s the longest that a sweep batch held writers of the graph"
          % world.held)
    for why in figures.lost[:20]:
        print("  LOST %s" % why)


def race_layouts(arguments):
    """Returns what went wrong, as lines."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--keep", action="store_true",
                        help="keep the folder when something went wrong")
    options = parser.parse_args(arguments)
    figures = Figures()
    world = LayoutWorld()
    wrong = ["it did not come to its end"]
    try:
        wrong = run(options, world, figures)
        needed = ["copies", "pushes of buildah", "pushes of zot",
                  "uploads that zot linked", "blobs linked", "tags removed",
                  "blobs quarantined", "blobs purged",
                  "crashes of the daemon"]
        if options.seconds >= ending.LONG_SECONDS:
            needed += ["blobs restored", "blobs purged beside clients"]
        wrong += ending.faults_of(figures, needed)
        if not world.held:
            wrong.append("no sweep batch told how long it held writers")
    finally:
        print_figures(options, world, figures)
        ending.count_totals(figures)
        keeps = bool(wrong) and options.keep
        if keeps:
            print("  kept: %s" % world.folder)
        world.close(keeps)
    return wrong


def main():
    wrong = race_layouts(sys.argv[1:])
    for what in wrong:
        print("  WRONG %s" % what)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

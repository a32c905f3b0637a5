#!/usr/bin/env python3
"""The short form of tools/race.  Run me from the root, after
`bazel build //cli:reclaim //server:reclaimd`; tools/test does."""
import os
import random
import shutil
import sys
import tempfile
import threading
import unittest
import unittest.mock

sys.path.insert(0, os.path.join(os.getcwd(), "tools"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ending  # noqa: E402
import layouts  # noqa: E402
from layouts import race_layouts  # noqa: E402
from load import OUTLIVED, Figures, Worker, manifest_of  # noqa: E402
from race import Race, parse, race  # noqa: E402
from registry_client import Client, digest_of  # noqa: E402
from registry_tree import (RegistryTree, left_in_quarantine,  # noqa: E402
                           ruin_at)
from world import World  # noqa: E402
import xml_cases  # noqa: E402
import xml_results  # noqa: E402

# tools/soak gives more.
SECONDS = os.environ.get("RECLAIM_RACE_SECONDS", "10")


def read(path):
    with open(path) as file:
        return file.read()


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


class RegistryRaceTest(unittest.TestCase):

    @classmethod
    def tearDownClass(cls):
        for what, count in ending.TOTALS.items():
            name = "race_" + what.replace(" ", "_")
            xml_cases.FIGURES[name] = count

    def check(self, *options):
        self.assertEqual(race(["--seconds", SECONDS, *options]), [])

    def test_without_the_descriptor_cache(self):
        self.check()

    def test_with_the_descriptor_cache(self):
        self.check("--cache")

    def test_with_crashes_of_the_registry(self):
        self.check("--crash-registry")

    def test_with_the_descriptor_cache_and_crashes_of_the_registry(self):
        # A cache that never dies lets nothing be freed beside its clients.
        self.check("--cache", "--crash-registry")

    def test_folders_of_image_layouts(self):
        self.assertEqual(race_layouts(["--seconds", SECONDS]), [])


class LostWordTest(unittest.TestCase):
    """What the race takes for lost, and what only waits for a scan: a registry
    that tells nobody accepts an image over a layer that a plan takes."""

    LAYER = b"a layer that lies there" * 100

    def setUp(self):
        self.world = World(has_cache=False, has_daemon=True)
        self.addCleanup(self.world.close)
        # Its proof would be the scan.
        self.world.must("schedule", "pause", "purge")
        self.mute_host = self.world.start_mute_registry()
        self.client = Client(self.mute_host)
        self.addCleanup(self.client.close)
        self.figures = Figures()
        self.worker = Worker(0, self.world.registry_host, 1, self.figures,
                             threading.Event(), patience=0.3, world=self.world)
        self.addCleanup(self.worker.client.close)
        self.push_what_is_taken()

    def push_what_is_taken(self):
        config = b'{"client": 0}'
        for data in (config, self.LAYER):
            self.client.upload("app", data)
        self.world.must("plan", "--grace", "0s")
        plan = self.world.must("plans", "ls", "--format", "{{.ID}}").strip()
        manifest = manifest_of(config, [self.LAYER])
        self.client.put_manifest("app", "v1", manifest)
        self.world.must("apply", plan, "--force", "--allow-large")
        self.worker.tags["app", "v1"] = digest_of(manifest)
        self.assertIn("404", self.client.why_not_whole("app", "v1",
                                                       digest_of(manifest)))

    def blob_file(self):
        digest = digest_of(self.LAYER)
        return os.path.join(self.world.tree.top, "blobs/sha256", digest[7:9],
                            digest[7:], "data")

    def layer_link(self):
        return self.world.links_to("app", digest_of(self.LAYER))["layer link"]

    def kill_while_it_writes(self, link):
        """As if it had opened that when it was killed."""
        self.world.registry.kill()
        self.world.registry.wait()
        os.truncate(link, 0)
        self.world.kill_registry()
        self.world.start_registry()

    def test_what_is_pulled_comes_back_without_one(self):
        # The first pull is given the manifest, and told of.
        self.worker.patience = 30
        self.worker.check_all("tags")
        self.assertEqual(self.figures.lost, [])
        self.assertEqual(self.figures["tags"], 1)
        self.assertEqual(self.figures["tags that waited for a scan"], 0)

    def test_what_comes_back_with_a_scan_is_not_lost(self):
        # Nobody is told of these pulls.
        self.worker.client.close()
        self.worker.client = Client(self.mute_host)
        self.addCleanup(self.worker.client.close)
        self.worker.check_all("tags")
        self.assertEqual(self.figures.lost, [])
        self.assertEqual(self.figures["tags that waited for a scan"], 1)

    def test_what_no_scan_brings_back_is_lost_and_it_says_where_it_is(self):
        self.world.must("scan", "hub")
        os.remove(self.blob_file())
        self.worker.check_all("tags")
        self.assertEqual(self.figures["tags"], 0)
        self.assertEqual(len(self.figures.lost), 1, self.figures.lost)
        self.assertIn("on the disk: layer link of 71 bytes;",
                      self.figures.lost[0])

    def test_what_a_killed_registry_left_empty_is_counted_apart(self):
        self.world.must("scan", "hub")
        self.kill_while_it_writes(self.layer_link())
        for torn in (1, 2):
            self.worker.check_all("tags")
            self.assertEqual(self.figures.lost, [])
            self.assertEqual(self.figures["tags that a killed registry tore"],
                             torn)
            self.world.restart_registry()
        self.assertEqual(self.figures["tags"], 0)
        self.assertEqual(len(self.world.torn), 1)
        self.assertEqual(self.world.emptied, {})

    def test_what_is_empty_without_a_kill_is_lost(self):
        self.world.must("scan", "hub")
        self.world.fill_patience = 0
        link = self.layer_link()
        os.truncate(link, 0)
        self.worker.check_all("tags")
        self.assertEqual(len(self.figures.lost), 1)
        # A kill that comes later does not explain it.
        self.world.restart_registry()
        self.worker.check_all("tags")
        self.assertEqual(len(self.figures.lost), 2)
        self.assertEqual(list(self.world.emptied.values()), [link])
        self.assertEqual(self.world.torn, set())

    def test_what_is_mended_and_then_empty_without_a_kill_is_lost(self):
        self.world.must("scan", "hub")
        self.world.fill_patience = 0
        link = self.layer_link()
        text = read(link)
        self.kill_while_it_writes(link)
        write(link, text)
        os.truncate(link, 0)
        self.worker.check_all("tags")
        self.assertEqual(len(self.figures.lost), 1)
        self.world.note_emptied()
        self.assertEqual(list(self.world.emptied.values()), [link])

    def test_of_findings_only_what_a_killed_registry_left_empty_is_none(self):
        self.world.must("scan", "hub")
        link = self.layer_link()
        text = read(link)
        os.truncate(link, 0)
        ending.check_verified(self.world, "hub", self.figures)
        self.assertEqual(len(self.figures.lost), 1, self.figures.lost)
        self.assertIn("empty-link", self.figures.lost[0])
        write(link, text)
        self.kill_while_it_writes(link)
        ending.check_verified(self.world, "hub", self.figures)
        self.assertEqual(len(self.figures.lost), 1, self.figures.lost)
        os.truncate(self.blob_file(), 1)
        ending.check_verified(self.world, "hub", self.figures)
        self.assertGreater(len(self.figures.lost), 1)
        self.assertNotIn("empty-link", "".join(self.figures.lost[1:]))


class StandInRegistry:
    """Answers for one tag as a client asks it, and as the disk is looked at."""

    def __init__(self, target, whole=(), on_disk=None, is_torn=False):
        self.target = target
        self.whole = whole
        self.on_disk = on_disk
        self.is_torn = is_torn

    def tag_target(self, repository, tag):
        return self.target

    def why_not_whole(self, repository, tag, digest):
        return "" if digest in self.whole else "404"

    def tag_link(self, repository, tag):
        return tag

    def is_torn_link(self, path):
        return self.is_torn

    def named_on_disk(self, repository, tag):
        return self.on_disk


class BrokenPutTest(unittest.TestCase):
    """What is expected of a tag that named "old" when a PUT of "new" broke."""

    def stands(self, registry, before="old", has_world=True):
        worker = Worker(0, "", 1, Figures(), threading.Event(), patience=0,
                        world=registry if has_world else None)
        worker.client = registry
        worker.settle_tag("app", "v1", before, "new")
        return worker.tags.get(("app", "v1"))

    def test_what_was_acknowledged_stands_also_if_it_is_not_whole(self):
        self.assertEqual(self.stands(StandInRegistry("old")), "old")
        self.assertEqual(self.stands(StandInRegistry("new"), "new"), "new")

    def test_what_is_new_stands_if_it_is_whole(self):
        self.assertEqual(self.stands(StandInRegistry("new", ["new"])), "new")
        self.assertIsNone(self.stands(StandInRegistry("new")))
        self.assertIsNone(self.stands(
            StandInRegistry(None, on_disk="new")))

    def test_a_tag_that_is_gone_is_missed(self):
        self.assertEqual(self.stands(StandInRegistry(None)), "old")
        self.assertEqual(self.stands(
            StandInRegistry(None, on_disk="old")), "old")
        self.assertEqual(self.stands(StandInRegistry("other")), "old")
        self.assertIsNone(self.stands(StandInRegistry(None), before=None))

    def test_of_a_torn_tag_nobody_knows_what_it_named(self):
        self.assertIsNone(self.stands(StandInRegistry(None, is_torn=True)))

    def test_beside_the_peer_a_tag_that_is_gone_may_be_torn(self):
        self.assertIsNone(self.stands(StandInRegistry(None), has_world=False))
        self.assertEqual(self.stands(StandInRegistry("old"), has_world=False),
                         "old")


class PeerLossTest(unittest.TestCase):
    """Beside a collector that loses what it likes."""

    def setUp(self):
        self.world = World(has_cache=False, has_daemon=False)
        self.addCleanup(self.world.close)
        self.figures = Figures()
        self.worker = Worker(0, self.world.registry_host, 1, self.figures,
                             threading.Event(), patience=0)
        self.addCleanup(self.worker.client.close)

    def test_an_image_that_is_lost_is_told_once(self):
        config, layer = b'{"client": 0}', b"a layer" * 100
        manifest = manifest_of(config, [layer])
        for tag in ("v1", "v2"):
            for data in (config, layer):
                self.worker.client.upload("app", data)
            self.worker.put("app", tag, manifest)
        digest = digest_of(layer)
        os.remove(os.path.join(self.world.tree.top, "blobs/sha256",
                               digest[7:9], digest[7:], "data"))
        for _ in range(2):
            self.worker.check_all("tags")
        self.assertEqual(self.worker.tags, {})
        self.assertEqual(len(self.figures.lost), 1, self.figures.lost)
        self.assertEqual(self.figures.images_lost,
                         {("app", digest_of(manifest))})


class DiskTest(unittest.TestCase):
    """What the end of a race finds on the disk."""

    DIGEST = "sha256:" + "ab" * 32

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="reclaim-tree-")
        self.addCleanup(self.folder.cleanup)
        self.tree = RegistryTree(self.folder.name)
        for name in ("blobs", "repositories/team/api/_uploads",
                     "repositories/team/api/_manifests/tags"):
            os.makedirs(os.path.join(self.tree.top, name))

    def make(self, name, text=None):
        path = os.path.join(self.tree.top, name)
        os.makedirs(path)
        if text is not None:
            with open(os.path.join(path, "link"), "w") as file:
                file.write(text)

    def test_links_of_each_kind(self):
        name = self.DIGEST.replace(":", "/")
        self.make("repositories/team/api/_layers/" + name, self.DIGEST)
        self.make("repositories/team/api/_manifests/revisions/" + name, "")
        tag = "repositories/team/api/_manifests/tags/v1/"
        self.make(tag + "index/" + name, self.DIGEST)
        self.make(tag + "current", self.DIGEST)
        self.make(tag.replace("v1", "v2") + "current", "")
        self.assertEqual(self.tree.links(), {
            ("team/api", kind, self.DIGEST)
            for kind in ("_layers", "revisions", "index")})
        self.assertEqual(self.tree.tags(), {("team/api", self.DIGEST),
                                            ("team/api", "")})

    def test_ruins_stay_the_same_wherever_they_lie(self):
        name = "repositories/team/api/_layers/" + self.DIGEST.replace(":", "/")
        self.make(name, "")
        link = os.path.join(self.tree.top, name, "link")
        ruin = ruin_at(link)
        self.assertEqual(self.tree.ruins(), {ruin: link})
        aside = os.path.join(self.tree.root, ".reclaim/quarantine/run/tree")
        os.makedirs(aside)
        aside += "/layer"
        os.rename(os.path.dirname(link), aside)
        self.assertEqual(self.tree.ruins(), {ruin: aside + "/link"})
        write(aside + "/link", self.DIGEST)
        self.assertIsNone(ruin_at(aside + "/link"))
        self.assertIsNone(ruin_at(link))
        self.assertEqual(self.tree.ruins(), {})

    def test_of_empty_tags_only_torn_ones_are_cleared(self):
        tags = "repositories/team/api/_manifests/tags/"
        for tag, text in (("v1", ""), ("v2", ""), ("v3", self.DIGEST)):
            self.make(tags + tag + "/current", text)
        torn = {ruin_at(os.path.join(self.tree.top, tags, tag, "current/link"))
                for tag in ("v1", "v3")}
        self.assertEqual(self.tree.clear_torn_tags(torn), 1)
        self.assertEqual(sorted(os.listdir(os.path.join(self.tree.top, tags))),
                         ["v2", "v3"])

    def test_of_empty_blobs_only_those_in_quarantine_are_cleared(self):
        aside = "../../../.reclaim/quarantine/run/tree/blobs/"
        for path, text in (("blobs/sha256/aa/aa1", ""),
                           (aside + "aa1", "text"),
                           ("blobs/sha256/aa/aa2", ""),
                           ("blobs/sha256/aa/aa3", "text"),
                           (aside + "aa3", "text")):
            self.make(path)
            write(os.path.join(self.tree.top, path, "data"), text)
        self.assertEqual(self.tree.clear_empty_blobs(), 1)
        self.assertEqual(sorted(os.listdir(os.path.join(
            self.tree.top, "blobs/sha256/aa"))), ["aa2", "aa3"])

    def test_folders_that_nobody_has_a_reason_to_leave_empty(self):
        self.assertEqual(self.tree.empty_folders(set()), [])
        name = self.DIGEST.replace(":", "/")
        revision = "repositories/team/api/_manifests/revisions/" + name
        empty = ["blobs/sha256/ab",
                 "repositories/team/api/_layers/sha256", revision]
        for path in empty:
            self.make(path)
        self.assertEqual(self.tree.empty_folders(set()), empty)
        self.assertEqual(self.tree.empty_folders({("team/api", self.DIGEST)}),
                         empty[:2])

    def test_what_lies_in_quarantine(self):
        self.assertEqual(left_in_quarantine(self.folder.name), [])
        run = os.path.join(self.folder.name, ".reclaim/quarantine/run")
        os.makedirs(run)
        self.assertEqual(left_in_quarantine(self.folder.name), [run])


class VerdictTest(unittest.TestCase):
    """What makes a race fail besides a loss."""

    def setUp(self):
        self.race = Race(parse(["--crash-registry", "--seconds", "1"]))
        self.addCleanup(self.race.close, False)

    def test_garbage_that_is_left(self):
        digest = "sha256:" + "ab" * 32
        tree = self.race.world.tree
        link = os.path.join(tree.repositories, "app/_layers",
                            digest.replace(":", "/"))
        os.makedirs(link)
        with open(os.path.join(link, "link"), "w") as file:
            file.write(digest)
        os.makedirs(os.path.join(tree.top, "blobs/sha256/ab"))
        os.makedirs(os.path.join(tree.root,
                                 ".reclaim/quarantine/run/tree/docker"))
        self.race.check_disk()
        self.race.left += ending.check_quarantine(
            self.race.world, self.race.figures, tree.root)
        faults = self.race.faults()
        for what in ("1 links to what is gone, left",
                     "3 files in quarantine's folder, left",
                     "1 folders with nothing in them, left, and 0 kills "
                     "explain 0"):
            self.assertIn(what, faults)

    def test_empty_links(self):
        """Of two one was there before the registry was killed."""
        world, figures = self.race.world, self.race.figures
        links = [world.tag_link("app", "v%d" % number) for number in (1, 2)]
        for link in links:
            os.makedirs(os.path.dirname(link))
        world.fill_patience = 0
        write(links[0], "")
        world.note_emptied()
        write(links[1], "")
        world.kill_registry()
        world.start_registry()
        self.race.check_ruins()
        self.assertEqual(len(figures.lost), 1, figures.lost)
        self.assertIn(links[0] + " is empty", figures.lost[0])
        self.assertEqual(figures["tags that a killed registry left empty"], 1)
        self.assertEqual([os.path.exists(link) for link in links],
                         [True, False])

    def test_figures_that_show_nothing(self):
        faults = self.race.faults()
        for what in ("no pulls by digest: the test shows nothing",
                     "no uploads aborted: the test shows nothing",
                     "the daemon was not killed",
                     "the registry was not killed",
                     "no sweep batch told how long it held writers"):
            self.assertIn(what, faults)
        self.assertNotIn("no blobs restored: the test shows nothing", faults)
        self.race.options.seconds = ending.LONG_SECONDS
        for what in ("blobs restored", "blobs purged beside clients",
                     OUTLIVED):
            self.assertIn("no %s: the test shows nothing" % what,
                          self.race.faults())

    def test_bounds(self):
        figures, world = self.race.figures, self.race.world
        figures.took("wait of a pull", ending.WAIT_SECONDS_MAX + 1)
        world.registry_kills = 1
        world.torn = set(range(ending.TORN_PER_KILL))
        faults = self.race.faults()
        self.assertIn("a pull waited for 61.0 s", faults)
        self.assertFalse([what for what in faults if "tore" in what])
        world.torn.add("one more")
        self.assertIn("3 links that a killed registry tore, and 1 kills "
                      "explain 2", self.race.faults())


class KeptFolderTest(unittest.TestCase):
    """What is left of a race of layouts that fails."""

    def folder_after(self, wrong, *options):
        folders = []

        def run(_, world, figures):
            del figures
            folders.append(world.folder)
            if wrong is None:
                raise ValueError("on purpose")
            return list(wrong)

        with unittest.mock.patch.object(layouts, "run", run):
            try:
                race_layouts(["--seconds", "1", *options])
            except ValueError:
                self.assertIsNone(wrong)
        self.addCleanup(shutil.rmtree, folders[0], True)
        return folders[0]

    def test_it_is_kept_on_request(self):
        for wrong in (["on purpose"], None):
            self.assertTrue(os.path.exists(os.path.join(
                self.folder_after(wrong, "--keep"), "reclaim.toml")))

    def test_else_it_goes(self):
        self.assertFalse(os.path.exists(self.folder_after(["on purpose"])))


class ThreadsTest(unittest.TestCase):

    def test_a_thread_that_dies_fails_the_race(self):
        def die():
            raise ValueError("on purpose")
        hook, threading.excepthook = threading.excepthook, lambda _: None
        self.addCleanup(setattr, threading, "excepthook", hook)
        with self.assertRaisesRegex(ValueError, "on purpose"):
            ending.run_all([ending.Beside(die)], 0, threading.Event())

    def test_both_are_killed_by_the_second_crash(self):
        for seed in range(50):
            crashes = ending.crashes_of(["the daemon", "the registry", "both"],
                                        random.Random(seed), (1, 3))
            first = {next(crashes)[0] for _ in range(2)}
            self.assertTrue(first & {"both", "the daemon"})
            self.assertTrue(first & {"both", "the registry"})


if __name__ == "__main__":
    xml_results.main()

#!/usr/bin/env python3
"""End to end with systems that we did not make: the registry, skopeo, umoci.

Run me from the root, after `bazel build //cli:reclaim //server:reclaimd`;
tools/test does.  Everything listens on loopback or in a temporary folder, and
is stopped by process id.
"""
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.getcwd(), "tools"))
import quickstart_images as images  # noqa: E402

CLI = os.path.join(os.getcwd(), "bazel-bin/cli/reclaim")
DAEMON = os.path.join(os.getcwd(), "bazel-bin/server/reclaimd")
INDEX = images.OCI + "index.v1+json"
MANIFEST = images.OCI + "manifest.v1+json"


# What each says when it listens.
TCP = re.compile(r" serves .*\btcp port (\d+) ")
HTTP = re.compile(r" serves .*\bhttp port (\d+)\n")
REGISTRY = re.compile(r'msg="listening on 127\.0\.0\.1:(\d+)"')


def await_port(process, words):
    """The port that a process of World.start() says it listens on.

    It takes any that is free: one that is looked for beforehand, others may
    take before it is used.
    """
    deadline = time.monotonic() + 30
    while True:
        # A process that has ended has said all that it ever will.
        has_ended = process.poll() is not None
        with open(process.log, errors="replace") as file:
            said = file.read()
        found = words.search(said)
        if found:
            return int(found.group(1))
        if has_ended or time.monotonic() > deadline:
            raise AssertionError("it does not listen: " + said)
        time.sleep(0.02)


def await_url(url):
    deadline = time.monotonic() + 30
    while True:
        try:
            return urllib.request.urlopen(url).read().decode()
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def await_true(condition):
    deadline = time.monotonic() + 30
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it did not come true in 30 seconds")
        time.sleep(0.05)


def snapshot(folder):
    """Every path below with its kind, mode and content."""
    seen = {}
    for path, folders, files in os.walk(folder):
        for name in folders:
            full = os.path.join(path, name)
            seen[os.path.relpath(full, folder)] = os.stat(full).st_mode
        for name in files:
            full = os.path.join(path, name)
            with open(full, "rb") as file:
                data = hashlib.sha256(file.read()).hexdigest()
            seen[os.path.relpath(full, folder)] = (os.stat(full).st_mode, data)
    return seen


def blobs(root):
    found = set()
    for path, _, files in os.walk(
            os.path.join(root, "docker/registry/v2/blobs/sha256")):
        if "data" in files:
            found.add("sha256:" + os.path.basename(path))
    return found


def disk_bytes(folder):
    total = os.lstat(folder).st_blocks * 512
    for path, folders, files in os.walk(folder):
        for name in folders + files:
            total += os.lstat(os.path.join(path, name)).st_blocks * 512
    return total


class World(unittest.TestCase):
    """A folder, and processes that end with the test."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="reclaim-e2e-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.folder, True)

    def start(self, *command):
        log = open(os.path.join(self.folder, "%s.log" %
                                os.path.basename(command[0])), "w")
        self.addCleanup(log.close)
        process = subprocess.Popen(command, stdout=log, stderr=log)
        process.log = log.name
        self.addCleanup(self.stop, process)
        return process

    @staticmethod
    def stop(process):
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=30)

    def path(self, name):
        return os.path.join(self.folder, name)

    def start_registry(self):
        with open(self.path("registry.yml"), "w") as file:
            file.write("""version: 0.1
log: {level: info, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: %s}
  delete: {enabled: true}
http: {addr: "127.0.0.1:0"}
""" % self.path("registry"))
        process = self.start("docker-registry", "serve",
                             self.path("registry.yml"))
        self.registry = "127.0.0.1:%d" % await_port(process, REGISTRY)
        await_url("http://%s/v2/" % self.registry)
        return process

    keeps_configuration = False

    def start_daemon(self):
        if not self.keeps_configuration:
            with open(self.path("reclaim.toml"), "w") as file:
                file.write('[gc]\ngrace_period = "0s"\n'
                           'large_plan_percent = 100\n')
        process = self.start(
            DAEMON, "--config", self.path("reclaim.toml"), "--data-directory",
            self.path("data"), "--socket", self.path("r.sock"), "--http",
            "127.0.0.1:0")
        port = await_port(process, HTTP)
        self.metrics = "http://127.0.0.1:%d/metrics" % port
        await_url("http://127.0.0.1:%d/readyz" % port)
        return process

    def reclaim(self, *arguments, code=0):
        done = subprocess.run(
            [CLI, "--host", "unix:" + self.path("r.sock"), *arguments],
            capture_output=True, text=True)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def last_success(self, phase):
        """When a run of the phase last succeeded at hub, as metrics tell."""
        for line in await_url(self.metrics).splitlines():
            if (line.startswith("reclaim_last_success_timestamp_seconds{")
                    and 'phase="%s",store="hub"' % phase in line):
                return float(line.split()[-1])
        return self.fail("there is no such series")

    def add_registry(self):
        self.reclaim("store", "add", "registry:" + self.path("registry"),
                     "--name", "hub", "--registry-url",
                     "http://" + self.registry, "--write-duration", "0s")

    def fill(self):
        """What tools/quickstart pushes."""
        subprocess.run(
            [sys.executable, "tools/quickstart_images.py",
             self.path("images"), self.registry],
            check=True, stdout=subprocess.DEVNULL)

    def get_manifest(self, repository, reference):
        call = urllib.request.Request(
            "http://%s/v2/%s/manifests/%s"
            % (self.registry, repository, reference),
            headers={"Accept": ", ".join((INDEX, MANIFEST))})
        with urllib.request.urlopen(call) as answer:
            return json.load(answer)

    def pull_whole(self, repository, reference):
        """Everything that a manifest reaches, read and compared."""
        manifest = self.get_manifest(repository, reference)
        for child in manifest.get("manifests", []):
            self.pull_whole(repository, child["digest"])
        parts = manifest.get("layers", [])
        if "config" in manifest:
            parts = parts + [manifest["config"]]
        for part in parts:
            with urllib.request.urlopen("http://%s/v2/%s/blobs/%s" % (
                    self.registry, repository, part["digest"])) as answer:
                self.assertEqual(images.digest_of(answer.read()),
                                 part["digest"])

    def pull_everything(self):
        for repository, tag in (("app", "v1"), ("app", "v2"), ("app", "multi"),
                                ("app", "edge"), ("team/worker", "latest")):
            self.pull_whole(repository, tag)


class RegistryTest(World):

    def setUp(self):
        super().setUp()
        self.start_registry()
        self.fill()
        self.daemon = self.start_daemon()
        self.add_registry()
        self.reclaim("scan", "hub")

    def test_predicted_applied_and_lost_by_the_disk_are_equal(self):
        root = self.path("registry")
        before = snapshot(root)
        bytes_before = disk_bytes(root)
        plan = self.reclaim("plan").split("reclaim apply ")[1].strip()
        self.assertEqual(snapshot(root), before, "a preview changes nothing")
        shown = json.loads(self.reclaim(
            "plans", "ls", "--format", "json").splitlines()[0])
        self.assertEqual(shown["ID"], plan)
        predicted = int(self.reclaim("plans", "show", plan)
                        .split(" bytes on disk)")[0].split("(")[-1])
        self.reclaim("apply", plan, "--force")
        self.pull_everything()
        freed = int(self.reclaim("purge", "--now", "--force")
                    .split(" bytes on disk)")[0].split("(")[-1])
        self.assertEqual(freed, predicted)
        self.assertEqual(bytes_before - disk_bytes(root), predicted)
        self.pull_everything()
        self.assertEqual(self.last_success("verify"), 0)
        self.assertIn("0 findings", self.reclaim("verify", "--read-data"))
        self.assertAlmostEqual(self.last_success("verify"), time.time(),
                               delta=60)
        self.assertIn("0 items", self.reclaim("plan"))

    def test_restore_gives_back_the_same_tree(self):
        root = self.path("registry")
        before = snapshot(root)
        self.reclaim("system", "prune", "--force")
        self.assertNotEqual(snapshot(root), before)
        run = [line.split() for line in self.reclaim(
            "runs", "ls", "--format", "{{.ID}} {{.Kind}}").splitlines()
            if line.endswith(" apply")][0][0]
        self.reclaim("restore", run)
        self.assertEqual(snapshot(root), before)

    def test_rules_and_a_schedule_of_the_file(self):
        """The daemon prunes by itself, and remembers it over a restart."""
        self.stop(self.daemon)
        with open(self.path("reclaim.toml"), "w") as file:
            file.write('[gc]\ngrace_period = "0s"\n'
                       'large_plan_percent = 100\n'
                       '[[retention]]\nname = "newest"\n'
                       'repositories = ["app"]\ntags = ["v*"]\n'
                       'keep_newest = 1\n'
                       '[[schedule]]\nname = "often"\nevery = "1s"\n')
        self.keeps_configuration = True
        self.daemon = self.start_daemon()
        # The first run takes one of the two tags, the next finds nothing.
        await_true(lambda: "often nothing-to-do" in self.reclaim(
            "schedule", "ls", "--format", "{{.Name}} {{.Outcome}}"))
        self.reclaim("schedule", "pause", "often")
        kept = [line.split()[0] for line in self.reclaim(
            "policy", "test", "--format", "{{.Tag}} {{.Rule}}").splitlines()
            if line.endswith(" configuration/newest")]
        self.assertEqual(len(kept), 1)
        gone = ({"v1", "v2"} - set(kept)).pop()
        self.pull_whole("app", kept[0])
        with self.assertRaises(urllib.error.HTTPError):
            self.get_manifest("app", gone)
        self.assertIn("reclaim_schedule_runs_total",
                      await_url(self.metrics))
        runs = self.reclaim("schedule", "ls", "--format",
                            "{{.Name}} {{.Runs}}")
        self.stop(self.daemon)
        self.daemon = self.start_daemon()
        listed = self.reclaim("schedule", "ls", "--format",
                              "{{.Name}} {{.Next}}")
        self.assertIn("often paused", listed)
        self.assertEqual(
            [line for line in self.reclaim("schedule", "ls", "--format",
                                           "{{.Name}} {{.Runs}}").splitlines()
             if line.startswith("often")],
            [line for line in runs.splitlines() if line.startswith("often")])

    def test_beside_the_registrys_own_collector(self):
        root = self.path("registry")
        peer = self.path("peer")
        shutil.copytree(root, peer)
        start = blobs(root)
        self.reclaim("system", "prune", "--force", "--purge")
        with open(self.path("peer.yml"), "w") as file:
            file.write("version: 0.1\nlog: {level: error}\nstorage:\n"
                       "  filesystem: {rootdirectory: %s}\n"
                       "  delete: {enabled: true}\n" % peer)
        subprocess.run(["docker-registry", "garbage-collect",
                        self.path("peer.yml")], check=True,
                       stdout=subprocess.DEVNULL)
        ours, theirs = blobs(root), blobs(peer)
        # Without --delete-untagged it keeps what a revision link names: the
        # manifest that lost its tag, and what only that one references.
        extra = theirs - ours
        self.assertEqual(ours - theirs, set(), "it kept all that we keep")
        old = [digest for digest in extra
               if self.is_manifest(peer, digest)]
        self.assertEqual(len(old), 1, "the moved tag's first manifest")
        manifest = json.loads(self.blob(peer, old[0]))
        self.assertEqual(
            extra, {old[0], manifest["config"]["digest"],
                    manifest["layers"][1]["digest"]})
        self.assertLess(len(ours), len(start))
        # With it, children of tagged indexes are lost (its known fault 1).
        subprocess.run(["docker-registry", "garbage-collect",
                        "--delete-untagged", self.path("peer.yml")],
                       check=True, stdout=subprocess.DEVNULL)
        lost = ours - blobs(peer)
        self.assertTrue(lost, "the peer's fault is gone: change this test")
        self.pull_everything()

    @staticmethod
    def blob(root, digest):
        with open(os.path.join(
                root, "docker/registry/v2/blobs/sha256", digest[7:9],
                digest[7:], "data"), "rb") as file:
            return file.read()

    def is_manifest(self, root, digest):
        data = self.blob(root, digest)
        return data.startswith(b"{") and b'"schemaVersion"' in data

    def test_killed_at_once_and_started_again(self):
        self.reclaim("pin", "add", "app:v1", "--id", "p")
        self.daemon_restart(kill=True)
        self.assertIn("p ", self.reclaim("pin", "ls"))
        self.assertIn("0 findings", self.reclaim("verify"))

    def daemon_restart(self, kill):
        # The last process started is the daemon.
        for process in self.daemons:
            (process.kill if kill else process.terminate)()
            process.wait(timeout=30)
        self.start_daemon()

    def start_daemon(self):
        process = super().start_daemon()
        self.daemons = [process]
        return process

    def leap_while_stopped(self, seconds):
        """As if the wall clock had been set forward: it was behind before."""
        path = os.path.join(self.path("data"), "clock")
        with open(path) as file:
            lines = file.read().splitlines(keepends=True)
        words = lines[2].split()
        self.assertEqual(words[0], "clock")
        words[2] = str(int(words[2]) - seconds * 1000000)
        text = "".join(lines[:2]) + " ".join(words) + "\n"
        with open(path, "w") as file:
            file.write(text + "sum sha256:%s\n"
                       % hashlib.sha256(text.encode()).hexdigest())

    def held_back(self):
        for line in await_url(self.metrics).splitlines():
            if line.startswith("reclaim_clock_held_back_seconds "):
                return float(line.split()[1])
        return self.fail("there is no such series")

    def test_a_leap_of_the_clock_ends_no_quarantine(self):
        self.stop_daemons()
        with open(self.path("reclaim.toml"), "a") as file:
            file.write('quarantine_period = "1s"\n'
                       'purge_interval = "0s"\n')
        self.keeps_configuration = True
        self.start_daemon()
        self.assertEqual(self.held_back(), 0)
        self.reclaim("system", "prune", "--force")
        pruned = time.time()
        kept = self.quarantine_row()
        self.stop_daemons()
        self.leap_while_stopped(2 * 86400)
        for _ in range(2):
            self.start_daemon()
            self.assertAlmostEqual(self.held_back(), 2 * 86400, delta=60)
            with open(self.path("reclaimd.log")) as file:
                self.assertIn("ahead of what the time since boot allows",
                              file.read())
            await_true(lambda: time.time() > pruned + 2)
            self.reclaim("purge", "--force")
            self.assertEqual(self.quarantine_row(), kept)
            self.stop_daemons()
        # Who knows that the wall clock is right says so.
        os.remove(os.path.join(self.path("data"), "clock"))
        self.start_daemon()
        self.assertEqual(self.held_back(), 0)
        self.reclaim("purge", "--force")
        self.assertNotEqual(self.quarantine_row(), kept)
        self.pull_everything()

    def test_a_missing_database_is_rebuilt_from_the_stores(self):
        df = self.reclaim("df")
        for process in self.daemons:
            process.terminate()
            process.wait(timeout=30)
        shutil.rmtree(self.path("data"))
        super().start_daemon()
        self.add_registry()
        self.reclaim("scan", "hub")
        self.assertEqual(self.reclaim("df"), df)

    def stop_daemons(self):
        for process in self.daemons:
            process.terminate()
            process.wait(timeout=30)

    def quarantine_row(self):
        return [line.split() for line in self.reclaim("df").splitlines()
                if line.startswith("Quarantine")]

    def store_settings(self):
        """What `store add` was told, without times and free space."""
        return [[value for key, value in sorted(json.loads(line).items())
                 if "time" not in key.lower() and "byte" not in key.lower()]
                for line in self.reclaim("store", "ls", "--json").splitlines()]

    def test_a_registered_store_outlives_the_database(self):
        self.reclaim("store", "add", "memory:gone", "--name", "gone")
        self.reclaim("store", "rm", "gone")
        told = self.store_settings()
        self.assertIn("http://" + self.registry, str(told))
        df = self.reclaim("df")
        self.stop_daemons()
        shutil.rmtree(os.path.join(self.path("data"), "graph"))
        # Nobody adds or scans anything.
        self.start_daemon()
        self.reclaim("store", "confirm")
        self.assertEqual(self.store_settings(), told)
        self.assertEqual(self.reclaim("df"), df)
        self.assertIn("0 findings", self.reclaim("verify"))

    def test_a_damaged_list_of_stores_is_told(self):
        path = os.path.join(self.path("data"), "stores")
        self.stop_daemons()
        shutil.rmtree(os.path.join(self.path("data"), "graph"))
        with open(path, "r+b") as file:
            whole = file.read()
            file.seek(0)
            file.truncate(len(whole) - 10)
        done = subprocess.run(
            [DAEMON, "--config", self.path("reclaim.toml"), "--data-directory",
             self.path("data"), "--socket", self.path("r.sock"), "--http",
             "127.0.0.1:0"],
            capture_output=True, text=True, timeout=60)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(path, done.stderr)
        self.assertIn("is damaged", done.stderr)
        with open(path, "wb") as file:
            file.write(whole)
        self.start_daemon()
        self.assertIn("hub", self.reclaim("store", "ls"))

    def test_a_damaged_database_is_moved_aside_and_rebuilt(self):
        df = self.reclaim("df")
        for process in self.daemons:
            process.terminate()
            process.wait(timeout=30)
        with open(self.path("reclaim.toml"), "a") as file:
            file.write('[[store]]\nname = "hub"\nuri = "registry:%s"\n'
                       % self.path("registry"))
        self.keeps_configuration = True
        graph = os.path.join(self.path("data"), "graph")
        for name in os.listdir(graph):
            if name.endswith((".sst", ".log")) or name.startswith("MANIFEST"):
                with open(os.path.join(graph, name), "r+b") as file:
                    file.write(b"\xff" * 64)
        self.start_daemon()
        self.assertEqual(self.reclaim("df"), df)
        aside = [name for name in os.listdir(self.path("data"))
                 if name.startswith("graph.damaged-")]
        self.assertEqual(len(aside), 1)
        self.expect_unconfirmed(aside[0])

    def expect_unconfirmed(self, why):
        """Pins may be lost: nothing goes until somebody confirms."""
        root = self.path("registry")
        before = snapshot(root)
        for _ in range(2):
            listed = self.reclaim("store", "ls")
            self.assertIn("unconfirmed: ", listed)
            self.assertIn(why, listed)
            self.assertIn("reclaim_database_loss_unconfirmed 1",
                          await_url(self.metrics))
            self.reclaim("system", "prune", "--force", code=1)
            self.reclaim("purge", "--now", "-f", code=1)
            self.assertEqual(snapshot(root), before)
            self.stop_daemons()
            self.start_daemon()
        self.reclaim("store", "confirm")
        self.assertIn("reclaim_database_loss_unconfirmed 0",
                      await_url(self.metrics))
        self.reclaim("system", "prune", "--force")
        self.assertNotEqual(snapshot(root), before)

    def test_after_a_lost_database_an_admin_confirms(self):
        self.stop_daemons()
        shutil.rmtree(os.path.join(self.path("data"), "graph"))
        self.start_daemon()
        self.add_registry()
        self.reclaim("scan", "hub")
        self.expect_unconfirmed("its audit is there")

    def copy_data(self):
        """As a backup does while the daemon is stopped."""
        self.stop_daemons()
        shutil.copytree(self.path("data"), self.path("backup"))
        self.start_daemon()

    def put_back(self, name):
        """A part of the data directory out of that backup."""
        self.stop_daemons()
        shutil.rmtree(self.path(name.replace("backup", "data", 1)))
        shutil.copytree(self.path(name),
                        self.path(name.replace("backup", "data", 1)))

    def test_an_older_copy_of_the_database_is_noticed(self):
        self.copy_data()
        self.reclaim("pin", "add", "app:v1", "--id", "kept-since")
        self.put_back("backup/graph")
        self.start_daemon()
        self.assertNotIn("kept-since", self.reclaim("pin", "ls"))
        self.expect_unconfirmed("an older copy is in its place")
        # Killed or stopped, the latest one is not doubted.
        for kill in (True, False):
            self.daemon_restart(kill=kill)
            self.assertNotIn("unconfirmed", self.reclaim("store", "ls"))

    def test_a_backup_without_the_mark_asks(self):
        self.copy_data()
        self.put_back("backup")
        os.remove(os.path.join(self.path("data"), "graph-mark"))
        self.start_daemon()
        self.expect_unconfirmed("nobody knows whether it is the latest")

    def test_an_older_copy_is_brought_up_to_date_by_the_stores(self):
        root = self.path("registry")
        self.reclaim("system", "prune", "--force")
        self.copy_data()
        # What the copy has in quarantine is gone, something else is there.
        self.reclaim("purge", "--now", "--force")
        self.reclaim("image", "rm", "--force", "app:v2")
        self.reclaim("system", "prune", "--force")
        whole, df = snapshot(root), self.reclaim("df")
        self.put_back("backup/graph")
        self.start_daemon()
        self.assertEqual(snapshot(root), whole)
        self.reclaim("store", "confirm")
        self.assertEqual(self.reclaim("df"), df)
        self.assertIn("0 findings", self.reclaim("verify", "--read-data"))
        self.reclaim("purge", "--now", "--force")
        self.assertIn("0 findings", self.reclaim("verify", "--read-data"))
        for tag in ("v1", "multi", "edge"):
            self.pull_whole("app", tag)

    def test_quarantine_outlives_the_database(self):
        root = self.path("registry")
        before = snapshot(root)
        self.reclaim("system", "prune", "--force")
        held = self.quarantine_row()
        self.stop_daemons()
        shutil.rmtree(self.path("data"))
        self.start_daemon()
        self.add_registry()
        self.reclaim("scan", "hub")
        self.assertEqual(self.quarantine_row(), held)
        self.assertIn("0 findings", self.reclaim("verify"))
        run = self.reclaim("quarantine", "ls", "--format",
                           "{{.Run}}").split()[0]
        self.reclaim("restore", run)
        self.assertEqual(snapshot(root), before)
        # What came back is new to this database.
        self.reclaim("scan", "hub")
        self.assertIn("0 findings", self.reclaim("verify", "--read-data"))

    def test_metrics_and_promtool(self):
        text = await_url(self.metrics)
        self.assertIn('reclaim_blobs{store="hub",state="garbage"} 4', text)
        subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                       check=True)


class LayoutTest(World):

    def test_a_layout_of_skopeo_and_umoci(self):
        self.start_daemon()
        layout = images.Layout(self.path("made"))
        for name, seed in (("one", "1"), ("two", "2")):
            layout.name(layout.image([("base", 50_000), (seed, 20_000)]), name)
            subprocess.run(
                ["skopeo", "copy", "--quiet", "--insecure-policy",
                 "oci:%s:%s" % (self.path("made"), name),
                 "oci:%s:%s" % (self.path("copied"), name)], check=True)
        subprocess.run(["umoci", "rm", "--image",
                        self.path("copied") + ":two"], check=True)
        self.reclaim("store", "add", "image-layout:" + self.path("copied"),
                     "--name", "layout")
        self.reclaim("scan")
        twin = self.path("twin")
        shutil.copytree(self.path("copied"), twin)
        before = snapshot(self.path("copied"))
        self.reclaim("system", "prune", "--force")
        run = [line.split()[0] for line in self.reclaim(
            "runs", "ls", "--format", "{{.ID}} {{.Kind}}").splitlines()
            if line.endswith(" apply")][0]
        self.reclaim("restore", run)
        self.assertEqual(snapshot(self.path("copied")), before)
        self.reclaim("system", "prune", "--force", "--purge")
        subprocess.run(["umoci", "gc", "--layout", twin], check=True,
                       stdout=subprocess.DEVNULL)
        names = [set(os.listdir(os.path.join(root, "blobs/sha256")))
                 for root in (self.path("copied"), twin)]
        self.assertEqual(names[0], names[1], "what umoci keeps as well")
        self.assertEqual(len(names[0]), 4)


class SecondDaemonTest(World):

    def test_a_second_daemon_on_the_same_data_is_refused(self):
        self.start_daemon()
        done = subprocess.run(
            [DAEMON, "--data-directory", self.path("data"), "--socket",
             self.path("other.sock"), "--http", ""],
            capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("open", done.stderr)
        self.reclaim("df")


def run(module, name):
    """Runs the tests of a module; counted by tools/count_tests.py."""
    result = unittest.main(module, exit=False, verbosity=2).result
    output = os.environ.get("XML_OUTPUT_FILE")
    if output:
        broken = len(result.failures) + len(result.errors)
        skipped = broken + len(result.skipped)
        with open(output, "w", encoding="utf-8") as file:
            file.write("<testsuite>")
            # Those of a class that cannot be set up are not run, but told.
            for number in range(max(result.testsRun, skipped)):
                end = ("<failure/>" if number < broken else
                       "<skipped/>" if number < skipped else "")
                file.write('<testcase name="%s%d">%s</testcase>' %
                           (name, number, end))
            file.write("</testsuite>")
    sys.exit(not result.wasSuccessful())


if __name__ == "__main__":
    run("__main__", "e2e")

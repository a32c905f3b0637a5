#!/usr/bin/env python3
"""A real dockerd and a real podman service: usage, prune, what is in use.

Run me from the root, after `bazel build //cli:reclaim //server:reclaimd`;
tools/test does.
"""
import json
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from engines import Dockerd, Podman, allocated, main, run  # noqa: E402

BASE = ("base", 900_000)


class Cases:
    """What both engines must show."""

    def setUp(self):
        super().setUp()
        layout = self.layout()
        self.load_layout(layout, {
            self.name("a"): layout.image([BASE, ("a", 300_000)]),
            self.name("b"): layout.image([BASE, ("b", 200_000)],
                                         labels={"keep": "yes"}),
            self.name("c"): layout.image([("alone", 500_000)])})
        self.start_daemon()
        self.reclaim("store", "add", "%s:%s" % (self.scheme, self.socket),
                     "--name", "node")
        self.settle()

    def settle(self):
        self.reclaim("scan", "node")

    def name(self, short, tag="v1"):
        return "%s%s:%s" % (self.prefix, short, tag)

    def images(self):
        return {name for image in self.get("/images/json?all=1")
                for name in image["RepoTags"] or []
                if "<none>" not in name}

    def containers(self):
        return {name.lstrip("/") for container in self.get(
            "/containers/json?all=1") for name in container["Names"]}

    def layers_on_disk(self):
        return sum(
            allocated(os.path.join(self.layer_root(), name))
            for name in os.listdir(self.layer_root()) if len(name) > 60)

    def prune(self, *arguments):
        """Plan, apply, and compare with what the disk loses."""
        plan, predicted = self.plan(*arguments)
        self.assertIn("cannot be given back",
                      self.reclaim("plans", "show", plan))
        before = self.layers_on_disk()
        self.reclaim("apply", plan, "--force")
        self.assertEqual(before - self.layers_on_disk(), predicted)
        self.settle()
        return predicted

    def test_df_is_what_the_disk_has(self):
        rows = self.rows()
        self.assertEqual(rows["Images"].total_count, 3)
        self.assertEqual(rows["Images"].bytes.logical_bytes, 1_900_000,
                         "the base once")
        self.assertEqual(rows["Images"].bytes.allocated_bytes,
                         self.layers_on_disk())
        self.engine("create", "--name", "web", self.name("a"), "/file-a")
        self.settle()
        rows = self.rows()
        self.assertEqual(rows["Images"].active_count, 1)
        self.assertEqual(rows["Images"].reclaimable.logical_bytes, 700_000,
                         "the base is in use")
        self.assertEqual(rows["Containers"].total_count, 1)
        self.assertEqual(rows["Images"].bytes.allocated_bytes +
                         rows["Containers"].bytes.allocated_bytes,
                         self.layers_on_disk())

    def test_prune_of_images(self):
        self.engine("create", "--name", "web", self.name("a"), "/file-a")
        self.engine("tag", self.name("c"), self.name("c", "again"))
        self.settle()
        self.prune("--all", "--filter", "label!=keep")
        self.assertEqual(self.images(), {self.name("a"), self.name("b")})
        self.prune("--all")
        self.assertEqual(self.images(), {self.name("a")})
        self.assertEqual(self.containers(), {"web"})
        self.assertIn("0 findings", self.reclaim("verify"))
        self.assertIn("0 items", self.reclaim("plan", "--all"))

    def test_dangling_images(self):
        self.engine("tag", self.name("c"), self.name("a"))
        self.settle()
        self.assertEqual(self.usage().dangling_image_count, 1)
        self.prune()
        self.assertEqual(
            self.images(), {self.name("a"), self.name("b"), self.name("c")})
        self.assertEqual(self.usage().dangling_image_count, 0)
        self.assertEqual(len(self.get("/images/json?all=1")), 2)

    def test_stopped_containers(self):
        for name, label in (("web", "role=web"), ("job", "role=job")):
            self.engine("create", "--name", name, "--label", label,
                        self.name("a"), "/file-a")
        self.settle()
        before = self.layers_on_disk()
        predicted = self.bytes_on_disk(self.reclaim(
            "container", "prune", "--dry-run", "--filter", "label=role=web"))
        self.reclaim("container", "prune", "--force", "--filter",
                     "label=role=web")
        self.assertEqual(self.containers(), {"job"})
        self.assertEqual(before - self.layers_on_disk(), predicted)
        self.settle()
        self.reclaim("system", "prune", "--all", "--force")
        self.assertEqual(self.containers(), set())
        self.assertEqual(self.images(), set())
        self.settle()
        self.assertEqual(self.rows()["Images"].total_count, 0)

    def test_volumes(self):
        self.engine("volume", "create", "--label", "k=v", "named")
        self.engine("volume", "create", "used")
        self.engine("create", "--name", "web", "-v", "used:/data",
                    self.name("a"), "/file-a")
        self.settle()
        volumes = lambda: {v["Name"] for v in self.get(  # noqa: E731
            "/volumes")["Volumes"] or []}
        self.reclaim("volume", "prune", "--force")
        self.assertEqual(volumes(), {"named", "used"}, "named ones stay")
        self.reclaim("volume", "prune", "--all", "--force", "--filter",
                     "label=k=v")
        self.assertEqual(volumes(), {"used"})
        self.reclaim("volume", "prune", "--all", "--force")
        self.assertEqual(volumes(), {"used"}, "a container has it")

    def test_a_running_container_is_never_touched(self):
        self.load_pause()
        started = subprocess.run(
            self.client("run", "-d", "--name", "busy", "--net", "none",
                        self.name("pause"), "/pause"),
            capture_output=True, text=True)
        if started.returncode != 0:
            print("%s: nothing can be run on this machine: %s" %
                  (self.scheme, started.stderr.strip()[-200:]),
                  file=sys.stderr)
            self.skipTest("this machine runs no containers")
        self.settle()
        self.assertEqual(self.rows()["Containers"].active_count, 1)
        self.reclaim("system", "prune", "--all", "--volumes", "--force")
        self.assertEqual(self.containers(), {"busy"})
        self.assertEqual(self.images(), {self.name("pause")})
        self.engine("kill", "busy")

    def load_pause(self):
        from engines import pause_layer
        layout = self.layout("pause-layout")
        data, diff = pause_layer(self.folder)
        config = layout.blob(json.dumps({
            "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [diff]}}).encode())
        manifest = layout.blob(json.dumps({
            "schemaVersion": 2, "config": config,
            "layers": [layout.blob(data)]}).encode())
        self.load_layout(layout, {self.name("pause"): manifest})

    def test_the_same_images_stay_as_with_the_engines_own_prune(self):
        self.engine("create", "--name", "web", self.name("a"), "/file-a")
        self.settle()
        self.reclaim("image", "prune", "--all", "--force")
        ours = self.images()
        layout = self.layout("again")
        self.load_layout(layout, {
            self.name("b"): layout.image([BASE, ("b", 200_000)]),
            self.name("c"): layout.image([("alone", 500_000)])})
        self.assertNotEqual(self.images(), ours)
        self.engine("image", "prune", "--all", "--force")
        self.assertEqual(self.images(), ours)

    def test_orphans_are_counted_and_left_alone(self):
        folder = os.path.join(self.layer_root(), "f" * 64)
        os.makedirs(os.path.join(folder, "diff"))
        with open(os.path.join(folder, "diff", "lost"), "wb") as file:
            file.write(b"x" * 10_000)
        self.settle()
        row = self.rows()["Orphans"]
        self.assertEqual((row.total_count, row.bytes.logical_bytes),
                         (1, 10_000))
        self.assertEqual(row.bytes.allocated_bytes, allocated(folder))
        self.reclaim("system", "prune", "--all", "--force")
        self.assertTrue(os.path.exists(folder))

    def test_a_change_by_another_client_is_seen(self):
        self.engine("tag", self.name("c"), self.name("fresh"))
        self.wait_for("the event", lambda: "fresh" in self.reclaim("images"))
        self.engine("rmi", self.name("b"))
        self.wait_for("the event", lambda: self.usage().image_count == 2)

    def test_an_engine_that_stops_is_away(self):
        self.reclaim("store", "add", "external:other", "--name", "other")
        self.stop_engine()
        state = lambda: self.reclaim(  # noqa: E731
            "store", "ls", "--format", "{{.Name}} {{.State}}")
        self.wait_for("away", lambda: "node away: " in state())
        self.assertIn("other ready", state())
        self.reclaim("df")
        self.assertIn("does not answer",
                      self.reclaim("scan", "node", code=None))
        self.restart_engine()
        self.wait_for("ready", lambda: "node ready" in state())


class DockerTest(Cases, Dockerd):
    prefix = ""

    def layer_root(self):
        return self.path("d-root", self.driver)

    def client(self, *arguments):
        return ["/usr/bin/docker", "-H", "unix://" + self.socket, *arguments]

    def stop_engine(self):
        self.stop(self.dockerd)

    def restart_engine(self):
        self.start_dockerd()

    def test_networks(self):
        # A bridge is the kernel's: it would outlive dockerd.
        self.addCleanup(self.engine, "network", "rm", "mine", check=False)
        self.engine("network", "create", "--driver", "bridge", "--label",
                    "k=v", "mine")
        self.settle()
        networks = lambda: {n["Name"] for n in self.get(  # noqa: E731
            "/networks")}
        before = networks()
        self.assertIn("mine", before)
        self.reclaim("network", "prune", "--force", "--filter", "label=other")
        self.assertEqual(networks(), before)
        self.reclaim("network", "prune", "--force")
        self.assertEqual(networks(), before - {"mine"})

    def test_a_parent_goes_with_its_last_child(self):
        """SEMANTICS, cases 18 and 19, by Docker's older builder."""
        context = self.path("context")
        os.makedirs(context)
        with open(os.path.join(context, "Dockerfile"), "w") as file:
            file.write("FROM scratch\nCOPY data /one\nCOPY data /two\n")
        with open(os.path.join(context, "data"), "wb") as file:
            file.write(os.urandom(200_000))
        built = subprocess.run(
            self.client("build", "-t", "built", context),
            env=dict(os.environ, DOCKER_BUILDKIT="0"), capture_output=True,
            text=True)
        self.assertEqual(built.returncode, 0, built.stderr)
        self.settle()
        self.assertEqual(len(self.get("/images/json?all=1")), 5)
        self.assertEqual(self.usage().image_count, 4, "the parent is none")
        self.assertEqual(self.usage().dangling_image_count, 0)
        self.assertIn(" 0 items", self.reclaim("plan"))
        self.prune("--all")
        self.assertEqual(self.get("/images/json?all=1"), [])

    def test_build_cache(self):
        context = self.path("context")
        os.makedirs(context)
        with open(os.path.join(context, "Dockerfile"), "w") as file:
            file.write("FROM scratch\nCOPY data /data\n")
        with open(os.path.join(context, "data"), "wb") as file:
            file.write(os.urandom(300_000))
        built = subprocess.run(
            self.client("build", "-t", "built", context),
            env=dict(os.environ, DOCKER_BUILDKIT="1"), capture_output=True,
            text=True)
        if built.returncode != 0:
            print("docker: nothing can be built on this machine: %s" %
                  built.stderr[-200:], file=sys.stderr)
            self.skipTest("this machine builds nothing")
        self.engine("rmi", "built")
        self.settle()
        row = self.rows()["Build Cache"]
        self.assertGreater(row.total_count, 0)
        self.assertGreaterEqual(row.bytes.logical_bytes, 300_000)
        self.reclaim("builder", "prune", "--all", "--force")
        self.assertEqual(self.get("/system/df")["BuildCache"] or [], [])
        self.settle()
        self.assertEqual(self.rows()["Build Cache"].total_count, 0)


class PodmanTest(Cases, Podman):
    prefix = "localhost/"

    def layer_root(self):
        return self.path("p-root", self.driver)

    def client(self, *arguments):
        return [*self.flags(), *arguments]

    def stop_engine(self):
        self.stop(self.podman)

    def restart_engine(self):
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        self.start_podman()

    def test_a_container_of_buildah_keeps_its_image(self):
        run("buildah", "--root", self.path("p-root"), "--runroot",
            self.path("p-run"), "--storage-driver", self.driver, "from",
            "--pull-never", self.name("c"))
        self.settle()
        self.reclaim("system", "prune", "--all", "--force")
        self.assertEqual(self.images(), {self.name("c")})


if __name__ == "__main__":
    main()

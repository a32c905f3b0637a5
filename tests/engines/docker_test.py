#!/usr/bin/env python3
"""A real dockerd and a real podman service: usage, prune, what is in use.

Run me from the root, after `bazel build //cli:reclaim //server:reclaimd`;
tools/test does.
"""
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cases import (BASE, NO_FILTERS, AwayCases, FilterCases,  # noqa: E402
                   flags_of, layers_of)
from engines import (Dockerd, Podman, allocated, main,  # noqa: E402
                     pause_layer, run)
from stand_ins import (docker_of_version,  # noqa: E402
                       docker_that_counts, docker_without_containers)


class Cases(FilterCases, AwayCases):
    """What both engines must show."""
    purge = ()

    def setUp(self):
        super().setUp()
        self.load_all()
        self.start_daemon()
        self.reclaim("store", "add", "%s:%s" % (self.scheme, self.socket),
                     "--name", "node")
        self.settle()

    def load_all(self):
        layout = self.layout()
        self.load_layout(layout, {
            self.name(short): made
            for short, made in layers_of(layout).items()})

    def load_late(self):
        layout = self.layout("late")
        self.load_layout(layout, {
            self.name("d"): layout.image([BASE, ("d", 100_000)])})

    def create(self, name, short, *flags):
        self.engine("create", "--name", name, *flags, self.name(short),
                    "/file-a")

    def on_disk(self):
        return self.layers_on_disk()

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
        self.verify()
        self.assertIn(" 0 items", self.reclaim("image", "prune", "--all",
                                               "--dry-run"))

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
        self.reclaim("volume", "prune", "--force")
        self.assertEqual(self.volumes(), {"named", "used"}, "named ones stay")
        self.reclaim("volume", "prune", "--all", "--force", "--filter",
                     "label=k=v")
        self.assertEqual(self.volumes(), {"used"})
        self.reclaim("volume", "prune", "--all", "--force")
        self.assertEqual(self.volumes(), {"used"}, "a container has it")

    def test_no_image_is_taken_from_under_a_container(self):
        """These engines would delete its content too (SEMANTICS, case 16)."""
        self.create("web", "a")
        self.settle()
        said = self.reclaim("image", "rm", "--force", self.name("a"),
                            with_notes=True)
        self.assertIn("in-use", said)
        self.assertIn("Total reclaimed space: 0B", said)
        self.assertIn(self.name("a"), self.images())
        self.verify()

    def test_a_running_container_is_never_touched(self):
        self.load_pause()
        started = subprocess.run(
            self.client("run", "-d", "--name", "busy", "--net", "none",
                        *self.run_flags, self.name("pause"), "/pause"),
            capture_output=True, text=True)
        self.addCleanup(self.engine, "kill", "busy", check=False)
        if started.returncode != 0:
            self.skipTest("this machine runs no containers: " +
                          started.stderr.strip()[-200:])
        self.settle()
        self.assertEqual(self.rows()["Containers"].active_count, 1)
        self.reclaim("system", "prune", "--all", "--volumes", "--force")
        self.assertEqual(self.containers(), {"busy"})
        self.assertEqual(self.images(), {self.name("pause")})
        self.engine("kill", "busy")
        self.settle()
        self.assertEqual(self.rows()["Containers"].active_count, 0)
        self.reclaim("system", "prune", "--all", "--force")
        self.assertEqual((self.containers(), self.images()), (set(), set()))

    def load_pause(self):
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
        self.wait_for("away", lambda: "node away: " in self.store_states())
        self.assertIn("other ready", self.store_states())
        self.assertEqual(self.metric("reclaim_store_up", store="node"), 0)
        self.reclaim("df")
        self.assertIn("does not answer",
                      self.reclaim("scan", "node", code=None))
        self.restart_engine()
        self.wait_for("ready", lambda: "node ready" in self.store_states())


    def test_an_engine_of_another_version(self):
        path = self.path("strange.sock")
        server = docker_of_version(path, {"ApiVersion": "1.12"})
        self.check_version(server, path, "1.24 or later is needed")

    def test_what_the_engine_refuses_stays(self):
        """A container that we are not told of: the engine knows better."""
        self.create("web", "a")
        path = self.path("blind.sock")
        self.addCleanup(docker_without_containers(path, self.socket).close)
        self.reclaim("store", "add", "%s:%s" % (self.scheme, path), "--name",
                     "blind")
        self.reclaim("scan", "blind")
        said = self.reclaim("image", "prune", "--all", "--force", "--store",
                            "blind", with_notes=True)
        self.assertIn("in-use", said)
        self.assertIn("Total reclaimed space: 700kB", said)
        self.assertEqual(self.images(), {self.name("a")})
        self.assertEqual(self.containers(), {"web"})
        self.assertIn(self.name("a"), self.reclaim(
            "images", "--store", "blind", "--format",
            "{{.Repository}}:{{.Tag}}"))
        self.verify("blind")

    def test_each_filter_of_volumes(self):
        def create(*names):
            for name in names:
                self.engine("volume", "create", "--label", "k=" + name, name)
                with open(os.path.join(self.volume_root(), name, "_data",
                                       "file"), "wb") as file:
                    file.write(b"x" * 100_000)

        create("one", "two")
        for filters, gone in (("label=k=one", {"one"}),
                              ("label=k=three", set()),
                              ("label!=k=one", {"two"}),
                              ("all=false", set()),
                              ("all=true", {"one", "two"})):
            with self.subTest(filters=filters):
                self.settle()
                verb = ["volume", "prune", *flags_of(filters)]
                verb += [] if "all" in filters else ["--all"]
                predicted = self.bytes_on_disk(
                    self.reclaim(*verb, "--dry-run"))
                self.assertEqual(predicted, sum(
                    allocated(os.path.join(self.volume_root(), name))
                    for name in gone))
                self.reclaim(*verb, "--force")
                self.assertEqual(self.volumes(), {"one", "two"} - gone)
            create(*({"one", "two"} - self.volumes()))
        for wrong in ("until=1h", "label=", "reference=a"):
            self.reclaim("volume", "prune", "--all", "--force",
                         *flags_of(wrong), code=None)
        self.assertEqual(self.volumes(), {"one", "two"})

    def networks(self):
        return {network["Name"] for network in self.get("/networks")}

    def create_network(self, name):
        # Docker's bridge is the kernel's: it would outlive dockerd.
        self.addCleanup(self.engine, "network", "rm", name, check=False)
        self.engine("network", "create", "--driver", "bridge", "--label",
                    "role=" + name, name)

    def test_each_filter_of_networks(self):
        predefined = self.networks()
        for name in ("used", "web", "job"):
            self.create_network(name)
        self.engine("create", "--name", "user", "--network", "used",
                    self.name("a"), "/file-a")
        since = "%.6f" % time.time()
        self.create_network("late")
        mine = {"web", "job", "late"}
        for filters, gone in (("until=1h", set()),
                              ("until=" + since, {"web", "job"}),
                              ("label=role=web", {"web"}),
                              ("label=role=none", set()),
                              ("label!=role=web", {"job", "late"}),
                              ("label!=role", set()),
                              ("", mine)):
            with self.subTest(filters=filters):
                self.settle()
                there = self.networks()
                self.assertEqual(there, predefined | {"used"} | mine)
                verb = ["network", "prune", *flags_of(filters)]
                self.reclaim(*verb, "--dry-run")
                self.assertEqual(self.networks(), there)
                self.reclaim(*verb, "--force")
                self.assertEqual(self.networks(), there - gone)
            for name in sorted(mine - self.networks()):
                self.create_network(name)
        for wrong in NO_FILTERS + ("reference=a", "dangling=true"):
            self.reclaim("network", "prune", "--force", *flags_of(wrong),
                         code=None)
        self.assertEqual(self.networks(), predefined | {"used"} | mine)

    def test_lists_have_the_engines_own_words(self):
        self.create_network("front")
        self.create("web", "a", "-p", "127.0.0.1:18080:80", "-p", "53/udp")
        self.settle()
        for record in self.listed("network", "ls"):
            theirs = self.get("/networks/" + record["Name"])
            self.assertEqual(
                (record["ID"], record["Driver"], record["Scope"]),
                (theirs["Id"][:12], theirs["Driver"], theirs["Scope"]))
        self.assertIn("NETWORK ID", self.reclaim("network", "ls"))
        self.assertIn("SCOPE", self.reclaim("network", "ls"))
        self.assertIn("PORTS", self.reclaim("container", "ls"))
        theirs = self.get("/containers/json?all=1")[0]["Ports"]
        ours = self.listed("container", "ls", "--all")[0]["Ports"]
        self.assertEqual(ours, ", ".join(
            "%s%d/%s" % ("%s:%d->" % (port.get("IP") or "0.0.0.0",
                                      port["PublicPort"])
                         if port.get("PublicPort") else "",
                         port["PrivatePort"], port["Type"])
            for port in theirs))

    def volumes(self):
        return {v["Name"] for v in self.get("/volumes")["Volumes"] or []}


class DockerTest(Cases, Dockerd):
    prefix = ""
    run_flags = ()

    def process(self):
        return self.dockerd

    def volume_root(self):
        return self.path("d-root", "volumes")

    def layer_root(self):
        return self.path("d-root", self.driver)

    def client(self, *arguments):
        return ["/usr/bin/docker", "-H", "unix://" + self.socket, *arguments]

    def stop_engine(self):
        self.stop(self.dockerd)

    def restart_engine(self):
        self.start_dockerd()

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
        self.build()
        self.settle()
        # What the image shares with the cache is the image's.
        folders = self.build_folders()
        rows = self.rows()
        shared = [record for record in self.get("/system/df")["BuildCache"]
                  if record["Shared"]]
        self.assertEqual(len(shared), 1)
        self.assertEqual(
            rows["Build Cache"].bytes.allocated_bytes +
            rows["Images"].bytes.allocated_bytes,
            self.layers_on_disk() + folders)
        self.engine("rmi", "built")
        self.settle()
        # Then it is the cache's alone: bytes and blocks.
        row = self.rows()["Build Cache"]
        self.assertGreater(row.total_count, 2)
        self.assertEqual(row.bytes.allocated_bytes, folders)
        self.assertEqual(row.bytes.logical_bytes, sum(
            record["Size"] for record in self.get("/system/df")["BuildCache"]))
        self.assertEqual(self.build_folders(), folders)
        for filters in ("until=1h", "label=x"):
            self.reclaim("builder", "prune", "--all", "--force", "--filter",
                         filters, code=0 if "until" in filters else None)
        self.assertEqual(self.build_folders(), folders)
        predicted = self.bytes_on_disk(
            self.reclaim("builder", "prune", "--all", "--dry-run"))
        self.assertEqual(predicted, folders)
        self.reclaim("builder", "prune", "--all", "--force")
        self.assertEqual(self.get("/system/df")["BuildCache"] or [], [])
        self.assertEqual(self.build_folders(), 0)
        self.settle()
        self.assertEqual(self.rows()["Build Cache"].total_count, 0)

    def store_in_front(self, name, times):
        path = self.path(name + ".sock")
        self.addCleanup(docker_that_counts(path, self.socket, times).close)
        self.reclaim("store", "add", "%s:%s" % (self.scheme, path), "--name",
                     name)
        self.reclaim("scan", name)

    def test_build_cache_that_somebody_has(self):
        """BuildKit passes over it and answers as if all were well."""
        self.build()
        self.engine("rmi", "built")
        self.store_in_front("always", 10_000)
        folders = self.build_folders()
        said = self.reclaim("builder", "prune", "--all", "--force",
                            "--store", "always", with_notes=True)
        self.assertIn("does not say why", said)
        self.assertIn("Total reclaimed space: 0B", said)
        self.assertEqual(self.build_folders(), folders)
        self.verify("always")
        self.store_in_front("for-a-while", 2)
        said = self.reclaim("builder", "prune", "--all", "--force",
                            "--store", "for-a-while")
        self.assertNotIn("Total reclaimed space: 0B", said)
        self.assertEqual(self.get("/system/df")["BuildCache"] or [], [])
        self.assertEqual(self.build_folders(), 0)

    def all_on_disk(self):
        return self.layers_on_disk() + self.build_folders()

    def test_a_plan_of_images_leaves_out_what_the_build_cache_has(self):
        self.build("a:v1")
        self.settle()
        before = self.all_on_disk()
        said = self.reclaim("image", "prune", "--all", "--dry-run")
        predicted = self.bytes_on_disk(said)
        # Base and top of a, and what was built on them.
        stays = int(said.split("3 more layers, ")[1].split("(")[1].split()[0])
        self.assertIn("bytes on disk), stay because the build cache", said)
        self.reclaim("image", "prune", "--all", "--force")
        self.assertEqual(self.images(), set())
        self.assertEqual(before - self.all_on_disk(), predicted)
        self.assertGreater(stays, 1_500_000)
        self.assertLessEqual(stays, self.all_on_disk())
        self.settle()
        left = self.all_on_disk()
        self.assertEqual(self.rows()["Build Cache"].bytes.allocated_bytes,
                         left)
        self.assertEqual(self.bytes_on_disk(self.reclaim(
            "builder", "prune", "--all", "--dry-run")), left)
        self.reclaim("builder", "prune", "--all", "--force")
        self.assertEqual(self.all_on_disk(), 0)

    def test_a_plan_of_images_and_of_build_cache_is_the_whole(self):
        self.build("a:v1")
        self.settle()
        before = self.all_on_disk()
        said = self.reclaim("system", "prune", "--all", "--dry-run")
        self.assertNotIn("more layers", said)
        self.assertEqual(self.bytes_on_disk(said), before)
        self.reclaim("system", "prune", "--all", "--force")
        self.assertEqual(self.images(), set())
        self.assertEqual(self.all_on_disk(), 0)

    def build(self, base="scratch"):
        context = self.path("context")
        os.makedirs(context)
        with open(os.path.join(context, "Dockerfile"), "w") as file:
            file.write("FROM %s\nCOPY data /data\n" % base)
        with open(os.path.join(context, "data"), "wb") as file:
            file.write(os.urandom(300_000))
        built = subprocess.run(
            self.client("build", "-t", "built", context),
            env=dict(os.environ, DOCKER_BUILDKIT="1"), capture_output=True,
            text=True)
        if built.returncode != 0:
            self.skipTest("this machine builds nothing: " +
                          built.stderr[-200:])

    def build_folders(self):
        """Blocks of what BuildKit made: its names are shorter."""
        return sum(allocated(os.path.join(self.layer_root(), name))
                   for name in os.listdir(self.layer_root())
                   if 20 < len(name) < 60)


class PodmanTest(Cases, Podman):
    prefix = "localhost/"
    # Its own are higher than some machines allow to set.
    run_flags = ("--ulimit", "nofile=1024:1024", "--ulimit",
                 "nproc=1024:1024")

    def process(self):
        return self.podman

    def volume_root(self):
        return self.path("p-root", "volumes")

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

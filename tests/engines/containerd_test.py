#!/usr/bin/env python3
"""A real containerd: usage, prune, undo, leases, events, loss.

Run me from the root, after `bazel build //cli:reclaim //server:reclaimd`;
tools/test does.
"""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cases import BASE, AwayCases, FilterCases, layers_of  # noqa: E402
from engines import Containerd, main  # noqa: E402
from stand_ins import containerd_without_services  # noqa: E402

PREFIX = "docker.io/library/"
A, B, C = [PREFIX + name + ":v1" for name in "abc"]


class ContainerdTest(FilterCases, AwayCases, Containerd):
    scheme = "containerd"
    purge = ("--purge",)

    def setUp(self):
        super().setUp()
        self.load_all()
        self.start_daemon()
        # Nobody else writes here: purges need not wait for a minute.
        self.reclaim("store", "add", "containerd:" + self.socket, "--name",
                     "node", "--write-duration", "0s")
        self.settle()

    def name(self, short):
        return "%s%s:v1" % (PREFIX, short)

    def load_all(self):
        layout = self.layout()
        self.made = {self.name(short): made
                     for short, made in layers_of(layout).items()}
        self.load(self.archive(layout, self.made))

    def load_late(self):
        layout = self.layout("late")
        self.load(self.archive(layout, {
            self.name("d"): layout.image([BASE, ("d", 100_000)])}))

    def images(self):
        return self.names()

    def containers(self):
        return set(self.ctr("containers", "ls", "-q").split())

    def create(self, name, short, *flags):
        self.container(name, self.name(short), *flags)

    def on_disk(self):
        return sum(self.true_bytes())

    def process(self):
        return self.containerd

    def settle(self):
        """The graph has all that containerd has."""
        self.reclaim("scan", "node")

    def state(self):
        return self.names(), self.content(), self.snapshots()

    def test_df_is_what_the_disk_has(self):
        usage = self.reclaim("df", "--format",
                             "{{.Type}}|{{.TotalCount}}|{{.Active}}")
        self.assertIn("Images|3|0", usage)
        self.assertIn("Unpacked Layers|4|0", usage)
        content, unpacked = self.true_bytes()
        self.assertEqual(self.raw("content"), content)
        self.assertEqual(self.raw("unpacked"), unpacked)
        self.container("web", A)
        self.settle()
        content, unpacked = self.true_bytes()
        rows = self.rows()
        self.assertEqual(
            rows["Unpacked Layers"].bytes.allocated_bytes +
            rows["Containers"].bytes.allocated_bytes, unpacked)
        self.assertEqual(rows["Images"].active_count, 1)
        self.assertEqual(rows["Unpacked Layers"].active_count, 2)

    def test_prune_frees_what_the_plan_says_and_restore_gives_it_back(self):
        self.container("web", A)
        self.settle()
        before = self.state()
        disk = sum(self.true_bytes())
        plan, predicted = self.plan("--all")
        self.assertEqual(self.state(), before, "a preview changes nothing")
        self.reclaim("apply", plan, "--force")
        self.assertEqual(self.names(), {A})
        self.assertEqual(self.content(), before[1], "leases hold the bytes")
        self.assertEqual(self.snapshots(), before[2])
        # containerd may collect whenever it likes.
        self.collect()
        self.assertEqual(self.content(), before[1])
        self.reclaim("restore", self.last_apply())
        self.assertEqual(self.state(), before)
        self.settle()
        self.verify()
        plan, again = self.plan("--all")
        self.assertEqual(again, predicted)
        self.reclaim("apply", plan, "--force")
        freed = self.bytes_on_disk(self.reclaim("purge", "--now", "--force"))
        self.assertEqual(freed, predicted)
        self.assertEqual(disk - sum(self.true_bytes()), predicted)
        self.assertEqual(self.names(), {A})
        self.assertEqual(len(self.snapshots()), 3, "base, a, and web's own")
        self.assertNotIn("reclaim", self.ctr("leases", "ls"))
        self.settle()
        self.verify("--read-data")

    def test_foreign_leases_labels_and_pins_are_kept(self):
        self.ctr("leases", "create", "--id", "theirs")
        digest = self.made[C]["digest"]
        self.lease_content("theirs", digest)
        self.ctr("images", "label", B, "io.cri-containerd.pinned=pinned")
        self.settle()
        self.reclaim("system", "prune", "--all", "--force", "--purge")
        self.assertEqual(self.names(), {B, C})
        self.assertIn("theirs", self.ctr("leases", "ls"))
        self.ctr("content", "get", digest)
        self.ctr("leases", "delete", "--sync", "theirs")
        self.settle()
        self.reclaim("system", "prune", "--all", "--force", "--purge")
        self.assertEqual(self.names(), {B})

    def test_labels_of_its_own_collector_are_respected(self):
        """gc.root with all that gc.ref leads to, and gc.expire."""
        digest = self.made[C]["digest"]
        self.ctr("content", "label", digest, "containerd.io/gc.root=now")
        kept = {digest} | {
            value for label, value in self.labels_of(digest).items()
            if label.startswith("containerd.io/gc.ref.content")}
        self.assertEqual(len(kept), 3, "with its config and its layer")
        self.ctr("leases", "create", "--id", "short", "--expires", "8s")
        self.lease_content("short", self.made[B]["digest"])
        prune = ("system", "prune", "--all", "--force", "--purge")

        def prune_to(content):
            self.settle()
            self.reclaim(*prune)
            return self.content() == content

        self.assertFalse(prune_to(kept), "the lease holds B")
        self.assertEqual(self.names(), {B, C}, "what is held has its name")
        self.assertLess(kept | {self.made[B]["digest"]}, self.content())
        self.wait_for("the lease's end", lambda: prune_to(kept))
        self.assertEqual(self.names(), {C})
        self.ctr("content", "label", digest, "containerd.io/gc.root=")
        self.assertTrue(prune_to(set()), self.content())

    def labels_of(self, digest):
        for line in self.ctr("content", "ls").splitlines():
            if line.startswith(digest):
                return dict(label.split("=", 1) for label in
                            line.split("\t")[-1].split(",") if "=" in label)
        self.fail(digest)

    def test_a_kubelets_namespace_is_counted_only(self):
        idle, pod, pause = [PREFIX + name + ":v1" for name in
                            ("idle", "pod", "pause")]
        layout = self.layout("pods")
        self.load(self.archive(layout, {
            idle: layout.image([("idle", 400_000)]),
            pod: layout.image([("pod", 300_000)]),
            pause: layout.image([("pause", 20_000)])}), space="k8s.io")
        for name in (idle, pod, pause):
            self.ctr("images", "label", name,
                     "io.cri-containerd.image=managed", space="k8s.io")
        self.ctr("images", "label", pause, "io.cri-containerd.pinned=pinned",
                 space="k8s.io")
        again = "example/pod-again:v1"  # a kubelet gives an image three names
        self.ctr("images", "tag", pod, again, space="k8s.io")
        self.container("pod", pod, "--label", "io.kubernetes.pod.uid=1",
                       "--label", "io.cri-containerd.kind=container",
                       space="k8s.io")
        # Exit code 3: a part is kept, and named.
        self.assertIn("they are counted only",
                      self.reclaim("scan", "node", code=3, with_notes=True))
        before = self.content("k8s.io"), self.snapshots("k8s.io")
        self.assertEqual(self.raw("content"), self.true_bytes()[0])
        prune = ("system", "prune", "--all", "--force", "--purge")
        self.reclaim(*prune, code=3)
        self.assertEqual(self.names(), set(), "the other namespace goes on")
        self.assertEqual(self.names("k8s.io"), {idle, pod, again, pause})
        self.assertEqual(
            (self.content("k8s.io"), self.snapshots("k8s.io")), before)
        # Opted in: but what a pod has, and what is pinned, stays.
        self.reclaim("store", "rm", "node")
        self.reclaim("store", "add", "containerd:%s?kubelet=collect" %
                     self.socket, "--name", "node", "--write-duration", "0s")
        self.settle()
        said = self.reclaim("system", "prune", "--all", "--dry-run",
                            "--all-items")
        self.assertIn("idle", said)
        self.assertNotIn("pod", said)
        self.reclaim(*prune)
        self.assertEqual(self.names("k8s.io"), {pod, again, pause})
        self.assertIn("pod", self.ctr("containers", "ls", "-q",
                                      space="k8s.io").split())

    def lease_content(self, lease, digest):
        """ctr has no word for it: containerd's own API."""
        import grpc
        # AddResourceRequest { id = 1; Resource { id = 1; type = 2 } = 2 }
        text = lambda n, s: bytes([n << 3 | 2, len(s)]) + s  # noqa: E731
        request = text(1, lease.encode()) + text(
            2, text(1, digest.encode()) + text(2, b"content"))
        with grpc.insecure_channel("unix:" + self.socket) as channel:
            channel.unary_unary(
                "/containerd.services.leases.v1.Leases/AddResource")(
                    request, metadata=[("containerd-namespace", "default")],
                    timeout=10)

    def test_the_same_images_stay_as_with_ctr(self):
        self.container("web", A)
        twin = {A}
        self.settle()
        self.reclaim("image", "prune", "--all", "--force", "--purge")
        ours = self.state()
        # The peer: a fresh load, then its own deletion of the same images.
        layout = self.layout("again")
        self.load(self.archive(layout, {
            B: layout.image([BASE, ("b", 200_000)]),
            C: layout.image([("alone", 500_000)])}))
        self.assertNotEqual(self.state(), ours)
        self.ctr("images", "rm", "--sync", B, C)
        self.assertEqual(self.state(), ours)
        self.assertEqual(self.names(), twin)

    def test_namespaces_are_places_and_share_bytes(self):
        layout = self.layout("other")
        archive = self.archive(layout, {
            A: layout.image([BASE, ("a", 300_000)])})
        self.usage()  # the first one takes longer than the next sync
        self.load(archive, space="other")
        self.settle()
        content, unpacked = self.true_bytes()
        self.assertEqual(self.raw("content"), content,
                         "a digest in two namespaces is one file")
        self.assertEqual(self.raw("unpacked"), unpacked)
        plan, predicted = self.plan("--all", "--filter",
                                    "reference=other::*/*/*")
        before = sum(self.true_bytes())
        self.reclaim("apply", plan, "--force")
        self.reclaim("purge", "--now", "--force")
        self.assertEqual(self.names("other"), set())
        self.assertEqual(self.names(), {A, B, C})
        self.assertEqual(before - sum(self.true_bytes()), predicted)

    def test_stopped_containers_go_and_come_back(self):
        self.container("web", A, "--label", "role=web")
        self.container("job", B)
        self.settle()
        shown = self.ctr("containers", "info", "web")
        self.reclaim("container", "prune", "--force", "--filter",
                     "label=role=web")
        self.assertNotIn("web", self.ctr("containers", "ls", "-q").split())
        self.assertIn("job", self.ctr("containers", "ls", "-q").split())
        self.assertIn("web", self.snapshots(), "its layer is held")
        self.reclaim("restore", self.last_apply())
        self.assertEqual(
            [line for line in self.ctr("containers", "info", "web").split("\n")
             if "edAt" not in line],
            [line for line in shown.split("\n") if "edAt" not in line])
        self.settle()
        before = sum(self.true_bytes())
        plan = self.reclaim("container", "prune", "--force", "--purge")
        self.assertEqual(self.ctr("containers", "ls", "-q").split(), [])
        self.assertNotIn("web", self.snapshots())
        self.assertLess(sum(self.true_bytes()), before, plan)

    def test_orphans_are_counted_and_left_alone(self):
        blobs = self.path("c-root", "io.containerd.content.v1.content/blobs")
        stray = os.path.join(blobs, "sha256", "f" * 64)
        with open(stray, "wb") as file:
            file.write(b"x" * 10_000)
        top = self.path("c-root", "io.containerd.snapshotter.v1." +
                        self.snapshotter, "snapshots", "9999", "fs")
        os.makedirs(top)
        with open(os.path.join(top, "lost"), "wb") as file:
            file.write(b"y" * 50_000)
        self.settle()
        orphans = self.rows()["Orphans"]
        self.assertEqual(orphans.total_count, 2)
        expected = 12_288 + 53_248 + (
            4096 if self.snapshotter == "overlayfs" else 8192)
        self.assertEqual(orphans.bytes.allocated_bytes, expected)
        self.assertEqual(orphans.reclaimable.allocated_bytes, 0)
        said = self.reclaim("system", "prune", "--all", "--dry-run",
                            "--all-items")
        self.assertIn(C, said)
        self.assertNotIn("f" * 64, said)
        self.assertNotIn("9999", said)
        self.assertTrue(os.path.exists(stray))
        self.assertTrue(os.path.exists(os.path.join(top, "lost")))
        # containerd's own collector takes such things, ours never: what its next
        # run has left is what is counted.
        self.reclaim("system", "prune", "--all", "--force", "--purge")
        self.settle()
        self.assertEqual(self.rows()["Orphans"].total_count,
                         os.path.exists(stray) + os.path.exists(top))

    def test_a_pull_meanwhile_restores_what_it_needs(self):
        self.reclaim("image", "prune", "--all", "--force")
        self.assertEqual(self.names(), set())
        layout = self.layout("again")
        self.load(self.archive(layout, {
            A: layout.image([BASE, ("a", 300_000)])}))
        self.settle()
        self.reclaim("purge", "--now", "--force")
        self.assertEqual(self.names(), {A})
        for digest in self.content():
            self.ctr("content", "get", digest)
        self.assertEqual(len(self.content()), 4)
        self.assertEqual(len(self.snapshots()), 2)
        self.settle()
        self.verify("--read-data")

    def test_events_are_in_the_graph_within_a_second(self):
        import grpc
        digest, size = self.made[C]["digest"], self.made[C]["size"]
        text = lambda n, s: bytes([n << 3 | 2, len(s)]) + s  # noqa: E731

        def varint(value):
            out = b""
            while value > 127:
                out += bytes([value & 127 | 128])
                value >>= 7
            return out + bytes([value])

        with grpc.insecure_channel("unix:" + self.socket) as channel:
            create = channel.unary_unary(
                "/containerd.services.images.v1.Images/Create")
            target = text(1, b"application/vnd.oci.image.manifest.v1+json") + \
                text(2, digest.encode()) + b"\x18" + varint(size)
            for number in range(1000):
                image = text(1, b"example/many:%d" % number)
                image += b"\x1a" + varint(len(target)) + target
                create(b"\x0a" + varint(len(image)) + image, timeout=30,
                       metadata=[("containerd-namespace", "default")])
        last = time.monotonic()
        self.wait_for("the last of 1,000 events",
                      lambda: self.usage().tag_count == 1003, 30)
        took = time.monotonic() - last
        print("1,000 images made: in the graph %.0f ms after the last"
              % (took * 1000), file=sys.stderr)
        self.assertLess(took, 1)

    def test_a_running_container_is_never_touched(self):
        image = self.name("pause")
        busy = self.unique("busy")
        self.load(self.pause_archive(image))
        self.run_container(busy, image, "/pause")
        self.create("idle", "a")
        self.settle()
        self.assertEqual(self.rows()["Containers"].active_count, 1)
        self.reclaim("system", "prune", "--all", "--force", "--purge")
        self.assertEqual(self.containers(), {busy})
        self.assertEqual(self.names(), {image})
        self.assertIn("RUNNING", self.ctr("tasks", "ls"))
        self.ctr("tasks", "kill", "--signal", "9", busy)
        self.wait_for("its end", lambda: "STOPPED" in self.ctr("tasks", "ls"))
        self.settle()
        self.reclaim("system", "prune", "--all", "--force", "--purge")
        self.assertEqual((self.containers(), self.names()), (set(), set()))
        self.assertEqual(self.snapshots(), set())

    def test_one_that_starts_after_the_plan_is_left(self):
        image = self.name("pause")
        busy = self.unique("busy")
        self.load(self.pause_archive(image))
        self.container(busy, image, program="/pause")
        self.create("idle", "a")
        self.settle()
        plan, _ = self.plan("--all", of="system")
        self.try_running(busy, "tasks", "start", "-d", busy)
        self.reclaim("apply", plan, "--force", "--purge")
        self.assertEqual(self.containers(), {busy})
        self.assertEqual(self.names(), {image})
        self.settle()
        self.verify()

    def test_what_containerd_has_in_use_at_the_deed_stays(self):
        """Leases and labels make no events: containerd is asked once more."""
        self.create("old", "a")
        plan, _ = self.plan("--all", of="system")
        self.ctr("containers", "rm", "old")
        self.create("old", "a")
        self.ctr("images", "label", B, "io.cri-containerd.pinned=pinned")
        self.ctr("leases", "create", "--id", "late")
        self.lease_content("late", self.made[C]["digest"])
        before = self.state()
        said = self.reclaim("apply", plan, "--force", "--purge",
                            with_notes=True)
        self.assertEqual(self.state(), before, said)
        self.assertEqual(self.containers(), {"old"})
        self.settle()
        self.verify()

    def test_a_name_that_was_pulled_again_after_the_plan_stays(self):
        plan, _ = self.plan("--all")
        again = self.layout("again")
        self.load(self.archive(again, {C: again.image([("alone", 500_000)])}))
        self.reclaim("apply", plan, "--force", "--purge")
        self.assertEqual(self.names(), {C})
        self.assertEqual(len(self.content()), 3)
        self.ctr("content", "get", self.made[C]["digest"])

    def test_content_with_a_label_of_after_the_plan_stays(self):
        plan, predicted = self.plan("--all")
        layer = [digest for digest in self.labels_of(
            self.made[C]["digest"]).values() if digest.startswith("sha256:")
            and digest != self.made[C]["digest"]][0]
        self.ctr("content", "label", layer, "containerd.io/gc.root=now")
        before = sum(self.true_bytes())
        said = self.reclaim("apply", plan, "--force", with_notes=True)
        self.assertIn("containerd.io/gc.root", said)
        freed = self.bytes_on_disk(self.reclaim("purge", "--now", "--force"))
        self.assertEqual(self.content(), {layer})
        self.assertEqual(before - sum(self.true_bytes()), freed)
        self.assertLess(freed, predicted)

    def test_the_name_of_a_stopped_containers_image_goes_by_force_alone(self):
        """SEMANTICS, cases 10 and 16."""
        self.create("web", "a")
        self.settle()
        self.assertIn("web uses", self.reclaim(
            "image", "rm", "-y", A, code=None))
        self.assertEqual(self.names(), {A, B, C})
        self.reclaim("image", "rm", "--force", A)
        self.assertEqual(self.names(), {B, C})
        self.assertEqual(self.containers(), {"web"})
        self.reclaim("purge", "--now", "--force")
        self.assertEqual(len(self.snapshots()), 5, "it stands on two of them")

    def test_an_engine_of_another_version(self):
        path = self.path("strange.sock")
        self.check_version(containerd_without_services(path), path,
                           "does not speak API v1")

    def test_an_engine_that_stops_is_away_and_comes_back(self):
        self.reclaim("store", "add", "external:other", "--name", "other")
        self.stop(self.containerd)
        self.wait_for("away", lambda: "node away: " in self.store_states())
        self.assertIn("other ready", self.store_states())
        self.assertEqual(self.metric("reclaim_store_up", store="node"), 0)
        self.reclaim("df")
        self.assertIn("containerd", self.reclaim("scan", "node", code=None))
        self.start_containerd()
        self.ctr("images", "tag", C, "example/new:1")
        self.wait_for("resync", lambda: "example/new" in self.reclaim("images"))
        self.wait_for("ready", lambda: "node ready" in self.store_states())


if __name__ == "__main__":
    main()

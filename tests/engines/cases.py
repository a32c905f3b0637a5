"""Cases that every engine must show; mixed into a test of one of them.

The test has the images a, b (labelled keep=yes) and c, of which a and b share
a base, and says by small methods how its engine is asked.
"""
import time

BASE = ("base", 900_000)
NO_FILTERS = ("colour=red", "label=", "until=yesterday", "dangling=maybe",
              "until=1h until=2h", "dangling=true dangling=false")


def layers_of(layout):
    return {"a": layout.image([BASE, ("a", 300_000)]),
            "b": layout.image([BASE, ("b", 200_000)],
                              labels={"keep": "yes"}),
            "c": layout.image([("alone", 500_000)])}


def flags_of(filters):
    return [part for text in filters.split() for part in ("--filter", text)]


class FilterCases:
    """`load_all`, `load_late` (an image d), `images`, `containers`, `create`,
    `on_disk`; `purge`: the flags that free the bytes at once."""

    def prune_by(self, verb, filters, listing, gone):
        """Dry run, prune, and what the disk loses by it."""
        self.settle()
        there = listing()
        command = [*verb, *flags_of(filters)]
        predicted = self.bytes_on_disk(self.reclaim(*command, "--dry-run"))
        self.assertEqual(listing(), there, "a preview changes nothing")
        before = self.on_disk()
        self.reclaim(*command, "--force", *self.purge)
        self.assertEqual(listing(), there - gone)
        self.assertEqual(before - self.on_disk(), predicted)

    def test_each_filter_of_images(self):
        a, b, c, d = [self.name(short) for short in "abcd"]
        since = "%.6f" % time.time()
        self.load_late()
        named = self.name("[ab]")
        for filters, gone in (
                ("until=1h", set()),
                ("until=" + since, {a, b, c}),
                ("label=keep", {b}),
                ("label=keep=yes", {b}),
                ("label=keep=no", set()),
                ("label=keep label=made-by", set()),
                ("label!=keep", {a, c, d}),
                ("label!=keep=no", {a, b, c, d}),
                ("reference=" + a, {a}),
                ("reference=%s reference=%s" % (a, c), {a, c}),
                ("reference=" + named, {a, b}),
                ("reference=%s label!=keep" % named, {a}),
                ("dangling=false", {a, b, c, d})):
            with self.subTest(filters=filters):
                self.prune_by(["image", "prune", "--all"], filters,
                              self.images, gone)
            if not {a, b, c} <= self.images():
                self.load_all()
            if d not in self.images():
                self.load_late()
        for wrong in NO_FILTERS:
            self.reclaim("image", "prune", "--all", "--force",
                         *flags_of(wrong), code=None)
        self.assertEqual(self.images(), {a, b, c, d})

    def test_each_filter_of_containers(self):
        def create(*names):
            for name in names:
                self.create(name, "a", "--label", "role=" + name)

        create("web", "job")
        since = "%.6f" % time.time()
        create("late")
        for filters, gone in (
                ("until=1h", set()),
                ("until=" + since, {"web", "job"}),
                ("label=role=web", {"web"}),
                ("label=role", {"web", "job", "late"}),
                ("label!=role=web", {"job", "late"}),
                ("label!=role", set())):
            with self.subTest(filters=filters):
                self.prune_by(["container", "prune"], filters,
                              self.containers, gone)
            create(*({"web", "job", "late"} - self.containers()))
        for wrong in NO_FILTERS + ("reference=a", "dangling=true"):
            self.reclaim("container", "prune", "--force", *flags_of(wrong),
                         code=None)
        self.assertEqual(self.containers(), {"web", "job", "late"})


class AwayCases:
    """`process`, `scheme`, `socket`."""

    def test_an_engine_that_does_not_answer(self):
        plan, _ = self.plan("--all")
        self.reclaim("store", "add", "external:other", "--name", "other")
        before = self.images()
        with self.frozen(self.process()):
            begin = time.monotonic()
            self.assertIn("node away: ", self.store_states())
            self.assertIn("other ready", self.store_states())
            self.assertEqual(self.metric("reclaim_store_up", store="node"), 0)
            self.assertEqual(self.metric("reclaim_store_up", store="other"), 1)
            self.reclaim("df")
            self.assertIn("is away", self.reclaim(
                "apply", plan, "--force", code=None))
            self.assertLess(time.monotonic() - begin, 30)
        self.wait_for("ready", lambda: "node ready" in self.store_states())
        self.assertEqual(self.images(), before)
        self.assertEqual(self.metric("reclaim_store_up", store="node"), 1)
        # The plan was not used up.
        self.reclaim("apply", plan, "--force")
        self.assertEqual(self.images(), set())

    def check_version(self, server, path, why):
        """Another engine at `path` speaks what we do not."""
        self.addCleanup(server.close)
        self.reclaim("store", "add", "%s:%s" % (self.scheme, path), "--name",
                     "strange")
        states = self.store_states()
        self.assertRegex(states, "strange away: .*" + why)
        # An event of the set-up may have begun a scan of its own.
        self.wait_for("ready", lambda: "node ready" in self.store_states())
        self.assertIn(why, self.reclaim("scan", "strange", code=None))
        self.assertEqual(self.metric("reclaim_store_up", store="strange"), 0)
        self.assertEqual(self.metric("reclaim_store_up", store="node"), 1)
        self.reclaim("image", "prune", "--all", "--force", "--store", "node")
        self.assertEqual(self.images(), set())

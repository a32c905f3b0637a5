"""Clients that push, pull, mount and delete, each with tags of its own and
layers that all of them share.

What a client was told is what it expects: a tag that was acknowledged is there,
names what it named, and is whole.  A pull that fails is tried again for
`patience` seconds: what an accepted manifest names may be on its way back.
Where the registry's word of it is late, or has died with the registry, it comes
back with the next scan (docs/decisions/0007).  So one that fails for longer is
asked for once more after a scan that began when it had failed; one that fails
then is lost, but for what the registry itself tore when it was killed.
"""
import json
import random
import threading
import time

from registry_client import (MANIFEST, OCI, Broken, Client, Refused,
                             digest_of)
from world import UPLOAD_LIFETIME

REPOSITORIES = ["app", "web", "team/api", "team/worker"]
LAYER_COUNT = 24
ATTEMPT_MAX = 6
# Seconds; who comes back within them finds the upload that he began.
SLOW_PAUSE_MAX = UPLOAD_LIFETIME - 1
# Four of the first last longer than an upload lives to which nobody writes; one of
# the second may be such a pause itself.
STEADY_PAUSES = (0.8, 1, 1.4)
PAUSES = (0.2, 0.8, 1, 1.4, 4)
OUTLIVED = "slow uploads that took longer than one lives without pause"
# How long a registry that was killed is waited for.
RETURN_PATIENCE = 120


def layer_bytes(number):
    # Of its own text, so that each digest tells which it is.
    return (b"layer %d\n" % number) * (50 + 40 * (number % 30))


def manifest_of(config, layers):
    return json.dumps({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": {"mediaType": OCI + "config.v1+json",
                   "digest": digest_of(config), "size": len(config)},
        "layers": [{"mediaType": OCI + "layer.v1.tar+gzip",
                    "digest": digest_of(data), "size": len(data)}
                   for data in layers],
    }).encode()


class Figures:
    """Counts, of all clients together."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts = {}
        self.slowest = {}
        self.lost = []
        self.images_lost = set()  # (repository, digest)

    def add(self, what, number=1):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + number

    def took(self, what, seconds):
        with self.lock:
            self.slowest[what] = max(self.slowest.get(what, 0), seconds)

    def lose(self, why):
        with self.lock:
            self.lost.append(why)

    def __getitem__(self, what):
        return self.counts.get(what, 0)


class Worker(threading.Thread):
    """One client."""

    def __init__(self, number, host, seed, figures, stopped, patience,
                 world=None):
        """`world` makes the scans; without one, beside a collector that loses
        what it likes, no pull is asked for again, and what is lost is told
        once and expected no more."""
        super().__init__(name="client-%d" % number)
        self.number = number
        self.client = Client(host)
        self.random = random.Random(seed * 1000 + number)
        self.figures = figures
        self.stopped = stopped
        self.patience = patience
        self.world = world
        self.slow_upload = iter(())
        self.slow_due = 0
        self.image_count = 0
        self.tags = {}    # (repository, tag) -> digest that was acknowledged
        self.images = {}  # (repository, digest) -> (manifest, blobs)
        self.homes = {}  # digest of a blob -> repositories that it sent it to
        self.deleted = set()  # (repository, digest) that it asked to delete
        self.failure = None

    def run(self):
        try:
            # Of what is rare, one: however few steps there are.
            self.abort_upload()
            while not self.stopped.is_set():
                self.step()
        except Exception as error:  # pylint: disable=broad-except
            self.failure = error
            raise

    def step(self):
        choice = self.random.random()
        try:
            if time.monotonic() >= self.slow_due:
                self.slow_due = next(self.slow_upload, 0)
                if not self.slow_due:
                    self.slow_upload = self.send_slowly()
            elif choice < 0.40:
                self.push_new()
            elif choice < 0.50:
                self.push_again()
            elif choice < 0.62:
                self.delete_one()
            elif choice < 0.65:
                self.abort_upload()
            else:
                self.pull_one()
        except Broken:
            self.figures.add("connections broken")
            time.sleep(0.2)

    # Pushing.

    def push_new(self):
        self.image_count += 1
        config = json.dumps({
            "architecture": "amd64", "os": "linux",
            "config": {"Labels": {"client": str(self.number),
                                  "image": str(self.image_count)}},
        }).encode()
        layers = [layer_bytes(n) for n in self.random.sample(
            range(LAYER_COUNT), self.random.randint(1, 3))]
        blobs = [config] + layers
        manifest = manifest_of(config, layers)
        repository = self.random.choice(REPOSITORIES)
        self.images[repository, digest_of(manifest)] = (manifest, blobs)
        self.push(repository, manifest, blobs)

    def push_again(self):
        """One of its images that may have been deleted and collected."""
        if self.images:
            (repository, _), (manifest, blobs) = self.random.choice(
                sorted(self.images.items()))
            self.push(repository, manifest, blobs)

    def push(self, repository, manifest, blobs):
        tag = "c%d-%d" % (self.number, self.random.randint(1, 4))
        begin = time.monotonic()
        for attempt in range(ATTEMPT_MAX):
            try:
                for data in blobs:
                    # Refused once, a client uploads without asking.
                    self.send_blob(repository, data, asks=attempt == 0)
                self.put(repository, tag, manifest)
                self.figures.add("pushes")
                self.figures.took("push", time.monotonic() - begin)
                return
            except Refused:
                self.figures.add("pushes refused, tried again")
        self.figures.add("pushes given up")

    def send_blob(self, repository, data, asks):
        digest = digest_of(data)
        homes = self.homes.setdefault(digest, set())
        others = sorted(homes - {repository})
        homes.add(repository)
        if asks and self.client.has_blob(repository, digest):
            self.figures.add("blobs that were there")
            return
        if asks and self.random.random() < 0.4:
            # Where it has put it itself before, or else where others may have.
            source = self.random.choice(others or REPOSITORIES)
            if source != repository and self.client.mount(repository, digest,
                                                          source):
                self.figures.add("mounts")
                return
        self.client.upload(repository, data)
        self.figures.add("uploads")

    def put(self, repository, tag, manifest):
        digest = digest_of(manifest)
        before = self.tags.pop((repository, tag), None)
        begin = time.monotonic()
        try:
            self.client.put_manifest(repository, tag, manifest)
        except Refused:
            if before is not None:
                self.tags[repository, tag] = before
            raise
        except Broken:
            self.settle_tag(repository, tag, before, digest)
            raise
        self.figures.took("PUT of a manifest", time.monotonic() - begin)
        self.tags[repository, tag] = digest

    def settle_tag(self, repository, tag, before, digest):
        """What is expected of it once a PUT of `digest` broke off."""
        deadline = time.monotonic() + RETURN_PATIENCE
        while True:
            try:
                stands = self.what_stands(repository, tag, before, digest)
                break
            except Broken as error:
                if time.monotonic() > deadline:
                    raise RuntimeError("the registry does not come back: %s" %
                                       error) from None
            time.sleep(0.2)
        if stands is not None:
            self.tags[repository, tag] = stands

    def what_stands(self, repository, tag, before, digest):
        """Neither promised nor refused, `digest` is what it names if it does so
        and is whole.  Else what was acknowledged before stands, there or not,
        but for a tag that the registry tore.  Of one that is not there for
        clients the disk says what it names; nobody asks it beside a collector
        that loses what it likes."""
        target = self.client.tag_target(repository, tag)
        if target is None and self.world is None:
            return None
        if target is None:
            if self.world.is_torn_link(self.world.tag_link(repository, tag)):
                return None
            target = self.world.named_on_disk(repository, tag)
        if target != digest or digest == before:
            return before
        if self.client.why_not_whole(repository, tag, digest):
            return None
        return digest

    def leave_garbage(self):
        """An image that is deleted at once, with a layer that nobody shares."""
        config = json.dumps({"client": self.number, "garbage": True}).encode()
        layer = b"garbage of client %d" % self.number
        manifest = manifest_of(config, [layer])
        for data in (config, layer):
            self.client.upload(REPOSITORIES[0], data)
        self.client.put_manifest(REPOSITORIES[0], "garbage-%d" % self.number,
                                 manifest)
        self.deleted.add((REPOSITORIES[0], digest_of(manifest)))
        self.client.delete_manifest(REPOSITORIES[0], digest_of(manifest))

    # The rest.

    def delete_one(self):
        if not self.tags:
            return
        (repository, _), digest = self.random.choice(sorted(self.tags.items()))
        gone = [key for key, value in self.tags.items()
                if key[0] == repository and value == digest]
        for key in gone:
            del self.tags[key]
        self.deleted.add((repository, digest))
        status = self.client.delete_manifest(repository, digest)
        if status == 202:
            self.figures.add("deletions")
        elif status == 404:
            # It was on its way back.  Nothing was done, so what was promised
            # before stands.
            self.figures.add("deletions refused")
            self.tags.update({key: digest for key in gone})
        else:
            self.figures.add("deletions that broke off, with %d" % status)

    def abort_upload(self):
        self.client.abort_upload(self.random.choice(REPOSITORIES),
                                 b"half of something" * 100)
        self.figures.add("uploads aborted")

    def send_slowly(self):
        """An image whose layer comes in pieces, with all else that the client
        does between them: as a rule that takes longer than an upload lives
        which nobody writes to, and now and then one pause does.  Only then may
        it be taken for abandoned.  Half of them make no such pause.  Yields the
        time of its next piece."""
        yield time.monotonic() + self.random.uniform(0, 2)
        self.image_count += 1
        name = b"slow layer %d of client %d\n" % (self.image_count, self.number)
        layer = name * 3000
        config = json.dumps({"layer": name.decode()}).encode()
        manifest = manifest_of(config, [layer])
        repository = self.random.choice(REPOSITORIES)
        pauses = self.random.choice((STEADY_PAUSES, PAUSES))
        begin = before = time.monotonic()
        pause = 0
        location = self.client.begin_upload(repository)
        for piece in (name * 1000, name * 1000, name * 1000, b""):
            yield time.monotonic() + self.random.choice(pauses)
            if not piece:
                location += "%sdigest=%s" % ("&" if "?" in location else "?",
                                             digest_of(layer))
            started = time.monotonic()
            status, body, headers = self.client.ask(
                "PATCH" if piece else "PUT", location, piece,
                {"Content-Type": "application/octet-stream"})
            pause = max(pause, time.monotonic() - before)
            before = started
            if status not in (201, 202):
                self.figures.add("slow uploads broken off, with %d" % status)
                # What a registry signed before it was killed, the next one
                # takes for forged: BLOB_UPLOAD_INVALID, with 404 as well.
                is_gone = status == 404 and b"BLOB_UPLOAD_UNKNOWN" in body
                if is_gone and pause < SLOW_PAUSE_MAX:
                    self.figures.lose(
                        "client %d, an upload to %s that was written to after "
                        "%.1f s at most" % (self.number, repository, pause))
                return
            if piece:
                location = headers["Location"]
                location = location[location.index("/v2/"):]
        took = time.monotonic() - begin
        self.figures.add("slow uploads")
        self.figures.took("slow upload", took)
        if took > UPLOAD_LIFETIME and pause < SLOW_PAUSE_MAX:
            self.figures.add(OUTLIVED)
        self.images[repository, digest_of(manifest)] = (manifest,
                                                        [config, layer])
        self.push(repository, manifest, [config, layer])

    def pull_one(self):
        if not self.tags:
            return
        (repository, tag), digest = self.random.choice(
            sorted(self.tags.items()))
        if self.random.random() < 0.4:
            self.check(repository, digest, digest, "pulls by digest")
        else:
            self.check(repository, tag, digest, "pulls by tag")

    def why_not_whole(self, repository, reference, digest):
        """(why, whether the registry said so)"""
        try:
            return self.client.why_not_whole(repository, reference,
                                             digest), True
        except Broken as error:
            return str(error), False

    def check(self, repository, reference, digest, what):
        begin = time.monotonic()
        why, _ = self.why_not_whole(repository, reference, digest)
        waited = bool(why)
        while why and time.monotonic() - begin < self.patience:
            time.sleep(0.1)
            why, _ = self.why_not_whole(repository, reference, digest)
        if why and self.world is not None:
            why = self.check_after_scan(repository, reference, digest)
            if not why:
                self.figures.add("%s that waited for a scan" % what)
        if why:
            self.fail(repository, reference, digest, what, why)
            return False
        self.figures.add(what)
        if waited:
            self.figures.add("%s that had to wait" % what)
            self.figures.took("wait of a pull", time.monotonic() - begin)
        return True

    def fail(self, repository, reference, digest, what, why):
        failed = repository, reference, digest, why
        if self.world is not None and self.world.is_torn(*failed):
            # Nobody has taken anything away: who pushes it again mends it.
            self.figures.add("%s that a killed registry tore" % what)
            return
        if self.world is not None:
            why += "; " + self.world.where_is(*failed)
        else:
            self.tags = {key: value for key, value in self.tags.items()
                         if (key[0], value) != (repository, digest)}
        self.figures.images_lost.add((repository, digest))
        self.figures.lose("client %d, %s %s:%s: %s" % (
            self.number, what, repository, reference, why))

    def check_after_scan(self, repository, reference, digest):
        """What the registry answers first after a scan that begins now."""
        why = self.world.scan_anew()
        if why:
            return why
        deadline = time.monotonic() + self.patience
        why, has_answered = self.why_not_whole(repository, reference, digest)
        while not has_answered and time.monotonic() < deadline:
            time.sleep(0.1)
            why, has_answered = self.why_not_whole(repository, reference,
                                                   digest)
        return why

    def check_all(self, what):
        for (repository, tag), digest in sorted(self.tags.items()):
            if (repository, tag) in self.tags:  # not lost with another one
                self.check(repository, tag, digest, what)

    def expected_images(self):
        """(repository, digest) of all that its tags name."""
        return {(key[0], digest) for key, digest in self.tags.items()}

    def blobs_of(self, repository, digest):
        """Of an image that it made; of another's, nothing."""
        if (repository, digest) not in self.images:
            return set()
        manifest, parts = self.images[repository, digest]
        return {digest_of(data) for data in [manifest] + parts}

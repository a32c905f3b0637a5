"""Clients of the registry, who know nothing of the daemon."""
import random
import threading

# Longer than a push of our writer takes, from its last look at a blob to its
# tag; it looks again if it had to wait.
WRITE_SECONDS_MAX = 0.5
PAUSE_MAX = 0.2
PAUSE_IN_A_DEED_MAX = 0.02


class Writer(threading.Thread):
    """Pushes images into the tree while the daemon lives and dies; of some, a
    client finds that the blobs are there already, garbage though they are.
    Most come while a deed is under way."""

    def __init__(self, tree, seed):
        super().__init__(daemon=True)
        self.tree = tree
        self.random = random.Random(seed)
        self.ends = threading.Event()
        self.is_fast = False
        self.pushes = 0
        self.pushes_of_garbage = 0
        # (repository, digest) of manifests whose tags have no promise there,
        # until a push comes in time.
        self.too_slow = set()
        self.slow_pushes = 0
        self.broke = ""
        self.pushes_stand = threading.Lock()  # held while one is under way

    def run(self):
        try:
            while not self.ends.wait(self.random.uniform(
                    0, PAUSE_IN_A_DEED_MAX if self.is_fast else PAUSE_MAX)):
                self.push()
        except Exception as error:  # pylint: disable=broad-except
            self.broke = "the writer: %r" % error

    def push(self):
        repository = "live/r%d" % self.random.randrange(4)
        tag = "t%d" % self.random.randrange(12)
        is_of_garbage = self.tree.garbage and self.random.random() < 0.2
        image = (self.random.choice(self.tree.garbage) if is_of_garbage
                 else self.tree.make_image())
        with self.pushes_stand:
            digest, took = self.tree.push(repository, tag, image, False)
            if took > WRITE_SECONDS_MAX:
                self.too_slow.add((repository, digest))
                self.slow_pushes += 1
            else:
                self.too_slow.discard((repository, digest))
        self.pushes += 1
        self.pushes_of_garbage += bool(is_of_garbage)

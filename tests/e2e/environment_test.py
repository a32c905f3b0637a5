#!/usr/bin/env python3
"""Faults of a real environment strike a real daemon, at rest and in the midst
of a prune: no byte or inode left, a store that becomes read-only, whose disk
goes away or whose folders are immutable, no descriptor left; and stores that
lie on an overlay's lower layer or on a full ext4, xfs or btrfs (TRUST D.3 "real
environment faults"; places_test.py has those of a disk of memory).

After each: every live blob is there with its bytes, what is said to be gone is,
what went wrong is told, and with the fault away everything is collected.  What
the kernel, the rights or the machine do not give is skipped, and says so.

Run me from the root, after `bazel build //cli:reclaim //server:reclaimd`, as
root: the mounts are made in a mount namespace of my own.  tools/test does.
RECLAIM_ROUNDS sets how often each strikes in the midst, RECLAIM_SEED when.
"""
import itertools
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import e2e_test as e2e  # noqa: E402
import xml_results  # noqa: E402
from places_test import TOP, Place, enter_own_namespace, fill_up  # noqa: E402

ROUNDS = int(os.environ.get("RECLAIM_ROUNDS", "1"))
SEED = int(os.environ.get("RECLAIM_SEED", random.randrange(1 << 32)))
# With so many rounds some strike while a prune is at work.
ROUNDS_THAT_MEET = 20
GARBAGE_COUNT = 12
# A fault comes within so many times of what a prune takes, and stays for at
# most so many seconds while the prune goes on.
FUSE = 1.25
HOLD_SECONDS = 1
PATIENCE = 120
BUSY = 11
# Of what a scan could not read, and of a purge that is a part of a prune.
TOLD_ELSEWHERE = "is kept as it is|stay in quarantine; run [0-9a-f]+ says why"
MEMORY = "/dev/shm"
MEMORY_BYTES_MIN = 1 << 30


class Recovering(Place):
    """What is asked of every place once its fault has gone."""

    def setUp(self):
        super().setUp()
        self.garbage = [self.orphan]
        self.restarts = 0

    def left(self):
        return [digest for digest in self.garbage
                if os.path.exists(self.blob_path(digest))]

    def ask(self, *command):
        """(exit code, what was said); a store that is at work is waited for."""
        deadline = time.monotonic() + PATIENCE
        while True:
            done = subprocess.run(
                [e2e.CLI, "--host", "unix:" + self.path("r.sock"), *command],
                capture_output=True, text=True, timeout=PATIENCE)
            if done.returncode != BUSY or time.monotonic() > deadline:
                return done.returncode, done.stdout + done.stderr
            time.sleep(0.05)

    def collect(self):
        """Whether that leaves no garbage, here or in quarantine."""
        said = ""
        for command in (("scan", "hub"),
                        ("system", "prune", "--force", "--purge"),
                        ("purge", "--now", "--force")):
            said += self.ask(*command)[1]
        self.expect_live()
        is_clean = not self.left() and not os.path.exists(
            os.path.join(self.root, ".reclaim"))
        return is_clean, said

    def recover(self):
        """What a run that broke off has left, the next start takes up."""
        is_clean, said = self.collect()
        if not is_clean:
            self.restarts += 1
            self.stop(self.daemon)
            self.start_daemon_under(())
            is_clean, said = self.collect()
        self.assertTrue(is_clean, said)
        self.expect_collected()


class Struck(Recovering):
    """A store on a mount of its own; the daemon's data are elsewhere."""

    disk_options = "size=64m,nr_inodes=8k"
    orphan_bytes = 5000
    purge_interval = "0s"
    collecting = "batch_item_count = 1\n"
    told = None  # what is said of the fault
    source = None  # the tree, also while it is away

    def setUp(self):
        super().setUp()
        self.chance = random.Random(SEED)
        own = self.path("own")
        os.mkdir(own)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m,mode=0700",
                        "none", own], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", own])
        self.data = os.path.join(own, "data")
        self.source, self.root = self.root, self.path("bound")
        os.mkdir(self.root)
        self.bind()
        self.addCleanup(subprocess.run, ["umount", "-l", self.root],
                        stderr=subprocess.DEVNULL)
        self.met = 0

    def bind(self):
        subprocess.run(["mount", "--bind", self.source, self.root], check=True)

    def strike(self):
        raise NotImplementedError

    def lift(self):
        raise NotImplementedError

    def blob_path(self, digest):
        return os.path.join(self.source or self.root, TOP, "blobs/sha256",
                            digest[7:9], digest[7:], "data")

    def make_garbage(self):
        self.garbage = [self.put_blob(self.chance.randbytes(3000))
                        for _ in range(GARBAGE_COUNT)]
        self.orphan = self.garbage[0]

    def prune(self, *flags):
        process = subprocess.Popen(
            [e2e.CLI, "--host", "unix:" + self.path("r.sock"), "--json",
             "system", "prune", "--force", "--purge", *flags],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(self.stop, process)
        return process

    def end(self, process):
        """(exit code, lines of JSON, what else was said)."""
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.fail("the prune does not end")
        return process.returncode, out, err

    def judge(self, code, out, err):
        self.assertIsNone(self.daemon.poll(), "the daemon is gone")
        self.expect_live()
        gone = GARBAGE_COUNT - len(self.left())
        if code == 0:
            self.assertEqual(gone, GARBAGE_COUNT, out + err)
            return
        self.assertRegex(out + err, self.told + "|" + TOLD_ELSEWHERE)
        for line in out.splitlines():
            message = json.loads(line)
            if (message["message_type"] == "summary" and
                    message["phase"] in ("succeeded", "partial")):
                self.assertLessEqual(int(message.get("blob_count", 0)), gone,
                                     out + err)

    def warm_up(self):
        """How long a prune takes here."""
        self.make_garbage()
        self.reclaim("scan", "hub")
        begin = time.monotonic()
        code, out, err = self.end(self.prune())
        self.assertEqual(code, 0, out + err)
        return time.monotonic() - begin

    def strike_at_rest(self):
        self.make_garbage()
        self.reclaim("scan", "hub")
        self.strike()
        self.note_fault()
        code, out, err = self.end(self.prune())
        self.assertNotEqual(code, 0, out + err)
        self.judge(code, out, err)
        self.lift()
        self.recover()

    def strike_in_the_midst(self, length):
        self.make_garbage()
        self.reclaim("scan", "hub")
        process = self.prune()
        time.sleep(self.chance.uniform(0, FUSE * length))
        self.strike()
        self.met += process.poll() is None
        self.note_fault()
        try:
            process.wait(timeout=HOLD_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        self.lift()
        self.judge(*self.end(process))
        self.recover()

    def strike_all(self):
        print("RECLAIM_SEED=%d" % SEED, flush=True)
        self.begin()
        length = self.warm_up()
        self.strike_at_rest()
        for _ in range(ROUNDS):
            self.strike_in_the_midst(length)
        print("%s: at rest, and %d rounds, of which %d met a prune at work; %d "
              "recoveries took a new start" % (
                  type(self).__name__, ROUNDS, self.met, self.restarts))
        if ROUNDS >= ROUNDS_THAT_MEET:
            self.assertGreater(self.met, 0)


class NoByteTest(Struck):

    told = "No space left|disk is full"

    def strike(self):
        fill_up(self.disk)

    def lift(self):
        os.remove(os.path.join(self.disk, "filler"))

    def test_nothing_is_lost(self):
        self.strike_all()


class NoInodeTest(Struck):

    told = NoByteTest.told

    def strike(self):
        self.names = os.path.join(self.disk, "names")
        os.mkdir(self.names)
        for number in itertools.count():
            try:
                open(os.path.join(self.names, str(number)), "w").close()
            except OSError:
                return

    def lift(self):
        shutil.rmtree(self.names)

    def test_nothing_is_lost(self):
        self.strike_all()


class BecomesReadOnlyTest(Struck):

    told = "Read-only file system"

    def strike(self):
        # Not while something is being written there.
        deadline = time.monotonic() + PATIENCE
        while subprocess.run(["mount", "-o", "remount,bind,ro", self.root],
                             capture_output=True).returncode != 0:
            self.assertLess(time.monotonic(), deadline)

    def lift(self):
        subprocess.run(["mount", "-o", "remount,bind,rw", self.root],
                       check=True)

    def test_nothing_is_lost(self):
        self.strike_all()


class GoesAwayTest(Struck):
    """Its disk is taken away while it is open, and an empty folder is there."""

    told = "was replaced|is away|not known as it is"

    def strike(self):
        subprocess.run(["umount", "-l", self.root], check=True)

    def lift(self):
        self.bind()

    def test_nothing_is_lost(self):
        self.strike_all()

    def test_an_empty_folder_at_the_start_takes_nothing_along(self):
        self.begin()
        self.make_garbage()
        self.reclaim("scan", "hub")
        self.stop(self.daemon)
        self.strike()
        self.note_fault()
        self.start_daemon_under(())
        # Whatever it makes of an empty folder.
        for command in (("scan", "hub"),
                        ("system", "prune", "--force", "--purge")):
            self.ask(*command)
        self.assertEqual(os.listdir(self.root), [])
        self.lift()
        self.expect_live()
        self.assertEqual(self.left(), self.garbage)
        self.stop(self.daemon)
        self.start_daemon_under(())
        self.recover()


class ImmutableTest(Struck):
    """Folders of which root itself may take nothing (`chattr +i`)."""

    told = "Operation not permitted"

    def setUp(self):
        super().setUp()
        if shutil.which("chattr") is None:
            self.refuse("there is no chattr")
        probe = os.path.join(self.disk, "probe")
        os.mkdir(probe)
        done = subprocess.run(["chattr", "+i", probe], capture_output=True,
                              text=True)
        if done.returncode != 0:
            self.refuse("nothing is made immutable here: " +
                        done.stderr.strip())
        subprocess.run(["chattr", "-i", probe], check=True)

    def change(self, how):
        """Of the folders that hold every second piece of garbage."""
        for digest in self.garbage[::2]:
            shard = os.path.dirname(os.path.dirname(self.blob_path(digest)))
            # It may have gone by now.
            subprocess.run(["chattr", how, shard], check=False,
                           stderr=subprocess.DEVNULL)

    def strike(self):
        self.change("+i")

    def lift(self):
        self.change("-i")

    def test_nothing_is_lost(self):
        self.strike_all()


class NoDescriptorTest(Struck):
    """RLIMIT_NOFILE of a daemon that runs is lowered to what it has open."""

    told = "Too many open files"
    spare = 0  # how many more it may open

    def strike(self):
        of = self.daemon.pid
        taken = set(map(int, os.listdir("/proc/%d/fd" % of)))
        free = next(number for number in itertools.count()
                    if number not in taken)
        self.limits = resource.prlimit(of, resource.RLIMIT_NOFILE)
        resource.prlimit(of, resource.RLIMIT_NOFILE,
                         (free + self.spare, self.limits[1]))

    def lift(self):
        resource.prlimit(self.daemon.pid, resource.RLIMIT_NOFILE, self.limits)

    def strike_at_rest(self):
        """A prune that goes slowly: a new connection would have no place."""
        self.make_garbage()
        self.reclaim("scan", "hub")
        process = self.prune("--pace", "8192")
        e2e.await_true(lambda: len(self.left()) < GARBAGE_COUNT)
        self.strike()
        self.note_fault()
        code, out, err = self.end(process)
        self.lift()
        self.assertNotEqual(code, 0, out + err)
        self.judge(code, out, err)
        self.recover()

    def strike_in_the_midst(self, length):
        self.spare = self.chance.randrange(4)
        super().strike_in_the_midst(length)

    def test_nothing_is_lost(self):
        self.strike_all()


class OverlayTest(Place):
    """The store's tree is the lower layer of an overlay: what a container sees
    of what came with its image."""

    orphan_bytes = 5000

    def lay_over(self, redirects):
        self.lower = self.root
        of = {name: os.path.join(self.disk, name)
              for name in ("upper", "work", "merged")}
        for folder in of.values():
            os.mkdir(folder)
        done = subprocess.run(
            ["mount", "-t", "overlay", "-o",
             "lowerdir=%s,upperdir=%s,workdir=%s,redirect_dir=%s" % (
                 self.lower, of["upper"], of["work"], redirects), "none",
             of["merged"]], capture_output=True, text=True)
        if done.returncode != 0:
            self.refuse("no overlay is mounted here: " + done.stderr.strip())
        self.root = of["merged"]
        self.addCleanup(subprocess.run, ["umount", "-l", self.root])
        self.before = e2e.snapshot(self.lower)
        self.begin()
        self.note_fault()

    def test_what_cannot_be_moved_stays(self):
        """Folders of a lower layer that the overlay does not redirect."""
        self.lay_over("off")
        said = self.fails("system", "prune", "--force", "--purge")
        self.assertIn("cross-device", said)
        self.assertTrue(os.path.exists(self.blob_path(self.orphan)))
        self.expect_live()
        self.assertEqual(e2e.snapshot(self.lower), self.before)
        # On the file system itself it is collected.
        self.stop(self.daemon)
        subprocess.run(["umount", self.root], check=True)
        subprocess.run(["mount", "--bind", self.lower, self.root], check=True)
        self.start_daemon_under(())
        self.reclaim("scan", "hub")
        self.reclaim("system", "prune", "--force", "--purge")
        self.expect_collected()

    def test_what_can_be_moved_is_collected(self):
        self.lay_over("on")
        self.reclaim("system", "prune", "--force", "--purge")
        self.expect_collected()
        self.assertEqual(e2e.snapshot(self.lower), self.before)


class LoopPlace(Recovering):
    """A file system of a file, with the store and the daemon's data on it."""

    kind = None
    maker = ()
    image_bytes = 256 << 20

    def mount(self, options):
        search = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
        maker = shutil.which(self.maker[0], path=search)
        if maker is None:
            self.refuse("there is no " + self.maker[0])
        image = self.new_image()
        subprocess.run([maker, *self.maker[1:], image], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        looped = subprocess.run(["losetup", "--find", "--show", image],
                                capture_output=True, text=True)
        if looped.returncode != 0:
            self.refuse("no loop device: " + looped.stderr.strip())
        device = looped.stdout.strip()
        self.addCleanup(subprocess.run, ["losetup", "--detach", device])
        mounted = subprocess.run(["mount", "-t", self.kind, device, self.disk],
                                 capture_output=True, text=True)
        if mounted.returncode != 0:
            self.refuse("no %s is mounted here: %s" % (self.kind,
                                                       mounted.stderr.strip()))
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk])

    def new_image(self):
        folder = self.folder
        if os.access(MEMORY, os.W_OK):
            of = os.statvfs(MEMORY)
            if of.f_bavail * of.f_frsize > MEMORY_BYTES_MIN:
                folder = MEMORY
        number, image = tempfile.mkstemp(prefix="reclaim-disk-", dir=folder)
        self.addCleanup(os.remove, image)
        os.truncate(number, self.image_bytes)
        os.close(number)
        return image

    def prune_full(self):
        self.note_fault()
        subprocess.run([e2e.CLI, "--host", "unix:" + self.path("r.sock"),
                        "system", "prune", "--force", "--purge"],
                       capture_output=True, timeout=PATIENCE)
        self.assertIsNone(self.daemon.poll(), "the daemon is gone")
        self.expect_live()

    def check_without_bytes(self):
        self.begin("ballast_bytes = %d" % (16 << 20))
        fill_up(self.disk)
        self.prune_full()
        os.remove(os.path.join(self.disk, "filler"))
        self.recover()


class Ext4Test(LoopPlace):

    kind = "ext4"
    maker = ("mkfs.ext4", "-q", "-F", "-m", "0", "-N", "2048")

    def test_without_bytes(self):
        self.check_without_bytes()

    def test_without_inodes(self):
        self.begin("ballast_bytes = 0")
        names = os.path.join(self.disk, "names")
        os.mkdir(names)
        with self.assertRaises(OSError):
            for number in range(4096):
                open(os.path.join(names, str(number)), "w").close()
        self.prune_full()
        shutil.rmtree(names)
        self.recover()


class XfsTest(LoopPlace):

    kind = "xfs"
    maker = ("mkfs.xfs", "-q", "-f")
    image_bytes = 320 << 20

    def test_without_bytes(self):
        self.check_without_bytes()


class BtrfsTest(LoopPlace):

    kind = "btrfs"
    maker = ("mkfs.btrfs", "-q", "-f", "--mixed")

    def test_without_bytes(self):
        self.check_without_bytes()


if __name__ == "__main__":
    enter_own_namespace()
    xml_results.main()

#!/usr/bin/env python3
"""The daemon in bad places: a disk without a free byte or inode, a store that
becomes read-only, special files in a store; and by which system calls it
deletes (TRUST D.3 "real environment faults", E.2 rows 2 and 3).

Run me from the root, after `bazel build //cli:reclaim //server:reclaimd`, as
root: the mounts are made in a mount namespace of my own.  tools/test does.
"""
import errno
import hashlib
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import e2e_test as e2e  # noqa: E402
import xml_cases  # noqa: E402
import xml_results  # noqa: E402

TOP = "docker/registry/v2"


def in_own_namespace():
    return os.environ.get("RECLAIM_OWN_MOUNTS") == "1"


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def fill_up(folder):
    """Not a byte is left, and not a page."""
    with open(os.path.join(folder, "filler"), "ab", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


def free_bytes(folder):
    of = os.statvfs(folder)
    return of.f_bavail * of.f_frsize


class Place(e2e.World):
    """A disk of our own with a registry's tree and the daemon's data on it."""

    disk_options = "size=256m"
    orphan_bytes = 24 << 20
    purge_interval = "1s"
    collecting = ""  # more of the configuration's section [gc]
    keeps_configuration = True

    def setUp(self):
        super().setUp()
        if not in_own_namespace():
            self.refuse("needs root and a mount namespace of its own")
        self.disk = self.path("disk")
        os.mkdir(self.disk)
        self.mount(self.disk_options)
        self.root = os.path.join(self.disk, "registry")
        self.data = os.path.join(self.disk, "data")
        self.live = [self.put_blob(b"a layer that stays")]
        self.live += self.put_image("app", "v1", self.live)
        self.orphan = self.put_blob(os.urandom(self.orphan_bytes))

    @staticmethod
    def note_fault(name="environment_faults"):
        xml_cases.FIGURES[name] = xml_cases.FIGURES.get(name, 0) + 1

    def refuse(self, why):
        """What the kernel, the rights or the machine do not give is told."""
        self.note_fault("environment_faults_refused")
        self.skipTest(why)

    def mount(self, options):
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none",
                        self.disk], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk])

    def remount(self, options):
        subprocess.run(["mount", "-o", "remount," + options, self.disk],
                       check=True)

    def blob_path(self, digest):
        return os.path.join(self.root, TOP, "blobs/sha256", digest[7:9],
                            digest[7:], "data")

    def put_blob(self, data):
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        write(self.blob_path(digest), data)
        return digest

    def put_image(self, repository, tag, layers):
        """Digests of the config and the manifest."""
        def describe(digest, media_type):
            return '{"mediaType":"%s","digest":"%s","size":%d}' % (
                media_type, digest, os.path.getsize(self.blob_path(digest)))
        oci = "application/vnd.oci.image."
        config = self.put_blob(b'{"os":"linux","architecture":"amd64"}')
        manifest = self.put_blob((
            '{"schemaVersion":2,"mediaType":"%smanifest.v1+json",'
            '"config":%s,"layers":[%s]}' % (
                oci, describe(config, oci + "config.v1+json"),
                ",".join(describe(layer, oci + "layer.v1.tar+gzip")
                         for layer in layers))).encode())
        at = os.path.join(self.root, TOP, "repositories", repository)
        for digest in layers + [config]:
            write("%s/_layers/sha256/%s/link" % (at, digest[7:]),
                  digest.encode())
        for link in ("revisions/sha256/" + manifest[7:],
                     "tags/%s/current" % tag,
                     "tags/%s/index/sha256/%s" % (tag, manifest[7:])):
            write("%s/_manifests/%s/link" % (at, link), manifest.encode())
        return [config, manifest]

    def begin(self, settings="", *prefix):
        with open(self.path("reclaim.toml"), "w") as file:
            file.write('%s\n[gc]\ngrace_period = "0s"\npurge_interval = "%s"\n'
                       "large_plan_percent = 100\n%s"
                       % (settings, self.purge_interval, self.collecting))
        self.start_daemon_under(prefix)
        # No registry is at work here: what nothing names may go at once.
        self.reclaim("store", "add", "registry:" + self.root, "--name", "hub",
                     "--write-duration", "0s", "--descriptor-cache", "none")
        self.reclaim("scan", "hub")

    def start_daemon_under(self, prefix):
        self.daemon = self.start(
            *prefix, e2e.DAEMON, "--config", self.path("reclaim.toml"),
            "--data-directory", self.data, "--socket", self.path("r.sock"),
            "--http", "127.0.0.1:0")
        e2e.await_url("http://127.0.0.1:%d/readyz"
                      % e2e.await_port(self.daemon, e2e.HTTP))

    def fails(self, *arguments):
        done = subprocess.run(
            [e2e.CLI, "--host", "unix:" + self.path("r.sock"), *arguments],
            capture_output=True, text=True)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        return done.stdout + done.stderr

    def expect_live(self):
        for digest in self.live:
            with open(self.blob_path(digest), "rb") as file:
                self.assertEqual(
                    "sha256:" + hashlib.sha256(file.read()).hexdigest(),
                    digest)

    def expect_collected(self):
        self.assertFalse(os.path.exists(self.blob_path(self.orphan)))
        self.assertFalse(os.path.exists(os.path.join(self.root, ".reclaim")))
        self.expect_live()
        self.reclaim("scan", "hub")
        self.assertIn("0 findings", self.reclaim("verify", "--read-data"))


class FullDiskTest(Place):

    def test_a_collection_at_zero_bytes_free_works(self):
        self.begin("ballast_bytes = %d" % (16 << 20))
        ballast = os.path.join(self.data, "ballast")
        self.assertEqual(os.path.getsize(ballast), 16 << 20)
        fill_up(self.disk)
        self.note_fault()
        self.assertEqual(free_bytes(self.disk), 0)
        self.reclaim("system", "prune", "--force", "--purge")
        self.assertGreater(free_bytes(self.disk), 20 << 20)
        self.expect_collected()
        os.remove(os.path.join(self.disk, "filler"))
        deadline = time.monotonic() + 60
        while not os.path.exists(ballast):
            self.assertLess(time.monotonic(), deadline, "no ballast again")
            time.sleep(0.1)

    def test_started_at_zero_bytes_free(self):
        self.begin("ballast_bytes = %d" % (16 << 20))
        self.stop(self.daemon)
        fill_up(self.disk)
        self.note_fault()
        self.start_daemon_under(())
        self.reclaim("system", "prune", "--force", "--purge")
        self.expect_collected()

    def test_without_ballast_nothing_is_lost(self):
        self.begin("ballast_bytes = 0")
        fill_up(self.disk)
        self.note_fault()
        # Whether it can begin depends on what the database has left of its
        # own; whatever it answers, nothing is lost, and with space it goes on.
        subprocess.run([e2e.CLI, "--host", "unix:" + self.path("r.sock"),
                        "system", "prune", "--force", "--purge"],
                       capture_output=True)
        self.expect_live()
        os.remove(os.path.join(self.disk, "filler"))
        self.reclaim("scan", "hub")
        self.reclaim("system", "prune", "--force", "--purge")
        self.reclaim("purge", "--now", "--force")
        self.expect_collected()


class FullOfInodesTest(Place):

    disk_options = "size=256m,nr_inodes=2k"

    def test_nothing_is_lost(self):
        self.begin("ballast_bytes = 0")
        names = os.path.join(self.disk, "names")
        os.mkdir(names)
        try:
            for number in range(4096):
                open(os.path.join(names, str(number)), "w").close()
            self.fail("there are inodes left")
        except OSError as error:
            self.assertEqual(error.errno, errno.ENOSPC)
        self.note_fault()
        subprocess.run([e2e.CLI, "--host", "unix:" + self.path("r.sock"),
                        "system", "prune", "--force", "--purge"],
                       capture_output=True)
        self.expect_live()
        shutil.rmtree(names)
        self.reclaim("scan", "hub")
        self.reclaim("system", "prune", "--force", "--purge")
        self.reclaim("purge", "--now", "--force")
        self.expect_collected()


class ReadOnlyTest(Place):

    def setUp(self):
        super().setUp()
        # The store on a mount of its own: the database stays writable.
        self.bound = self.path("bound")
        os.mkdir(self.bound)
        subprocess.run(["mount", "--bind", self.root, self.bound], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.bound])
        self.root = self.bound

    def remount_store(self, how):
        subprocess.run(["mount", "-o", "remount,bind," + how, self.bound],
                       check=True)

    def test_says_so_and_loses_nothing(self):
        self.begin()
        self.remount_store("ro")
        self.note_fault()
        said = self.fails("system", "prune", "--force", "--purge")
        self.assertIn("read-write", said)
        self.assertTrue(os.path.exists(self.blob_path(self.orphan)))
        self.expect_live()
        self.remount_store("rw")
        self.reclaim("scan", "hub")
        self.reclaim("system", "prune", "--force", "--purge")
        self.expect_collected()


class SpecialFilesTest(Place):

    def test_are_told_and_left_alone(self):
        shard = os.path.join(self.root, TOP, "blobs/sha256/ab")
        os.makedirs(shard)
        canary = self.path("canary")
        write(canary, b"outside")

        def name(number):
            return os.path.join(shard, ("ab%02d" % number) * 16)
        os.mkfifo(name(1))
        os.mknod(name(2), stat.S_IFCHR | 0o600, os.makedev(1, 3))
        with socket.socket(socket.AF_UNIX) as listener:
            # Longer than a socket's path may be.
            here = os.getcwd()
            os.chdir(shard)
            listener.bind(os.path.basename(name(3)))
            os.chdir(here)
        os.symlink(self.folder, name(4))
        os.mkdir(name(5))
        os.symlink(canary, name(5) + "/data")
        os.mkdir(name(6))
        os.mkfifo(name(6) + "/data")
        os.mkdir(name(7))
        inside = os.path.join(self.disk, "hard")
        write(inside, b"another name")
        os.link(inside, name(7) + "/data")
        before = sorted(os.listdir(shard))
        self.begin()
        self.reclaim("system", "prune", "--force", "--purge")
        after = sorted(os.listdir(shard))
        self.assertEqual([n for n in before if n != os.path.basename(name(7))],
                         after, "the blob with two names is garbage, no more")
        with open(canary, "rb") as file:
            self.assertEqual(file.read(), b"outside")
        with open(inside, "rb") as file:
            self.assertEqual(file.read(), b"another name")
        self.assertFalse(os.path.exists(self.blob_path(self.orphan)))
        self.expect_live()


    def test_what_names_lead_to_that_are_not_read_stays(self):
        """A registry follows links and reads names that we don't accept."""
        repositories = os.path.join(self.root, TOP, "repositories")
        elsewhere = os.path.join(self.disk, "elsewhere")
        self.live.append(self.put_blob(b"a layer of a linked repository"))
        self.live += self.put_image("moved", "v1", self.live[-1:])
        self.begin()
        for name, target in (("lnk", elsewhere), ("Upper", None)):
            os.rename(os.path.join(repositories, "moved"), elsewhere)
            strange = os.path.join(repositories, name)
            if target:
                os.symlink(target, strange)
            else:
                os.rename(elsewhere, strange)
            self.scan_with_problem(name)
            self.prune_in_vain()
            if target:
                os.remove(strange)
                strange = elsewhere
            os.rename(strange, os.path.join(repositories, "moved"))
            self.reclaim("scan", "hub")
        # A tag that is a link: its repository is kept, and it is told.
        tag = os.path.join(repositories, "app/_manifests/tags/latest")
        os.symlink("v1", tag)
        self.scan_with_problem("latest")
        self.prune_in_vain()
        os.remove(tag)
        self.reclaim("scan", "hub")
        self.reclaim("system", "prune", "--force", "--purge")
        self.expect_collected()

    def scan_with_problem(self, name):
        done = subprocess.run(
            [e2e.CLI, "--host", "unix:" + self.path("r.sock"), "scan", "hub"],
            capture_output=True, text=True)
        self.assertIn(name, done.stdout + done.stderr)

    def prune_in_vain(self):
        subprocess.run([e2e.CLI, "--host", "unix:" + self.path("r.sock"),
                        "system", "prune", "--force", "--purge"],
                       capture_output=True)
        self.assertTrue(os.path.exists(self.blob_path(self.orphan)))
        self.expect_live()

    def test_a_folder_that_was_replaced_is_not_the_store(self):
        self.begin()
        away = os.path.join(self.disk, "away")
        os.rename(self.root, away)
        os.makedirs(os.path.join(self.root, TOP))
        self.note_fault()
        self.assertIn("was replaced", self.fails("scan", "hub"))
        subprocess.run([e2e.CLI, "--host", "unix:" + self.path("r.sock"),
                        "system", "prune", "--force", "--purge"],
                       capture_output=True)
        self.assertFalse(os.path.exists(os.path.join(away, ".reclaim")))
        shutil.rmtree(self.root)
        os.rename(away, self.root)
        self.reclaim("scan", "hub")
        self.reclaim("system", "prune", "--force", "--purge")
        self.expect_collected()


class ConfinedTest(Place):
    """With confine.writes the kernel stops what the daemon would write to a
    store that its configuration does not name."""

    def test_it_writes_nowhere_else(self):
        # The socket's folder, which all of this test's own are in, is allowed.
        self.begin("[confine]\nwrites = true")
        self.reclaim("system", "prune", "--force", "--purge")
        self.expect_collected()
        outside = tempfile.mkdtemp(prefix="reclaim-outside-", dir="/tmp")
        self.addCleanup(shutil.rmtree, outside, True)
        self.root = os.path.join(outside, "registry")
        self.live = [self.put_blob(b"a layer that stays")]
        self.live += self.put_image("app", "v1", self.live)
        self.orphan = self.put_blob(b"garbage")
        self.reclaim("store", "add", "registry:" + self.root, "--name", "other",
                     "--write-duration", "0s", "--descriptor-cache", "none")
        self.reclaim("scan", "other")
        said = self.fails("system", "prune", "--store", "other", "--force",
                          "--purge")
        self.assertIn("ermission denied", said)
        self.assertTrue(os.path.exists(self.blob_path(self.orphan)))
        self.expect_live()


class SystemCallsTest(Place):
    """No name in a store is deleted or moved by its path."""

    CALL = re.compile(r"\b(unlink|rmdir|rename|link|symlink|unlinkat|renameat|"
                      r"renameat2|linkat|symlinkat)\((.*)\)\s+=")

    def test_only_by_descriptor(self):
        trace = self.path("trace")
        self.begin("ballast_bytes = 0", "strace", "-D", "-f", "-qq", "-o",
                   trace, "-s", "300", "-e",
                   "trace=unlink,rmdir,rename,link,symlink,unlinkat,renameat,"
                   "renameat2,linkat,symlinkat")
        self.reclaim("system", "prune", "--force")
        run = self.reclaim("quarantine", "ls", "--format",
                           "{{.Run}}").split()[0]
        self.reclaim("restore", run)
        self.reclaim("scan", "hub")
        self.reclaim("system", "prune", "--force", "--purge")
        self.expect_collected()
        self.stop(self.daemon)
        by_descriptor = 0
        with open(trace) as file:
            for line in file:
                call = self.CALL.search(line)
                if not call:
                    continue
                name, arguments = call.groups()
                self.assertNotIn(self.root, arguments, line)
                if not name.endswith(("at", "at2")):
                    continue  # the database's own files
                folders = re.findall(r"(AT_FDCWD|\d+), \"([^\"]*)\"", arguments)
                self.assertTrue(folders, line)
                for folder, path in folders:
                    if folder == "AT_FDCWD":
                        self.assertTrue(
                            path.startswith((self.data,
                                             self.path("r.sock"))), line)
                    else:
                        self.assertNotIn("/", path, line)
                        by_descriptor += 1
        self.assertGreater(by_descriptor, 4)


def enter_own_namespace():
    """Runs this program once more where its mounts are its own, if it may."""
    if os.geteuid() != 0 or in_own_namespace():
        return
    probe = subprocess.run(["unshare", "-m", "true"], capture_output=True)
    if probe.returncode == 0:
        os.environ["RECLAIM_OWN_MOUNTS"] = "1"
        os.execvp("unshare", ["unshare", "-m", "--propagation", "private",
                              sys.executable, *sys.argv])


if __name__ == "__main__":
    enter_own_namespace()
    xml_results.main()

#!/usr/bin/env python3
"""What stays shut: a store that is not to be deleted from, files and descriptors
that are ours alone, and what is told to nobody (TRUST E.2 rows 13, 14, 17).

Run me from the root, after `bazel build //cli:reclaim //server:reclaimd`;
tools/test does.
"""
import json
import os
import re
import stat
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "crash"))
import e2e_test as e2e  # noqa: E402
from crash_tree import CrashTree  # noqa: E402

READ_SOCKET = "read.sock"
NOT_ALLOWED = 12
CANARY = "canary-of-a-secret"
CHANGING = ("unlink,unlinkat,rmdir,rename,renameat,renameat2,link,linkat,"
            "symlink,symlinkat,mkdir,mkdirat,mknod,mknodat,truncate,ftruncate,"
            "chmod,fchmod,fchmodat,utimensat,open,openat,openat2,creat")


class Closed(e2e.World):
    """A daemon with a second socket for readers, beside a registry's tree that
    has live content, garbage, and an image with a secret in its environment."""

    store_options = ("--write-duration", "0s", "--descriptor-cache", "none")

    def setUp(self):
        super().setUp()
        self.tree = CrashTree(self.path("registry"), 1)
        self.live = self.tree.put_image(CANARY + "/app", "v1", True)
        for _ in range(3):
            self.tree.put_image("old/app", None, True)
        self.put_image_with_a_secret()
        with open(self.path("reclaim.toml"), "w") as file:
            file.write('[listen]\nread_socket = "%s"\n[gc]\n'
                       'grace_period = "0s"\nlarge_plan_percent = 100\n'
                       % self.path(READ_SOCKET))
        os.chmod(self.path("reclaim.toml"), 0o644)

    def put_image_with_a_secret(self):
        config = json.dumps({
            "os": "linux", "architecture": "amd64",
            "config": {"Env": ["PASSWORD=" + CANARY],
                       "Labels": {"token": CANARY}},
            "rootfs": {"type": "layers", "diff_ids": []}}).encode()
        image = self.tree.make_image()
        document = json.loads(image[-1])
        document["config"]["size"] = len(config)
        document["config"]["digest"] = "sha256:" + self.tree.put_blob(config,
                                                                     True)
        image[-2:] = [config, json.dumps(document).encode()]
        self.tree.push("secret/app", "v1", image, True)

    def begin(self, *prefix):
        """`prefix`: what the daemon is started under."""
        self.daemon = self.start(
            *prefix, e2e.DAEMON, "--config", self.path("reclaim.toml"),
            "--data-directory", self.path("data"), "--socket",
            self.path("r.sock"), "--http", "127.0.0.1:0")
        port = e2e.await_port(self.daemon, e2e.HTTP)
        self.metrics = "http://127.0.0.1:%d/metrics" % port
        e2e.await_url("http://127.0.0.1:%d/readyz" % port)
        self.reclaim("store", "add", "registry:" + self.tree.root, "--name",
                     "hub", *self.store_options)
        self.reclaim("scan", "hub")

    def run_all(self, commands, socket="r.sock"):
        """{command: what was said}; whether it is done is not asked, but
        self.codes has what each ended with."""
        said = {}
        self.codes = []
        for command in commands:
            done = subprocess.run(
                [e2e.CLI, "--host", "unix:" + self.path(socket), *command],
                capture_output=True, text=True, stdin=subprocess.DEVNULL)
            said[" ".join(command)] = done.stdout + done.stderr
            self.codes.append(done.returncode)
        return said

    def takings(self):
        """Commands that find something to take in this tree."""
        everything = ["-a", "--containers-are-complete", "--force"]
        return [
            ["prune", "--force"], ["prune", "--force", "--purge"],
            ["system", "prune", "--force"],
            ["system", "prune", *everything, "--volumes", "--purge"],
            ["image", "prune", "--force"], ["image", "prune", *everything],
            ["image", "prune", *everything, "--purge"],
            ["image", "rm", CANARY + "/app:v1", "--force"],
            ["image", "rm", "sha256:" + self.live, "--force"]]

    def deletions(self):
        """Every command that deletes, purges or gives back."""
        return self.takings() + [
            ["system", "prune", "--all", "--force"],
            ["image", "prune", "-a", "--force"],
            ["container", "prune", "--force"], ["volume", "prune", "--force"],
            ["network", "prune", "--force"], ["builder", "prune", "--force"],
            ["purge", "--now", "--force"], ["restore", "0123456789abcdef"],
            ["apply", "0123456789abcdef", "--force"]]


class ReadOnlyTest(Closed):

    store_options = ("--read-only",)

    def test_no_api_deletes(self):
        """Not one call of the kernel changes anything below the root."""
        trace = self.path("trace")
        self.begin("strace", "-D", "-f", "-qq", "-y", "-o", trace, "-s", "300",
                   "-e", "trace=" + CHANGING)
        before = e2e.snapshot(self.tree.root)
        plan = json.loads(self.reclaim("plan", "--store", "hub",
                                       "--json").splitlines()[0])
        self.assertGreater(plan["item_count"], 0)
        apply = ["apply", plan["id"], "--force"]
        said = self.run_all(self.deletions() + [apply, apply + ["--purge"]])
        for command in self.takings() + [apply, apply + ["--purge"]]:
            self.assertIn("is read-only", said[" ".join(command)], command)
        self.reclaim("scan", "hub", "--from-nothing")
        self.reclaim("verify", "hub", "--read-data")
        self.reclaim("store", "rm", "hub")
        self.assertEqual(e2e.snapshot(self.tree.root), before)
        self.stop(self.daemon)
        with open(trace) as file:
            lines = [line for line in file if self.tree.root in line]
        self.assertGreater(len(lines), 20, "the trace has seen the scan")
        for line in lines:
            opens = re.search(r"\b(open|openat|openat2)(\(| resumed>)", line)
            self.assertTrue(opens, line)
            self.assertNotRegex(line, r"O_(WRONLY|RDWR|CREAT|TRUNC|APPEND)")


class LaterReadOnlyTest(Closed):
    """A store that was open for deletion, and is read-only in the configuration
    when the daemon starts again."""

    def test_the_configuration_says_so_from_the_next_start_on(self):
        self.begin()
        self.stop(self.daemon)
        with open(self.path("reclaim.toml"), "a") as file:
            file.write('[[store]]\nname = "hub"\nuri = "registry:%s"\n'
                       'read_only = true\n' % self.tree.root)
        before = e2e.snapshot(self.tree.root)
        self.daemon = self.start(
            e2e.DAEMON, "--config", self.path("reclaim.toml"),
            "--data-directory", self.path("data"), "--socket",
            self.path("r.sock"), "--http", "127.0.0.1:0")
        port = e2e.await_port(self.daemon, e2e.HTTP)
        e2e.await_url("http://127.0.0.1:%d/readyz" % port)
        said = self.run_all(self.deletions())
        for command in self.takings():
            self.assertIn("is read-only", said[" ".join(command)], command)
        self.assertEqual(e2e.snapshot(self.tree.root), before)

    def test_also_if_its_disk_is_away_then(self):
        """And is called by a path through a link that is away as well."""
        self.begin()
        self.stop(self.daemon)
        away = self.path("away")
        os.rename(self.tree.root, away)
        os.symlink(self.tree.root, self.path("link"))
        with open(self.path("reclaim.toml"), "a") as file:
            file.write('[[store]]\nname = "hub"\nuri = "registry:%s/"\n'
                       'read_only = true\n' % self.path("link"))
        self.daemon = self.start(
            e2e.DAEMON, "--config", self.path("reclaim.toml"),
            "--data-directory", self.path("data"), "--socket",
            self.path("r.sock"), "--http", "127.0.0.1:0")
        port = e2e.await_port(self.daemon, e2e.HTTP)
        e2e.await_url("http://127.0.0.1:%d/readyz" % port)
        os.rename(away, self.tree.root)
        before = e2e.snapshot(self.tree.root)
        self.reclaim("scan", "hub")
        refusals = [said for said in self.run_all(self.deletions()).values()
                    if "read-only" in said]
        self.assertGreater(len(refusals), 4)
        self.assertEqual(e2e.snapshot(self.tree.root), before)


class NobodyElsesTest(Closed):

    def work(self):
        self.reclaim("system", "prune", "--force")
        run = self.reclaim("quarantine", "ls", "--format",
                           "{{.Run}}").split()[0]
        self.reclaim("restore", run)
        self.reclaim("scan", "hub")
        self.reclaim("system", "prune", "--force")
        self.reclaim("verify", "hub", "--read-data")
        self.reclaim("pin", "add", CANARY + "/app:v1", "--id", "p")
        self.reclaim("pin", "rm", "p")

    def modes_below(self, folder):
        for path, folders, files in os.walk(folder):
            for name in folders + files:
                full = os.path.join(path, name)
                yield full, stat.S_IMODE(os.lstat(full).st_mode)

    def test_no_file_of_ours_is_open_to_others(self):
        """Under a umask that hides nothing."""
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        self.begin()
        os.umask(before)
        self.work()
        self.assertTrue(os.path.exists(os.path.join(self.tree.root,
                                                    ".reclaim")))
        seen = 0
        for folder in (self.path("data"),
                       os.path.join(self.tree.root, ".reclaim")):
            self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), 0o700)
            for full, mode in self.modes_below(folder):
                seen += 1
                # What was moved keeps its mode, within a folder that is ours.
                if "/.reclaim/quarantine/" not in full:
                    self.assertEqual(mode & 0o077, 0, "%s: %o" % (full, mode))
        self.assertGreater(seen, 20)
        for name in ("r.sock", READ_SOCKET):
            self.assertEqual(stat.S_IMODE(os.stat(self.path(name)).st_mode),
                             0o660, name)

    def test_a_restored_tree_has_its_own_modes(self):
        before = e2e.snapshot(self.tree.root)
        self.begin()
        self.reclaim("system", "prune", "--force")
        run = self.reclaim("quarantine", "ls", "--format",
                           "{{.Run}}").split()[0]
        self.reclaim("restore", run)
        after = {path: what for path, what in e2e.snapshot(
            self.tree.root).items() if path.split("/")[0] != ".reclaim"}
        self.assertEqual(after, before)

    def descriptors(self):
        """{number: (what, flags)} of the daemon."""
        found = {}
        top = "/proc/%d/" % self.daemon.pid
        for number in os.listdir(top + "fd"):
            try:
                with open(top + "fdinfo/" + number) as file:
                    flags = re.search(r"flags:\s+([0-7]+)", file.read())
                found[int(number)] = (os.readlink(top + "fd/" + number),
                                      int(flags.group(1), 8))
            except FileNotFoundError:
                pass  # closed meanwhile
        return found

    def test_descriptors_do_not_leak(self):
        self.begin()
        self.work()

        def of_the_store():
            return sum(1 for what, _ in self.descriptors().values()
                       if what.startswith(self.tree.root))
        begin, begin_all = of_the_store(), len(self.descriptors())
        for _ in range(10):
            self.work()
            self.run_all([["image", "ls"], ["events"], ["df"], ["why", "x"],
                          ["audit", "verify"]])
        self.assertEqual(of_the_store(), begin)
        # Connections that end and the database's own files come and go.
        self.assertLess(len(self.descriptors()), begin_all + 20)
        # No program that might be started gets one of ours.
        for number, (what, flags) in self.descriptors().items():
            if number > 2:
                self.assertTrue(flags & os.O_CLOEXEC, what)


class NothingToldTest(Closed):

    def look(self):
        return [["df"], ["df", "-v"], ["image", "ls"], ["events"], ["runs",
                "ls"], ["store", "ls"], ["plans"], ["quarantine", "ls"],
                ["pin", "ls"], ["lease", "ls"], ["top"]]

    def work(self):
        self.reclaim("system", "prune", "--force")
        self.run_all(self.look() + [["image", "rm", CANARY + "/app:v9"],
                                    ["pin", "add", CANARY + "/app:v9"],
                                    ["restore", CANARY],
                                    ["why", CANARY + "/app:v1"]])
        self.reclaim("verify", "hub", "--read-data")

    def test_metrics_name_no_content(self):
        self.begin()
        self.work()
        page = e2e.await_url(self.metrics)
        self.assertIn('store="hub"', page)
        self.assertNotIn(CANARY, page)
        self.assertNotIn("old/app", page)
        self.assertNotRegex(page, r"[0-9a-f]{40}")
        self.assertNotIn("sha256", page)

    def test_no_secret_is_logged_or_recorded(self):
        """Values of an image's environment and labels."""
        self.begin()
        self.work()
        said = self.run_all(self.look() + [
            ["why", "secret/app:v1"], ["tree", "secret/app:v1"], ["audit",
             "ls"]])
        for command, text in said.items():
            self.assertNotIn("PASSWORD", text, command)
        self.stop(self.daemon)
        with open(self.path("reclaimd.log"), errors="replace") as file:
            log = file.read()
        self.assertNotIn(CANARY, log)
        self.assertNotIn("PASSWORD", log)
        for path, _, files in os.walk(os.path.join(self.path("data"),
                                                   "audit")):
            for name in files:
                with open(os.path.join(path, name), errors="replace") as file:
                    self.assertNotIn("PASSWORD", file.read())

    def test_errors_for_readers_name_no_folder_of_ours(self):
        self.begin()
        wrong = self.deletions() + [
            ["why", "nothing:here"], ["tree", "nothing:here"],
            ["runs", "show", "0123456789abcdef"], ["scan", "hub"],
            ["scan", "nowhere"], ["verify", "hub"], ["history", "x:y"],
            ["store", "rm", "hub"], ["policy", "get", "none"],
            ["store", "add", "registry:/nowhere", "--name", "n"],
            ["events", "--since", "99999999"], ["audit", "ls"]]
        for command, said in self.run_all(wrong, READ_SOCKET).items():
            # The CLI itself names the socket that it was told of.
            said = said.replace(self.path(READ_SOCKET), "")
            self.assertNotIn(self.folder, said, command)
        self.assertGreater(self.codes.count(NOT_ALLOWED), 10)

    def test_what_is_doubted_names_no_folder_of_ours(self):
        """All who may read hear that the database may be an older copy."""
        self.begin()
        self.stop(self.daemon)
        os.remove(os.path.join(self.path("data"), "graph-mark"))
        self.begin()
        looks = [["store", "ls"], ["store", "ls", "--json"], ["df"],
                 ["df", "--json"]]
        all_said = ""
        for command, said in self.run_all(looks, READ_SOCKET).items():
            all_said += said
            said = said.replace(self.path(READ_SOCKET), "").replace(
                self.tree.root, "")
            self.assertNotIn(self.folder, said, command)
        self.assertEqual(set(self.codes), {0})
        self.assertIn("graph-mark", all_said)


if __name__ == "__main__":
    e2e.run("__main__", "closed")

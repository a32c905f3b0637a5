"""Real engines for tests: containerd, dockerd, podman's service.

Each runs in a temporary folder, on a Unix socket, with nothing of the machine's
own engines, and is stopped by process id.
"""
import contextlib
import gzip
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest
import urllib.request

sys.path.insert(0, os.path.join(os.getcwd(), "tools"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import quickstart_images as images  # noqa: E402

CLI = os.path.join(os.getcwd(), "bazel-bin/cli/reclaim")
DAEMON = os.path.join(os.getcwd(), "bazel-bin/server/reclaimd")
IMAGE_NAME = "io.containerd.image.name"


def run(*command, check=True, **more):
    done = subprocess.run(command, capture_output=True, text=True,
                          errors="replace", **more)
    if check and done.returncode != 0:
        raise AssertionError("%s: %s%s" % (" ".join(command), done.stdout,
                                           done.stderr))
    return done.stdout


def can_mount_overlay(folder):
    """Whether this machine lets us mount an overlay below `folder`."""
    parts = [os.path.join(folder, name) for name in ("l", "u", "w", "m")]
    for part in parts:
        os.makedirs(part)
    mounted = subprocess.run(
        ["mount", "-t", "overlay", "overlay", "-o",
         "lowerdir=%s,upperdir=%s,workdir=%s" % tuple(parts[:3]), parts[3]],
        capture_output=True).returncode == 0
    if mounted:
        run("umount", parts[3])
    return mounted


def allocated(folder):
    """Bytes on disk below `folder`, each inode once."""
    seen = {}
    for path, folders, files in os.walk(folder):
        for name in [""] + folders + files:
            st = os.lstat(os.path.join(path, name))
            seen[(st.st_dev, st.st_ino)] = st.st_blocks * 512
    return sum(seen.values())


class World(unittest.TestCase):
    """A folder, and processes that end with the test."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="rce-", dir="/tmp")
        self.addCleanup(self.remove_folder)

    def remove_folder(self):
        with open("/proc/self/mounts") as file:
            mounts = [line.split()[1] for line in file]
        for mount in reversed(mounts):
            if mount.startswith(self.folder + "/"):
                subprocess.run(["umount", "-l", mount], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def start(self, *command, env=None):
        log = open(self.path("%s.log" % os.path.basename(command[0])), "a")
        self.addCleanup(log.close)
        process = subprocess.Popen(command, stdout=log, stderr=log, env=env)
        self.addCleanup(self.stop, process)
        return process

    @staticmethod
    def stop(process):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait(timeout=20)

    def wait_for(self, what, is_there, seconds=60):
        deadline = time.monotonic() + seconds
        while not is_there():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.02)

    def start_daemon(self, extra=""):
        with open(self.path("reclaim.toml"), "w") as file:
            file.write('[gc]\ngrace_period = "0s"\n'
                       'large_plan_percent = 100\n' + extra)
        process = self.start(
            DAEMON, "--config", self.path("reclaim.toml"), "--data-directory",
            self.path("data"), "--socket", self.path("r.sock"), "--http",
            "127.0.0.1:0")
        self.wait_for("reclaimd", lambda: " serves " in self.log("reclaimd"))
        return process

    def log(self, program):
        with open(self.path(program + ".log")) as file:
            return file.read()

    def metric(self, name, **labels):
        """The value of a gauge that the daemon serves."""
        port = re.findall(r"http port (\d+)", self.log("reclaimd"))[-1]
        with urllib.request.urlopen(
                "http://127.0.0.1:%s/metrics" % port, timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        start = "%s{%s} " % (name, ",".join(
            '%s="%s"' % label for label in labels.items()))
        found = [line for line in lines if line.startswith(start)]
        self.assertEqual(len(found), 1, start)
        return float(found[0].split()[-1])

    def store_states(self):
        return self.reclaim("store", "ls", "--format", "{{.Name}} {{.State}}")

    @contextlib.contextmanager
    def frozen(self, process):
        """It is there, takes calls, and answers none of them."""
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def reclaim(self, *arguments, code=0, with_notes=False):
        """What it prints; `code` None: it fails, and says why."""
        done = subprocess.run(
            [CLI, "--host", "unix:" + self.path("r.sock"), *arguments],
            capture_output=True, text=True)
        if code is None:
            self.assertNotEqual(done.returncode, 0, done.stdout)
            return done.stdout + done.stderr
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + (done.stderr if with_notes else "")

    def listed(self, *arguments):
        """The lines of a listing with --format json."""
        return [json.loads(line) for line in self.reclaim(
            *arguments, "--format", "json").splitlines()]

    def usage(self):
        """The total of df, exact, over gRPC."""
        import grpc
        from reflection import Client
        with grpc.insecure_channel("unix:" + self.path("r.sock")) as channel:
            return Client(channel).call("reclaim.v1.UsageService",
                                        "GetDiskUsage").total

    def raw(self, field):
        return getattr(self.usage(), field).bytes.allocated_bytes

    def rows(self):
        return {row.type: row for row in self.usage().rows}

    def plan(self, *arguments, of="image"):
        """A plan's id and the bytes on disk that it predicts."""
        said = self.reclaim(of, "prune", "--dry-run", *arguments,
                            with_notes=True)
        return (said.split("reclaim apply ")[1].split()[0],
                self.bytes_on_disk(said))

    def verify(self, *arguments):
        """Nothing is found.  While the daemon follows an event the store is
        being read, and `verify` says so."""
        said = []

        def is_read():
            said.append(self.reclaim("verify", *arguments))
            return "a scan is under way" not in said[-1]

        self.wait_for("the end of a sync", is_read)
        self.assertIn("0 findings", said[-1])

    def last_apply(self):
        return [line.split()[0] for line in self.reclaim(
            "runs", "ls", "--format", "{{.ID}} {{.Kind}}").splitlines()
            if line.endswith(" apply")][0]

    def bytes_on_disk(self, text):
        return int(text.split(" bytes on disk)")[0].split("(")[-1])

    def layout(self, name="layout"):
        return images.Layout(self.path(name))

    def archive(self, layout, names):
        """A tar of an image layout; `names` maps full names to descriptors."""
        layout.entries = []
        for name, descriptor in names.items():
            layout.name(descriptor, name)
            annotations = layout.entries[-1]["annotations"]
            annotations[IMAGE_NAME] = name
        with open(os.path.join(layout.folder, "index.json"), "w") as file:
            json.dump({"schemaVersion": 2, "manifests": layout.entries}, file)
        path = layout.folder + ".tar"
        with tarfile.open(path, "w") as tar:
            tar.add(layout.folder, arcname=".")
        return path


class Containerd(World):

    def setUp(self):
        super().setUp()
        self.snapshotter = "overlayfs"
        if not can_mount_overlay(self.path("probe")):
            self.snapshotter = "native"
            print("no overlay on this machine: the native snapshotter",
                  file=sys.stderr)
        self.socket = self.path("c.sock")
        self.start_containerd()

    def start_containerd(self):
        with open(self.path("containerd.toml"), "w") as file:
            file.write("""version = 2
root = "%s"
state = "%s"
disabled_plugins = ["io.containerd.grpc.v1.cri",
                    "io.containerd.internal.v1.opt",
                    "io.containerd.tracing.processor.v1.otlp"]
[grpc]
address = "%s"
[plugins."io.containerd.internal.v1.restart"]
interval = "1h"
""" % (self.path("c-root"), self.path("c-state"), self.socket))
        self.containerd = self.start("containerd", "--config",
                                     self.path("containerd.toml"))
        self.wait_for("containerd", lambda: os.path.exists(self.socket) and
                      subprocess.run(["ctr", "-a", self.socket, "version"],
                                     capture_output=True).returncode == 0)

    def ctr(self, *arguments, space="default", check=True):
        return run("ctr", "-a", self.socket, "-n", space, *arguments,
                   check=check)

    def load(self, archive, space="default"):
        self.ctr("images", "import", "--snapshotter", self.snapshotter,
                 archive, space=space)
        self.collect(space)

    def collect(self, space="default"):
        """Lets containerd's own collector run: the archive's index goes."""
        self.ctr("leases", "create", "--id", "passing", space=space)
        self.ctr("leases", "delete", "--sync", "passing", space=space)

    def names(self, space="default"):
        return set(self.ctr("images", "ls", "-q", space=space).split())

    def content(self, space="default"):
        return set(self.ctr("content", "ls", "-q", space=space).split())

    def snapshots(self, space="default"):
        lines = self.ctr("snapshots", "--snapshotter", self.snapshotter, "ls",
                         space=space).splitlines()[1:]
        return {line.split()[0] for line in lines}

    def container(self, name, image, *flags, program="/x", space="default"):
        self.ctr("containers", "create", "--snapshotter", self.snapshotter,
                 *flags, image, name, program, space=space)

    def pause_archive(self, name):
        """An archive with an image of a program that waits for ever."""
        layout = self.layout("pause-layout")
        data, diff = pause_layer(self.folder)
        oci = "application/vnd.oci.image."
        config = dict(layout.blob(json.dumps({
            "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [diff]}}).encode()),
            mediaType=oci + "config.v1+json")
        layer = dict(layout.blob(data), mediaType=oci + "layer.v1.tar+gzip")
        manifest = dict(layout.blob(json.dumps({
            "schemaVersion": 2, "mediaType": oci + "manifest.v1+json",
            "config": config, "layers": [layer]}).encode()),
            mediaType=oci + "manifest.v1+json")
        return self.archive(layout, {name: manifest})

    def run_container(self, name, image, *program):
        self.try_running(name, "run", "-d", "--snapshotter", self.snapshotter,
                         image, name, *program)

    def unique(self, name):
        """runc keeps its containers of all tests in one folder."""
        # An underscore may not follow a hyphen in an id.
        return name + os.path.basename(self.folder).replace("_", "0")

    def try_running(self, name, *arguments):
        """Skips the test where the machine can't."""
        self.addCleanup(self.end_container, name)
        started = subprocess.run(["ctr", "-a", self.socket, *arguments],
                                 capture_output=True, text=True)
        if started.returncode != 0:
            self.skipTest("this machine runs no containers: " +
                          started.stderr.strip()[-200:])

    def end_container(self, name):
        """Its process and its shim would outlive containerd."""
        self.ctr("tasks", "delete", "--force", name, check=False)

    def true_bytes(self):
        """What content and unpacked layers take on the disk."""
        root = self.path("c-root")
        content = allocated_files(os.path.join(
            root, "io.containerd.content.v1.content/blobs"))
        top = os.path.join(
            root, "io.containerd.snapshotter.v1." + self.snapshotter,
            "snapshots")
        unpacked = 0
        for name in os.listdir(top) if os.path.exists(top) else []:
            folder = os.path.join(top, name)
            inner = os.path.join(folder, "fs")
            unpacked += allocated(inner if os.path.exists(inner) else folder)
        return content, unpacked


def pause_layer(folder):
    """A layer with a program that waits for ever: (gzipped tar, diff id)."""
    source = os.path.join(folder, "pause.c")
    with open(source, "w") as file:
        file.write("#include <unistd.h>\nint main() { for (;;) pause(); }\n")
    run("gcc", "-static", "-O1", "-o", os.path.join(folder, "pause"), source)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        with open(os.path.join(folder, "pause"), "rb") as file:
            data = file.read()
        info = tarfile.TarInfo("pause")
        info.size, info.mode = len(data), 0o755
        tar.addfile(info, io.BytesIO(data))
    return gzip.compress(out.getvalue(), mtime=0), images.digest_of(
        out.getvalue())


class Engine(World):
    """Docker's API: dockerd or podman's service."""

    def load_layout(self, layout, names):
        """Docker's archive format, which both engines read."""
        path = layout.folder + ".docker.tar"
        with tarfile.open(path, "w") as tar:
            entries = []
            added = set()
            for name, descriptor in names.items():
                manifest = layout.read(descriptor["digest"])
                parts = [manifest["config"]["digest"]] + [
                    part["digest"] for part in manifest["layers"]]
                files = []
                for number, digest in enumerate(parts):
                    file = digest[7:] + (".tar.gz" if number else ".json")
                    files.append(file)
                    if file not in added:
                        tar.add(layout.path(digest), arcname=file)
                    added.add(file)
                entries.append({"Config": files[0], "RepoTags": [name],
                                "Layers": files[1:]})
            data = json.dumps(entries).encode()
            info = tarfile.TarInfo("manifest.json")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        self.engine("load", "-i", path)

    def get(self, target):
        return json.loads(run("curl", "-s", "--unix-socket", self.socket,
                              "http://engine" + target))


class Dockerd(Engine):
    scheme = "docker"

    def setUp(self):
        super().setUp()
        self.driver = "overlay2"
        if not can_mount_overlay(self.path("probe")):
            self.driver = "vfs"
            print("no overlay on this machine: Docker's vfs driver",
                  file=sys.stderr)
        self.socket = self.path("d.sock")
        self.start_dockerd()

    def start_dockerd(self):
        self.dockerd = self.start(
            "dockerd", "--iptables=false", "--bridge=none", "-H",
            "unix://" + self.socket, "--data-root", self.path("d-root"),
            "--exec-root", self.path("d-exec"), "--pidfile",
            self.path("d.pid"), "-s", self.driver, "--containerd-namespace",
            "engines-test")
        self.wait_for("dockerd", lambda: subprocess.run(
            ["/usr/bin/docker", "-H", "unix://" + self.socket, "version"],
            capture_output=True).returncode == 0)

    def engine(self, *arguments, check=True):
        return run("/usr/bin/docker", "-H", "unix://" + self.socket,
                   *arguments, check=check)


class Podman(Engine):
    scheme = "podman"

    def setUp(self):
        super().setUp()
        self.driver = "overlay"
        if not can_mount_overlay(self.path("probe")):
            self.driver = "vfs"
            print("no overlay on this machine: podman's vfs driver",
                  file=sys.stderr)
        self.socket = self.path("p.sock")
        self.start_podman()

    def start_podman(self):
        self.podman = self.start(*self.flags(), "system", "service",
                                 "--time", "0", "unix://" + self.socket)
        self.wait_for("podman", lambda: subprocess.run(
            ["curl", "-s", "--unix-socket", self.socket,
             "http://engine/_ping"], capture_output=True).returncode == 0)

    def flags(self):
        return ("podman", "--root", self.path("p-root"), "--runroot",
                self.path("p-run"), "--storage-driver", self.driver,
                "--cgroup-manager", "cgroupfs", "--events-backend", "file",
                "--tmpdir", self.path("p-tmp"), "--network-config-dir",
                self.path("p-net"))

    def engine(self, *arguments, check=True):
        return run(*self.flags(), *arguments, check=check)


def allocated_files(folder):
    total = 0
    for path, _, files in os.walk(folder):
        for name in files:
            total += os.lstat(os.path.join(path, name)).st_blocks * 512
    return total


def main():
    import xml_results
    xml_results.main()

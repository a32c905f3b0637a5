"""What the benchmarks stand on: trees, a daemon, peers, and the operating
system's own account of each command."""
import json
import os
import resource
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request

ROOT = os.getcwd()
BINARIES = os.path.join(ROOT, "bazel-release")


def binary(path):
    return os.path.join(BINARIES, path)


class Cost:
    """Seconds and bytes of one command, or the median of several."""

    def __init__(self, wall, cpu, rss):
        self.wall, self.cpu, self.rss = wall, cpu, rss

    @staticmethod
    def median(costs):
        return Cost(statistics.median(c.wall for c in costs),
                    statistics.median(c.cpu for c in costs),
                    max(c.rss for c in costs))


def measure(command, stdin=None):
    """(cost, output) of a command that must succeed."""
    begin = time.monotonic()
    process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    output, error = process.communicate()
    wall = time.monotonic() - begin
    if process.returncode != 0:
        raise RuntimeError("%s: %s" % (" ".join(command), error.decode()))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cost = Cost(wall, used.ru_utime + used.ru_stime - measure.cpu,
                used.ru_maxrss * 1024)
    measure.cpu = used.ru_utime + used.ru_stime
    return cost, output.decode()


measure.cpu = 0.0


def process_usage(pid):
    """(CPU seconds, resident bytes) of a living process."""
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rsplit(")", 1)[1].split()
    tick = os.sysconf("SC_CLK_TCK")
    cpu = (int(fields[11]) + int(fields[12])) / tick
    return cpu, int(fields[21]) * os.sysconf("SC_PAGE_SIZE")


def peak_bytes(pid):
    with open("/proc/%d/status" % pid) as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


class Bench:
    """A folder, and at most one daemon in it."""

    def __init__(self):
        top = os.environ.get("RECLAIM_BENCH_FOLDER")
        if top is None and os.path.isdir("/dev/shm"):
            top = "/dev/shm"
        self.folder = tempfile.mkdtemp(prefix="reclaim-bench-", dir=top)
        self.daemon = None

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def folder_for(self, name):
        """An empty folder of its own."""
        path = self.path(name)
        shutil.rmtree(path, True)
        os.makedirs(path)
        return path

    def tree(self, name, layout, objects, tags=0, seed=1):
        """Writes a tree; the truth lies beside it."""
        _, output = measure([binary("tests/benchmark/write_tree"), layout,
                             self.path(name), str(objects), str(tags),
                             str(seed)])
        return output.strip()

    def lines(self, name):
        with open(self.path(name)) as file:
            return set(file.read().split())

    def limit(self, mode, name, stdin=None):
        """Seconds of the bare loop: the best of three, for it has no peer."""
        best = None
        for _ in range(1 if mode == "unlink" else 3):
            source = open(self.path(stdin)) if stdin else None
            _, output = measure([binary("tests/benchmark/tree_limits"), mode,
                                 self.path(name)], source)
            count, seconds = output.split()
            best = min(best or 1e9, float(seconds))
        return int(count), best

    def start(self, grace="0s"):
        with open(self.path("reclaim.toml"), "w") as file:
            file.write('data_directory = "%s"\n[listen]\nsocket = "%s"\n'
                       '[http]\naddress = ""\n[gc]\ngrace_period = "%s"\n'
                       'large_plan_percent = 100\nbatch_item_count = 1024\n'
                       % (self.path("data"), self.path("r.sock"), grace))
        self.daemon = subprocess.Popen(
            [binary("server/reclaimd"), "--config", self.path("reclaim.toml")],
            stderr=open(self.path("daemon.log"), "a"))
        self.wait_until_it_answers()

    def wait_until_it_answers(self):
        end = time.monotonic() + 120
        while subprocess.run(self.command("store", "ls"),
                             capture_output=True).returncode != 0:
            if time.monotonic() > end or self.daemon.poll() is not None:
                with open(self.path("daemon.log")) as log:
                    raise RuntimeError(log.read()[-2000:])
            time.sleep(0.01)

    def stop(self, kill=False):
        if self.daemon is None:
            return
        (self.daemon.kill if kill else self.daemon.terminate)()
        self.daemon.wait()
        self.daemon = None

    def command(self, *arguments):
        return [binary("cli/reclaim"), "--host", "unix:" + self.path("r.sock"),
                *arguments]

    def reclaim(self, *arguments):
        """(cost of the daemon in it, output)."""
        cpu, _ = process_usage(self.daemon.pid)
        begin = time.monotonic()
        done = subprocess.run(self.command(*arguments), capture_output=True,
                              text=True)
        wall = time.monotonic() - begin
        if done.returncode != 0:
            raise RuntimeError("reclaim %s: %s" % (" ".join(arguments),
                                                   done.stderr))
        after, _ = process_usage(self.daemon.pid)
        return Cost(wall, after - cpu, peak_bytes(self.daemon.pid)), done.stdout

    def stored(self, name):
        """Digests of the blobs that lie in a tree now."""
        found = set()
        top = self.path(name)
        registry = os.path.join(top, "docker/registry/v2/blobs/sha256")
        if os.path.isdir(registry):
            for shard in os.listdir(registry):
                for blob in os.listdir(os.path.join(registry, shard)):
                    found.add("sha256:" + blob)
            return found
        for blob in os.listdir(os.path.join(top, "blobs/sha256")):
            found.add("sha256:" + blob)
        return found

    def registry_config(self, name):
        path = self.path("registry.yml")
        with open(path, "w") as file:
            file.write("version: 0.1\nlog: {level: error}\nstorage:\n"
                       "  filesystem: {rootdirectory: %s}\n"
                       "  delete: {enabled: true}\n" % self.path(name))
        return path

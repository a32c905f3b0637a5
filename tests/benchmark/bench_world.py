"""What the benchmarks stand on: trees, a daemon, peers, and the operating
system's own account of each command."""
import os
import shutil
import statistics
import subprocess
import tempfile
import time

ROOT = os.getcwd()
# What tools/bench has built; or else a folder with the same programs.
BINARIES = os.path.abspath(os.environ.get("RECLAIM_BENCH_BINARIES",
                                          "bazel-release"))


def binary(path):
    return os.path.join(BINARIES, path)


class Scale:
    """How large, and what beside our own work: `letter` is S, M or L; the
    smaller sizes from which the growth is fitted are parts of it."""

    def __init__(self, letter, part=1, with_peers=True, rounds=3):
        self.letter, self.part, self.rounds = letter, part, rounds
        self.with_peers = with_peers

    def of(self, sizes):
        return max(1, sizes[self.letter] // self.part)


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
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        begin = time.monotonic()
        process = subprocess.Popen(command, stdin=stdin, stdout=out,
                                   stderr=err)
        # Its own account, not that of all children so far.
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        for file in (out, err):
            file.seek(0)
        if process.returncode != 0:
            raise RuntimeError("%s: %s" % (
                " ".join(command), err.read().decode(errors="replace")[-2000:]))
        return Cost(wall, used.ru_utime + used.ru_stime,
                    used.ru_maxrss * 1024), out.read().decode()


def process_cpu(pid):
    """CPU seconds of a living process, to the nanosecond: its clock
    (clock_getcpuclockid)."""
    return time.clock_gettime((~pid << 3) | 2)


def peak_bytes(pid):
    with open("/proc/%d/status" % pid) as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


class Bench:
    """A folder, and at most one daemon in it."""

    def __init__(self, on_disk=False):
        top = os.environ.get("RECLAIM_BENCH_FOLDER")
        if top is None:
            # Memory, so that no other work on the disk is in the figures; and
            # a disk for what is about waiting for one.
            top = "/var/tmp" if on_disk else "/dev/shm"
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
            with open(self.path(stdin) if stdin else os.devnull) as source:
                _, output = measure([binary("tests/benchmark/tree_limits"),
                                     mode, self.path(name)], source)
            count, seconds = output.split()
            best = min(best or 1e9, float(seconds))
        return int(count), best

    def start(self, grace="0s", batch_item_count=1024):
        """`batch_item_count`: None for what is shipped."""
        with open(self.path("reclaim.toml"), "w") as file:
            file.write('data_directory = "%s"\n[listen]\nsocket = "%s"\n'
                       '[http]\naddress = ""\n[gc]\ngrace_period = "%s"\n'
                       'large_plan_percent = 100\n'
                       % (self.path("data"), self.path("r.sock"), grace))
            if batch_item_count is not None:
                file.write('batch_item_count = %d\n' % batch_item_count)
        self.launch()
        self.wait_until_it_answers()

    def launch(self):
        """The daemon as start() has described it; waits for nothing."""
        with open(self.path("daemon.log"), "a") as log:
            self.daemon = subprocess.Popen(
                [binary("server/reclaimd"), "--config",
                 self.path("reclaim.toml")], stdout=log, stderr=log)

    def wait_until_it_answers(self):
        end = time.monotonic() + 120
        while subprocess.run(self.command("store", "ls"),
                             capture_output=True).returncode != 0:
            if time.monotonic() > end or self.daemon.poll() is not None:
                with open(self.path("daemon.log")) as log:
                    raise RuntimeError(log.read()[-2000:])
            time.sleep(0.01)

    def imported(self, uri, **settings):
        """The cost from nothing to a graph that a first df has read;
        `settings` as of start()."""
        self.start(**settings)
        # Nobody serves these trees: no registry remembers what is in them, and
        # no writer is on his way.
        terms = ["--write-duration", "0s"]
        if uri.startswith("registry:"):
            terms += ["--descriptor-cache", "none"]
        self.reclaim("store", "add", uri, "--name", "s", *terms)
        scan, _ = self.reclaim("scan", "s")
        self.reclaim("df")
        return scan

    def forget(self):
        """No daemon, and nothing of what it knew."""
        self.stop()
        shutil.rmtree(self.path("data"), True)

    def stop(self, kill=False):
        if self.daemon is None:
            return
        (self.daemon.kill if kill else self.daemon.terminate)()
        self.daemon.wait()
        self.daemon = None

    def command(self, *arguments):
        return [binary("cli/reclaim"), "--host", "unix:" + self.path("r.sock"),
                *arguments]

    def reclaim(self, *arguments, codes=(0,)):
        """(cost of the daemon in it, output)."""
        cpu = process_cpu(self.daemon.pid)
        begin = time.monotonic()
        done = subprocess.run(self.command(*arguments), capture_output=True,
                              text=True)
        wall = time.monotonic() - begin
        if done.returncode not in codes:
            raise RuntimeError("reclaim %s: %s" % (" ".join(arguments),
                                                   done.stderr[-2000:]))
        after = process_cpu(self.daemon.pid)
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

    def logical_bytes(self, name):
        """Of all blobs of a registry's tree."""
        top = self.path(os.path.join(name, "docker/registry/v2/blobs/sha256"))
        return sum(os.path.getsize(os.path.join(folder, file))
                   for folder, _, files in os.walk(top) for file in files)

    def registry_config(self, name):
        path = self.path("registry.yml")
        with open(path, "w") as file:
            file.write("version: 0.1\nlog: {level: error}\nstorage:\n"
                       "  filesystem: {rootdirectory: %s}\n"
                       "  delete: {enabled: true}\n" % self.path(name))
        return path

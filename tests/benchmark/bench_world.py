"""What the benchmarks stand on: trees, a daemon, peers, and the operating
system's own account of each command."""
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.getcwd()
# What tools/bench has built; or else a folder with the same programs.
BINARIES = os.path.abspath(os.environ.get("RECLAIM_BENCH_BINARIES",
                                          "bazel-release"))
# Memory, so that no other work on the disk is in the figures; and a disk for
# what is about one, or does not fit.
MEMORY, DISK = "/dev/shm", "/var/tmp"
# Nobody waits for several runs of what takes longer.
LONG_SECONDS = 60
# Bytes and inodes that an object takes in a registry's tree, rather more than
# less: files and folders of blobs, of links and of tags.
OBJECT_BYTES, OBJECT_INODES = 20 << 10, 5
# What the blobs of a tree may take where they have real sizes.
FILE_BYTES_MAX = 4 << 30


def binary(path):
    return os.path.join(BINARIES, path)


class Scale:
    """How large, and what beside our own work: `letter` is S, M or L; the
    smaller sizes from which the growth is fitted are parts of it.  `rounds`:
    how often what can be repeated is; once if nobody asks for times."""

    def __init__(self, letter, part=1, with_peers=True, rounds=5):
        self.letter, self.part, self.rounds = letter, part, rounds
        self.with_peers = with_peers

    @property
    def is_timed(self):
        return self.rounds > 1

    def of(self, sizes):
        return max(1, sizes[self.letter] // self.part)


class Cost:
    """Seconds and bytes of one command, or the median of several runs."""

    def __init__(self, wall, cpu, rss, runs=1):
        self.wall, self.cpu, self.rss, self.runs = wall, cpu, rss, runs

    @staticmethod
    def median(costs):
        return Cost(statistics.median(c.wall for c in costs),
                    statistics.median(c.cpu for c in costs),
                    max(c.rss for c in costs), len(costs))

    @staticmethod
    def total(costs):
        """Of what was done one after the other."""
        return Cost(sum(c.wall for c in costs), sum(c.cpu for c in costs),
                    max(c.rss for c in costs), min(c.runs for c in costs))

    def told(self):
        return "one run" if self.runs == 1 else "median of %d" % self.runs


def repeated(call, rounds):
    """The median cost of `rounds` calls after one that warms up.  Of what
    takes long, and of a single round, the first call is the only one."""
    first = call()
    if rounds == 1 or first.wall > LONG_SECONDS:
        return first
    return Cost.median([call() for _ in range(rounds)])


def row(name, what, scale, objects, ours, limit=None, peer=None, peer_name="",
        oracle=False, note=""):
    """A row of seconds; `objects` is what the cost may grow with."""
    return {"bench": name, "what": what, "size": scale.letter, "unit": "s",
            "objects": objects, "ours": ours.wall, "wall": ours.wall,
            "cpu": ours.cpu, "peak_bytes": ours.rss, "limit": limit,
            "peer": peer.wall if peer else None, "peer_name": peer_name,
            "peer_cpu": peer.cpu if peer else None,
            "peer_peak_bytes": peer.rss if peer else None,
            "oracle": oracle, "note": note}


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


def file_system(path):
    """The type of the file system below an absolute path: "ext4"."""
    point, kind = "", "unknown"
    with open("/proc/mounts") as file:
        for line in file:
            _, mounted, its_kind = line.split()[:3]
            if len(mounted) >= len(point) and (path + "/").startswith(
                    mounted.rstrip("/") + "/"):
                point, kind = mounted, its_kind
    return kind


def free_bytes(path):
    """What files may still take there."""
    free = shutil.disk_usage(path).free
    if file_system(path) != "tmpfs":
        return free
    with open("/proc/meminfo") as file:
        return min(free, next(int(line.split()[1]) << 10 for line in file
                              if line.startswith("MemAvailable:")))


def objects_that_fit(path):
    """How many objects a registry's tree may have there; a fifth of the room
    stays free."""
    # Some file systems make inodes as they are needed, and say none.
    inodes = os.statvfs(path).f_favail or sys.maxsize
    return int(0.8 * min(free_bytes(path) / OBJECT_BYTES,
                         inodes / OBJECT_INODES))


class Bench:
    """A folder, and at most one daemon in it."""

    def __init__(self, on_disk=False):
        self.folder = self.daemon = None
        self.settle(DISK if on_disk else MEMORY)

    def settle(self, top):
        """Its folder, still empty, lies below `top` from now on; unless
        RECLAIM_BENCH_FOLDER says where."""
        if self.folder is not None:
            shutil.rmtree(self.folder)
        self.folder = tempfile.mkdtemp(
            prefix="reclaim-bench-",
            dir=os.environ.get("RECLAIM_BENCH_FOLDER", top))

    def settle_for(self, objects):
        """How many of so many objects of a tree there is room for; goes to
        where there is more if memory does not hold them."""
        if objects_that_fit(self.folder) < objects:
            self.settle(max(MEMORY, DISK, key=objects_that_fit))
        return min(objects, objects_that_fit(self.folder))

    def file_budget(self, objects):
        """Bytes for the blobs of a tree of so many objects: there is room for
        them, for a copy of the tree and for as much again."""
        room = free_bytes(self.folder) - 2 * objects * OBJECT_BYTES
        return max(1, min(FILE_BYTES_MAX, room // 3))

    def file_system(self):
        return file_system(self.folder)

    def sync(self):
        """Files have their blocks, and nothing else waits for the disk."""
        measure(["sync", "--file-system", self.folder])

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

    def tree(self, name, layout, objects, **options):
        """Writes a tree, with the options of write_tree; the truth lies beside
        it, its sums are returned."""
        _, output = measure([binary("tests/benchmark/write_tree"), layout,
                             self.path(name), str(objects)] +
                            ["%s=%s" % option for option in options.items()])
        self.sync()
        return json.loads(output)

    def copy(self, name, to):
        """Another tree, with blocks of its own."""
        measure(["cp", "-a", "--reflink=never", "--sparse=never",
                 self.path(name), self.path(to)])
        self.sync()

    def remove(self, name):
        shutil.rmtree(self.path(name), True)

    def lines(self, name):
        with open(self.path(name)) as file:
            return set(file.read().split())

    def limit(self, mode, name, rounds=1, stdin=None):
        """What a bare loop of tree_limits tells: medians of `rounds` runs
        after one that warms up, or of a single one."""
        told = []
        for _ in range(rounds if rounds == 1 else rounds + 1):
            with open(self.path(stdin) if stdin else os.devnull) as source:
                _, output = measure([binary("tests/benchmark/tree_limits"),
                                     mode, self.path(name)], source)
            told.append(json.loads(output))
        return {key: statistics.median(one[key] for one in told[-rounds:])
                for key in told[0]}

    def start(self, grace="0s"):
        with open(self.path("reclaim.toml"), "w") as file:
            file.write('data_directory = "%s"\n[listen]\nsocket = "%s"\n'
                       '[http]\naddress = ""\n[gc]\ngrace_period = "%s"\n'
                       'large_plan_percent = 100\n'
                       % (self.path("data"), self.path("r.sock"), grace))
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
        """The cost from a daemon that knows nothing to the answer of its first
        df; `settings` as of start()."""
        self.start(**settings)
        # Nobody serves these trees: no registry remembers what is in them, and
        # no writer is on his way.
        terms = ["--write-duration", "0s"]
        if uri.startswith("registry:"):
            terms += ["--descriptor-cache", "none"]
        return Cost.total([
            self.reclaim(*command)[0] for command in (
                ("store", "add", uri, "--name", "s", *terms), ("scan", "s"),
                ("df",))])

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

    def planned_blobs(self):
        """Digests of the blobs that a plan would take."""
        _, text = self.reclaim("plan", "--store", "s", "--format",
                               "{{.Action}} {{.Subject}}")
        items = [line.split(" ", 1) for line in text.splitlines()]
        return {subject for action, subject in items if action == "blob"}

    def content_bytes(self):
        """Of all content, as df has them."""
        _, text = self.reclaim("--json", "df")
        usage = json.loads(text.splitlines()[0])
        return usage["total"]["content"]["bytes"]["logical_bytes"]

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

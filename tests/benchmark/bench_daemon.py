"""B7, B9 and B10: the whole daemon, over its socket."""
import os
import statistics
import subprocess
import threading
import time

from bench_containerd import CannotRun, Containerd
from bench_rpc import Caller
from bench_trees import SIZES, row
from bench_world import Cost, binary, measure, peak_bytes, process_cpu

CALLS = 1000
FEWER_CALLS = 100
VOLUMES = 5000
# A collection beside writers takes longer than one alone.
PAUSE_SIZES = {size: count // 2 for size, count in SIZES.items()}


def latencies(call, count=CALLS):
    for _ in range(count // 20):
        call()
    taken = []
    for _ in range(count):
        begin = time.monotonic()
        call()
        taken.append(time.monotonic() - begin)
    return sorted(taken)


def p99(taken):
    return taken[int(len(taken) * 0.99)]


class Writers:
    """Pushes from another process while the block runs."""

    def __init__(self, bench):
        self.bench = bench

    def __enter__(self):
        self.bench.reclaim("store", "add", "external:e", "--name", "e")
        self.process = subprocess.Popen(
            [binary("tests/benchmark/ingest_benchmark"),
             self.bench.path("r.sock"), "e", "4", "1000000", "20", "relaxed",
             self.bench.folder_for("bare")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.5)

    def __exit__(self, *_):
        died = self.process.poll() is not None
        self.process.kill()
        self.process.wait()
        if died:
            raise RuntimeError("the writers ended before they were stopped")


def b7_df(bench, scale):
    """df against an empty call on the same connection."""
    objects = scale.of(SIZES)
    bench.tree("tree", "registry", objects)
    bench.imported("registry:" + bench.path("tree"))
    caller = Caller(bench.path("r.sock"))
    ask, request = caller.method("reclaim.v1.UsageService", "GetDiskUsage")
    by, by_request = caller.method("reclaim.v1.UsageService", "ListUsage")
    cpu = process_cpu(bench.daemon.pid)
    floor = latencies(caller.empty())
    idle = latencies(lambda: ask(request()))
    cpu = (process_cpu(bench.daemon.pid) - cpu) / 2
    listed = latencies(lambda: by(by_request(
        by="USAGE_GROUPING_REPOSITORY", page_size=20)), FEWER_CALLS)
    # The truth: every blob that lies there, whose sizes the file system knows.
    found = ask(request()).total.content.bytes.logical_bytes
    good = found == bench.logical_bytes("tree")
    peer = None
    if scale.with_peers:
        peer, _ = measure(["du", "-s", bench.path("tree")])
    with Writers(bench):
        busy_floor = latencies(caller.empty(), FEWER_CALLS)
        busy = latencies(lambda: ask(request()), FEWER_CALLS)
    caller.close()
    peak = peak_bytes(bench.daemon.pid)
    limit = statistics.median(floor)
    yield row("B7", "df, p50", scale, objects,
              Cost(statistics.median(idle), cpu, peak), limit, peer, "du -s",
              good, "p99 %.2f ms; limit: an empty call of the same client, "
              "p99 %.2f ms" % (p99(idle) * 1e3, p99(floor) * 1e3))
    yield row("B7", "usage by repository, 20 of them, p50", scale, objects,
              Cost(statistics.median(listed), 0, peak), limit, None, "", good,
              "p99 %.2f ms" % (p99(listed) * 1e3))
    yield row("B7", "df beside four writers, p50", scale, objects,
              Cost(statistics.median(busy), 0, peak),
              statistics.median(busy_floor), None, "", good,
              "p99 %.2f ms; limit: an empty call beside them, p99 %.2f ms"
              % (p99(busy) * 1e3, p99(busy_floor) * 1e3))


def during(work, call):
    """Latencies of `call` while `work` goes on, and what `work` died of."""
    failed = []

    def guarded():
        try:
            work()
        except Exception as error:  # Told by whoever asked for the latencies.
            failed.append(error)

    worker = threading.Thread(target=guarded)
    taken = []
    worker.start()
    while worker.is_alive():
        taken.append(call(len(taken)))
    worker.join()
    if failed:
        raise failed[0]
    return sorted(taken)


def containerd_pause(bench, images):
    """(idle, busy): latencies of image create beside containerd's collector."""
    containerd = Containerd(bench.folder_for("containerd"))
    try:
        for number in range(images):
            containerd.create(number)
        idle = sorted(containerd.create(images + n) for n in range(200))
        busy = during(lambda: [containerd.collect(n) for n in range(20)],
                      lambda n: containerd.create(images + 200 + n))
        return idle, busy
    finally:
        containerd.stop()


def b9_pause(bench, scale):
    """Writers beside a collection: the same calls idle and while it runs."""
    objects = scale.of(PAUSE_SIZES)
    bench.tree("tree", "registry", objects)
    live = bench.lines("tree.live")
    bench.imported("registry:" + bench.path("tree"))
    caller = Caller(bench.path("r.sock"))
    record, asked = caller.method("reclaim.v1.GraphService", "Record")

    def write(number):
        request = asked(relaxed=True)
        put = request.operations.add().put_volume
        put.store, put.name = "s", "v%d" % (number % VOLUMES)
        put.size_bytes = number
        begin = time.monotonic()
        record(request)
        return time.monotonic() - begin

    def collect():
        bench.reclaim("system", "prune", "--force", "--allow-large")
        bench.reclaim("purge", "--now", "--force")

    idle = sorted(write(number) for number in range(CALLS))
    cpu = process_cpu(bench.daemon.pid)
    busy = during(collect, write)
    cost = Cost(p99(busy), process_cpu(bench.daemon.pid) - cpu,
                peak_bytes(bench.daemon.pid))
    caller.close()
    good = bench.stored("tree") == live
    peer, note = None, "longest %.1f ms of %d, idle %.1f ms" % (
        busy[-1] * 1e3, len(busy), idle[-1] * 1e3)
    if scale.with_peers and scale.part == 1:
        try:
            theirs, beside = containerd_pause(bench, min(2000, objects // 10))
            peer = Cost(p99(beside), 0, 0)
            note += "; containerd's p99 idle %.1f ms, longest %.1f ms" % (
                p99(theirs) * 1e3, beside[-1] * 1e3)
        except CannotRun as error:
            note += "; no peer: %s" % error
    yield row("B9", "a relaxed write beside a collection, p99", scale, objects,
              cost, p99(idle), peer, "containerd image create", good,
              note + "; limit: the same writes while nothing else runs")


def read_all(folder):
    """Seconds to read each file of a folder: the floor of any start."""
    begin = time.monotonic()
    for top, _, files in os.walk(folder):
        for name in files:
            with open(os.path.join(top, name), "rb", buffering=0) as file:
                while file.read(1 << 20):
                    pass
    return time.monotonic() - begin


def b10_restart(bench, scale):
    """kill -9, start, first correct df."""
    objects = scale.of(SIZES)
    bench.tree("tree", "registry", objects)
    scan = bench.imported("registry:" + bench.path("tree"))
    _, before = bench.reclaim("df")
    bench.stop(kill=True)
    limit = read_all(bench.path("data"))
    begin = time.monotonic()
    bench.start()
    _, after = bench.reclaim("df")
    cost = Cost(time.monotonic() - begin, process_cpu(bench.daemon.pid),
                peak_bytes(bench.daemon.pid))
    yield row("B10", "killed and started to the first df", scale, objects,
              cost, limit, scan, "reading the store again", before == after,
              "limit: every byte of the database read; goal 3 s at L")


BENCHES = {"df": b7_df, "pause": b9_pause, "restart": b10_restart}

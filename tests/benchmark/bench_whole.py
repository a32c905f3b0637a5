"""The whole of it in one daemon: ten million objects loaded, accounted, marked,
planned and swept within 1 GiB (B7, B8, B10, B11).

A program writes the database of the population, as pushes to an external store
would have left it; then reclaimd is started on it as it is shipped and asked
over gRPC.  Of each step its time, the daemon's processor and the most that was
resident in it.  The truth is that of the sweeps over bare arrays, which the
program prints.
"""
import json
import os
import socket
import statistics
import subprocess
import sys
import time

import grpc
from bench_rpc import Caller
from bench_world import binary, process_cpu

SIZES = {"S": 100_000, "M": 1_000_000, "L": 10_000_000}
USAGE, COLLECTION = "reclaim.v1.UsageService", "reclaim.v1.CollectionService"
# Seconds: a step at ten million objects may take the better part of an hour.
PATIENCE = 7200
START_PATIENCE = 1200
DF_CALLS = 500
# Of a plan's items so many pages are read, and of images one.
PAGE, PAGES_MAX, IMAGES = 1000, 100, 200
SUCCEEDED = 2
MEMORY_MIB_MAX = 1024


def memory(pid):
    """(resident now, the most that was) in bytes."""
    with open("/proc/%d/status" % pid) as file:
        found = dict(line.split(":", 1) for line in file)
    return tuple(int(found[name].split()[0]) * 1024
                 for name in ("VmRSS", "VmHWM"))


def forget_peak(pid):
    """The most is counted from here; where the kernel refuses, from before."""
    try:
        with open("/proc/%d/clear_refs" % pid, "w") as file:
            file.write("5")
    except OSError:
        pass


def read_all(folder):
    """Seconds to read each file: the floor of any start."""
    begin = time.monotonic()
    for top, _, files in os.walk(folder):
        for name in files:
            with open(os.path.join(top, name), "rb", buffering=0) as file:
                while file.read(1 << 20):
                    pass
    return time.monotonic() - begin


def tallies(answer):
    """(live, candidates, quarantined), each as (count, bytes)."""
    total = answer.total
    return tuple((tally.count, tally.bytes.logical_bytes) for tally in (
        total.live, total.candidate, total.quarantined))


class OneDaemon:
    """A daemon on a database that is there, and the rows of its steps."""

    def __init__(self, bench, scale, objects):
        self.bench, self.scale, self.objects = bench, scale, objects
        self.rows = []
        self.most = 0
        self.caller = None

    def wait_for_socket(self, end):
        """A channel that was refused once waits a second before it asks
        again."""
        path = self.bench.path("r.sock")
        while True:
            with socket.socket(socket.AF_UNIX) as one:
                try:
                    one.connect(path)
                    return
                except OSError:
                    self.check_alive(end)
            time.sleep(0.005)

    def check_alive(self, end):
        if self.bench.daemon.poll() is None and time.monotonic() < end:
            return
        with open(self.bench.path("daemon.log")) as log:
            raise RuntimeError("reclaimd does not answer: " +
                               log.read()[-2000:])

    def start(self):
        """To the first df; what it says."""
        end = time.monotonic() + START_PATIENCE
        with open(self.bench.path("whole.toml"), "w") as file:
            file.write('data_directory = "%s"\n[listen]\nsocket = "%s"\n'
                       '[http]\naddress = ""\n' % (self.bench.path("data"),
                                                   self.bench.path("r.sock")))
        with open(self.bench.path("daemon.log"), "w") as log:
            self.bench.daemon = subprocess.Popen(
                [binary("server/reclaimd"), "--config",
                 self.bench.path("whole.toml")], stdout=log, stderr=log)
        self.wait_for_socket(end)
        self.caller = Caller(self.bench.path("r.sock"))
        ask, request = self.caller.method(USAGE, "GetDiskUsage")
        while True:
            try:
                return ask(request())
            except grpc.RpcError as error:
                # It is still loading.
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    raise
            self.check_alive(end)
            time.sleep(0.01)

    def ask(self, service, method, **fields):
        call, request = self.caller.method(service, method)
        return call(request(**fields), timeout=PATIENCE)

    def follow(self, method, **fields):
        """A run, when it has ended."""
        run = self.ask(COLLECTION, method, **fields)
        call, request = self.caller.method(COLLECTION, "GetRun")
        while run.phase < SUCCEEDED:
            time.sleep(0.02)
            run = call(request(id=run.id))
        return run

    def step(self, bench_id, what, work, limit=None):
        """(what `work` gave, its row, whose oracle and note are to come)"""
        is_start = self.bench.daemon is None
        cpu = 0
        if not is_start:
            forget_peak(self.bench.daemon.pid)
            cpu = process_cpu(self.bench.daemon.pid)
        begin = time.monotonic()
        result = work()
        wall = time.monotonic() - begin
        pid = self.bench.daemon.pid
        resident, peak = memory(pid)
        self.most = max(self.most, peak)
        row = self.row(bench_id, what, "s", wall, limit)
        row.update({"wall": wall, "cpu": process_cpu(pid) - cpu,
                    "peak_bytes": peak,
                    "note": "%d MiB resident afterwards" % (resident >> 20)})
        print("== daemon: %s, %.1f s; peak %d MiB" % (what, wall, peak >> 20),
              file=sys.stderr, flush=True)
        return result, row

    def row(self, bench_id, what, unit, ours, limit=None):
        row = {"bench": bench_id, "what": "one daemon: " + what,
               "size": self.scale.letter, "unit": unit,
               "objects": self.objects, "ours": ours, "wall": 0, "cpu": 0,
               "peak_bytes": 0, "limit": limit, "peer": None, "peer_name": "",
               "rounds": 1, "oracle": False, "note": ""}
        self.rows.append(row)
        return row

    def memory_row(self, what, peak):
        limit = MEMORY_MIB_MAX if self.objects >= SIZES["L"] else None
        row = self.row("B11", what, "MiB", peak / 2**20, limit)
        row["peak_bytes"] = peak
        row["note"] = "the limit is the goal, of ten million objects"
        return row


def told(row, is_right, note=""):
    row["oracle"] = bool(is_right)
    if note:
        row["note"] = "%s; %s" % (note, row["note"])


def ask_df(daemon, truth):
    """Many calls of df, beside as many empty ones."""
    call, request = daemon.caller.method(USAGE, "GetDiskUsage")
    empty = daemon.caller.empty()

    def latencies(work):
        taken = []
        for _ in range(DF_CALLS):
            begin = time.monotonic()
            work()
            taken.append(time.monotonic() - begin)
        return sorted(taken)

    latencies(empty)  # so that neither is the first
    floor = latencies(empty)
    taken, row = daemon.step("B7", "df, p50",
                             lambda: latencies(lambda: call(request())),
                             statistics.median(floor))
    row.update({"ours": statistics.median(taken), "p50": taken[DF_CALLS // 2],
                "p99": taken[DF_CALLS * 99 // 100], "max": taken[-1],
                "rounds": DF_CALLS})
    told(row, tallies(call(request())) == truth,
         "p99 %.2f ms; limit: an empty call of the same client"
         % (row["p99"] * 1e3))


def read_items(daemon, plan):
    """(items, content in them, its bytes) of the first pages."""
    items = blobs = size = 0
    token = ""
    for _ in range(PAGES_MAX):
        page = daemon.ask(COLLECTION, "ListPlanItems", id=plan.id,
                          page_size=PAGE, page_token=token)
        items += len(page.items)
        for item in page.items:
            if item.action == "blob":
                blobs += 1
                size += item.bytes.logical_bytes
        token = page.next_page_token
        if not token:
            break
    return items, blobs, size


def plan_all(daemon, garbage):
    """A plan of everything that nothing reaches; its items, page by page."""
    plan, row = daemon.step("B11", "planned, plan stored", lambda: daemon.ask(
        COLLECTION, "CreatePlan", store="s", verb="PRUNE_VERB_IMAGES"))
    told(row, (plan.blob_count, plan.bytes.content.logical_bytes) == garbage,
         "%d items, %d of them content" % (plan.item_count, plan.blob_count))
    (items, blobs, size), row = daemon.step(
        "B11", "items of the plan read", lambda: read_items(daemon, plan))
    is_whole = items == plan.item_count
    told(row, (blobs, size) == garbage if is_whole else
         items > 0 and blobs <= garbage[0] and size <= garbage[1],
         "%d of %d" % (items, plan.item_count))
    return plan


def sweep(daemon, plan, live, garbage):
    """Applied and purged: what is live is there, and of the rest nothing."""
    run, row = daemon.step("B11", "applied (quarantine)", lambda: daemon.follow(
        "ApplyPlan", plan_id=plan.id, allow_large=True))
    moved = tallies(daemon.ask(USAGE, "GetDiskUsage"))
    told(row, run.phase == SUCCEEDED and run.skipped_count == 0 and
         run.item_count == plan.item_count and
         moved == (live, (0, 0), garbage), "batches as shipped")
    run, row = daemon.step("B11", "purged", lambda: daemon.follow(
        "Purge", store="s", now=True))
    answer = daemon.ask(USAGE, "GetDiskUsage")
    told(row, run.phase == SUCCEEDED and run.skipped_count == 0 and
         run.item_count == plan.item_count and
         tallies(answer) == (live, (0, 0), (0, 0)))


def list_images(daemon, truth):
    """Last: the answer to a list is made whole, and its memory would be in all
    that comes behind it."""
    def work():
        return daemon.ask(USAGE, "ListImages", store="s", all=True,
                          page_size=IMAGES)

    page, row = daemon.step("B8", "a page of images, with exclusive sizes",
                            work)
    found = sum(image.unique.logical_bytes for image in page.images)
    told(row, (len(page.images), found) ==
         (truth["newest_count"], truth["newest_exclusive_bytes"]),
         "those of all are worked out for it")
    return row


def one_daemon(bench, scale):
    objects = scale.of(SIZES)
    folder = bench.folder_for("data")
    done = subprocess.run(
        [binary("tests/benchmark/graph_benchmark"), "records", str(objects),
         folder], stdout=subprocess.PIPE, text=True, check=True)
    truth = json.loads(done.stdout)
    live = (truth["live_count"], truth["live_bytes"])
    garbage = (truth["garbage_count"], truth["garbage_bytes"])
    first = (live, garbage, (0, 0))

    daemon = OneDaemon(bench, scale, objects)
    floor = read_all(os.path.join(folder, "graph"))
    answer, row = daemon.step("B10", "started to the first df", daemon.start,
                              floor)
    told(row, tallies(answer) == first and
         answer.total.tag_count == truth["tags"] and garbage[0] > 0,
         "limit: every byte of the database read")
    ask_df(daemon, first)
    retained, row = daemon.step(
        "B8", "retained sizes of all nodes", lambda: daemon.ask(
            USAGE, "ListRetained", store="s", page_size=IMAGES))
    told(row, retained.live.logical_bytes == live[1],
         "a page of the largest")
    sweep(daemon, plan_all(daemon, garbage), live, garbage)
    most = daemon.most
    images = list_images(daemon, truth)
    is_right = all(row["oracle"] for row in daemon.rows)
    told(daemon.memory_row("the most that was resident", most), is_right)
    told(daemon.memory_row(
        "the most that was resident while images were listed",
        images["peak_bytes"]), images["oracle"])
    daemon.caller.close()
    return daemon.rows


BENCHES = {"daemon": one_daemon}

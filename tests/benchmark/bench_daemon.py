"""B7, B9 and B10: the whole daemon, over its socket."""
import json
import os
import socket
import threading
import time

import grpc

from bench_containerd import CannotRun, Containerd
from bench_rpc import Usage, disk_usage
from bench_table import seconds
from bench_trees import SIZES, row
from bench_world import Cost, binary, measure, peak_bytes, process_cpu
from bench_writers import Writers, blob_path, write_alone, write_bases

# A 99th percentile is one of so many at the least.
CALLS_AT_LEAST = 1000
CALLS = 5000
# A list of a whole store takes a while.
LIST_SECONDS = 10
# Event rows a second beside which df is asked; a push makes five.
EVENTS_PER_SECOND = 10_000
EVENTS_PER_PUSH = 5
# Of that rate; a machine that does not come so far has not measured it.
RATE_SHARE_AT_LEAST = 0.8
FIGURES = ("count", "p50", "p99", "max")

# Beside a collection: pushes a second of two clients, one a message.
PUSHES_PER_SECOND = 1_000
PUSHING_CLIENTS = 2
STALL_GOAL_S = 0.005
PATIENCE_S = 120


def spoken(spread):
    return "%d calls, p50 %s, p99 %s, longest %s" % (
        spread["count"], *(seconds(spread[name]) for name in FIGURES[1:]))


def latency_row(name, what, scale, objects, key, spread, floor, **more):
    """A row whose figure is one of a spread; it has the others too, in fields
    of their own."""
    found = {"bench": name, "what": "%s, %s" % (what, key),
             "size": scale.letter, "unit": "s", "objects": objects,
             "ours": spread[key], "limit": floor[key], "peer": None,
             "peer_name": "", **more}
    for figure in FIGURES:
        found[figure] = spread[figure]
        found["limit_" + figure] = floor[figure]
    return found


def note(spread, floor, floor_is, *more):
    return "; ".join([spoken(spread),
                      "limit: %s: %s" % (floor_is, spoken(floor)), *more])


def asked(bench, what, rounds, seconds_max):
    """A question and an empty call in turns, by a client in C++."""
    _, output = measure([
        binary("tests/benchmark/ingest_benchmark"), "calls",
        "socket=" + bench.path("r.sock"), "what=" + what,
        "rounds=%d" % rounds, "seconds=%d" % seconds_max])
    return json.loads(output)


class Asked:
    """Rows of B7 about one daemon and one tree."""

    def __init__(self, bench, scale, objects):
        self.bench, self.scale, self.objects = bench, scale, objects

    def row(self, what, question, seconds_max, is_right, *notes):
        """(what the client told, the row)"""
        pid = self.bench.daemon.pid
        cpu = process_cpu(pid)
        rounds = CALLS if self.scale.with_peers else CALLS_AT_LEAST
        told = asked(self.bench, question, rounds, seconds_max)
        return told, latency_row(
            "B7", what, self.scale, self.objects, "p50", told["asked"],
            told["floor"], wall=told["seconds"], cpu=process_cpu(pid) - cpu,
            peak_bytes=peak_bytes(pid), oracle=is_right,
            note=note(told["asked"], told["floor"],
                      "an empty call of the same client, in turns", *notes))


def groups_are_right(bench, by, live_bytes):
    """The shares of all groups, and what none has, are all that is live."""
    with Usage(bench.path("r.sock")) as usage:
        groups, unattributed = usage.groups(by)
    shares = sum(group.apportioned.logical_bytes for group in groups)
    return len(groups) > 0 and shares + unattributed == live_bytes


def beside_writers(about, before):
    """df while four clients push; it is exact afterwards."""
    bench = about.bench
    bench.reclaim("store", "add", "external:e", "--name", "e")
    with Writers(bench, "e", "df", clients=4, pushes=20,
                 rate=EVENTS_PER_SECOND // EVENTS_PER_PUSH) as writers:
        told, busy = about.row("df beside four writers", "df", PATIENCE_S,
                               False)
    written = writers.told
    after = disk_usage(bench.path("r.sock")).total
    rate = told["changes"] / told["seconds"]
    is_exact = (
        after.image_count == before.image_count + written["pushes"] and
        after.content.bytes.logical_bytes ==
        before.content.bytes.logical_bytes + written["bytes"])
    # What was asked for is what was measured, or the row says nothing.
    is_at_work = (
        written["is_good"] and told["changes"] > 0 and
        told["asked"]["count"] >= CALLS_AT_LEAST and
        (not about.scale.with_peers or
         rate >= RATE_SHARE_AT_LEAST * EVENTS_PER_SECOND))
    busy.update(oracle=is_exact and is_at_work, events_per_second=rate)
    busy["note"] += "; meanwhile %.0f event rows/s of %d asked for" % (
        rate, EVENTS_PER_SECOND)
    return busy


def b7_df(bench, scale):
    """df against an empty call over the same connection."""
    objects = scale.of(SIZES)
    bench.tree("tree", "registry", objects)
    bench.imported("registry:" + bench.path("tree"))
    bench.reclaim("tenant", "set", "all", "--repository", "**")
    before = disk_usage(bench.path("r.sock")).total
    # The truth: every blob that lies there, whose sizes the file system knows.
    is_right = (before.content.bytes.logical_bytes ==
                bench.logical_bytes("tree"))
    live_bytes = sum(os.path.getsize(blob_path(bench, "tree", digest))
                     for digest in bench.lines("tree.live"))
    about = Asked(bench, scale, objects)
    _, idle = about.row("df", "df", PATIENCE_S, is_right)
    if scale.with_peers:
        idle["peer"] = measure(["du", "-s", bench.path("tree")])[0].wall
        idle["peer_name"] = "du -s"
    yield idle
    for question, by in (("repository", "USAGE_GROUPING_REPOSITORY"),
                         ("tenant", "USAGE_GROUPING_TENANT")):
        yield about.row(
            "usage of one %s" % question, question,
            LIST_SECONDS if scale.with_peers else 1,
            groups_are_right(bench, by, live_bytes),
            "the largest: no call asks for one alone, all are worked out")[1]
    yield beside_writers(about, before)


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
    return spread_of(taken)


def spread_of(taken):
    taken = sorted(taken)
    return {"count": len(taken), "p50": taken[len(taken) // 2],
            "p99": taken[len(taken) * 99 // 100], "max": taken[-1]}


def containerd_pause(bench, images):
    """(idle, busy): latencies of image create beside containerd's collector."""
    containerd = Containerd(bench.folder_for("containerd"))
    try:
        for number in range(images):
            containerd.create(number)
        idle = spread_of(containerd.create(images + n) for n in range(200))
        busy = during(lambda: [containerd.collect(n) for n in range(20)],
                      lambda n: containerd.create(images + 200 + n))
        return idle, busy
    finally:
        containerd.stop()


class Paused:
    """A registry's tree that is collected while clients push into it."""

    def __init__(self, bench, scale):
        self.bench = bench
        bench.tree("tree", "registry", scale.of(SIZES))
        self.live = bench.lines("tree.live")
        # The grace period keeps what is laid there before it is recorded; what
        # the tree has is years old.
        bench.imported("registry:" + bench.path("tree"), grace="1h")
        write_bases(bench, "tree", "bases")
        tags = self.tag_count()
        messages = CALLS_AT_LEAST if scale.with_peers else 100
        self.idle = write_alone(bench, "s", "idle", messages,
                                **self.words("idle"))
        pid = bench.daemon.pid
        cpu, begin = process_cpu(pid), time.monotonic()
        with Writers(bench, "s", "busy", **self.words("busy")) as writers:
            bench.reclaim("system", "prune", "--force", "--allow-large")
            bench.reclaim("purge", "--now", "--force")
        self.busy = writers.told
        self.cost = Cost(time.monotonic() - begin, process_cpu(pid) - cpu,
                         peak_bytes(pid))
        pushed = bench.lines("idle.pushed") | bench.lines("busy.pushed")
        # Nothing that was acknowledged is lost, no garbage is left.
        self.is_good = (
            self.idle["is_good"] and self.busy["is_good"] and
            bench.stored("tree") == self.live | pushed and
            self.tag_count() ==
            tags + self.idle["pushes"] + self.busy["pushes"])

    def tag_count(self):
        return disk_usage(self.bench.path("r.sock")).total.tag_count

    def words(self, prefix):
        return {"clients": PUSHING_CLIENTS, "pushes": 1,
                "rate": PUSHES_PER_SECOND, "tree": self.bench.path("tree"),
                "bases": self.bench.path("bases"),
                "list": self.bench.path(prefix + ".pushed")}


def b9_pause(bench, scale):
    """Writers beside a collection: the same pushes idle and while it runs."""
    objects = scale.of(SIZES)
    paused = Paused(bench, scale)
    cost, busy = paused.cost, paused.busy
    # The smaller sizes are over too soon for a 99th percentile.
    is_enough = (busy["count"] >= CALLS_AT_LEAST or scale.part > 1 or
                 not scale.with_peers)
    more = {"wall": cost.wall, "cpu": cost.cpu, "peak_bytes": cost.rss,
            "oracle": paused.is_good and is_enough}
    what = "a relaxed push beside a collection"
    first = latency_row(
        "B9", what, scale, objects, "p99", busy, paused.idle, **more,
        note=note(busy, paused.idle, "the same while nothing else runs",
                  "each a manifest, a config, a layer and a tag, all new, on a "
                  "layer of the tree; %d a second; gc.batch_item_count as "
                  "shipped" % PUSHES_PER_SECOND))
    if scale.with_peers and scale.part == 1:
        try:
            theirs, beside = containerd_pause(bench, min(2000, objects // 10))
            first["peer"] = beside["p99"]
            first["peer_name"] = "containerd image create"
            first["note"] += "; containerd beside its own collector: %s; " \
                "idle: %s" % (spoken(beside), spoken(theirs))
        except CannotRun as error:
            first["note"] += "; no peer: %s" % error
    yield first
    goal = dict.fromkeys(FIGURES[1:], STALL_GOAL_S)
    yield latency_row(
        "B9", what, scale, objects, "max", busy, dict(goal, count=0), **more,
        note="limit: the goal; idle the longest is %s" % seconds(
            paused.idle["max"]))


def read_all(folder):
    """Seconds to read each file of a folder: the floor of any start."""
    begin = time.monotonic()
    for top, _, files in os.walk(folder):
        for name in files:
            try:
                with open(os.path.join(top, name), "rb", buffering=0) as file:
                    while file.read(1 << 20):
                        pass
            except FileNotFoundError:
                pass  # The daemon that is running has merged it into others.
    return time.monotonic() - begin


def until(bench, is_done):
    """Asks again and again, a thousandth of a second between."""
    end = time.monotonic() + PATIENCE_S
    while not is_done():
        if bench.daemon.poll() is not None or time.monotonic() > end:
            with open(bench.path("daemon.log")) as log:
                raise RuntimeError("no answer: " + log.read()[-2000:])
        time.sleep(0.001)


def first_answer(bench):
    """The first answer to df, over one connection: it is made as soon as
    somebody listens, for gRPC would wait a second before it tries again."""
    path = bench.path("r.sock")

    def is_listening():
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(path) == 0

    answers = []

    def has_answered():
        try:
            answers.append(usage.ask())
        except grpc.RpcError as error:
            # It says so while it loads its graph.
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
        return bool(answers)

    until(bench, is_listening)
    with Usage(path) as usage:
        until(bench, has_answered)
    return answers[0]


def killed(bench, between=lambda: None):
    """(cost from the kill to the first answer, that answer's total);
    `between`, when the old daemon has gone, is in no figure."""
    begin = time.monotonic()
    bench.daemon.kill()
    bench.daemon.wait()
    wall = time.monotonic() - begin
    between()
    begin = time.monotonic()
    bench.launch()
    total = first_answer(bench).total
    wall += time.monotonic() - begin
    pid = bench.daemon.pid
    return Cost(wall, process_cpu(pid), peak_bytes(pid)), total


def killed_at_work(bench, before):
    """(cost, whether the first answer is right): of pushes all that was
    acknowledged is there, and beside it at most what was on its way, whole."""
    bench.reclaim("store", "add", "external:e", "--name", "e")
    clients, pushes = 4, 20
    with Writers(bench, "e", "kill", clients=clients, pushes=pushes,
                 rate=0) as writers:
        # Not in the first moment: there is something to read back.
        with Usage(bench.path("r.sock")) as usage:
            goal = usage.ask().sequence + EVENTS_PER_SECOND
            until(bench, lambda: usage.ask().sequence > goal)
        cost, total = killed(bench, writers.finish)
    written = writers.told
    came = total.image_count - before.image_count
    beyond = came - written["pushes"]
    # One of them ended with a call that failed: they were at work.
    is_right = (
        not written["is_good"] and written["pushes"] > 0 and
        0 <= beyond <= clients * pushes and beyond % pushes == 0 and
        total.tag_count == before.tag_count + came and
        # Pushes are equally large.
        (total.content.bytes.logical_bytes -
         before.content.bytes.logical_bytes) * written["pushes"] ==
        came * written["bytes"])
    return cost, is_right


def b10_restart(bench, scale):
    """kill -9, start, the first answer, which has to be right."""
    objects = scale.of(SIZES)
    bench.tree("tree", "registry", objects)
    scan = bench.imported("registry:" + bench.path("tree"))
    before = disk_usage(bench.path("r.sock")).total
    told = "one client asks over one connection; limit: every byte of the " \
        "database read; goal 3 s at 10^7 objects"
    cost, total = killed(bench)
    yield row("B10", "killed idle, to the first right df", scale, objects,
              cost, read_all(bench.path("data")), scan,
              "reading the store again", total == before, told)
    cost, is_right = killed_at_work(bench, before)
    yield row("B10", "killed while four clients push, to the first right df",
              scale, objects, cost, read_all(bench.path("data")), None, "",
              is_right, told)


BENCHES = {"df": b7_df, "pause": b9_pause, "restart": b10_restart}

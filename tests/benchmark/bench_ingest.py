"""B6: pushes over gRPC, relaxed and durable, from 1, 16 and 64 clients, one and
a hundred a message; and all else that clients of a registry do."""
import json
import threading
import time

from bench_containerd import CannotRun, Containerd
from bench_rpc import disk_usage
from bench_world import binary, measure, peak_bytes, process_cpu

SIZES = {"S": 2_000, "M": 100_000, "L": 400_000}
BATCH = 100
# A hundred a message from 64 clients are 6,400 at the least.
BATCHED_SIZES = {"S": 20_000, "M": 200_000, "L": 400_000}
# A durable message waits for the disk: some milliseconds.  Of each client:
DURABLE_MAX = {"S": 250, "M": 1_000, "L": 1_000}
LOADS = ((1, 1), (16, 1), (64, 1), (1, BATCH), (16, BATCH), (64, BATCH))
MIXED_CLIENTS = 16
PEER_IMAGES = 200


def containerd_rate(bench, clients):
    """Images a second that a containerd beside us records."""
    containerd = Containerd(bench.folder_for("containerd"))
    try:
        share = max(1, PEER_IMAGES // clients)
        workers = [threading.Thread(target=lambda first: [
            containerd.create(first + n) for n in range(share)],
            args=(client * share,)) for client in range(clients)]
        begin = time.monotonic()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return share * clients / (time.monotonic() - begin)
    finally:
        containerd.stop()


def calls_each(scale, mode, sizes, clients, batch):
    """Messages of each client.  What waits for the disk is less, and less in
    each part, so that the parts differ all the same."""
    count = max(1, scale.of(sizes) // clients // batch)
    if mode == "durable":
        count = min(count, max(1, DURABLE_MAX[scale.letter] // scale.part))
    return count


def told_by(bench, program, expected, **words):
    """What a run of ingest_benchmark tells of one daemon, from nothing; what
    was acknowledged has to stand when that was killed."""
    bench.start()
    bench.reclaim("store", "add", "external:e", "--name", "s")
    cpu = process_cpu(bench.daemon.pid)
    _, output = measure([
        binary("tests/benchmark/ingest_benchmark"), program,
        "socket=" + bench.path("r.sock"), "store=s",
        "folder=" + bench.folder_for("bare"),
        *("%s=%s" % word for word in words.items())])
    told = json.loads(output)
    told["cpu"] = process_cpu(bench.daemon.pid) - cpu
    told["peak_bytes"] = peak_bytes(bench.daemon.pid)

    def is_right():
        return expected(told, disk_usage(bench.path("r.sock")).total)

    told["is_right"] = is_right()
    bench.stop(kill=True)
    bench.start()
    told["is_right"] = told["is_right"] and is_right()
    bench.forget()
    return told


def rate_row(scale, what, unit, count, told):
    return {"bench": "B6", "what": what, "size": scale.letter, "unit": unit,
            "objects": count, "ours": count / told["seconds"],
            "wall": told["seconds"], "cpu": told["cpu"],
            "peak_bytes": told["peak_bytes"],
            "limit": count / told["bare_seconds"], "peer": None,
            "peer_name": "", "oracle": told["is_right"],
            **{name: told[name] for name in ("count", "p50", "p99", "max")},
            "note": "%d calls, p50 %.2f ms, p99 %.2f ms, longest %.2f ms; "
            "limit: RocksDB, as many records" % (
                told["count"], told["p50"] * 1e3, told["p99"] * 1e3,
                told["max"] * 1e3)}


def pushed(bench, scale, mode, clients, batch):
    # In batches there are more, but where nothing is timed.
    sizes = BATCHED_SIZES if batch > 1 and scale.with_peers else SIZES

    def expected(told, total):
        return (total.image_count == told["pushes"] and
                total.tag_count == told["pushes"] and
                total.content.bytes.logical_bytes == told["bytes"])

    told = told_by(bench, "pushes", expected, clients=clients, pushes=batch,
                   mode=mode, messages=calls_each(scale, mode, sizes, clients,
                                                  batch))
    what = "%s pushes, %d client%s%s" % (
        mode, clients, "" if clients == 1 else "s",
        ", %d a message" % batch if batch > 1 else "")
    return rate_row(scale, what, "pushes/s", told["pushes"], told)


def mixed(bench, scale, mode):
    """Pushes, moves, removals, checks and pulls in the shares of PERFORMANCE
    1.4."""
    def expected(told, total):
        return ((total.image_count, total.tag_count, total.repository_count,
                 total.content.bytes.logical_bytes) ==
                (told["images"], told["tags"], told["repositories"],
                 told["bytes"]))

    told = told_by(bench, "mix", expected, clients=MIXED_CLIENTS, mode=mode,
                   events=calls_each(scale, mode, SIZES, MIXED_CLIENTS, 1))
    row = rate_row(scale, "%s calls of all kinds, %d clients" % (
        mode, MIXED_CLIENTS), "calls/s", told["events"], told)
    row["note"] += "; 3 pushes : 1 tag moved : 1 deleted : 0.05 repositories" \
        " : 10 existence checks, always durable : 30 pulls"
    return row


def b6_ingest(bench, scale):
    for mode in ("relaxed", "durable"):
        for clients, batch in LOADS:
            row = pushed(bench, scale, mode, clients, batch)
            if mode == "durable" and batch == 1 and scale.with_peers and \
                    scale.part == 1:
                try:
                    row["peer"] = containerd_rate(bench, clients)
                    row["peer_name"] = "containerd image create"
                except CannotRun as error:
                    row["note"] += "; no peer: %s" % error
            yield row
        yield mixed(bench, scale, mode)


# What waits for a disk is measured on one.
b6_ingest.on_disk = True

BENCHES = {"ingest": b6_ingest}

"""B6: pushes over gRPC, relaxed and durable, from 1, 16 and 64 clients."""
import json
import threading
import time

from bench_containerd import CannotRun, Containerd
from bench_rpc import Caller
from bench_world import binary, measure, peak_bytes, process_cpu

SIZES = {"S": 2_000, "M": 100_000, "L": 400_000}
# A durable message from one client waits for the disk: some milliseconds.
DURABLE_MAX = {"S": 250, "M": 1_000, "L": 1_000}
BATCH = 100
PEER_IMAGES = 200


def usage_of(bench):
    """(images, bytes of content) as df has them."""
    caller = Caller(bench.path("r.sock"))
    ask, request = caller.method("reclaim.v1.UsageService", "GetDiskUsage")
    total = ask(request()).total
    caller.close()
    images = [row for row in total.rows if row.type == "Images"][0]
    return images.total_count, total.content.bytes.logical_bytes


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


def pushed(bench, scale, mode, clients, batch):
    """One daemon, from nothing; what it acknowledged has to stand when it was
    killed."""
    messages = max(1, scale.of(SIZES) // clients // batch)
    if mode == "durable":
        messages = min(messages, DURABLE_MAX[scale.letter])
    bench.start()
    bench.reclaim("store", "add", "external:e", "--name", "s")
    cpu = process_cpu(bench.daemon.pid)
    _, output = measure([
        binary("tests/benchmark/ingest_benchmark"), bench.path("r.sock"), "s",
        str(clients), str(messages), str(batch), mode,
        bench.folder_for("bare")])
    cpu = process_cpu(bench.daemon.pid) - cpu
    peak = peak_bytes(bench.daemon.pid)
    told = json.loads(output)
    expected = (told["pushes"], told["bytes"])
    good = told["is_good"] and usage_of(bench) == expected
    bench.stop(kill=True)
    bench.start()
    good = good and usage_of(bench) == expected
    bench.forget()
    what = "%s pushes, %d client%s%s" % (
        mode, clients, "" if clients == 1 else "s",
        ", %d a message" % batch if batch > 1 else "")
    return {"bench": "B6", "what": what, "size": scale.letter,
            "unit": "pushes/s", "objects": told["pushes"],
            "ours": told["pushes"] / told["seconds"],
            "wall": told["seconds"], "cpu": cpu, "peak_bytes": peak,
            "limit": told["pushes"] / told["bare_seconds"], "peer": None,
            "peer_name": "", "oracle": good,
            "note": "p50 %.2f ms, p99 %.2f ms; limit: RocksDB, as many records"
            % (told["p50"] * 1e3, told["p99"] * 1e3)}


def b6_ingest(bench, scale):
    for mode in ("relaxed", "durable"):
        for clients, batch in ((1, 1), (16, 1), (64, 1), (1, BATCH)):
            row = pushed(bench, scale, mode, clients, batch)
            if mode == "durable" and batch == 1 and scale.with_peers and \
                    scale.part == 1:
                try:
                    row["peer"] = containerd_rate(bench, clients)
                    row["peer_name"] = "containerd image create"
                except CannotRun as error:
                    row["note"] += "; no peer: %s" % error
            yield row


# What waits for a disk is measured on one.
b6_ingest.on_disk = True

BENCHES = {"ingest": b6_ingest}

"""B7, B9 and B10: the whole daemon, over its socket."""
import statistics
import threading
import time

from bench_trees import SIZES, imported, row
from bench_world import Cost, process_usage

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

CALLS = 1000


class Client:
    """Calls methods by name; their messages come from the daemon itself."""

    def __init__(self, socket):
        self.channel = grpc.insecure_channel("unix:" + socket)
        self.pool = descriptor_pool.DescriptorPool()
        self.known = set()
        stub = reflection_pb2_grpc.ServerReflectionStub(self.channel)
        for service in ("reclaim.v1.UsageService", "reclaim.v1.GraphService",
                        "grpc.health.v1.Health"):
            self.load(stub, reflection_pb2.ServerReflectionRequest(
                file_containing_symbol=service))

    def load(self, stub, request):
        for answer in stub.ServerReflectionInfo(iter([request])):
            for raw in answer.file_descriptor_response.file_descriptor_proto:
                file = descriptor_pb2.FileDescriptorProto.FromString(raw)
                if file.name in self.known:
                    continue
                self.known.add(file.name)
                for needed in file.dependency:
                    if needed not in self.known:
                        self.load(stub, reflection_pb2.
                                  ServerReflectionRequest(
                                      file_by_filename=needed))
                self.pool.Add(file)

    def message(self, name):
        factory = message_factory.MessageFactory(self.pool)
        return factory.GetPrototype(self.pool.FindMessageTypeByName(name))

    def method(self, path, request, response):
        return self.channel.unary_unary(
            path, request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=self.message(response).FromString), \
            self.message(request)


def latencies(call, request, count=CALLS):
    for _ in range(50):
        call(request)
    taken = []
    for _ in range(count):
        begin = time.monotonic()
        call(request)
        taken.append(time.monotonic() - begin)
    return sorted(taken)


def b7_df(bench, size):
    """df against an empty call on the same connection."""
    for part in ("S", "M", "L"):
        bench.tree("tree" + part, "registry", SIZES[part] // 4)
        imported(bench, "registry:" + bench.path("tree" + part))
        client = Client(bench.path("r.sock"))
        floor, empty = client.method("/grpc.health.v1.Health/Check",
                                     "grpc.health.v1.HealthCheckRequest",
                                     "grpc.health.v1.HealthCheckResponse")
        usage, asked = client.method("/reclaim.v1.UsageService/GetDiskUsage",
                                     "reclaim.v1.GetDiskUsageRequest",
                                     "reclaim.v1.GetDiskUsageResponse")
        limit = statistics.median(latencies(floor, empty()))
        taken = latencies(usage, asked())
        cpu, rss = process_usage(bench.daemon.pid)
        _, verified = bench.reclaim("verify", "s")
        yield row("B7", "df, store of %d objects (p50; p99 %.2f ms)"
                  % (SIZES[part] // 4, taken[int(len(taken) * 0.99)] * 1e3),
                  part, Cost(statistics.median(taken), 0, rss), limit, None,
                  "", "0 findings" in verified,
                  note="limit: an empty call of the same client")
        bench.stop()
        __import__("shutil").rmtree(bench.path("data"))
        if part == size:
            return


def b9_pause(bench, size):
    """Writers beside a collection: the same calls idle and while it runs."""
    bench.tree("tree", "registry", SIZES[size])
    live = bench.lines("tree.live")
    imported(bench, "registry:" + bench.path("tree"))
    client = Client(bench.path("r.sock"))
    record, asked = client.method("/reclaim.v1.GraphService/Record",
                                  "reclaim.v1.RecordRequest",
                                  "reclaim.v1.RecordResponse")

    def write(number):
        request = asked(relaxed=True)
        operation = request.operations.add()
        operation.put_volume.store = "s"
        operation.put_volume.name = "v%d" % (number % 5000)
        operation.put_volume.size_bytes = number
        begin = time.monotonic()
        record(request)
        return time.monotonic() - begin

    idle = sorted(write(number) for number in range(CALLS))
    failed = []

    def prune():
        try:
            bench.reclaim("system", "prune", "--force", "--allow-large")
            bench.reclaim("purge", "--now", "--force")
        except RuntimeError as error:
            failed.append(error)

    worker = threading.Thread(target=prune)
    busy = []
    worker.start()
    while worker.is_alive():
        busy.append(write(len(busy)))
    worker.join()
    busy.sort()
    good = not failed and bench.stored("tree") == live
    _, rss = process_usage(bench.daemon.pid)
    p99 = int(len(busy) * 0.99)
    yield row("B9", "a relaxed write beside a collection (p99 of %d; longest "
              "%.1f ms)" % (len(busy), busy[-1] * 1e3), size,
              Cost(busy[p99], 0, rss), idle[int(len(idle) * 0.99)], None, "",
              good, note="limit: the same writes while nothing else runs")


def b10_restart(bench, size):
    """kill -9, start, first correct df."""
    bench.tree("tree", "registry", SIZES[size])
    scan, _ = imported(bench, "registry:" + bench.path("tree"))
    _, before = bench.reclaim("df")
    bench.stop(kill=True)
    begin = time.monotonic()
    bench.start()
    _, after = bench.reclaim("df")
    wall = time.monotonic() - begin
    cpu, rss = process_usage(bench.daemon.pid)
    yield row("B10", "killed and started to the first df", size,
              Cost(wall, cpu, rss), None, scan, "reading the store again",
              before == after)


BENCHES = {"df": b7_df, "pause": b9_pause, "restart": b10_restart}

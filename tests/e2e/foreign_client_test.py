#!/usr/bin/env python3
"""A client that isn't ours: Python's gRPC, which learns all that it knows of us
through reflection.

Run me from the root, after `bazel build //cli:reclaim //server:reclaimd`;
tools/test does.
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import e2e_test as e2e  # noqa: E402
import xml_results  # noqa: E402


class ForeignClientTest(e2e.World):
    """A client that knows nothing of us but the address."""

    def test_python_by_reflection(self):
        try:
            import grpc
        except ImportError:
            self.fail("python3-grpcio is missing: run tools/setup")
        self.start_daemon()
        self.reclaim("store", "add", "external:e", "--name", "e")
        channel = grpc.insecure_channel("unix:" + self.path("r.sock"))
        self.addCleanup(channel.close)
        # grpc.reflection.v1alpha.ServerReflectionRequest: list_services = 7.
        ask = channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            request_serializer=lambda text: text,
            response_deserializer=lambda data: data)
        answer = b"".join(ask(iter([b"\x3a\x01*"]), timeout=10))
        for service in ("Graph", "Lease", "Usage", "Collection", "Store"):
            self.assertIn(b"reclaim.v1.%sService" % service.encode(), answer)
        self.assertIn(b"grpc.health.v1.Health", answer)
        # file_containing_symbol = 4: the descriptors make a working client.
        get = self.prototypes(ask, b"reclaim.v1.UsageService")
        request = get("GetDiskUsageRequest")
        response = get("GetDiskUsageResponse")
        call = channel.unary_unary(
            "/reclaim.v1.UsageService/GetDiskUsage",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString)
        usage = call(request(), timeout=10)
        self.assertEqual([row.type for row in usage.total.rows][:4],
                         ["Images", "Containers", "Local Volumes",
                          "Build Cache"])
        with self.assertRaises(grpc.RpcError) as caught:
            call(request(store="nowhere"), timeout=10)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)
        self.assertIn("reclaim store ls", caught.exception.details())

    def test_leases_and_pins_stream_by_reflection(self):
        import grpc
        daemon = self.start_daemon()
        self.reclaim("store", "add", "external:e", "--name", "e")
        channel = grpc.insecure_channel("unix:" + self.path("r.sock"))
        self.addCleanup(channel.close)
        ask = channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            request_serializer=lambda text: text,
            response_deserializer=lambda data: data)
        get = self.prototypes(ask, b"reclaim.v1.GraphService")
        request = get("RecordRequest")
        stream = channel.stream_unary(
            "/reclaim.v1.GraphService/RecordStream",
            request_serializer=request.SerializeToString,
            response_deserializer=get("RecordStreamResponse").FromString)
        digest = "sha256:" + 64 * "a"
        target = {"content": {"digest": digest}}
        batches = [request(request_id="pods-%d" % i, relaxed=True, operations=[
            {"put_container": {"id": "c%d" % i}},
            {"put_lease": {"id": "pod-%d" % i, "targets": [target]}},
            {"put_pin": {"id": "pin-%d" % i, "target": target,
                         "reason": "kept"}}]) for i in range(20)]
        self.assertEqual(stream(iter(batches), timeout=20).changed_count, 60)
        # The same ids again: nothing is done twice, though they stand.
        again = stream(iter(batches), timeout=20)
        self.assertEqual(again.request_count, 20)
        self.assertEqual(len(self.reclaim("lease", "ls").splitlines()), 21)
        daemon.kill()
        daemon.wait(timeout=30)
        self.start_daemon()
        self.assertEqual(len(self.reclaim("lease", "ls").splitlines()), 21)
        self.assertEqual(len(self.reclaim("pin", "ls").splitlines()), 21)
        channel.close()
        channel = grpc.insecure_channel("unix:" + self.path("r.sock"))
        self.addCleanup(channel.close)
        stream = channel.stream_unary(
            "/reclaim.v1.GraphService/RecordStream",
            request_serializer=request.SerializeToString,
            response_deserializer=get("RecordStreamResponse").FromString)
        ends = request(operations=[{"remove_lease": {"id": "pod-%d" % i}}
                                   for i in range(20)])
        wrong = request(operations=[
            {"remove_pin": {"id": "pin-0"}},
            {"put_lease": {"id": "two words", "targets": [target]}}])
        with self.assertRaises(grpc.RpcError) as caught:
            stream(iter([ends, wrong]), timeout=20)
        self.assertEqual(caught.exception.code(),
                         grpc.StatusCode.INVALID_ARGUMENT)
        self.assertIn("operations[1]", caught.exception.details())
        self.assertEqual(len(self.reclaim("lease", "ls").splitlines()), 1)
        self.assertEqual(len(self.reclaim("pin", "ls").splitlines()), 21)

    def prototypes(self, ask, symbol):
        """Messages of reclaim.v1 by name, from what the daemon says it has."""
        from google.protobuf import descriptor_pb2, descriptor_pool
        from google.protobuf import message_factory
        answer = b"".join(ask(iter([b"\x22" + bytes([len(symbol)]) + symbol]),
                              timeout=10))
        pool = descriptor_pool.DescriptorPool()
        for data in self.file_descriptors(answer):
            pool.Add(descriptor_pb2.FileDescriptorProto.FromString(data))
        factory = message_factory.MessageFactory(pool)
        return lambda name: factory.GetPrototype(
            pool.FindMessageTypeByName("reclaim.v1." + name))

    @staticmethod
    def file_descriptors(data):
        """FileDescriptorResponse (field 4) { bytes file_descriptor = 1 }."""
        def fields(buffer):
            at = 0
            while at < len(buffer):
                tag, at = varint(buffer, at)
                size, at = varint(buffer, at)
                if tag & 7 == 2:
                    yield tag >> 3, buffer[at:at + size]
                    at += size

        def varint(buffer, at):
            value = shift = 0
            while True:
                byte = buffer[at]
                at += 1
                value |= (byte & 0x7f) << shift
                shift += 7
                if byte < 0x80:
                    return value, at

        for number, inner in fields(data):
            if number == 4:
                files = [value for field, value in fields(inner) if field == 1]
                return sorted(files, key=ForeignClientTest.rank)
        return []

    @staticmethod
    def rank(data):
        from google.protobuf import descriptor_pb2
        file = descriptor_pb2.FileDescriptorProto.FromString(data)
        order = ["google/protobuf", "common", "lease", "graph", "usage"]
        return [i for i, part in enumerate(order) if part in file.name][:1] \
            or [len(order)]


if __name__ == "__main__":
    xml_results.main()

"""gRPC by name, with the messages of the .proto files of this tree."""
import functools
import os
import sys

import grpc
from google.protobuf import message_factory

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "engines"))
from reflection import PROTOS, load_pool  # noqa: E402

CONTAINERD = ["containerd/%s.proto" % name for name in (
    "images", "leases", "types")]


@functools.lru_cache(None)
def pool(protos):
    return load_pool(list(protos))


class Caller:
    """Methods that are looked up once: what a call takes is the call."""

    def __init__(self, socket, protos=tuple(PROTOS), metadata=()):
        # Else a channel to a daemon that was killed lends its patience to the
        # next one.
        self.channel = grpc.insecure_channel(
            "unix:" + socket, [("grpc.use_local_subchannel_pool", 1)])
        self.pool = pool(tuple(protos))
        self.metadata = metadata

    def method(self, service, name):
        """(what calls it, class of its requests)"""
        found = self.pool.FindServiceByName(service).FindMethodByName(name)
        factory = message_factory.MessageFactory(self.pool)
        request = factory.GetPrototype(found.input_type)
        response = factory.GetPrototype(found.output_type)
        call = self.channel.unary_unary(
            "/%s/%s" % (service, name),
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString)
        return functools.partial(call, metadata=self.metadata,
                                 timeout=120), request

    def empty(self):
        """An empty call: what a round trip takes at the least."""
        call = self.channel.unary_unary("/grpc.health.v1.Health/Check",
                                        request_serializer=bytes,
                                        response_deserializer=bytes)
        return functools.partial(call, b"", timeout=120)

    def close(self):
        self.channel.close()


class Usage:
    """df over one connection."""

    def __init__(self, socket):
        self.caller = Caller(socket)
        self.ask_usage, self.request = self.caller.method(
            "reclaim.v1.UsageService", "GetDiskUsage")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.caller.close()

    def ask(self):
        return self.ask_usage(self.request())

    def groups(self, by):
        """(all groups of a listing, bytes that none of them reaches)"""
        listing, request = self.caller.method("reclaim.v1.UsageService",
                                              "ListUsage")
        groups, token = [], ""
        while True:
            page = listing(request(by=by, page_size=1000, page_token=token))
            groups.extend(page.groups)
            token = page.next_page_token
            if not token:
                return groups, page.unattributed.logical_bytes


def disk_usage(socket):
    """The whole answer to one df."""
    with Usage(socket) as usage:
        return usage.ask()

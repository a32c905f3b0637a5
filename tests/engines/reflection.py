"""reclaim.v1 for a Python client, from the .proto files of this tree."""
import subprocess
import tempfile

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PROTOS = ["reclaim/v1/%s.proto" % name for name in (
    "common", "graph", "lease", "usage", "collection", "store")]


def load_pool(protos=PROTOS):
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run(
            ["protoc", "-I", "proto", "--include_imports",
             "--descriptor_set_out=" + file.name] + protos, check=True)
        files = descriptor_pb2.FileDescriptorSet.FromString(file.read())
    pool = descriptor_pool.DescriptorPool()
    for descriptor in files.file:
        pool.Add(descriptor)
    return pool


class Client:
    """Calls any method by name; requests are keyword arguments."""
    pool = None

    def __init__(self, channel):
        self.channel = channel
        if Client.pool is None:
            Client.pool = load_pool()

    def message(self, descriptor):
        return message_factory.MessageFactory(self.pool).GetPrototype(
            descriptor)

    def call(self, service, method, **fields):
        found = self.pool.FindServiceByName(service).FindMethodByName(method)
        request = self.message(found.input_type)
        response = self.message(found.output_type)
        connect = (self.channel.unary_stream if found.server_streaming
                   else self.channel.unary_unary)
        return connect("/%s/%s" % (service, method),
                       request_serializer=request.SerializeToString,
                       response_deserializer=response.FromString)(
                           request(**fields), timeout=60)

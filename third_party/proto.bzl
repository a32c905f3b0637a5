"""C++ from .proto files with the system's protoc and gRPC plug-in.

The package path below //proto is the import path: //proto/reclaim/v1 holds
reclaim/v1/*.proto, and C++ includes "reclaim/v1/NAME.pb.h".
"""

def _outputs(src, package, grpc):
    stem = package[len("proto/"):] + "/" + src[:-len(".proto")]
    headers = [stem + ".pb.h"] + ([stem + ".grpc.pb.h"] if grpc else [])
    sources = [stem + ".pb.cc"] + ([stem + ".grpc.pb.cc"] if grpc else [])
    return headers, sources

def reclaim_proto_library(name, srcs, visibility, services = [], deps = {}):
    """One cc_library of all `srcs`.

    `services` are those that hold a service; `deps` maps the libraries whose
    files are imported to the labels of those files.
    """
    headers = []
    sources = []
    for src in srcs:
        h, c = _outputs(src, native.package_name(), src in services)
        headers += h
        sources += c
    plain = " ".join(["$(location %s)" % s for s in srcs])
    with_service = " ".join(["$(location %s)" % s for s in services])
    commands = ["protoc -I proto --cpp_out=$(RULEDIR) " + plain]
    if services:
        commands.append("protoc -I proto --grpc_out=$(RULEDIR) " +
                        "--plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin " +
                        with_service)
    native.genrule(
        name = name + "_generate",
        srcs = srcs + [f for files in deps.values() for f in files],
        outs = headers + sources,
        cmd = " && ".join(commands),
    )
    native.cc_library(
        name = name,
        srcs = sources,
        hdrs = headers,
        copts = ["-w"],
        includes = ["."],
        visibility = visibility,
        deps = list(deps.keys()) + [
            "//third_party:grpc",
            "//third_party:protobuf",
        ],
    )

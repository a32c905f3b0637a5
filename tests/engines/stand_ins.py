"""What no real engine does on demand: speaks a version that we do not, or
hides a container, so that its own refusal is what is left.

Each serves on a Unix socket, from threads of this process, until close().
"""
import http.client
import http.server
import json
import socket
import socketserver
import sys
import threading
from concurrent import futures


class _UnixServer(socketserver.ThreadingMixIn,
                  socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, path, handler):
        super().__init__(path, handler)
        self.over = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        # A client that hangs up in the middle of an answer is no news.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def close(self):
        self.over.set()
        self.shutdown()
        self.server_close()


class _Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "unix"

    def log_message(self, *arguments):
        pass

    def answer(self, code, body, headers=()):
        self.send_response(code)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def docker_of_version(path, version):
    """Docker's API, of which it knows its version and nothing else."""

    class Handler(_Answers):

        def do_GET(self):
            if self.path == "/version":
                self.answer(200, json.dumps(version).encode())
            elif self.path == "/_ping":
                self.answer(200, b"OK")
            else:
                self.answer(400, b'{"message":"client version is too old"}')

    return _UnixServer(path, Handler)


class _Connection(http.client.HTTPConnection):

    def __init__(self, path):
        super().__init__("engine", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def _in_front_of(path, engine, own_answer):
    """Docker's API of the socket `engine`, without events, where
    `own_answer(path)` is None."""

    class Handler(_Answers):

        def pass_on(self):
            if "/events" in self.path:
                self.send_response(200)
                self.end_headers()
                self.server.over.wait()
                return
            own = own_answer(self.path)
            if own is not None:
                self.answer(200, own)
                return
            connection = _Connection(engine)
            connection.request(self.command, self.path, headers={
                "Content-Length": "0"})
            answer = connection.getresponse()
            self.answer(answer.status, answer.read(), [
                pair for pair in answer.getheaders()
                if pair[0].lower() in ("api-version",
                                       "libpod-api-version")])
            connection.close()

        do_GET = do_POST = do_DELETE = pass_on

    return _UnixServer(path, Handler)


def docker_without_containers(path, engine):
    return _in_front_of(path, engine, lambda target: b"[]" if
                        "/containers/json" in target else None)


def docker_that_counts(path, engine, times):
    """So many prunes of its build cache take nothing: BuildKit passes over a
    record that somebody has."""
    left = list(range(times))

    def own_answer(target):
        if "/build/prune" in target and left:
            left.pop()
            return b'{"CachesDeleted":null,"SpaceReclaimed":0}'
        return None

    return _in_front_of(path, engine, own_answer)


class containerd_without_services:
    """A gRPC server that knows none of containerd's calls."""

    def __init__(self, path):
        import grpc
        self.server = grpc.server(futures.ThreadPoolExecutor(2))
        self.server.add_insecure_port("unix:" + path)
        self.server.start()

    def close(self):
        self.server.stop(None).wait()

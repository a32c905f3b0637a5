#!/usr/bin/env python3
"""Notifications over HTTP, by whom nobody wants: wrong secrets, bodies that are
too long, too slow or no envelopes, thousands of events, twice and in the wrong
order, names that stay unreadable, floods of connections.

What was answered 200 is in the graph, also after a crash; what is not an event
changes nothing; and nothing grows.  Run me from the root, after
`bazel build //cli:reclaim //server:reclaimd`; tools/test does.
"""
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import e2e_test as e2e  # noqa: E402
import xml_results  # noqa: E402

SECRET = "a secret of sixteen bytes and more"
BEARER = {"Authorization": "Bearer " + SECRET}
EVENTS = 10000
# Slow senders, by whose side the others must be heard.
SLOW = 24
FLOOD = 400
# More than there are threads (server/http_server.cc), and how often each of them
# sends a byte.
DRIPPERS = 40
DRIP_SECONDS = 0.2
# Rounds of large bodies before memory is looked at, and what it may grow by in
# three times as many, in KiB.
WARM_UP = 15
GROWTH_MAX = 64 * 1024
TOP = "registry/docker/registry/v2"


def event(action, digest, tag="", repository="app", **more):
    return {"id": "%x" % random.getrandbits(64), "action": action,
            "timestamp": "2026-01-01T00:00:00Z",
            "target": {"repository": repository, "tag": tag,
                       "digest": digest, "mediaType": e2e.MANIFEST}, **more}


class NotificationsTest(e2e.World):

    def setUp(self):
        super().setUp()
        os.makedirs(self.path(TOP + "/repositories"))
        with open(self.path("secret"), "w") as file:
            file.write(SECRET + "\n")
        os.chmod(self.path("secret"), 0o600)
        with open(self.path("reclaim.toml"), "w") as file:
            file.write("""data_directory = "%s"
[listen]
socket = "%s"
[http]
address = "127.0.0.1:0"
[notifications]
secret_file = "%s"
[[store]]
uri = "registry:%s"
name = "hub"
""" % (self.path("data"), self.path("r.sock"),
                self.path("secret"), self.path("registry")))
        self.start_again()
        self.reclaim("scan", "hub")

    def start_again(self):
        self.daemon = self.start(e2e.DAEMON, "--config",
                                 self.path("reclaim.toml"))
        self.port = e2e.await_port(self.daemon, e2e.HTTP)
        e2e.await_url("http://127.0.0.1:%d/readyz" % self.port)

    # What a registry writes.

    def write(self, path, data):
        full = self.path(TOP + "/" + path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(data)

    def put_blob(self, data):
        digest = e2e.images.digest_of(data)
        self.write("blobs/sha256/%s/%s/data" % (digest[7:9], digest[7:]), data)
        return digest

    def put_tag(self, tag, digest, repository="app"):
        top = "repositories/%s/_manifests/" % repository
        self.write(top + "revisions/sha256/%s/link" % digest[7:],
                   digest.encode())
        self.write(top + "tags/%s/index/sha256/%s/link" % (tag, digest[7:]),
                   digest.encode())
        self.write(top + "tags/%s/current/link" % tag, digest.encode())

    def put_image(self, tag, text=None):
        config = json.dumps({"architecture": "amd64", "os": "linux",
                             "of": text or tag}).encode()
        part = {"mediaType": e2e.images.OCI + "config.v1+json",
                "digest": self.put_blob(config), "size": len(config)}
        self.write("repositories/app/_layers/sha256/%s/link"
                   % part["digest"][7:], part["digest"].encode())
        digest = self.put_blob(json.dumps({
            "schemaVersion": 2, "mediaType": e2e.MANIFEST, "config": part,
            "layers": []}).encode())
        self.put_tag(tag, digest)
        return digest

    # What is asked, and what has become of it.

    def post(self, body, headers=None, store="hub"):
        """The status, or None if the connection was ended without one."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                timeout=60)
        try:
            connection.request("POST", "/v1/notifications/" + store, body,
                               BEARER if headers is None else headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def tell(self, *events):
        return self.post(json.dumps({"events": list(events)}))

    def open(self, data=b""):
        peer = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        self.addCleanup(peer.close)
        peer.sendall(data)
        return peer

    @staticmethod
    def drip(peers, ends):
        """A byte at a time, for each that is still taken."""
        while not ends.wait(DRIP_SECONDS):
            for peer in list(peers):
                try:
                    peer.send(b"x")
                except OSError:
                    peers.remove(peer)

    def tags(self):
        lines = self.reclaim("images", "--no-trunc", "--format",
                             "{{.Tag}} {{.Digest}}").splitlines()
        return {line.split()[0]: line.split()[1] for line in lines
                if not line.startswith("<none>")}

    def status_of(self, what):
        with open("/proc/%d/status" % self.daemon.pid) as file:
            for line in file:
                if line.startswith(what + ":"):
                    return int(line.split()[1])
        raise AssertionError(what)

    def files(self):
        return len(os.listdir("/proc/%d/fd" % self.daemon.pid))

    # The tests.

    def test_who_may_not_post_changes_nothing(self):
        digest = self.put_image("v1")
        body = json.dumps({"events": [event("push", digest, "v1")]})
        for shown in ("", "Bearer", "Bearer ", SECRET, "Basic " + SECRET,
                      "Bearer " + SECRET[:-1], "Bearer " + SECRET + "x",
                      "Bearer " + "x" * 6000, "bearer \xff\xfe"):
            self.assertEqual(
                self.post(body, {"Authorization": shown.encode("latin-1")}),
                401, shown)
        self.assertEqual(self.post(body, {}), 401)
        # Nobody waits for a body that is not wanted.
        peer = self.open(b"POST /v1/notifications/hub HTTP/1.1\r\nHost: x\r\n"
                         b"Content-Length: 4194304\r\n\r\n")
        self.assertIn(b" 401 ", peer.recv(1000))
        self.assertEqual(self.post(body, store="nowhere"), 404)
        self.assertEqual(self.post(body, store="hub/hub"), 404)
        self.assertEqual(self.tags(), {})
        self.assertEqual(self.post(body), 200)
        self.assertEqual(self.tags(), {"v1": digest})

    def test_what_is_no_envelope(self):
        digest = self.put_image("v1")
        for body in (b"", b"{", b"[]", b"null", b"7", b'{"events":7}',
                     b'{"events":[}', b"\xff" * 1000):
            self.assertEqual(self.post(body), 400, body[:20])
        # Events that nobody understands are passed by, the others are not.
        self.assertEqual(self.tell(
            7, {}, [], None, {"action": "push"}, event("melt", digest, "v1"),
            event("push", "sha256:abc", "v1"), event("push", digest, "../v1"),
            event("push", digest, "v1", "../../etc"),
            event("push", digest, "v1", timestamp="yesterday")), 200)
        self.assertEqual(self.tags(), {"v1": digest})
        for length in (4194305, 1 << 40, 1 << 70, -5, "many"):
            peer = self.open(
                ("POST /v1/notifications/hub HTTP/1.1\r\nHost: x\r\n"
                 "Authorization: Bearer %s\r\nContent-Length: %s\r\n\r\n"
                 % (SECRET, length)).encode())
            self.assertNotIn(b" 200 ", peer.recv(1000), length)

    def test_what_is_too_large_does_not_stay_in_memory(self):
        large = [b" " * (4 << 20), b"[" * 1000000, b'{"a":' * 500000,
                 b'{"events":' + b"[" * 1000000,
                 json.dumps({"events": [0] * (EVENTS + 1)})]
        # Threads keep some memory each; then it is enough.
        for _ in range(WARM_UP):
            for body in large:
                self.assertIn(self.post(body), (400, 413))
        before = self.status_of("VmRSS")
        for _ in range(3 * WARM_UP):
            for body in large:
                self.assertIn(self.post(body), (400, 413))
        grown = self.status_of("VmRSS") - before
        print("memory grown by %d KiB" % grown)
        self.assertLess(grown, GROWTH_MAX)

    def test_ten_thousand_events_twice_and_after_a_crash(self):
        image = [self.put_image("t%d" % n, "i%d" % (n % 100))
                 for n in range(2000)]
        events = [event("push", image[n % 2000], "t%d" % (n % 2000))
                  for n in range(EVENTS // 2)]
        events += [event("pull", image[n % 2000], "t%d" % (n % 2000))
                   for n in range(EVENTS // 2)]
        random.Random(5).shuffle(events)
        begin = time.monotonic()
        self.assertEqual(self.tell(*events), 200)
        print("10,000 events in one envelope: %.1f s" % (
            time.monotonic() - begin))
        self.daemon.send_signal(signal.SIGKILL)
        self.daemon.wait()
        self.start_again()
        want = {"t%d" % n: image[n] for n in range(2000)}
        self.assertEqual(self.tags(), want)
        refused = 0
        while self.tell(*events) != 200:
            refused += 1  # too many a second: as a registry, again
            time.sleep(0.5)
        print("once more: asked to wait %d times" % refused)
        self.assertEqual(self.tags(), want)

    def test_the_wrong_order_ends_as_the_disk_is(self):
        first = self.put_image("v1", "first")
        second = self.put_image("v1", "second")
        gone = e2e.images.digest_of(b"never pushed")
        for told in ([event("delete", second)], [event("push", first, "v1")],
                     [event("pull", gone, "v1")], [event("mount", gone)],
                     [event("push", second, "v1"), event("delete", second)],
                     [event("push", gone, "v9", "no/where")],
                     [event("push", first, "v1"), event("push", second, "v1")]):
            self.assertEqual(self.tell(*told), 200)
        self.assertEqual(self.tags(), {"v1": second})
        # And a pull that comes late says nothing of what a tag names.
        third = self.put_image("v1", "third")
        self.assertEqual(self.tell(event("pull", second, "v1")), 200)
        self.reclaim("scan", "hub")
        self.assertEqual(self.tags(), {"v1": third})

    def test_a_torn_link_holds_up_no_registry(self):
        good = self.put_image("good")
        torn = self.put_image("torn")
        self.write("repositories/app/_manifests/tags/torn/current/link", b"")
        told = (event("push", torn, "torn"), event("push", good, "good"))
        asked = 0
        while self.tell(*told) != 200:
            asked += 1
            self.assertEqual(self.tags(), {"good": good})
            self.assertLess(asked, 200)
            time.sleep(0.5)
        self.assertGreater(asked, 0)
        # The scan tells of it and keeps what it may name.
        self.reclaim("scan", "hub", code=3)

    def test_slow_senders_and_floods(self):
        digest = self.put_image("v1")
        self.assertEqual(self.tell(event("push", digest, "v1")), 200)
        files, threads = self.files(), self.status_of("Threads")
        head = ("POST /v1/notifications/hub HTTP/1.1\r\nHost: x\r\n"
                "Authorization: Bearer %s\r\nContent-Length: 4194304\r\n\r\n{"
                % SECRET).encode()
        slow = [self.open(head if n % 2 else head[:30]) for n in range(SLOW)]
        second = self.put_image("v2")
        self.assertEqual(self.tell(event("push", second, "v2")), 200)
        self.assertIn("ok", e2e.await_url(
            "http://127.0.0.1:%d/livez" % self.port))
        for peer in slow:
            peer.close()
        flood = []
        for n in range(FLOOD):
            flood.append(self.open(b"" if n % 3 else b"GET /livez"))
            if n % 2:
                flood.pop().close()
        for peer in flood:
            peer.close()
        self.assertIn("ok", e2e.await_url(
            "http://127.0.0.1:%d/livez" % self.port))
        self.assertEqual(self.tell(event("pull", second, "v2")), 200)
        self.assertEqual(self.tags(), {"v1": digest, "v2": second})
        e2e.await_true(lambda: self.files() <= files + 2)
        self.assertLessEqual(self.status_of("Threads"), threads + 2)

    def test_who_drips_gives_his_place_up(self):
        """Without the secret, and whatever he asks for."""
        length = b"Host: x\r\nContent-Length: 1000000\r\n\r\n"
        for what, begin in (
                ("a header", b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: "),
                ("a body of a page", b"GET /metrics HTTP/1.1\r\n" + length),
                ("a refused body", b"POST /v1/notifications/hub HTTP/1.1\r\n"
                 + length)):
            with self.subTest(what):
                peers = [self.open(begin) for _ in range(DRIPPERS)]
                ends = threading.Event()
                dripping = threading.Thread(target=self.drip,
                                            args=(list(peers), ends))
                dripping.start()
                try:
                    for page in ("livez", "metrics"):
                        with urllib.request.urlopen(
                                "http://127.0.0.1:%d/%s" % (self.port, page),
                                timeout=60) as answer:
                            self.assertEqual(answer.status, 200)
                            answer.read()
                finally:
                    ends.set()
                    dripping.join()
                for peer in peers:
                    peer.close()


if __name__ == "__main__":
    xml_results.main()

"""A registry, a daemon beside it, and what takes them down and up again.

Everything listens on loopback or in a temporary folder, and is stopped by
process id.
"""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

from registry_tree import RegistryTree, ruin_at

CLI = os.path.join(os.getcwd(), "bazel-bin/cli/reclaim")
DAEMON = os.path.join(os.getcwd(), "bazel-bin/server/reclaimd")
SECRET = "a secret of sixteen bytes and more"
GRACE = 2.0
WRITE_DURATION = 2.0
UPLOAD_LIFETIME = 3
# A scan that has not come to its end by then never will.
SCAN_PATIENCE = 300.0
# A registry that lives writes what it opens.
FILL_PATIENCE = 30.0
# Exit codes: done but for some items; a run is at work on the store; verify has
# found damage.
PARTIAL = 3
BUSY = 11
DAMAGED = 13
# What a collection is told when the daemon is killed under it, or is not up.
AWAY = ("cannot reach the daemon", "being loaded", "the run goes on")


def outcome_of(code, output):
    """What became of a collection, for the figures."""
    if code == 0:
        return "collections"
    if code == PARTIAL:
        # A writer took a file away while its batch moved it.
        return "collections that left items to the next"
    if code == BUSY:
        return "collections refused, for a run was at work"
    if any(text in output for text in AWAY):
        return "collections that met no daemon, or its end"
    return "collections that failed: " + " ".join(output.split())[-300:]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def size_of(path):
    """None if it is not there."""
    try:
        return os.path.getsize(path)
    except OSError:
        return None


def read_url(url, timeout=30):
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return answer.read().decode()


def await_url(url, process):
    deadline = time.monotonic() + 60
    while True:
        try:
            return read_url(url)
        except OSError as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()  # it answers: not yet
            if process.poll() is not None:
                raise RuntimeError("%s has ended with %d" % (
                    process.args[0], process.returncode)) from None
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


class World:

    def __init__(self, has_cache, has_daemon):
        self.folder = tempfile.mkdtemp(prefix="reclaim-race-", dir="/tmp")
        self.has_cache = has_cache
        self.has_daemon = has_daemon
        self.lock = threading.Lock()  # of the daemon's process
        self.daemon = None
        self.kills = 0
        self.registry_kills = 0
        self.torn = set()  # ruins that it left when it was killed
        self.emptied = {}  # those that it did not, and their paths
        self.fill_patience = FILL_PATIENCE
        self.held = 0.0    # the longest that a sweep batch held writers
        self.registry_port = free_port()
        self.http_port = free_port()
        self.registry_host = "127.0.0.1:%d" % self.registry_port
        self.mute = None
        self.tree = RegistryTree(self.path("registry"))
        self.write_configuration()
        self.start_registry()
        if has_daemon:
            self.start_daemon()

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text, mode=0o644):
        with open(self.path(name), "w") as file:
            file.write(text)
        os.chmod(self.path(name), mode)

    def write_configuration(self):
        os.makedirs(self.path("registry/docker/registry/v2"))
        notifications = """notifications:
  endpoints:
    - name: reclaim
      url: http://127.0.0.1:%d/v1/notifications/hub
      headers: {Authorization: [Bearer %s]}
      timeout: 5s
      threshold: 1
      backoff: 300ms
""" % (self.http_port, SECRET) if self.has_daemon else ""
        self.write("registry.yml", """version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: %s}
  delete: {enabled: true}
  maintenance: {uploadpurging: {enabled: false}}
%shttp: {addr: "%s"}
%s""" % (self.path("registry"),
         "  cache: {blobdescriptor: inmemory}\n" if self.has_cache else "",
         self.registry_host, notifications))
        self.write("secret", SECRET + "\n", 0o600)
        self.write("reclaim.toml", """data_directory = "%s"
[listen]
socket = "%s"
[http]
address = "127.0.0.1:%d"
[notifications]
secret_file = "%s"
[gc]
grace_period = "%ds"
quarantine_period = "1s"
upload_lifetime = "%ds"
purge_interval = "1s"
large_plan_percent = 100
[[store]]
uri = "registry:%s"
name = "hub"
registry_url = "http://%s"
descriptor_cache = "%s"
write_duration_max = "%ds"
""" % (self.path("data"), self.path("r.sock"), self.http_port,
            self.path("secret"), GRACE, UPLOAD_LIFETIME, self.path("registry"),
            self.registry_host, "memory" if self.has_cache else "unknown",
            WRITE_DURATION))

    def start(self, *command):
        log = open(self.path(os.path.basename(command[0]) + ".log"), "a")
        process = subprocess.Popen(command, stdout=log, stderr=log)
        log.close()
        return process

    def start_registry(self):
        self.registry = self.start("docker-registry", "serve",
                                   self.path("registry.yml"))
        await_url("http://%s/v2/" % self.registry_host, self.registry)

    def start_mute_registry(self):
        """Another one on the same folder, which tells nobody of anything; its
        host."""
        host = "127.0.0.1:%d" % free_port()
        with open(self.path("registry.yml")) as file:
            text = file.read().split("notifications:")[0]
        self.write("mute.yml", text.replace(self.registry_host, host))
        self.mute = self.start("docker-registry", "serve",
                               self.path("mute.yml"))
        await_url("http://%s/v2/" % host, self.mute)
        return host

    def unexplained_ruins(self):
        return {ruin: link for ruin, link in self.tree.ruins().items()
                if ruin not in self.torn and ruin not in self.emptied}

    def note_emptied(self):
        """What is empty though its registry lives.  What that is just making it
        fills while we look again."""
        deadline = time.monotonic() + self.fill_patience
        ruins = self.unexplained_ruins()
        while ruins and time.monotonic() < deadline:
            time.sleep(0.02)
            ruins = {ruin: link for ruin, link in ruins.items()
                     if ruin_at(link) == ruin}
        self.emptied.update(ruins)

    def kill_registry(self):
        """What is empty when it is dead and was not before, is its work."""
        self.registry.kill()
        self.registry.wait()
        self.registry_kills += 1
        self.torn.update(self.unexplained_ruins())

    def restart_registry(self):
        self.note_emptied()
        self.kill_registry()
        self.start_registry()

    def forget_cache(self):
        """The registry ends while nobody asks it for anything, and begins
        anew: what it remembered is forgotten, and nothing is torn."""
        self.registry.terminate()
        self.registry.wait()
        self.start_registry()

    def start_daemon(self):
        self.daemon = self.start(DAEMON, "--config", self.path("reclaim.toml"))
        await_url("http://127.0.0.1:%d/readyz" % self.http_port, self.daemon)

    def crash_daemon(self, with_registry=False):
        """SIGKILL at whatever it is doing, and up again; on request both at
        once."""
        self.note_held()
        if with_registry:
            self.note_emptied()
        with self.lock:
            self.daemon.send_signal(signal.SIGKILL)
            if with_registry:
                self.kill_registry()
            self.daemon.wait()
            self.kills += 1
            if with_registry:
                self.start_registry()
            self.start_daemon()

    def reclaim(self, *arguments):
        """(code, output)"""
        done = subprocess.run(
            [CLI, "--host", "unix:" + self.path("r.sock"), *arguments],
            capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def must(self, *arguments):
        code, output = self.reclaim(*arguments)
        if code != 0:
            raise RuntimeError("reclaim %s: %d\n%s" % (
                " ".join(arguments), code, output))
        return output

    def insist(self, *arguments, accepted=(0,)):
        """The daemon's own purge may be at work, on thousands of files."""
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            code, output = self.reclaim(*arguments)
            if code in accepted:
                return
            if code != BUSY:
                break
            time.sleep(0.1)
        raise RuntimeError("reclaim %s: %d\n%s" % (
            " ".join(arguments), code, output))

    def scan_anew(self):
        """Waits for the end of a scan that begins after this call, also of a
        daemon that is killed meanwhile; "" or why there was none."""
        deadline = time.monotonic() + SCAN_PATIENCE
        while True:
            code, output = self.reclaim("scan", "hub")
            if code in (0, PARTIAL):
                return ""
            if time.monotonic() > deadline:
                return "no scan in %d s: %d %s" % (SCAN_PATIENCE, code,
                                                   output.strip())
            time.sleep(0.5)

    def names_asked_for(self, repository, reference, digest, why):
        """(digest, paths) of what the registry failed on, by what they are: the
        image `digest`, or the part that `why` says."""
        part = re.search(r"/blobs/(sha256:[0-9a-f]{64})", why)
        digest = part.group(1) if part else digest
        paths = self.links_to(repository, digest)
        if not part and not reference.startswith("sha256:"):
            paths["tag"] = self.tag_link(repository, reference)
        return digest, paths

    def links_to(self, repository, digest):
        """Their paths, there or not."""
        top = os.path.join(self.tree.repositories, repository)
        name = digest.replace(":", "/") + "/link"
        return {"layer link": "%s/_layers/%s" % (top, name),
                "revision link": "%s/_manifests/revisions/%s" % (top, name)}

    def tag_link(self, repository, tag):
        return "%s/%s/_manifests/tags/%s/current/link" % (
            self.tree.repositories, repository, tag)

    def is_torn_link(self, path):
        """Whether a killed registry left it empty, and nobody has written to it
        since: it writes links in place, also those that it has."""
        return ruin_at(path) in self.torn

    def is_torn(self, repository, reference, digest, why):
        """Whether it failed on such a link."""
        _, paths = self.names_asked_for(repository, reference, digest, why)
        return why.endswith(": 500") and any(
            self.is_torn_link(path) for path in paths.values())

    def explains(self, subject):
        """Whether of the links that are REPOSITORY@DIGEST nobody but a killed
        registry has left one empty."""
        links = self.links_to(*subject.split("@"))
        empty = [path for path in links.values() if size_of(path) == 0]
        return bool(empty) and all(self.is_torn_link(path) for path in empty)

    def named_on_disk(self, repository, tag):
        """None if nothing is, or nobody knows what."""
        try:
            with open(self.tag_link(repository, tag)) as link:
                return link.read() or None
        except FileNotFoundError:
            return None

    def where_is(self, repository, reference, digest, why):
        """What is on the disk of what failed, and what the daemon says of it."""
        digest, paths = self.names_asked_for(repository, reference, digest,
                                             why)
        paths["file"] = self.path("registry/docker/registry/v2/blobs/sha256/"
                                  "%s/%s/data" % (digest[7:9], digest[7:]))
        sizes = {name: size_of(path) for name, path in sorted(paths.items())}
        found = ["%s of %d bytes" % (name, size)
                 for name, size in sizes.items() if size is not None]
        return "on the disk: %s; %s" % (
            ", ".join(found) or "nothing",
            " ".join(self.reclaim("why", digest)[1].split()))

    def note_held(self):
        """The longest time that a sweep batch held the write order, of which a
        daemon tells until it ends.  One that is up and does not answer fails
        the race."""
        text = read_url("http://127.0.0.1:%d/metrics" % self.http_port)
        for found in re.finditer(
                r"^reclaim_sweep_batch_held_max_seconds\{[^}]*\} (\S+)$",
                text, re.M):
            self.held = max(self.held, float(found.group(1)))

    def verify(self, store):
        """All findings of a verification that reads every blob."""
        code, output = self.reclaim("--json", "verify", store, "--read-data")
        if code not in (0, DAMAGED):
            raise RuntimeError("reclaim verify: %d\n%s" % (code, output))
        lines = [json.loads(line) for line in output.splitlines()]
        findings = [line for line in lines
                    if line["message_type"] == "finding"]
        counts = [line["finding_count"] for line in lines
                  if line["message_type"] == "summary"]
        if counts != [len(findings)]:
            raise RuntimeError("%d findings, of %s\n%s" % (
                len(findings), counts, output))
        return findings

    def events(self):
        """How many events of each kind there have been, from the feed."""
        counts = {}
        for kind in ("quarantined", "restored", "purged"):
            lines = self.must("events", "--kind", kind, "--limit", "10000000")
            counts[kind] = sum(
                1 for line in lines.splitlines() if line.strip())
        return counts

    def log(self, name):
        with open(self.path(name + ".log")) as file:
            return file.read()

    def close(self, keeps=False):
        for process in (self.daemon, self.registry, self.mute):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait(timeout=60)
        if not keeps:
            shutil.rmtree(self.folder, ignore_errors=True)

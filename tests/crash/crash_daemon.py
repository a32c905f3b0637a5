"""The daemon that is killed, and a client of it: one connection for a life of
the daemon, and no process for a call."""
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.getcwd(), "tests", "engines"))

DAEMON = os.path.join(os.getcwd(), "bazel-bin/server/reclaimd")
START_PATIENCE = 60
LOOK_INTERVAL = 0.002


class Refused(Exception):
    """A call's status that is not OK; `code` is its name."""

    def __init__(self, error):
        super().__init__("%s: %s" % (error.code().name, error.details()))
        self.code = error.code().name


class Daemon:

    def __init__(self, folder):
        self.folder = folder
        self.socket = folder + "/r.sock"
        self.log = folder + "/daemon.log"
        self.log_begin = 0
        self.process = None
        self.channel = None
        self.client = None
        self.is_doomed = False  # whether a call that breaks off is no wonder

    def launch(self):
        """Does not wait."""
        self.is_doomed = False
        if os.path.exists(self.socket):
            os.unlink(self.socket)  # of who was killed
        with open(self.log, "ab") as log:
            self.log_begin = log.tell()
            self.process = subprocess.Popen(
                [DAEMON, "--config", self.folder + "/reclaim.toml", "--http",
                 "127.0.0.1:0"], stdout=subprocess.DEVNULL, stderr=log)

    def wait(self):
        """Until it serves; what it takes up again may still go on."""
        import grpc
        from reflection import Client
        end = time.monotonic() + START_PATIENCE
        while not self.serves():
            if time.monotonic() > end or self.process.poll() is not None:
                raise RuntimeError("the daemon does not start:\n" +
                                   self.said()[-3000:].decode())
            time.sleep(LOOK_INTERVAL)
        self.channel = grpc.insecure_channel("unix:" + self.socket)
        self.client = Client(self.channel)

    def said(self):
        """Since it was launched."""
        with open(self.log, "rb") as log:
            log.seek(self.log_begin)
            return log.read()

    def listens(self):
        return os.path.exists(self.socket)

    def serves(self):
        return b" serves " in self.said()

    def runs_that_went_on(self):
        with open(self.log, "rb") as log:
            return log.read().count(b" goes on\n")

    def kill(self):
        """One that was gone already, or that something else ends in this
        moment (it aborts, say), did not die of us."""
        if self.process.poll() is None:
            self.is_doomed = True
            self.process.kill()
            self.process.wait()
        if self.process.returncode != -signal.SIGKILL:
            raise RuntimeError("the daemon ended by itself with %d:\n%s" % (
                self.process.returncode,
                self.said()[-3000:].decode(errors="replace")))

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def hang_up(self):
        if self.channel is not None:
            self.channel.close()
        self.channel = self.client = None

    def call(self, service, method, **fields):
        """The answer; of a method that streams, the list of its answers."""
        import grpc
        try:
            answer = self.client.call("reclaim.v1.%sService" % service, method,
                                      **fields)
            return answer if hasattr(answer, "DESCRIPTOR") else list(answer)
        except grpc.RpcError as error:
            raise Refused(error) from None

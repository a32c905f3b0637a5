#!/usr/bin/env python3
"""Mutual TLS against openssl: who comes in, by which versions and with which
certificate, what he may then, and that a new certificate is taken up while the
daemon runs (TRUST E.2, row 9).

Run me from the root, after `bazel build //cli:reclaim //server:reclaimd`;
tools/test does.
"""
import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import e2e_test as e2e  # noqa: E402
import xml_results  # noqa: E402

# rpc/tls.h promises a minute.
ROTATION_SECONDS = 60
PATIENCE = 60
FORBIDDEN = 12
# A client's first words in HTTP/2: the preface, and settings of which it has none.
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
FRAME_HEAD_BYTES = 9
SETTINGS = 4
VERSIONS = {"-tls1": False, "-tls1_1": False, "-tls1_2": True, "-tls1_3": True}
# What is in a certificate -> whether TLS takes it, and how `reclaim` ends that
# looks at stores, and that adds one.
CERTIFICATES = {"operator": (True, 0, 0),
                "reader": (True, 0, FORBIDDEN),
                "nobody": (True, FORBIDDEN, FORBIDDEN),
                "stranger": (False, 1, 1),  # of another authority
                "expired": (False, 1, 1),
                "early": (False, 1, 1),     # not yet valid
                "revoked": (False, 1, 1),
                None: (False, 1, 1)}


class TlsWorld(e2e.World):

    def setUp(self):
        super().setUp()
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout",
                     "ca.key", "-out", "ca.crt", "-days", "2", "-subj",
                     "/CN=authority")
        with open(self.path("names"), "w") as file:
            file.write("subjectAltName=IP:127.0.0.1\n")
        self.sign("server", "-extfile", "names")
        self.sign("operator")
        self.make_more()
        with open(self.path("tls.toml"), "w") as file:
            file.write('data_directory = "%s"\n[listen]\nsocket = ""\n'
                       'address = "127.0.0.1:0"\n'
                       'tls_certificate = "%s"\ntls_key = "%s"\n'
                       'tls_client_ca = "%s"\n%s[http]\n'
                       'address = "127.0.0.1:0"\n'
                       '[[grant]]\nwho = "cn:operator"\n'
                       'roles = ["admin"]\n'
                       '[[grant]]\nwho = "cn:reader"\n'
                       'roles = ["read"]\n'
                       % (self.path("data"), self.path("server.crt"),
                          self.path("server.key"), self.path("ca.crt"),
                          self.more_listening))
        process = self.start(e2e.DAEMON, "--config", self.path("tls.toml"))
        self.port = e2e.await_port(process, e2e.TCP)
        e2e.await_url("http://127.0.0.1:%d/readyz"
                      % e2e.await_port(process, e2e.HTTP))

    more_listening = ""

    def make_more(self):
        """Certificates beside those of the server and of the operator."""

    def openssl(self, *arguments):
        subprocess.run(("openssl",) + arguments, check=True, cwd=self.folder,
                       capture_output=True)

    def request(self, name):
        """A key, and what an authority is asked to sign."""
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout",
                     name + ".key", "-out", name + ".csr", "-subj",
                     "/CN=" + name)

    def sign(self, name, *extra):
        """A key and a certificate of our own authority."""
        self.request(name)
        self.openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.crt",
                     "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                     "-out", name + ".crt", *extra)

    def ask(self, *flags, command=("store", "add", "external:e")):
        return subprocess.run(
            [e2e.CLI, "--host", "127.0.0.1:%d" % self.port, *flags, *command],
            capture_output=True, text=True, timeout=PATIENCE)

    def flags_of(self, name):
        return ["--tls-ca", self.path("ca.crt"), "--tls-cert",
                self.path(name + ".crt"), "--tls-key", self.path(name + ".key")]

    def ask_well(self):
        return self.ask(*self.flags_of("operator"))


class TlsTest(TlsWorld):

    def connect(self, *flags):
        """What openssl says of a connection with the operator's certificate.

        It may use what is too weak for its defaults: the server shall refuse.
        """
        return subprocess.run(
            ["openssl", "s_client", "-connect", "127.0.0.1:%d" % self.port,
             "-CAfile", "ca.crt", "-cert", "operator.crt", "-key",
             "operator.key", "-alpn", "h2", "-cipher", "ALL:@SECLEVEL=0",
             *flags], cwd=self.folder, input="", capture_output=True,
            text=True, errors="replace", timeout=PATIENCE)

    def test_only_those_with_a_certificate_come_in(self):
        good = self.ask_well()
        self.assertEqual(good.returncode, 0, good.stderr)
        self.assertEqual(self.ask().returncode, 1, "no TLS")
        self.assertEqual(self.ask("--tls-ca", self.path("ca.crt")).returncode,
                         1, "no certificate")

    def test_old_versions_are_refused(self):
        for flag, version in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
            done = self.connect(flag)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(version, done.stdout)
            self.assertIn("Verify return code: 0 (ok)", done.stdout)
        for flag in ("-tls1", "-tls1_1"):
            done = self.connect(flag)
            self.assertNotEqual(done.returncode, 0, flag)
            # It is the server that ends it, and not a client that cannot.
            self.assertRegex(done.stderr, "alert protocol|unexpected eof", flag)

    def test_weak_ciphers_are_refused(self):
        for cipher in ("NULL", "AES128-SHA", "DES-CBC3-SHA", "RC4-SHA"):
            done = self.connect("-tls1_2", "-cipher", cipher + ":@SECLEVEL=0")
            self.assertNotEqual(done.returncode, 0, cipher)

    def subject(self):
        """CN of the certificate that the server shows."""
        shown = self.connect("-tls1_3").stdout
        line = next((line for line in shown.splitlines()
                     if line.startswith("subject=")), "")
        return line.split("CN = ")[-1]

    def test_a_new_certificate_is_taken_up_without_a_restart(self):
        self.assertEqual(self.subject(), "server")
        self.sign("renewed", "-extfile", "names")
        for kind in (".key", ".crt"):
            os.rename(self.path("renewed" + kind), self.path("server" + kind))
        deadline = time.monotonic() + ROTATION_SECONDS
        while self.subject() != "renewed":
            self.assertLess(time.monotonic(), deadline)
            # While it waits, whoever comes is let in.
            self.assertEqual(self.ask_well().returncode, 0)
            time.sleep(0.2)
        self.assertEqual(self.ask_well().returncode, 0)


class CertificatesTest(TlsWorld):
    """Every kind of certificate by every version of TLS."""

    def make_more(self):
        for name in ("reader", "nobody"):
            self.sign(name)
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout",
                     "other.key", "-out", "other.crt", "-days", "2", "-subj",
                     "/CN=authority")
        self.request("stranger")
        self.openssl("x509", "-req", "-in", "stranger.csr", "-CA", "other.crt",
                     "-CAkey", "other.key", "-CAcreateserial", "-days", "2",
                     "-out", "stranger.crt")
        with open(self.path("index.txt"), "w"):
            pass
        with open(self.path("serial"), "w") as file:
            file.write("1000\n")
        with open(self.path("ca.cnf"), "w") as file:
            file.write("[ca]\ndefault_ca = ours\n[ours]\n"
                       "database = index.txt\nserial = serial\n"
                       "new_certs_dir = .\ndefault_md = sha256\n"
                       "default_days = 2\ndefault_crl_days = 2\n"
                       "certificate = ca.crt\nprivate_key = ca.key\n"
                       "policy = names\n[names]\ncommonName = supplied\n")
        self.issue("expired", "-startdate", "200101000000Z", "-enddate",
                   "200102000000Z")
        self.issue("early", "-startdate", "400101000000Z", "-enddate",
                   "400102000000Z")
        self.issue("revoked")
        self.authority("-revoke", "revoked.crt")
        self.list_the_revoked()

    def authority(self, *arguments):
        self.openssl("ca", "-batch", "-config", "ca.cnf", *arguments)

    def issue(self, name, *validity):
        """As sign(), for a time of its own."""
        self.request(name)
        self.authority("-in", name + ".csr", "-out", name + ".crt", "-notext",
                       *validity)

    def list_the_revoked(self):
        os.mkdir(self.path("lists"))
        self.authority("-gencrl", "-out", "list.pem")
        name = subprocess.run(
            ["openssl", "crl", "-hash", "-noout", "-in", "list.pem"],
            check=True, cwd=self.folder, capture_output=True,
            text=True).stdout.strip()
        os.rename(self.path("list.pem"), self.path("lists/%s.r0" % name))
        self.more_listening = 'tls_crl_directory = "%s"\n' % self.path("lists")

    def speaks(self, version, name):
        """Whether the server speaks HTTP/2 with who connects so, and what
        openssl says.  By TLS 1.3 a client hears only after its handshake that
        its certificate was refused, so the handshake alone shows nothing."""
        shown = [] if name is None else ["-cert", name + ".crt", "-key",
                                         name + ".key"]
        process = subprocess.Popen(
            ["openssl", "s_client", "-quiet", "-connect",
             "127.0.0.1:%d" % self.port, "-CAfile", "ca.crt", "-alpn", "h2",
             "-cipher", "ALL:@SECLEVEL=0", version, *shown], cwd=self.folder,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        patience = threading.Timer(PATIENCE, process.kill)
        patience.start()
        try:
            process.stdin.write(GREETING)
            process.stdin.flush()
        except BrokenPipeError:
            pass  # it was refused before
        head = process.stdout.read(FRAME_HEAD_BYTES)
        self.assertTrue(patience.is_alive(), "neither an answer nor an end")
        patience.cancel()
        process.kill()
        try:
            said = process.communicate()[1]
        except BrokenPipeError:
            said = b""
        return (len(head) == FRAME_HEAD_BYTES and head[3] == SETTINGS,
                said.decode(errors="replace"))

    def test_each_by_each_version(self):
        for name, (is_good, _, _) in CERTIFICATES.items():
            for version, is_spoken in VERSIONS.items():
                with self.subTest(name, version=version):
                    speaks, said = self.speaks(version, name)
                    self.assertEqual(speaks, is_good and is_spoken, said)

    def test_what_each_may(self):
        for name, (_, listing, adding) in CERTIFICATES.items():
            flags = (["--tls-ca", self.path("ca.crt")] if name is None
                     else self.flags_of(name))
            for command, code in ((("store", "ls"), listing),
                                  (("store", "add", "external:e"), adding)):
                with self.subTest(name, command=command):
                    done = self.ask(*flags, command=command)
                    self.assertEqual(done.returncode, code,
                                     done.stdout + done.stderr)


if __name__ == "__main__":
    xml_results.main()

#!/usr/bin/env python3
"""Mutual TLS against openssl: who comes in, by which versions, and that a new
certificate is taken up while the daemon runs (TRUST E.2, row 9).

Run me from the root, after `bazel build //cli:reclaim //server:reclaimd`;
tools/test does.
"""
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import e2e_test as e2e  # noqa: E402
import xml_results  # noqa: E402

# rpc/tls.h promises a minute.
ROTATION_SECONDS = 60


class TlsTest(e2e.World):

    def setUp(self):
        super().setUp()
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout",
                     "ca.key", "-out", "ca.crt", "-days", "2", "-subj",
                     "/CN=authority")
        with open(self.path("names"), "w") as file:
            file.write("subjectAltName=IP:127.0.0.1\n")
        self.sign("server", "-extfile", "names")
        self.sign("operator")
        with open(self.path("tls.toml"), "w") as file:
            file.write('data_directory = "%s"\n[listen]\nsocket = ""\n'
                       'address = "127.0.0.1:0"\n'
                       'tls_certificate = "%s"\ntls_key = "%s"\n'
                       'tls_client_ca = "%s"\n[http]\n'
                       'address = "127.0.0.1:0"\n'
                       '[[grant]]\nwho = "cn:operator"\n'
                       'roles = ["admin"]\n'
                       % (self.path("data"), self.path("server.crt"),
                          self.path("server.key"), self.path("ca.crt")))
        process = self.start(e2e.DAEMON, "--config", self.path("tls.toml"))
        self.port = e2e.await_port(process, e2e.TCP)
        e2e.await_url("http://127.0.0.1:%d/readyz"
                      % e2e.await_port(process, e2e.HTTP))

    def openssl(self, *arguments):
        subprocess.run(("openssl",) + arguments, check=True, cwd=self.folder,
                       capture_output=True)

    def sign(self, name, *extra):
        """A key and a certificate of our own authority."""
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout",
                     name + ".key", "-out", name + ".csr", "-subj",
                     "/CN=" + name)
        self.openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.crt",
                     "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                     "-out", name + ".crt", *extra)

    def ask(self, *flags):
        return subprocess.run(
            [e2e.CLI, "--host", "127.0.0.1:%d" % self.port, *flags, "store",
             "add", "external:e"], capture_output=True, text=True, timeout=60)

    def ask_well(self):
        return self.ask("--tls-ca", self.path("ca.crt"), "--tls-cert",
                        self.path("operator.crt"), "--tls-key",
                        self.path("operator.key"))

    def connect(self, *flags):
        """What openssl says of a connection with the operator's certificate.

        It may use what is too weak for its defaults: the server shall refuse.
        """
        return subprocess.run(
            ["openssl", "s_client", "-connect", "127.0.0.1:%d" % self.port,
             "-CAfile", "ca.crt", "-cert", "operator.crt", "-key",
             "operator.key", "-alpn", "h2", "-cipher", "ALL:@SECLEVEL=0",
             *flags], cwd=self.folder, input="", capture_output=True,
            text=True, errors="replace", timeout=60)

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


if __name__ == "__main__":
    xml_results.main()

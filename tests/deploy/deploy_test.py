#!/usr/bin/env python3
"""What deploy/ holds, against the tools that will read it and the metrics that
the daemon shows.

Bazel runs me with the daemon and the command line as arguments.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

DAEMON, CLI = sys.argv[1:3]
RULES = "deploy/prometheus/reclaim-rules.yml"
DASHBOARD = "deploy/grafana/reclaim.json"
UNIT = "deploy/systemd/reclaimd.service"
PRUNE = "deploy/systemd/reclaim-prune.service"
CRON_JOB = "deploy/kubernetes/prune-cronjob.yaml"
OPERATING = "docs/OPERATING.md"


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


class Daemon:
    """reclaimd with one store, on ports that it chooses itself."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="reclaim-deploy-", dir="/tmp")
        self.log = os.path.join(self.folder, "log")
        self.socket = os.path.join(self.folder, "r.sock")
        # An empty registry: a disk is below it.
        os.makedirs(self.folder + "/registry/docker/registry/v2/blobs")
        os.makedirs(self.folder + "/registry/docker/registry/v2/repositories")
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [DAEMON, "--data-directory", self.folder + "/data", "--socket",
                 self.socket, "--http", "127.0.0.1:0", "--store",
                 "registry:" + self.folder + "/registry"], stderr=log)
        self.port = self.await_port()

    def await_port(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = re.search(r"http port (\d+)", read(self.log))
            if found:
                return int(found.group(1))
            time.sleep(0.05)
        raise AssertionError("the daemon does not start: " + read(self.log))

    def get(self, page):
        url = "http://127.0.0.1:%d%s" % (self.port, page)
        return urllib.request.urlopen(url, timeout=30).read().decode()

    def stop(self):
        self.process.terminate()
        code = self.process.wait(timeout=60)
        shutil.rmtree(self.folder)
        return code


class DeployTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon()
        text = cls.daemon.get("/metrics")
        cls.metrics = {line.split("{")[0].split(" ")[0]
                       for line in text.splitlines()
                       if line and not line.startswith("#")}

    @classmethod
    def tearDownClass(cls):
        assert cls.daemon.stop() == 0

    def assert_metrics_exist(self, where, expression):
        names = set(re.findall(r"\b(?:reclaim|process)_[a-z0-9_]+", expression))
        self.assertTrue(names, where + ": no metric in " + expression)
        self.assertEqual(names - self.metrics, set(), where)

    def test_rules_are_good_and_fire_when_they_say(self):
        for command in (("check", RULES),
                        ("test", RULES.replace(".yml", ".test.yml"))):
            done = run("promtool", command[0], "rules", command[1])
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_every_alert_has_what_its_reader_needs(self):
        alerts = re.split(r"\n\s+- alert: ", read(RULES))[1:]
        self.assertEqual(len(alerts), 12)
        anchors = {
            re.sub(r"[^a-z0-9 -]", "", heading.lower()).strip().replace(" ", "-")
            for heading in re.findall(r"(?m)^#+ (.*)$", read(OPERATING))}
        tested = read(RULES.replace(".yml", ".test.yml"))
        for alert in alerts:
            name = alert.split("\n")[0]
            expression = re.search(r"expr:(.*?)\n\s+(?:for|labels):", alert,
                                   re.S).group(1)
            self.assert_metrics_exist(name, expression)
            self.assertRegex(alert, r"severity: (critical|warning)\n", name)
            self.assertIn("summary:", alert, name)
            page, anchor = re.search(r"runbook_url: (\S+)#(\S+)",
                                     alert).groups()
            self.assertEqual(page, OPERATING)
            self.assertIn(anchor, anchors, name + " has no runbook")
            self.assertIn("alertname: " + name, tested)

    def test_every_query_of_the_dashboard_has_its_metric(self):
        board = json.loads(read(DASHBOARD))
        self.assertGreaterEqual(board["schemaVersion"], 36)
        self.assertIsNone(board["uid"])
        variables = {v["name"]: v for v in board["templating"]["list"]}
        self.assertEqual(variables["datasource"]["type"], "datasource")
        for source in re.findall(r'"uid": "([^"]*)"', read(DASHBOARD)):
            self.assertEqual(source, "${datasource}", "a hard-coded uid")
        panels = [p for p in board["panels"] if p["type"] != "row"]
        self.assertGreater(len(panels), 15)
        for panel in panels:
            for target in panel["targets"]:
                self.assert_metrics_exist(panel["title"], target["expr"])
        for name in ("instance", "store"):
            self.assert_metrics_exist(name, variables[name]["definition"])

    def test_the_unit_is_hardened(self):
        done = run("systemd-analyze", "security", "--offline=true",
                   "--threshold=20", UNIT)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_unit_is_a_unit(self):
        with tempfile.TemporaryDirectory() as folder:
            text = read(UNIT).replace("/usr/bin/reclaimd", "/bin/true")
            path = os.path.join(folder, "reclaimd.service")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            shutil.copy(UNIT.replace(".service", ".socket"), folder)
            done = run("systemd-analyze", "verify", "--man=no", path,
                       path.replace(".service", ".socket"))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stderr.strip(), "")

    def test_the_timer_prunes_at_night(self):
        with tempfile.TemporaryDirectory() as folder:
            for source in (PRUNE, PRUNE.replace(".service", ".timer"), UNIT):
                text = re.sub(r"/usr/bin/reclaimd?\b", "/bin/true", read(source))
                with open(os.path.join(folder, os.path.basename(source)), "w",
                          encoding="utf-8") as file:
                    file.write(text)
            shutil.copy(UNIT.replace(".service", ".socket"), folder)
            done = run("systemd-analyze", "verify", "--man=no",
                       os.path.join(folder, "reclaim-prune.timer"))
            self.assertEqual((done.returncode, done.stderr.strip()), (0, ""))
        when = re.search(r"(?m)^OnCalendar=(.*)$",
                         read(PRUNE.replace(".service", ".timer"))).group(1)
        done = run("systemd-analyze", "calendar", when)
        self.assertIn("Normalized form: *-*-* 03:30:00", done.stdout)

    def what_prunes_from_outside(self):
        """The arguments of the unit and of the job, without the address."""
        for text in (re.search(r"(?m)^ExecStart=/usr/bin/reclaim (.*)$",
                               read(PRUNE)).group(1).split(),
                     json.loads(re.search(r"(?m)^ +args: (\[.*\])$",
                                          read(CRON_JOB)).group(1))):
            yield [word for word in text if not word.startswith("unix:")
                   and word != "--host"]

    def reclaim(self, *arguments):
        return run(CLI, "--host", "unix:" + self.daemon.socket, *arguments)

    def test_what_prunes_from_outside_is_a_command_of_ours(self):
        unit, job = self.what_prunes_from_outside()
        self.assertEqual(unit, job)
        done = self.reclaim(*unit)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_what_is_left_is_no_failure_of_who_prunes_from_outside(self):
        root = self.daemon.folder + "/registry/docker/registry/v2"
        torn = root + "/repositories/app/_manifests/tags/v1/current"
        os.makedirs(torn)
        try:
            with open(torn + "/link", "w", encoding="utf-8") as file:
                file.write("sha256:torn")
            self.assertEqual(self.reclaim("prune", "--force").returncode, 3)
            for arguments in self.what_prunes_from_outside():
                done = self.reclaim(*arguments)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("app", done.stdout + done.stderr)
        finally:
            shutil.rmtree(root + "/repositories/app")
        self.assertEqual(self.reclaim("prune", "--force").returncode, 0)

    def test_the_socket_may_be_systemds(self):
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            path = os.path.join(folder, "r.sock")
            with open(os.path.join(folder, "log"), "w",
                      encoding="utf-8") as log:
                process = subprocess.Popen(
                    ["systemd-socket-activate", "--listen", path,
                     "--fdname=reclaim", DAEMON, "--data-directory",
                     folder + "/data", "--http", ""], stderr=log)
            try:
                deadline = time.monotonic() + 60
                while not os.path.exists(path):
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.05)
                # The first call starts the daemon, and is answered.
                while True:
                    probe = run(CLI, "--host", "unix:" + path, "health")
                    if probe.returncode == 0:
                        break
                    self.assertLess(time.monotonic(), deadline,
                                    read(os.path.join(folder, "log")))
                    time.sleep(0.05)
                process.terminate()
                self.assertEqual(process.wait(timeout=60), 0)
                self.assertTrue(os.path.exists(path), "it is not ours")
            finally:
                process.kill()

    def test_the_probes(self):
        for page in ("/livez", "/readyz", "/healthz"):
            self.assertEqual(self.daemon.get(page), "ok\n")
        probe = run(CLI, "--host", "unix:" + self.daemon.socket, "health")
        self.assertEqual((probe.returncode, probe.stdout), (0, "SERVING\n"))

    def test_the_manual_is_whole_and_good(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(
                run(CLI, "man", "--directory", folder).returncode, 0)
            for section, name in (("8", "reclaimd.8"), ("5", "reclaim.toml.5")):
                page = run(DAEMON, "--print-man", section)
                self.assertEqual(page.returncode, 0, page.stderr)
                with open(os.path.join(folder, name), "w",
                          encoding="utf-8") as file:
                    file.write(page.stdout)
            pages = sorted(os.listdir(folder))
            self.assertIn("reclaim-image.1", pages)
            for page in pages:
                done = run("groff", "-man", "-Tutf8", "-ww", "-z",
                           os.path.join(folder, page))
                self.assertEqual((done.returncode, done.stderr), (0, ""), page)
            # Every flag of the daemon and every key of its configuration.
            flags = re.findall(r"(?m)^ +(?:-\w,)?(--[a-z-]+)",
                               run(DAEMON, "--help").stdout)
            self.assertGreater(len(flags), 8)
            daemon = read(os.path.join(folder, "reclaimd.8"))
            for flag in flags:
                self.assertIn(flag.replace("-", "\\-"), daemon)
            keys = re.findall(r"(?m)^\| `(?:\[\[\w+\]\] )?([a-z_.]+)`",
                              run(DAEMON, "--print-config-reference").stdout)
            self.assertGreater(len(keys), 20)
            config = read(os.path.join(folder, "reclaim.toml.5"))
            for key in keys:
                self.assertIn(key, config)


def write_xml(result, names):
    output = os.environ.get("XML_OUTPUT_FILE")
    if not output:
        return
    broken = {test.id() for test, _ in result.failures + result.errors}
    with open(output, "w", encoding="utf-8") as file:
        file.write("<testsuites><testsuite name=\"deploy\">")
        for name in names:
            file.write('<testcase name="%s">%s</testcase>' % (
                name, "<failure/>" if name in broken else ""))
        file.write("</testsuite></testsuites>")


if __name__ == "__main__":
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(DeployTest)
    tests = [test.id() for test in suite]
    outcome = unittest.TextTestRunner(verbosity=2).run(
        unittest.defaultTestLoader.loadTestsFromTestCase(DeployTest))
    write_xml(outcome, tests)
    sys.exit(not outcome.wasSuccessful())

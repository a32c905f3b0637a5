#!/usr/bin/env python3
"""docs/examples/orchestrator.py against a real containerd."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from engines import Containerd, main  # noqa: E402

OLD = "docker.io/library/old:v1"
JOB = "docker.io/library/job:v1"


class OrchestratorTest(Containerd):

    def test_the_example(self):
        old = self.layout("old")
        self.load(self.archive(old, {OLD: old.image([("o", 600_000)])}))
        self.start_daemon()
        job = self.unique("job")
        self.addCleanup(self.end_container, job)
        done = subprocess.run(
            [sys.executable, "docs/examples/orchestrator.py", "--reclaim",
             "unix:" + self.path("r.sock"), "--containerd", self.socket,
             "--container", job, "--image", JOB, "--archive", self.pause_archive(JOB),
             "--need-bytes", str(1 << 60), "--snapshotter", self.snapshotter],
            capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        print(done.stdout, file=sys.stderr)
        self.assertRegex(done.stdout, r"freed 1[0-9]{6} bytes",
                         "room was made before the pull")
        self.assertIn("no longer advertised: sha256:", done.stdout)
        self.assertEqual(self.names(), {JOB})
        self.assertIn(job, self.ctr("containers", "ls", "-q").split())
        # What it recorded: the container holds its image, the lease is over.
        self.reclaim("scan", "node")
        self.reclaim("image", "prune", "--all", "--force")
        self.assertEqual(self.names(), {JOB})
        self.assertEqual(self.reclaim("lease", "ls", "--format", "{{.ID}}"),
                         "")


if __name__ == "__main__":
    main()

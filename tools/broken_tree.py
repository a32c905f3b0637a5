"""A copy of the tree that is broken on purpose, one edit at a time, and tested.

Used by tools/seeded_bugs and tools/mutate.  The copy is the working tree as it
is (without what git ignores), in a folder of its own with a Bazel of its own; the
disk cache is shared, so an edit costs what depends on it.
"""
import collections
import os
import shutil
import subprocess
import sys
import tempfile

import count_tests

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CACHE = os.environ.get("RECLAIM_CACHE",
                       os.path.expanduser("~/.cache/reclaim/bazel"))


class BrokenTree:

    def __init__(self):
        self.scratch = tempfile.mkdtemp(prefix="reclaim-broken-")
        self.tree = os.path.join(self.scratch, "tree")
        self.base = os.path.join(self.scratch, "base")
        self.events = os.path.join(self.scratch, "events.json")
        names = subprocess.run(["git", "ls-files", "-z", "--cached", "--others",
                                "--exclude-standard"], cwd=ROOT, check=True,
                               capture_output=True, text=True).stdout
        for name in filter(None, names.split("\0")):
            target = os.path.join(self.tree, name)
            if not os.path.lexists(os.path.join(ROOT, name)):
                continue  # deleted, and not yet committed
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy2(os.path.join(ROOT, name), target,
                         follow_symlinks=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._bazel("shutdown")
        subprocess.run(["chmod", "-R", "u+w", self.scratch], check=False)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _bazel(self, command, *arguments):
        return subprocess.run(
            ["bazel", "--output_base=" + self.base, command, *arguments],
            cwd=self.tree, capture_output=True, text=True, check=False)

    def read(self, name):
        with open(os.path.join(self.tree, name), encoding="utf-8") as file:
            return file.read()

    def write(self, name, text):
        with open(os.path.join(self.tree, name), "w",
                  encoding="utf-8") as file:
            file.write(text)

    def build(self, targets, *options):
        """The finished process of a build."""
        return self._bazel("build", "--disk_cache=" + CACHE,
                           "--noshow_progress", "--keep_going",
                           "--build_tests_only", *options,
                           *targets)

    def tests_of(self, file, targets):
        """Labels of those C++ tests among `targets` that need a source file."""
        package, _, name = file.rpartition("/")
        done = self._bazel("query", "--noshow_progress",
                           'kind("cc_test", rdeps(set(%s), //%s:%s)) except '
                           'attr("tags", "manual", set(%s))' % (
                               " ".join(targets), package, name,
                               " ".join(targets)))
        if done.returncode != 0:
            sys.exit(done.stderr[-2000:])
        return done.stdout.split()

    def program(self, label):
        """Path of a test program that was built."""
        return os.path.join(self.tree, "bazel-bin",
                            label.lstrip("/").replace(":", "/"))

    def test(self, targets):
        """What the tests say: a pair of a word and names.

        ("passed", []), ("failed", [names of the failing tests]) or ("does not
        compile", [first errors]).
        """
        build = self.build(targets)
        if build.returncode != 0:
            errors = [line for line in build.stderr.split("\n")
                      if "error" in line.lower()]
            return "does not compile", errors[:3]
        if os.path.exists(self.events):
            os.remove(self.events)
        # A mutant may hang; a test that times out has found it.
        done = self._bazel("test", "--keep_going", "--disk_cache=" + CACHE,
                           "--noshow_progress", "--test_output=summary",
                           "--test_timeout=120",
                           "--build_event_json_file=" + self.events, *targets)
        if done.returncode == 0:
            return "passed", []
        files, broken = count_tests.of_events(self.events)
        for path in files:
            failed = count_tests.count(path, collections.Counter())[3]
            broken += [short_name(name) for name in failed]
        if not broken:
            sys.exit("bazel ended with %d:\n%s" % (done.returncode,
                                                   done.stderr[-2000:]))
        return "failed", broken


def short_name(name):
    """gc/collector_test: X out of the path of a test.xml and CollectorTest.X."""
    program, _, case = name.partition(": ")
    program = program.split("/testlogs/")[-1]
    suite, _, test = case.partition(".")
    # One that died has no tests: Bazel says its name in the place of one.
    return program if test == program else "%s: %s" % (program, test or suite)

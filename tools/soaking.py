"""How tools/soak shares its time out (tests/soak.toml has what it runs).

A share is a program that is run again and again, each time for a slice of the
time.  The one goes next whose figure is furthest behind its goal: so all of
them are reached in proportion, as far as the machine comes, and none waits for
another to be complete.  How much a program is given to do in a slice goes by
how fast it was the last time.
"""
import collections
import concurrent.futures
import os
import random
import shlex
import signal
import sys
import threading
import time
import tomllib
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import count_tests  # noqa: E402
import side_by_side  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAMS = os.path.join(ROOT, "tests", "soak.toml")
BINARIES = "bazel-bin/"
LANES = 2
SLICES = 100  # of the whole time
SLICE_SECONDS_MIN = 20
SLICE_SECONDS_MAX = 600
# So many times of the slice before it one may be: the first ones teach little.
GROWTH_MAX = 4
# A program that stands still for so long beyond the time of the whole hangs.
PATIENCE_SECONDS = 4 * 3600
LOG_LINES = 40


def programs():
    """{kind: [program]}, as the file says."""
    with open(PROGRAMS, "rb") as file:
        return tomllib.load(file)


def label_of(path):
    """The Bazel label of a program below BINARIES."""
    folder, _, name = path[len(BINARIES):].rpartition("/")
    return "//%s:%s" % (folder, name)


def labels_of(said):
    """What has to be built for these programs."""
    return sorted(
        {label_of(word) for program in said
         for word in program["command"].split() if word.startswith(BINARIES)} |
        {label for program in said for label in program.get("needs", ())})


def command_of(program, **values):
    """Its words, with what each run has for itself."""
    return [word.format(seed=random.randrange(1 << 30), **values)
            for word in shlex.split(program["command"])]


def slice_seconds(hours):
    return min(SLICE_SECONDS_MAX,
               max(SLICE_SECONDS_MIN, 3600 * hours / SLICES))


class Share:
    """A program, how far its figure is, and how fast it was."""

    def __init__(self, program, goal):
        self.program = program
        self.name = program["name"]
        self.figure = program["tells"][0]
        self.goal = goal
        self.least = program.get("least", 1)
        self.is_alone = program.get("alone", False)
        self.reached = 0
        self.run_count = 0
        self.amount = 0  # what it was given last
        self.rate = 0.0  # how much of that it did in a second
        self.stands_behind = 0.0

    def fraction(self):
        return max(self.reached / self.goal, self.stands_behind)

    def next_amount(self, seconds):
        """What takes about so long, if it goes on as it did last."""
        if self.run_count == 0:
            return self.least
        return max(self.least, min(int(self.rate * seconds),
                                   GROWTH_MAX * self.amount))

    def note(self, amount, seconds, figures):
        self.run_count += 1
        self.amount = amount
        self.rate = amount / max(seconds, 0.001)
        self.reached += figures[self.figure]


def next_share(shares, running, has_time):
    """Who is furthest behind; None if nobody goes on.  Each has its turn once,
    whatever the time."""
    waiting = [share for share in shares if share not in running
               and (has_time or share.run_count == 0)]
    return min(waiting, default=None, key=lambda share: (
        share.run_count > 0, share.fraction(), share.run_count))


def has_room(share, running, lanes):
    if any(one.is_alone for one in running) or (share.is_alone and running):
        return False
    return len(running) < lanes


def note(share, shares, amount, seconds, figures):
    share.note(amount, seconds, figures)
    # One that came to nothing lets all others go first, or it would have the
    # whole time.
    if not figures[share.figure]:
        share.stands_behind = max(one.fraction() for one in shares)


def share_out(shares, run, end, seconds, lanes=LANES, clock=time.monotonic):
    """Runs them until the clock says `end`, for some `seconds` each time.

    `run(share, amount)` returns a Counter of what it told.  What has begun is
    ended.
    """
    def timed(share, amount):
        begin = clock()
        figures = run(share, amount)
        return amount, clock() - begin, figures

    running = {}
    with concurrent.futures.ThreadPoolExecutor(lanes) as pool:
        while True:
            left = end - clock()
            share = next_share(shares, list(running.values()), left > 0)
            if share and has_room(share, list(running.values()), lanes):
                # The last ones do not go on for long beyond the end.
                amount = share.next_amount(
                    min(seconds, max(left, seconds / 4)))
                running[pool.submit(timed, share, amount)] = share
                continue
            if not running:
                return
            ended, _ = concurrent.futures.wait(
                running, return_when=concurrent.futures.FIRST_COMPLETED)
            for one in ended:
                note(running.pop(one), shares, *one.result())


class Soak(side_by_side.Programs):
    """Programs of which is told how long they took, and the end of what they
    said if they failed."""

    def __init__(self, folder, hours):
        super().__init__(folder)
        self.hours = hours
        self.patience = 3600 * hours + PATIENCE_SECONDS
        self.commands = {}
        self.run_counts = collections.Counter()
        self.has_failed = False

    def wait(self, process):
        alarm = threading.Timer(self.patience, os.killpg,
                                (process.pid, signal.SIGKILL))
        alarm.daemon = True
        alarm.start()
        try:
            return super().wait(process)
        finally:
            alarm.cancel()

    def tell(self, name, log, took, usage, code, wrong):
        with self.saying, open(log, errors="replace") as said:
            print("%5ds  %5ds of a processor  %s" % (
                took, usage.ru_utime + usage.ru_stime, name), flush=True)
            if code == 0 and not wrong:
                return
            self.has_failed = True
            print("FAILED: " + shlex.join(self.commands[name]))
            print("".join(said.readlines()[-LOG_LINES:]))
            if wrong:
                self.died.append(name)
                print("%s: ended with %d %s" % (name, code, wrong))
            sys.stdout.flush()

    def figures_of(self, name):
        try:
            return count_tests.figures_of(ElementTree.parse(
                os.path.join(self.folder, name, "test.xml")).getroot())
        except (OSError, ElementTree.ParseError):
            return collections.Counter()  # it was told that it died

    def run_program(self, program, lane="others", amount=0):
        """Runs it once; a Counter of what it told."""
        with self.saying:
            self.run_counts[program["name"]] += 1
            name = "%s-%d" % (program["name"],
                              self.run_counts[program["name"]])
            self.commands[name] = command_of(
                program, amount=amount, seconds=int(3600 * self.hours))
        try:
            self.run(lane, name, self.commands[name])
        except OSError as error:  # it is not there, or the disk is full
            with self.saying:
                self.has_failed = True
                self.died.append(name)
                print("%s: %s" % (name, error), flush=True)
        return self.figures_of(name)

    def run_once(self, some, lanes):
        """Each of them once, so many at a time."""
        with concurrent.futures.ThreadPoolExecutor(lanes) as pool:
            list(pool.map(self.run_program, some))

    def run_shares(self, said, end):
        goals = {figure["name"]: count_tests.goal(figure, self.hours)
                 for figure in count_tests.guarantees()[0]}
        shares = [Share(program, goals[program["tells"][0]])
                  for program in said]

        def run(share, amount):
            return self.run_program(
                share.program, share.program.get("lane", "others"), amount)

        share_out(shares, run, end, slice_seconds(self.hours))

"""What the daemon is killed in: deeds that a client asks for, each of which
knows how far it has come."""
import time

from crash_audit import PURGE, QUARANTINE
from crash_daemon import Refused

BEFORE, DURING, AFTER = "before", "during", "after"
PINS_AT_A_TIME = 15
RETRY_INTERVAL = 0.002
# Seconds; a run of these small trees that is at work for longer hangs.
PATIENCE = 300
# The numbers of the protocol's words.
SUCCEEDED, PARTIAL, FAILED, CANCELLED = 2, 3, 4, 5
VERB_SYSTEM = 7
KIND_TAG = 8


def how_it_ended(run):
    return "run %s ended with %d: %s" % (run.id, run.phase,
                                         "; ".join(run.problems))


class Deed:
    """`prepare` comes before the fuse is lit, `do` while it burns: a call that
    the kill cuts off raises Refused.  `complaints` asks the next daemon for what
    was acknowledged."""

    step = ""  # in the audit, of a deed that deletes

    def __init__(self, crash):
        self.crash = crash
        self.call = crash.daemon.call
        self.stage = BEFORE
        self.run = None
        self.plan = None
        self.failures = []

    def prepare(self):
        pass

    def insist(self, service, method, **fields):
        """Asks again while a run that was interrupted is at work."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.call(service, method, **fields)
            except Refused as refusal:
                if refusal.code != "ABORTED":
                    raise
                if time.monotonic() > deadline:
                    raise RuntimeError("%s was put off for %d s: %s" % (
                        method, PATIENCE, refusal)) from None
            time.sleep(RETRY_INTERVAL)

    def begin(self, service, method, **fields):
        self.run = self.insist(service, method, **fields)
        self.stage = DURING

    def follow(self):
        """To its end, which is a good one: a writer beside it may cost it an
        item, but neither a scan nor any other run as a whole."""
        self.run = self.call("Collection", "WatchRun", id=self.run.id)[-1]
        if self.run.phase in (SUCCEEDED, PARTIAL):
            self.stage = AFTER
        else:
            self.failures.append(how_it_ended(self.run))

    def make_plan(self):
        return self.insist("Collection", "CreatePlan", store="hub",
                           verb=VERB_SYSTEM)

    def quarantined_runs(self):
        entries = self.call("Collection", "ListQuarantine", store="hub",
                            page_size=1000).entries
        return sorted({entry.run_id for entry in entries})

    def fill_quarantine(self):
        """The runs that hold something there; if none does, one is made."""
        runs = self.quarantined_runs()
        if runs:
            return runs
        self.crash.make_garbage()
        plan = self.make_plan()
        self.run = self.insist("Collection", "ApplyPlan", plan_id=plan.id)
        self.follow()
        self.stage = BEFORE
        return self.quarantined_runs()

    def unrecorded(self, trail):
        """Of what the run was told to have deleted, what is not on record."""
        if self.stage != AFTER or not self.step:
            return
        recorded = trail.items[self.step, self.run.id]
        if recorded < self.run.item_count:
            yield "the audit: %d items of run %s, which took %d" % (
                recorded, self.run.id, self.run.item_count)

    def complaints(self):
        yield from self.failures
        if self.stage == AFTER and self.run is not None:
            found = self.call("Collection", "GetRun", id=self.run.id)
            if found.phase != self.run.phase:
                yield "run %s ended with %d, and now has %d" % (
                    found.id, self.run.phase, found.phase)
        if self.plan is not None:
            try:
                self.call("Collection", "GetPlan", id=self.plan.id)
            except Refused as refusal:
                yield "the acknowledged plan %s: %s" % (self.plan.id, refusal)


class Scan(Deed):

    def do(self):
        self.begin("Store", "ScanStore", name="hub")
        self.follow()


class Record(Deed):
    """Pins that come, and the oldest that go."""

    def do(self):
        pins = self.crash.pins
        target = {"named": {"kind": KIND_TAG, "scope": "live/r0",
                            "name": "t0"}}
        for _ in range(PINS_AT_A_TIME):
            pin = pins.begin_next()
            self.call("Lease", "CreatePin", pin={
                "store": "hub", "id": pin, "reason": "to stand",
                "target": target})
            pins.stand.add(pin)
            self.stage = DURING
        for pin in pins.oldest(PINS_AT_A_TIME // 2):
            pins.stand.discard(pin)
            self.call("Lease", "DeletePin", store="hub", id=pin)
            pins.gone.add(pin)
        self.stage = AFTER


class Plan(Deed):

    def prepare(self):
        self.crash.make_garbage()
        self.stage = DURING  # its call is the deed

    def do(self):
        self.plan = self.make_plan()
        self.stage = AFTER


class Apply(Deed):

    step = QUARANTINE

    def prepare(self):
        self.crash.make_garbage()
        self.plan = self.make_plan()

    def do(self):
        self.begin("Collection", "ApplyPlan", plan_id=self.plan.id)
        self.follow()


class Prune(Apply):
    """Plan and apply in one go, as `system prune` does."""

    def prepare(self):
        self.crash.make_garbage()

    def do(self):
        self.stage = DURING
        self.plan = self.make_plan()
        super().do()


class Restore(Deed):

    def prepare(self):
        self.chosen = self.crash.random.choice(self.fill_quarantine())

    def do(self):
        self.begin("Collection", "Restore", store="hub", run_id=self.chosen)
        self.follow()


class Purge(Deed):

    step = PURGE

    def prepare(self):
        self.fill_quarantine()

    def do(self):
        self.begin("Collection", "Purge", store="hub", now=True)
        self.follow()


class Pins:
    """Those that were acknowledged, and those whose removal was."""

    def __init__(self):
        self.begun = 0
        self.stand = set()
        self.gone = set()

    def begin_next(self):
        self.begun += 1
        return "p%06d" % self.begun

    def oldest(self, count):
        return sorted(self.stand)[:count]

    def complaints(self, listed):
        if len(listed) != len(set(listed)):
            yield "a pin is listed twice"
        for pin in sorted(self.stand - set(listed)):
            yield "the acknowledged pin %s" % pin
        for pin in sorted(self.gone & set(listed)):
            yield "the pin %s is back" % pin


DEEDS = {"scan": Scan, "record": Record, "plan": Plan, "apply": Apply,
         "prune": Prune, "restore": Restore, "purge": Purge}

#!/usr/bin/env python3
"""Compares our cron with croniter and with systemd's calendar.

Times without daylight saving only: what happens at a transition is ours to
declare (gc/cron.h), and gc/cron_test has it.
"""
import datetime
import os
import random
import re
import subprocess
import sys
import unittest

from croniter import croniter

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..",
                       "bazel-bin/tests/differential/cron_next")
SEED = int(os.environ.get("SEED", "20260102"))
COUNT = 5
UTC = datetime.timezone.utc
MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
DAYS = "sun mon tue wed thu fri sat".split()


def field(rng, low, high, words=()):
    def value():
        number = rng.randint(low, high)
        if words and rng.random() < 0.3:
            return words[number - low]
        return str(number)

    def item():
        kind = rng.randrange(5)
        if kind == 0:
            return "*/%d" % rng.randint(1, max(2, (high - low) // 2))
        if kind in (1, 2):
            first, last = sorted(rng.sample(range(low, high + 1), 2))
            step = "/%d" % rng.randint(1, 5) if kind == 2 else ""
            return "%d-%d%s" % (first, last, step)
        return value()

    if rng.random() < 0.35:
        return "*"
    return ",".join(item() for _ in range(rng.randint(1, 3)))


def expression(rng):
    return " ".join([field(rng, 0, 59), field(rng, 0, 23), field(rng, 1, 31),
                     field(rng, 1, 12, MONTHS), field(rng, 0, 6, DAYS)])


def is_ambiguous(cron):
    """Whether a day field that is not "*" names every day all the same.

    crontab(5) goes by how a field is written, croniter by what it comes to.
    """
    expanded = croniter.expand(cron)[0]
    return any(expanded[i] == ["*"] and cron.split()[i] != "*" for i in (2, 4))


def ours(questions):
    """Due times of each (cron, zone, after), or None where it is refused."""
    text = "".join("%s;%s;%d;%d\n" % (cron, zone, after, COUNT)
                   for cron, zone, after in questions)
    output = subprocess.run([PROGRAM], input=text, text=True, check=True,
                            capture_output=True).stdout.splitlines()
    return [None if line == "error" else [int(t) for t in line.split()]
            for line in output]


def theirs(cron, after):
    """croniter's due times; None for a time that never comes."""
    try:
        times = croniter(cron, datetime.datetime.fromtimestamp(after, UTC),
                         max_years_between_matches=9)
        return [int(times.get_next(float)) for _ in range(COUNT)]
    except Exception as error:  # croniter has a class for each kind
        if "failed to find next date" in str(error):
            return None
        raise


def is_passed_over(cron, answer, expected):
    """Whether croniter left out times that it matches itself.

    1.3.5 passes over the first of a month where the last day that is asked for
    is not in the month before.
    """
    if answer is None or expected is None:
        return False
    return (all(croniter.match(cron, datetime.datetime.fromtimestamp(t, UTC))
                for t in answer) and
            all(t in answer for t in expected if t <= answer[-1]))


class CronTest(unittest.TestCase):

    def test_croniter_agrees(self):
        print("seed", SEED)
        rng = random.Random(SEED)
        questions = [(cron, "UTC", rng.randint(1577836800, 1893456000))
                     for cron in (expression(rng) for _ in range(3000))
                     if not is_ambiguous(cron)]
        self.assertGreater(len(questions), 2500)
        answers = ours(questions)
        self.assertEqual(len(answers), len(questions))
        refused = passed_over = 0
        for (cron, _, after), answer in zip(questions, answers):
            expected = theirs(cron, after)
            if answer != expected and is_passed_over(cron, answer, expected):
                passed_over += 1
                continue
            self.assertEqual(answer, expected, "%s after %d" % (cron, after))
            refused += answer is None
        self.assertLess(refused, 300)
        self.assertLess(passed_over, 60)

    def test_what_croniter_refuses(self):
        bad = ["", "* * * *", "60 * * * *", "* 24 * * *", "* * 32 * *",
               "* * * 13 *", "* * * * 8", "a * * * *", "1-0 * * * *",
               "*/0 * * * *", "0 0 31 2 *", "0 0 30 2 *", "0 0 31 4,6,9,11 *"]
        answers = ours([(cron, "UTC", 1767323045) for cron in bad])
        self.assertEqual(answers, [None] * len(bad))

    def test_systemd_agrees(self):
        """Where one of the days is "*": systemd knows no "either"."""
        rng = random.Random(SEED + 1)
        checked = 0
        while checked < 60:
            minute, hour = rng.randrange(60), rng.randrange(24)
            month = rng.choice(["*", str(rng.randint(1, 12)), "2-11/3"])
            by_week = rng.random() < 0.5
            day = "*" if by_week else str(rng.randint(1, 28))
            week = rng.randrange(7) if by_week else None
            cron = "%d %d %s %s %s" % (minute, hour, day, month,
                                       "*" if week is None else week)
            months = {"*": "*", "2-11/3": "2,5,8,11"}.get(month, month)
            calendar = "%s*-%s-%s %d:%d:00 UTC" % (
                "" if week is None else DAYS[week].capitalize() + " ", months,
                day, hour, minute)
            after = rng.randint(1577836800, 1893456000)
            base = datetime.datetime.fromtimestamp(after, UTC).strftime(
                "%Y-%m-%d %H:%M:%S UTC")
            output = subprocess.run(
                ["systemd-analyze", "calendar", "--base-time=" + base,
                 "--iterations=%d" % COUNT, calendar], text=True, check=True,
                capture_output=True, env=dict(os.environ, TZ="UTC")).stdout
            times = [datetime.datetime.strptime(text, "%Y-%m-%d %H:%M:%S")
                     .replace(tzinfo=UTC).timestamp()
                     for text in re.findall(
                         r"(?:elapse|Iteration #\d+|Iter\. #\d+): \w+ "
                         r"([-\d]+ [:\d]+) UTC", output)]
            self.assertEqual(len(times), COUNT, output)
            self.assertEqual(ours([(cron, "UTC", after)])[0],
                             [int(time) for time in times],
                             "%s as %s" % (cron, calendar))
            checked += 1

    def test_a_zone_moves_the_times_by_its_offset(self):
        rng = random.Random(SEED + 2)
        # Tokyo has no daylight saving: nine hours, always.
        questions = [(expression(rng), rng.randint(1577836800, 1893456000))
                     for _ in range(300)]
        local = ours([(cron, "Asia/Tokyo", after)
                      for cron, after in questions])
        moved = ours([(cron, "UTC", after + 9 * 3600)
                      for cron, after in questions])
        for (cron, _), here, there in zip(questions, local, moved):
            if here is None:
                self.assertIsNone(there)
                continue
            self.assertEqual([t + 9 * 3600 for t in here], there, cron)


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=2).result
    output = os.environ.get("XML_OUTPUT_FILE")
    if output:
        with open(output, "w", encoding="utf-8") as file:
            file.write("<testsuite>")
            for number in range(result.testsRun):
                broken = number < len(result.failures) + len(result.errors)
                file.write('<testcase name="cron%d">%s</testcase>' %
                           (number, "<failure/>" if broken else ""))
            file.write("</testsuite>")
    sys.exit(not result.wasSuccessful())

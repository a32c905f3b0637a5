#!/usr/bin/env python3
"""What counts and what runs for long: the table of the figures
(tools/count_tests.py), whose turn it is in a soak (tools/soaking.py), the line
through what may not grow (tests/e2e/slopes.py); that tests/soak.toml has a
program for each figure, and docs/RELEASING.md what there is.  Run me from the
root.
"""
import collections
import contextlib
import io
import os
import re
import sys
import tempfile
import threading
import tomllib
import unittest
import unittest.mock

sys.path.insert(0, os.path.join(os.getcwd(), "tools"))
sys.path.insert(0, os.path.join(os.getcwd(), "tests", "e2e"))
import broken_tree  # noqa: E402
import count_tests  # noqa: E402
import soaking  # noqa: E402
import xml_results  # noqa: E402
from count_tests import Run  # noqa: E402
from slopes import slope  # noqa: E402

GATE = Run(True, None, False)
PART = Run(False, None, False)
ITEMS_MIN, ITEMS_MAX = 30, 50
WHERE_COMMANDS_ARE = re.compile(r"`((?:tools|tests)/[\w./-]+)")

SAID = """
[[figure]]
name = "kill_points"
gate = 2000
long = 50000
[[figure]]
name = "places"
gate = 10
long = 20
whole = true
[[figure]]
name = "faults"
or_refused = "faults_refused"
gate = 3
long = 800
[[figure]]
name = "mutants"
long = 600
once = true
[[loss]]
name = "lost_to_kills"
[[loss]]
name = "mutants_survived"
once = true
"""
# All that a soak of an hour and a gate ask for, but what the tools tell.
ENOUGH = {"kill_points": 6250, "places": 20, "faults": 1, "faults_refused": 99,
          "lost_to_kills": 0}


def soak(hours, has_tools=False):
    return Run(False, hours, has_tools)


class TableTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        said = os.path.join(self.folder, "guarantees.toml")
        with open(said, "w") as file:
            file.write(SAID)
        patch = unittest.mock.patch.object(count_tests, "GUARANTEES", said)
        patch.start()
        self.addCleanup(patch.stop)

    def count(self, run, figures, cases='<testcase name="a"/>'):
        """(passed, failed, what was said)."""
        place = os.path.join(self.folder, "run", "program")
        os.makedirs(place, exist_ok=True)
        with open(os.path.join(place, "test.xml"), "w") as file:
            file.write("<testsuite>%s%s</testsuite>" % (
                "".join('<property name="figure_%s" value="%d"/>' % pair
                        for pair in figures.items()), cases))
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            passed, failed = count_tests.summarize(
                [os.path.join(self.folder, "run")], run)
        return passed, failed, said.getvalue()

    def but(self, **figures):
        return {name: count for name, count in {**ENOUGH, **figures}.items()
                if count is not None}

    def test_a_whole_run_shows_each_row(self):
        _, failed, said = self.count(GATE, ENOUGH)
        self.assertEqual(failed, 0, said)
        self.assertEqual(said.splitlines(), [
            "what shows the guarantees (TRUST D.3):",
            "  6,250  kill points",
            "     20  places",
            "      1  faults",
            "     99  faults refused",
            "      -  mutants",
            "      0  lost to kills",
            "      -  mutants survived"])

    def test_a_soak_shows_what_its_hours_are_to_come_to(self):
        _, failed, said = self.count(soak(1), ENOUGH)
        self.assertEqual(failed, 0, said)
        self.assertEqual(said.splitlines(), [
            "what shows the guarantees (TRUST D.3), of what 1 hours are to "
            "show:",
            "  6,250 of 6,250  kill points",
            "     20 of    20  places",
            "      1 of   100  faults",
            "     99           faults refused",
            "      - of   600  mutants",
            "      0           lost to kills",
            "      -           mutants survived"])

    def test_a_part_of_a_run_shows_what_it_has(self):
        _, failed, said = self.count(PART, {"places": 1, "seeds": 1000})
        self.assertEqual(failed, 0, said)
        self.assertEqual(said.splitlines(), [
            "what else was tried:",
            "  1,000  seeds",
            "what shows the guarantees (TRUST D.3):",
            "  1  places"])

    def test_in_the_gate_less_than_its_least_is_a_failure(self):
        for figures in ({"kill_points": 1999}, {"kill_points": None},
                        {"places": 9}, {"faults_refused": 1},
                        {"lost_to_kills": None}):
            with self.subTest(figures):
                self.assertEqual(self.count(GATE, self.but(**figures))[1], 1)

    def test_in_a_soak_nothing_is_a_failure_and_less_is_none(self):
        for figures, failures in (
                ({"kill_points": 1}, 0), ({"kill_points": 0}, 1),
                ({"kill_points": None}, 1), ({"places": 19}, 1),
                ({"faults": None}, 0), ({"lost_to_kills": None}, 1)):
            with self.subTest(figures):
                self.assertEqual(self.count(soak(8), self.but(**figures))[1],
                                 failures)

    def test_tools_are_asked_only_where_they_ran(self):
        self.assertEqual(self.count(soak(8, True), ENOUGH)[1], 2)
        told = self.but(mutants=1, mutants_survived=0)
        self.assertEqual(self.count(soak(8, True), told)[1], 0)
        alone = Run(False, None, True)
        _, failed, said = self.count(alone, {"mutants": 5,
                                             "mutants_survived": 0})
        self.assertEqual(failed, 0, said)
        self.assertIn("  5 of 600  mutants\n", said)
        self.assertEqual(self.count(alone, {})[1], 2)

    def test_anything_lost_is_a_failure(self):
        for run in (GATE, soak(1), PART):
            _, failed, said = self.count(run, self.but(lost_to_kills=1))
            self.assertEqual(failed, 1)
            self.assertIn("FAILED lost to kills: 1\n", said)

    def test_tests_are_counted_by_how_they_ended(self):
        passed, failed, said = self.count(PART, {}, (
            '<testcase name="a"/><testcase name="b"><failure/></testcase>'
            '<testcase name="c" status="notrun"/>'
            '<testcase name="d"><skipped message="no disk"/></testcase>'))
        self.assertEqual((passed, failed), (1, 1))
        self.assertIn(".b\n", said)
        self.assertIn(".d: no disk\n", said)

    def test_goals_are_in_proportion_to_the_hours(self):
        kills, places = count_tests.guarantees()[0][:2]
        self.assertEqual([count_tests.goal(kills, hours)
                          for hours in (0.0001, 4, 8, 16)],
                         [1, 25000, 50000, 100000])
        self.assertEqual(count_tests.goal(places, 1), 20)


class Clock:
    """That each run moves on by what it would take."""

    def __init__(self):
        self.now = 0.0
        self.lock = threading.Lock()

    def __call__(self):
        return self.now

    def pass_by(self, seconds):
        with self.lock:
            self.now += seconds


def share(name, goal, least=1, alone=False):
    return soaking.Share({"name": name, "tells": [name], "least": least,
                          "alone": alone}, goal)


class ShareTest(unittest.TestCase):

    def share_out(self, shares, rates, end, lanes=1):
        """Each does `rates` of its figure in a second; [(name, amount)]."""
        clock, turns = Clock(), []

        def run(one, amount):
            turns.append((one.name, amount))
            rate = rates[one.name]
            clock.pass_by(amount / rate if rate else 10)
            return collections.Counter({one.name: amount if rate else 0})

        soaking.share_out(shares, run, end, 10, lanes, clock)
        self.assertLess(clock.now, end + 100)
        return turns

    def test_all_are_reached_in_proportion(self):
        shares = [share("slow", 1000), share("fast", 100000),
                  share("small", 100)]
        self.share_out(shares, {"slow": 1, "fast": 500, "small": 0.5}, 900)
        fractions = [one.fraction() for one in shares]
        self.assertGreater(min(fractions), 0.5)
        self.assertLess(max(fractions) - min(fractions), 0.15)

    def test_each_has_its_turn_whatever_the_time(self):
        shares = [share("one", 5, least=7), share("other", 5)]
        self.assertEqual(self.share_out(shares, {"one": 1, "other": 1}, 0),
                         [("one", 7), ("other", 1)])

    def test_who_comes_to_nothing_does_not_take_the_time(self):
        shares = [share("broken", 1000), share("good", 1000)]
        turns = self.share_out(shares, {"broken": 0, "good": 1}, 900)
        good = sum(name == "good" for name, _ in turns)
        self.assertGreater(good, len(turns) // 3)
        self.assertGreater(shares[1].reached, 300)

    def test_a_slice_is_what_fits_and_grows_by_steps(self):
        one = share("one", 10 ** 6, least=2)
        self.assertEqual(one.next_amount(10), 2)
        one.note(2, 0.01, {"one": 2})
        self.assertEqual(one.next_amount(10), 8)
        one.note(8, 8, {"one": 8})
        self.assertEqual(one.next_amount(10), 10)
        one.note(10, 1000, {"one": 10})
        self.assertEqual(one.next_amount(10), 2)

    def test_who_is_alone_is_beside_nobody(self):
        shares = [share("a", 100), share("alone", 100, alone=True),
                  share("b", 100)]
        clock, at_work, wrong = Clock(), set(), []

        def run(one, amount):
            at_work.add(one.name)
            if "alone" in at_work and len(at_work) > 1:
                wrong.append(set(at_work))
            clock.pass_by(1)
            at_work.discard(one.name)
            return collections.Counter({one.name: amount})

        soaking.share_out(shares, run, 200, 10, 2, clock)
        self.assertEqual(wrong, [])
        for one in shares:
            self.assertGreater(one.run_count, 1, one.name)
        self.assertFalse(soaking.has_room(shares[1], [shares[0]], 2))
        self.assertFalse(soaking.has_room(shares[0], [shares[1]], 2))
        self.assertTrue(soaking.has_room(shares[0], [shares[2]], 2))
        self.assertFalse(soaking.has_room(shares[0], [shares[2]], 1))

    def test_commands_are_filled_in(self):
        words = soaking.command_of(
            {"command": "env A={amount} S={seed} T={seconds} run '*a b*'"},
            amount=3, seconds=60)
        self.assertEqual(words[:2] + words[3:],
                         ["env", "A=3", "T=60", "run", "*a b*"])
        self.assertRegex(words[2], r"^S=\d+$")

    def test_what_is_run_is_built(self):
        self.assertEqual(
            soaking.labels_of([{"command": "env A=1 bazel-bin/index/b_test"},
                               {"command": "run", "needs": ["//a:b"]}]),
            ["//a:b", "//index:b_test"])


class SlopeTest(unittest.TestCase):

    def test_a_line_has_its_own(self):
        self.assertAlmostEqual(slope([(x, 3 * x - 7) for x in range(9)]), 3)

    def test_what_comes_and_goes_has_none(self):
        self.assertAlmostEqual(slope([(x, x % 2) for x in range(9)]), 0)

    def test_one_point_has_none(self):
        self.assertEqual(slope([(4, 5), (4, 9)]), 0)


class ProgramsTest(unittest.TestCase):
    """tests/soak.toml beside tests/guarantees.toml and the tree."""

    def setUp(self):
        self.said = soaking.programs()
        self.asked, self.losses = count_tests.guarantees()
        self.figures = {one["name"]: one for one in self.asked}

    def told_by(self, *kinds):
        return {name for kind in kinds for program in self.said[kind]
                for name in program["tells"]}

    def test_each_row_has_a_program(self):
        names = set(self.figures) | {loss["name"] for loss in self.losses}
        self.assertEqual(
            self.told_by("beside", "tool", "whole", "share"), names)

    def test_each_is_where_it_belongs(self):
        once = {one["name"] for one in self.asked + self.losses
                if one.get("once")}
        self.assertEqual(self.told_by("tool"), once)
        whole = {name for name, one in self.figures.items()
                 if one.get("whole")}
        self.assertEqual(whole - self.told_by("whole"), set())
        for program in self.said["share"]:
            figure = self.figures[program["tells"][0]]
            self.assertFalse(figure.get("whole") or figure.get("once"),
                             figure["name"])

    def test_each_figure_has_a_long_form(self):
        for name, one in self.figures.items():
            self.assertGreater(one.get("long", 0), 0, name)
            self.assertEqual("gate" in one, not one.get("once"), name)
            if not one.get("whole") and "gate" in one:
                self.assertGreaterEqual(one["long"], one["gate"], name)
            self.assertEqual(set(one) - {"name", "or_refused", "gate", "long",
                                         "whole", "once"}, set(), name)

    def test_each_program_is_there(self):
        for program in sum(self.said.values(), []):
            words = soaking.command_of(program, amount=1, seconds=1)
            labels = [soaking.label_of(word) for word in words
                      if word.startswith(soaking.BINARIES)]
            for label in labels + program.get("needs", []):
                folder, _, name = label[2:].partition(":")
                with open(os.path.join(folder, "BUILD.bazel")) as file:
                    self.assertIn('name = "%s"' % name, file.read())
            scripts = [word for word in words
                       if word.startswith(("tools/", "tests/"))]
            self.assertEqual(len(labels) + len(scripts), 1, words)
            for script in scripts:
                self.assertTrue(os.path.exists(script), script)

    def test_no_two_have_one_name(self):
        names = [program["name"] for program in sum(self.said.values(), [])]
        self.assertEqual(len(set(names)), len(names))


class PageTest(unittest.TestCase):

    def test_the_checklist_names_what_there_is(self):
        with open("docs/RELEASING.md") as file:
            page = file.read()
        numbers = [int(number)
                   for number in re.findall(r"^(\d+)\. ", page, re.M)]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
        self.assertTrue(ITEMS_MIN <= len(numbers) <= ITEMS_MAX, len(numbers))
        for path in WHERE_COMMANDS_ARE.findall(page):
            self.assertTrue(os.path.exists(path), path)

    def test_each_seeded_bug_has_its_row(self):
        with open("tests/seeded/bugs.toml", "rb") as file:
            bugs = tomllib.load(file)["bug"]
        with open("docs/TESTING.md") as file:
            page = file.read()
        rows = re.findall(r"^\| `([\w-]+)` \| (.+) \| (.+) \| .+ \|$",
                          page[page.index("## Seeded bugs"):], re.M)
        self.assertEqual([row[:3] for row in rows], [
            (bug["name"], bug["why"], bug["invariant"]) for bug in bugs])

    def test_what_found_a_bug_is_told_by_program_and_test(self):
        for name, short in (
                ("/x/testlogs/gc/plan_test: PlanTest.Case014", "gc/plan_test: "
                 "Case014"),
                ("/x/testlogs/tests/fuzz/corpus_test: .tests/fuzz/corpus_test",
                 "tests/fuzz/corpus_test")):
            self.assertEqual(broken_tree.short_name(name), short)


if __name__ == "__main__":
    xml_results.main()

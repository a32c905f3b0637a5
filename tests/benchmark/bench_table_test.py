#!/usr/bin/env python3
"""What the table of tools/bench says of a row: ratios, peers of another size,
goals; and that it can be made again of the JSON."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "..", "tools"))
import xml_results  # noqa: E402
from bench_goals import judge  # noqa: E402
from bench_table import fit, markdown  # noqa: E402


def row(**fields):
    made = {"bench": "B1", "name": "mark", "what": "mark: 7 objects",
            "size": "L", "unit": "objects/s", "objects": 10_000_000,
            "ours": 40e6, "limit": 60e6, "peer": None, "peer_name": "",
            "cpu": 0.2, "wall": 0.2, "peak_bytes": 1 << 20, "oracle": True,
            "note": ""}
    made.update(fields)
    return made


def judged(**fields):
    made = fit([row(**fields)])
    judge(made)
    return made


class RatiosTest(unittest.TestCase):

    def test_of_a_rate_more_is_better_and_of_seconds_less(self):
        rate = fit([row(peer=4e4, peer_name="SQLite")])
        self.assertAlmostEqual(rate["of_limit"], 2 / 3)
        self.assertAlmostEqual(rate["times_peer"], 1000)
        time = fit([row(unit="s", ours=2, limit=1, peer=6)])
        self.assertAlmostEqual(time["of_limit"], 0.5)
        self.assertAlmostEqual(time["times_peer"], 3)

    def test_without_a_figure_there_is_no_ratio(self):
        made = fit([row(limit=None)])
        self.assertIsNone(made["of_limit"])
        self.assertIsNone(made["times_peer"])
        self.assertIsNone(made["p99"])

    def test_a_peer_of_a_smaller_size_is_compared_there(self):
        made = fit([row(objects=625_000, ours=50e6, peer=1e4, peer_cpu=9,
                        peer_name="SQLite"),
                    row(objects=2_500_000), row()])
        self.assertAlmostEqual(made["times_peer"], 5000)
        self.assertEqual(made["peer_name"], "SQLite at 625,000")
        self.assertEqual((made["peer_objects"], made["peer_cpu"]),
                         (625_000, 9))
        # What is drawn is of each size its own.
        self.assertEqual([point["peer"] for point in made["points"]],
                         [1e4, None, None])

    def test_a_disagreement_at_a_smaller_size_is_one(self):
        self.assertFalse(fit([row(objects=1, oracle=False), row()])["oracle"])


class GoalsTest(unittest.TestCase):

    def met(self, **fields):
        return [goal["met"] for goal in judged(**fields)["goals"]]

    def test_each_goal_is_met_missed_or_not_judged(self):
        self.assertEqual(self.met(), [True, None, False])
        self.assertEqual(self.met(cpu=0.1, peer=1), [True, True, True])
        self.assertEqual(self.met(objects=1_000, limit=100e6),
                         [False, None, None])

    def test_in_one_a_goal_missed_is_worse_than_one_not_judged(self):
        self.assertIs(judged()["goal_met"], False)
        self.assertIs(judged(cpu=0.1, peer=1)["goal_met"], True)
        self.assertIsNone(judged(cpu=0.1)["goal_met"])

    def test_a_row_whose_oracle_disagrees_meets_nothing(self):
        self.assertEqual(self.met(cpu=0.1, peer=1, oracle=False),
                         [False, False, False])

    def test_other_rows_have_none(self):
        made = judged(name="ingest", what="of no goal")
        self.assertEqual(made["goals"], [])
        self.assertIsNone(made["goal"])

    def test_memory_counts_at_ten_million(self):
        what = {"name": "daemon", "unit": "MiB", "limit": 1024,
                "what": "one daemon: the most that was resident"}
        self.assertEqual(self.met(ours=1000, **what), [True])
        self.assertEqual(self.met(ours=1100, **what), [False])
        self.assertEqual(self.met(ours=1100, objects=1_000, **what), [None])

    def test_of_few_images_one_more_than_the_bound_is_near(self):
        what = {"name": "evict", "unit": "images",
                "what": "evict 10 % of the bytes of 9 images"}
        self.assertEqual(self.met(ours=7, limit=6, **what), [True])
        self.assertEqual(self.met(ours=8, limit=6, **what), [False])
        self.assertEqual(self.met(ours=102, limit=100, **what), [True])
        self.assertEqual(self.met(ours=103, limit=100, **what), [False])

    def test_nothing_is_kept_for_a_later_change(self):
        self.assertEqual(
            self.met(name="exclusive", unit="s", ours=0.5, limit=0.4,
                     what="exclusive bytes of all 9 images"),
            [True, True, False])


class MarkdownTest(unittest.TestCase):

    def test_a_line_for_each_row(self):
        lines = markdown([judged(), judged(what="a | b")]).splitlines()
        self.assertEqual(len(lines), 4)
        self.assertIn("| yes, ?, no |", lines[2])
        self.assertIn("a \\| b", lines[3])

    def test_it_is_made_again_of_the_json(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "bench.json")
            # As older ones are, without ratios and goals.
            with open(path, "w") as file:
                json.dump({"machine": "2 x M", "size": "L",
                           "rows": [row(), row(name="df")]}, file)
            text = subprocess.run(
                [sys.executable, os.path.join(HERE, "bench_plots.py"), path,
                 "--markdown", "mark"], capture_output=True, text=True,
                check=True).stdout
        self.assertIn("Size L, on 2 x M.", text)
        self.assertEqual(text.count("| B1 |"), 1)
        self.assertIn("| 67 % |", text)
        self.assertIn("60 % of the limit", text)


if __name__ == "__main__":
    xml_results.main()

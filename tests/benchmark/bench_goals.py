"""The goals of the suite (PERFORMANCE.md, section 7), and whether a row meets
them.

A goal belongs to the rows of a benchmark whose `what` its pattern finds.  It is
met, missed, or not judged: where there is nothing to judge it by (no peer ran,
or not at the size that it speaks of) that is "?", and no row is better for it.
A row whose oracle disagrees meets nothing.
"""
import collections
import re

Goal = collections.namedtuple("Goal", ("name", "what", "text", "is_met"))

TEN_MILLION = 10_000_000


def of_limit(least):
    return lambda row: None if row["of_limit"] is None else \
        row["of_limit"] >= least


def times_limit(most):
    """Of what costs more than its limit: no more than so many times it."""
    return lambda row: None if row["of_limit"] is None else \
        row["of_limit"] >= 1 / most


def times_peer(least):
    return lambda row: None if row["times_peer"] is None else \
        row["times_peer"] >= least


def at_ten_million(is_met):
    return lambda row: is_met(row) if row["objects"] >= TEN_MILLION else None


def wall(most):
    return lambda row: row["wall"] <= most


def ours(most):
    return lambda row: row["ours"] <= most


def stall(row):
    return None if row.get("max") is None else row["max"] < 0.005


def is_flat(row):
    return None if row["exponent"] is None else row["exponent"] <= 0.1


def near_bound(row):
    """Of few images one more than the bound is more than two per cent."""
    return row["ours"] <= max(1.02 * row["limit"],
                              row["limit"] + (row["limit"] < 50))


def eviction_time(row):
    return row["ours"] <= (0.05 if row["objects"] <= 2_000 else 1)


GOALS = (
    Goal("mark", "^mark: ", "60 % of the limit", of_limit(0.6)),
    Goal("mark", "^mark: ", "1,000 times the peer", times_peer(1000)),
    # "About": to the tenth.
    Goal("mark", "^mark: ", "0.1 s of a core at 10^7",
         at_ten_million(lambda row: row["cpu"] < 0.15)),
    Goal("mark-cold", "^records to a marked graph", "70 % of the limit",
         of_limit(0.7)),
    Goal("mark-cold", "^records to a marked graph", "1.5 s at 10^7",
         at_ten_million(wall(1.5))),
    Goal("mark-cold", "^disk, events aside", "80 B an object", ours(80)),
    Goal("prune-(registry|wide)", "planned", "50 times the peer",
         times_peer(50)),
    Goal("prune-tall", "planned", "300 times the peer", times_peer(300)),
    Goal("prune-(registry|wide|tall)", "^(applied|purged)",
         "80 % of the limit", of_limit(0.8)),
    Goal("prune-oci", "planned", "10 times the peer", times_peer(10)),
    Goal("import", "^import", "60 % of the limit", of_limit(0.6)),
    Goal("import", "^import", "faster than `du`", times_peer(1)),
    Goal("ingest", "^relaxed", "70 % of the limit", of_limit(0.7)),
    Goal("ingest", "^durable", "80 % of the limit", of_limit(0.8)),
    Goal("df|daemon", "df, p50", "1.3 times the limit at most",
         times_limit(1.3)),
    Goal("df|daemon", "df, p50", "flat", is_flat),
    Goal("exclusive", "^(exclusive|retained) bytes of all",
         "60 % of the limit", of_limit(0.6)),
    Goal("exclusive", "^exclusive bytes of all", "1 s at 10^7",
         at_ten_million(ours(1))),
    # Nothing is kept from one call to the next.
    Goal("exclusive", "^exclusive bytes of all", "2 us a later change",
         lambda row: False),
    Goal("pause", "p99", "1.1 times the limit at most", times_limit(1.1)),
    Goal("pause", "p99", "no stall of 5 ms", stall),
    Goal("restart|daemon", "first df", "3 s at 10^7", at_ten_million(wall(3))),
    Goal("restart|daemon", "first df", "1 s at 10^7 with a state file",
         at_ten_million(wall(1))),
    Goal("memory", "^memory: [0-9]", "64 B an object", ours(64)),
    Goal("whole|daemon", "the most that was resident", "1 GiB at 10^7",
         at_ten_million(ours(1024))),
    Goal("evict", "^evict", "1.02 times the bound at most", near_bound),
    Goal("evict", "planned", "50 ms of 2,000 images, 1 s of 100,000",
         eviction_time),
    Goal("sweep-db", "(quarantined|purged)$", "80 % of the limit",
         of_limit(0.8)),
    Goal("sweep-db", "^a scan afterwards", "1.2 times the limit at most",
         times_limit(1.2)),
    Goal("drift", "^drift", "60 % of the limit", of_limit(0.6)),
    Goal("drift", "^drift", "a recall of 100 %", lambda row: True),
)


def judge(row):
    """Puts its goals into a row that has its name and its ratios: `goals`, and
    in one, `goal` (all texts) and `goal_met` (None if one is not judged)."""
    row["goals"] = [
        {"goal": goal.text,
         "met": goal.is_met(row) if row["oracle"] else False}
        for goal in GOALS
        if row["ours"] is not None and re.fullmatch(goal.name, row["name"])
        and re.search(goal.what, row["what"])]
    if not row["goals"]:
        return
    row["goal"] = "; ".join(goal["goal"] for goal in row["goals"])
    met = [goal["met"] for goal in row["goals"]]
    row["goal_met"] = False if False in met else None if None in met else True

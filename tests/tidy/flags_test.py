#!/usr/bin/env python3
"""Every flag of the command line is used by a test (one that several commands
share, with one help text, is one flag).  The manual, which is made of the command
table, lists them.  Run me from the root, after `bazel build //cli:reclaim`.
"""
import glob
import re
import subprocess
import sys
import tempfile
import unittest

CLI = "bazel-bin/cli/reclaim"
TEXT = re.compile(r'"((?:[^"\\\n]|\\.)*)"|\'([^\'\n]*)\'')


def command_table():
    """{command: {"-f": flag, "--force": flag}}; a flag is (name, help)."""
    table = {"": {}}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([CLI, "man", "--directory", folder], check=True)
        for path in glob.glob(folder + "/*.1"):
            with open(path, encoding="utf-8") as file:
                parts = re.split(r'^\.SS "reclaim (.*)"$',
                                 file.read().replace("\\-", "-"), flags=re.M)
            if len(parts) == 1:
                parts = ["", "", parts[0]]  # The program's own page.
            for command, text in zip(parts[1::2], parts[2::2]):
                for names, said in re.findall(r'^\.B "(-.*)"\n(.*)$', text,
                                              flags=re.M):
                    names = [name.split()[0] for name in names.split(", ")]
                    table.setdefault(command, {}).update(
                        {name: (names[-1], said) for name in names})
    return table


def lists(text):
    """The words of each bracket that begins with one: arguments, mostly."""
    for begin in re.finditer(r"[\[{(]\s*(?=[\"'])", text):
        at, depth, words = begin.start(), 0, []
        while at < min(len(text), begin.start() + 3000):
            found = TEXT.match(text, at)
            if found:
                words.append((found[1] or found[2] or "").split("=")[0])
            depth += (text[at] in "[{(") - (text[at] in "]})")
            at = found.end() if found else at + 1
            if depth == 0:
                break
        yield words


class FlagsTest(unittest.TestCase):

    def test_every_flag_is_used_by_a_test(self):
        table = command_table()
        flags = {flag for one in table.values() for flag in one.values()}
        self.assertGreater(len(flags), 100)
        names = [name for name, _ in flags]
        used = set()
        for path in glob.glob("cli/*_test.cc") + glob.glob(
                "tests/[!bt]*/*_test.py"):  # Neither benchmark nor tidy.
            with open(path, encoding="utf-8") as file:
                text = file.read()
            for words in lists(text):
                command = ""
                for word in words:
                    longer = (command + " " + word).strip()
                    command = longer if longer in table else command
                known = {**table[""], **table[command]} if command else {}
                used.update(known[word] for word in words if word in known)
            # The only one of its name is known wherever it stands.
            used.update(flag for flag in flags - used if '"%s"' % flag[0] in
                        text and names.count(flag[0]) == 1)
        self.assertEqual(sorted(flags - used), [])


if __name__ == "__main__":
    sys.path.insert(0, "tools")
    import xml_results
    xml_results.main()

#!/usr/bin/env python3
"""Holds every source file of the project to the house rules.

No function over 70 lines, no source file over 400 lines (tests 800), of C++ and
of Python; include guards named after the path, formatted by clang-format, no
refused words.  There is no list of exemptions.
"""
import ast
import os
import re
import subprocess
import sys
import tomllib
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "..", "tools"))
import mutants  # noqa: E402
import xml_results  # noqa: E402

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 400
TEST_LINES_MAX = 800
FOLDERS = ("accounting", "base", "cli", "gc", "index", "metrics", "oci", "rpc",
           "server", "store", "tests")
REFUSED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|\bclass \w+(Manager|Helper|"
                     r"Util|Utils|Processor|Handler|Impl)\b")
# A test program in a document, with what is said of it, and names of tests there.
NAMED_TEST = re.compile(r"`([a-z_]+(?:/[a-z_]+)+_test(?:\.py)?)`"
                        r"(?:\s+\(([^()]*)\))?")
NAME_OF_A_TEST = re.compile(r"`(test_\w+|[A-Z]\w*[a-z]\w*)`")
THREAT_COUNT = 18
FAULT_POINT = re.compile(r"\bFaultPoint\(\s*\"([a-z_.]+)\"")


def sources():
    """Paths of our C++ files; run me from the root."""
    for folder in FOLDERS:
        for path, _, files in sorted(os.walk(folder, followlinks=True)):
            for name in sorted(files):
                if name.endswith((".cc", ".h")):
                    yield os.path.join(path, name)


def scripts():
    """Paths of our Python files."""
    for folder in ("deploy", "docs", "tests", "tools"):
        for path, _, files in sorted(os.walk(folder)):
            for name in sorted(files):
                if name.endswith(".py"):
                    yield os.path.join(path, name)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def functions(text):
    """(first line, line count) of each block that closes in column 0 or 2.

    clang-format puts a function's closing brace at the indent of its first
    line, so a function is a line that ends with '{' at indent n, up to the
    next '}' at indent n.
    """
    lines = text.split("\n")
    for indent in ("", "  "):
        begin = None
        for number, line in enumerate(lines, 1):
            if line.startswith(indent) and line[len(indent):len(indent) + 1] \
                    not in ("", " ", "}", "#", "/"):
                if not re.match(r"(namespace|class|struct|enum|extern)\b",
                                line.strip()):
                    begin = begin or number
                else:
                    begin = None
                if line.endswith(";") and "{" not in line:
                    begin = None
            if line.rstrip() == indent + "}" and begin:
                yield begin, number - begin + 1
                begin = None
            elif line.startswith(indent + "}"):
                begin = None


def script_functions(text):
    """(first line, line count) of each function of a Python file."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.end_lineno - node.lineno + 1


class TidyTest(unittest.TestCase):

    def test_there_are_sources(self):
        self.assertGreater(len(list(sources())), 50)
        self.assertGreater(len(list(scripts())), 50)

    def test_no_function_is_longer_than_seventy_lines(self):
        long = ["%s:%d: %d lines" % (path, begin, count)
                for path in sources()
                for begin, count in functions(read(path))
                if count > FUNCTION_LINES_MAX]
        long += ["%s:%d: %d lines" % (path, begin, count)
                 for path in scripts()
                 for begin, count in script_functions(read(path))
                 if count > FUNCTION_LINES_MAX]
        self.assertEqual(long, [])

    def test_no_file_is_too_long(self):
        long = []
        for path in [*sources(), *scripts()]:
            is_test = path.endswith("_test.cc") or path.startswith("tests/")
            limit = TEST_LINES_MAX if is_test else FILE_LINES_MAX
            count = read(path).count("\n")
            if count > limit:
                long.append("%s: %d lines" % (path, count))
        self.assertEqual(long, [])

    def test_guards_are_named_after_the_path(self):
        wrong = []
        for path in sources():
            if not path.endswith(".h"):
                continue
            guard = "RECLAIM_%s_" % re.sub(r"[/.]", "_", path).upper()
            if "#ifndef " + guard + "\n" not in read(path):
                wrong.append("%s: expected %s" % (path, guard))
        self.assertEqual(wrong, [])

    def test_tests_that_documents_name_are_there(self):
        """`folder/name_test` and, in parentheses behind it, names of tests."""
        wrong = []
        for page in ("SECURITY.md", "docs/INVARIANTS.md", "docs/TESTING.md"):
            for path, names in NAMED_TEST.findall(read(page)):
                file = path if path.endswith(".py") else path + ".cc"
                if not os.path.exists(file):
                    wrong.append("%s: there is no %s" % (page, file))
                    continue
                text = read(file)
                wrong += ["%s: %s has no %s" % (page, file, name)
                          for name in NAME_OF_A_TEST.findall(names)
                          if not re.search(r"\b%s\b" % name, text)]
        self.assertEqual(wrong, [])

    def test_each_word_of_the_glossary_stands_once_in_its_place(self):
        words = re.findall(r"^\| (.+?) \| .+ \|$", read("docs/GLOSSARY.md"),
                           re.M)[1:]
        self.assertGreater(len(words), 50)
        self.assertEqual(words, sorted(set(words), key=lambda word:
                                       word.lower().replace(",", "")))

    def test_each_figure_that_is_asked_for_is_explained(self):
        with open("tests/guarantees.toml", "rb") as file:
            said = tomllib.load(file)
        page = read("docs/TESTING.md")
        names = [one["name"] for one in said["figure"] + said["loss"]]
        self.assertGreater(len(names), 20)
        self.assertEqual(len(set(names)), len(names))
        self.assertEqual([name for name in names
                          if "*%s*" % name.replace("_", " ") not in page], [])

    def test_each_difference_to_others_is_explained(self):
        page = read("docs/TESTING.md")
        for peer in ("registry", "umoci"):
            tree = ast.parse(read("tests/differential/%s_gc_test.py" % peer))
            known = [ast.literal_eval(node.value) for node in tree.body
                     if isinstance(node, ast.Assign)
                     and node.targets[0].id == "KNOWN"]
            self.assertEqual(len(known), 1)
            for name, what in known[0].items():
                self.assertIn("| *%s* | %s" % (
                    name.replace("_", " "), what.split(":")[0]), page)

    def test_each_threat_names_its_test(self):
        rows = re.findall(r"^\| (\d+) \|(.*)$", read("SECURITY.md"), re.M)
        self.assertEqual([int(number) for number, _ in rows],
                         list(range(1, THREAT_COUNT + 1)))
        self.assertEqual([number for number, row in rows
                          if not NAMED_TEST.search(row)], [])

    def test_nothing_compiled_is_kept(self):
        """Seeds of the fuzzers are bytes of any kind."""
        listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True,
                                text=True, check=False)
        if listed.returncode != 0:
            self.skipTest("this is no clone")
        wrong = []
        for path in listed.stdout.split("\0"):
            if not os.path.isfile(path) or "/corpus/" in path:
                continue
            with open(path, "rb") as file:
                if b"\0" in file.read():
                    wrong.append(path)
        self.assertEqual(wrong, [])

    def test_every_reason_of_an_error_is_documented(self):
        page = read("docs/API.md")
        for path in sources():
            if path.endswith("_test.cc"):
                continue
            for call in re.findall(r"WithReason\([^;]*;", read(path)):
                for reason in re.findall(r'"([A-Z][A-Z_]+)"', call):
                    self.assertIn("| %s |" % reason, page, path)

    def test_each_seeded_bug_can_be_put_in(self):
        with open("tests/seeded/bugs.toml", "rb") as file:
            bugs = tomllib.load(file)["bug"]
        self.assertGreater(len(bugs), 20)
        wrong = ["%s: %s" % (bug["name"], edit["file"])
                 for bug in bugs for edit in bug["edit"]
                 if read(edit["file"]).count(edit["find"]) != 1]
        self.assertEqual(wrong, [])

    def test_each_fault_point_is_armed_by_a_test(self):
        """One that nobody reaches says nothing of what comes behind it."""
        tests = "".join(read(path) for path in sources()
                        if path.startswith("tests/") or
                        path.endswith("_test.cc"))
        points = {name for path in sources()
                  if not path.startswith(("tests/", "base/"))
                  for name in FAULT_POINT.findall(read(path))}
        self.assertGreater(len(points), 10)
        self.assertEqual([name for name in sorted(points)
                          if '"%s"' % name not in tests], [])

    def test_each_mutant_that_is_explained_can_be_made(self):
        keys = set()
        explained = mutants.explained()
        for file in {key.split(":")[0] for key in explained}:
            keys |= {mutant.key for mutant in mutants.mutants_of(
                file, read(file))}
        self.assertEqual([key for key in explained if key not in keys], [])
        self.assertEqual([key for key, reason in explained.items()
                          if not reason], [])

    def test_no_refused_words(self):
        wrong = ["%s:%d: %s" % (path, number, line.strip())
                 for path in sources()
                 for number, line in enumerate(read(path).split("\n"), 1)
                 if REFUSED.search(line)]
        self.assertEqual(wrong, [])

    def test_everything_is_formatted(self):
        paths = list(sources())
        result = subprocess.run(
            ["clang-format-14", "--dry-run", "-Werror"] + paths,
            capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 0, result.stderr[:2000])


if __name__ == "__main__":
    xml_results.main()

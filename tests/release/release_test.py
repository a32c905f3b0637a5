#!/usr/bin/env python3
"""What is shipped: how it was compiled, and what it is made of.

Reads the ELF files of `reclaimd` and `reclaim` (TRUST E.2, 15 and 16) and the
list of components that tools/sbom writes for them.  tools/check_release builds
them with --config=release and runs this with their folder in RECLAIM_BINARIES.
"""
import json
import os
import re
import subprocess
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
PROGRAMS = ("server/reclaimd", "cli/reclaim")


def path_of(program):
    return os.path.join(os.environ["RECLAIM_BINARIES"], program)


def readelf(program, *options):
    return subprocess.run(
        ["readelf", "-W", *options, path_of(program)], check=True,
        capture_output=True, text=True, errors="replace").stdout


class HardeningTest(unittest.TestCase):

    def each(self, check):
        for program in PROGRAMS:
            with self.subTest(program):
                check(program)

    def test_they_are_position_independent(self):
        def check(program):
            self.assertRegex(readelf(program, "-h"), r"Type:\s+DYN")
            self.assertRegex(readelf(program, "-d"), r"FLAGS_1.*\bPIE\b")
        self.each(check)

    def test_relocations_are_read_only_before_main(self):
        def check(program):
            self.assertIn("GNU_RELRO", readelf(program, "-l"))
            self.assertRegex(readelf(program, "-d"),
                             r"\bBIND_NOW\b|FLAGS_1.*\bNOW\b")
        self.each(check)

    def test_the_stack_is_not_executable(self):
        self.each(lambda program: self.assertRegex(
            readelf(program, "-l"), r"GNU_STACK(\s+0x\S+){5} RW "))

    def test_no_segment_can_be_written_and_executed(self):
        self.each(lambda program: self.assertNotRegex(
            readelf(program, "-l"), r"LOAD(\s+0x\S+){5} RWE"))

    def test_the_stack_is_guarded(self):
        self.each(lambda program: self.assertIn(
            "__stack_chk_fail", readelf(program, "--dyn-syms")))

    def test_copies_are_checked(self):
        self.each(lambda program: self.assertRegex(
            readelf(program, "--dyn-syms"), r"UND __(mem|str|v?s?n?printf|"
            r"read|fdelt|poll|realpath)\w*_chk\b"))

    def test_branches_are_guarded(self):
        """Our code begins with landing pads (-fcf-protection).

        The programs are not marked as a whole (x86 feature: IBT): Debian 12's
        start-up objects are not, and the linker marks what all inputs are.
        """
        def check(program):
            code = subprocess.run(
                ["objdump", "-d", "--no-show-raw-insn", "--disassemble=main",
                 path_of(program)], check=True, capture_output=True,
                text=True).stdout
            self.assertRegex(code, r"<main>:\n\s+[0-9a-f]+:\s+endbr64")
        self.each(check)

    def test_no_library_is_looked_for_elsewhere(self):
        self.each(lambda program: self.assertNotRegex(
            readelf(program, "-d"), r"\((RPATH|RUNPATH)\)"))

    def test_assertions_of_the_standard_library_are_on(self):
        self.each(lambda program: self.assertIn(
            "__glibcxx_assert_fail", readelf(program, "--dyn-syms")))


class ComponentsTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.command = [os.path.join(ROOT, "tools", "sbom")] + [
            path_of(program) for program in PROGRAMS]
        cls.text = subprocess.run(cls.command, check=True, capture_output=True,
                                  text=True).stdout
        cls.sbom = json.loads(cls.text)
        cls.names = {c["name"] for c in cls.sbom["components"]}

    def test_it_is_cyclonedx(self):
        self.assertEqual(self.sbom["bomFormat"], "CycloneDX")
        self.assertRegex(self.sbom["specVersion"], r"^1\.\d$")
        self.assertRegex(self.sbom["serialNumber"], r"^urn:uuid:[0-9a-f-]{36}$")
        self.assertEqual(self.sbom["metadata"]["component"]["name"], "reclaim")

    def test_each_component_has_a_version_a_supplier_and_a_license(self):
        for component in self.sbom["components"]:
            with self.subTest(component["name"]):
                self.assertTrue(component["version"])
                self.assertTrue(component["licenses"])
                self.assertRegex(component["purl"],
                                 r"^pkg:deb/debian/[^@]+@[^?]+\?arch=")

    def test_every_linked_library_is_in_it(self):
        for program in PROGRAMS:
            output = subprocess.run(
                ["ldd", path_of(program)], check=True, capture_output=True,
                text=True).stdout
            for library in re.findall(r"=> (/\S+)", output):
                # Packages know a file by the path with /usr or without it.
                package = subprocess.run(
                    ["dpkg-query", "-S", library, os.path.realpath(library)],
                    capture_output=True, text=True,
                    check=False).stdout.split(":")[0]
                self.assertIn(package, self.names, library)

    def test_what_is_compiled_in_from_headers_is_in_it(self):
        for package in ("nlohmann-json3-dev", "libcli11-dev",
                        "libtomlplusplus-dev"):
            self.assertIn(package, self.names)

    def test_it_is_the_same_again(self):
        again = subprocess.run(self.command, check=True, capture_output=True,
                               text=True).stdout
        self.assertEqual(self.text, again)


if __name__ == "__main__":
    sys.path.insert(0, os.path.join(ROOT, "tools"))
    import xml_results
    xml_results.main()

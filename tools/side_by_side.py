#!/usr/bin/python3
"""Runs test programs side by side, for most of them wait half of their time.

  tools/side_by_side.py FOLDER LANE=WIDTH... <<LIST
  LANE NAME COMMAND...
  LIST

A lane runs WIDTH of its programs at a time, in the order of the list; those of
the lane "patient" do with the time that the others leave (nice), and those of
"beside" with what these leave.  What a program says goes to FOLDER/NAME/log, and
is printed when it has ended, with how long it took and what it took of the
processors; XML_OUTPUT_FILE names FOLDER/NAME/test.xml to it.  FOLDER/times gets a
line a program.  The exit code is the number of programs that died: that file is
not there, names no test, or names none that failed although the program ended
badly (it may be the end of it that broke).
"""
import concurrent.futures
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree

PATIENCE = {"patient": ["nice", "-n", "10"],
            "beside": ["nice", "-n", "15"]}


def what_is_wrong(xml, code):
    """Of a program that ended with `code`, what its file does not tell; or ""."""
    try:
        root = ElementTree.parse(xml).getroot()
    except (OSError, ElementTree.ParseError):
        return "without saying what it ran"
    if next(root.iter("testcase"), None) is None:
        return "and ran no test"
    if code != 0 and not any(next(root.iter(word), None) is not None
                             for word in ("failure", "error")):
        return "though no test failed"
    return ""


class Programs:

    def __init__(self, folder):
        self.folder = folder
        self.saying = threading.Lock()
        self.running = set()
        self.died = []

    def run(self, lane, name, command):
        place = os.path.join(self.folder, name)
        os.makedirs(place)
        xml = os.path.join(place, "test.xml")
        log = os.path.join(place, "log")
        begin = time.monotonic()
        with open(log, "wb") as out:
            process = subprocess.Popen(
                PATIENCE.get(lane, []) + command, stdout=out, stderr=out,
                stdin=subprocess.DEVNULL,
                env=dict(os.environ, XML_OUTPUT_FILE=xml),
                start_new_session=True)
        self.running.add(process)
        status, usage = self.wait(process)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.running.discard(process)
        self.tell(name, log, time.monotonic() - begin, usage,
                  process.returncode, what_is_wrong(xml, process.returncode))

    def wait(self, process):
        """Its status, and what it took: with what it has waited for itself."""
        _, status, usage = os.wait4(process.pid, 0)
        return status, usage

    def tell(self, name, log, took, usage, code, wrong):
        line = "%5ds  %5ds of a processor  %s" % (
            took, usage.ru_utime + usage.ru_stime, name)
        with self.saying, open(log, errors="replace") as said:
            print("-- %s" % name)
            print(said.read().rstrip("\n"))
            print(line, flush=True)
            if wrong:
                self.died.append(name)
                print("%s: ended with %d %s" % (name, code, wrong),
                      flush=True)
            with open(os.path.join(self.folder, "times"), "a") as times:
                times.write(line + "\n")

    def stop(self, *_):
        for process in list(self.running):
            os.killpg(process.pid, signal.SIGTERM)
        os._exit(1)


def main():
    programs = Programs(sys.argv[1])
    signal.signal(signal.SIGTERM, programs.stop)
    signal.signal(signal.SIGINT, programs.stop)
    pools = {}
    for argument in sys.argv[2:]:
        lane, width = argument.split("=")
        pools[lane] = concurrent.futures.ThreadPoolExecutor(int(width))
    running = []
    for line in sys.stdin:
        words = shlex.split(line, comments=True)
        if words:
            lane, name, *command = words
            running.append(pools[lane].submit(programs.run, lane, name,
                                              command))
    for program in running:
        program.result()
    return len(programs.died)


if __name__ == "__main__":
    sys.exit(main())

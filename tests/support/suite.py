"""Runs the tests of a build lane by lane, and says what came of them: see docs/HACKING.md.

    suite.py BUILD_DIRECTORY

`exact` runs in parallel and decides; `timing` runs after it, one test at a time, is reported, and does not decide.
"""
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree

# Exact tests mostly wait for phases to pass, so that more of them fit than there are processors.
JOBS_PER_PROCESSOR = 2
LANES = {"exact": ["--parallel", str(JOBS_PER_PROCESSOR * len(os.sched_getaffinity(0)))], "timing": []}
DECIDING = {"exact"}
# Of the output of a failed test, the end: what was expected stands there.
LINES_SHOWN = 60
SLOWEST_SHOWN = 10


class Test:
    def __init__(self, lane, element):
        self.lane = lane
        self.name = element.get("name")
        self.seconds = float(element.get("time", 0))
        self.output = (element.findtext("system-out") or "").strip()
        self.failed = element.find("failure") is not None or element.get("status") not in ("run", "notrun", "disabled")
        self.skipped = not self.failed and element.get("status") != "run"

    def reason(self):
        """Why it was skipped, as it said itself."""
        reasons = re.findall(r"skipped '(.*)'$|^skipped: (.*)$", self.output, re.MULTILINE)
        return "; ".join(dict.fromkeys(filter(None, (word for pair in reasons for word in pair)))) or "no reason was given"


def run_lane(lane, build):
    report = os.path.join(build, f"{lane}.xml")
    if os.path.exists(report):
        os.remove(report)
    subprocess.run(
        ["ctest", "--test-dir", build, "--label-regex", f"^{lane}$", "--output-junit", report, "--no-tests=error", *LANES[lane]],
        check=False,
    )
    if not os.path.exists(report):
        sys.exit(f"ctest wrote no {report}")
    return [Test(lane, element) for element in xml.etree.ElementTree.parse(report).getroot().iter("testcase")]


def show_failed(tests):
    for test in tests:
        lines = test.output.split("\n")
        left_out = len(lines) - LINES_SHOWN
        print(f"\n=== {test.lane}: {test.name} failed after {test.seconds:.1f} s")
        if left_out > 0:
            print(f"[{left_out} lines are left out; ctest --test-dir BUILD -V -R '^{test.name}$' shows all of them]")
        print("\n".join(lines[-LINES_SHOWN:]))


def main():
    build = os.path.abspath(*sys.argv[1:])
    began = time.monotonic()
    results = {lane: run_lane(lane, build) for lane in LANES}
    tests = [test for lane in results.values() for test in lane]
    show_failed([test for test in tests if test.failed])
    print(f"\nThe slowest tests, of {time.monotonic() - began:.0f} s:")
    for test in sorted(tests, key=lambda test: -test.seconds)[:SLOWEST_SHOWN]:
        print(f"{test.seconds:8.1f} s  {test.name}")
    if any(test.skipped for test in tests):
        print("\nSkipped:")
        for test in tests:
            if test.skipped:
                print(f"  {test.name}: {test.reason()}")
    print()
    for lane, of_lane in results.items():
        failed = [test.name for test in of_lane if test.failed]
        skipped = sum(test.skipped for test in of_lane)
        if failed:
            print(f"{lane}, failed: {' '.join(failed)}" + ("" if lane in DECIDING else " (this does not decide)"))
        print(f"{lane}: {len(of_lane) - len(failed) - skipped} passed, {len(failed)} failed, {skipped} skipped")
    sys.exit(any(test.failed and test.lane in DECIDING for test in tests))


if __name__ == "__main__":
    main()

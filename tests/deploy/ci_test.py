"""docs/ci.md: its plan is one, and its pipeline acts on the statuses and fields that there are."""
import json
import os
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from case import DatabaseCase, lab, main  # noqa: E402

with open(os.path.join(lab.REPOSITORY, "docs", "ci.md")) as page:
    BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", page.read(), re.MULTILINE | re.DOTALL)


def block(word):
    [text] = [text for _, text in BLOCKS if word in text]
    return text


class Gate(DatabaseCase):
    def setUp(self):
        super().setUp()
        self.plan_file = self.lab.file("gate.yaml", block("# gate.yaml"))

    def test_its_plan_has_no_mistake(self):
        check = self.lab.trunkload("check", self.plan_file)
        self.expect_status(check, 0)

    def run_gate(self, *settings):
        short = ["phases.gate.duration=3s", "phases.warm-up.duration=1s", *settings]
        more = [word for setting in short for word in ["--set", setting]]
        run = self.lab.trunkload(
            *("run", self.plan_file, "--local", "2", "--target", self.database.conninfo, "--json", "-", *more),
            timeout=180,
        )
        return run, json.loads(run.out)

    def test_a_run_that_passes_and_one_that_does_not(self):
        run, result = self.run_gate('objectives=["p99(response) < 60s"]')
        self.assertIn(run.status, (0, 4), run.err)
        self.assertEqual(result["verdict"]["valid"], run.status == 0)
        run, result = self.run_gate('objectives=["p99(response) < 1us"]')
        self.assertIn(run.status, (3, 4), run.err)

    @unittest.skipIf(shutil.which("jq") is None, "jq is not installed")
    def test_what_it_reads_from_the_json(self):
        _, result = self.run_gate('objectives=["p99(response) < 60s"]')
        folder = self.lab.folder
        compare = block("def p99")

        def compared(now, before):
            for name, p99 in [("result", now), ("before", before)]:
                result["phases"][-1]["latency_us"]["response"]["p99"] = p99
                with open(os.path.join(folder, f"{name}.json"), "w") as file:
                    json.dump(result, file)
            done = subprocess.run(["bash", "-c", compare], cwd=folder, capture_output=True, text=True)
            return done.stdout, done.returncode

        self.assertEqual(compared(1099, 1000), ("true\n", 0))
        self.assertEqual(compared(1101, 1000), ("false\n", 1))
        result["verdict"]["reasons"] = ["too slow", "too busy"]
        reasons = re.search(r"jq -r '([^']*)' result.json", block("runs-on"))[1]
        done = subprocess.run(["jq", "-r", reasons], check=True, input=json.dumps(result), capture_output=True, text=True)
        self.assertEqual(done.stdout, "too slow; too busy\n")


if __name__ == "__main__":
    main()

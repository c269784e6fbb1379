"""The units of systemd: that they are right, and how much they let a service do."""
import os
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from case import Case, lab, main  # noqa: E402

# What docs/deploy-machines.md says, of 10.
MOST_EXPOSED = 1.1


@unittest.skipIf(shutil.which("systemd-analyze") is None, "systemd-analyze is not installed (package systemd)")
class Units(Case):
    def analyze(self, *arguments):
        return subprocess.run(
            ["systemd-analyze", *arguments], check=False, capture_output=True, text=True, timeout=60, env=self.lab.environment()
        )

    def setUp(self):
        super().setUp()
        self.root = os.path.join(self.lab.folder, "root")
        subprocess.run(
            [os.path.join(lab.REPOSITORY, "deploy", "install"), "controller", "agent"],
            check=True,
            env=self.lab.environment(DESTDIR=self.root, TRUNKLOAD_BUILD=lab.BUILD),
        )
        # The targets that units begin before and after.
        shutil.copytree("/usr/lib/systemd/system", f"{self.root}/usr/lib/systemd/system", symlinks=True)

    def units(self):
        for role in ["controller", "agent"]:
            yield role, f"{self.root}/etc/systemd/system/trunkload-{role}.service"

    def test_verify(self):
        for role, unit in self.units():
            with self.subTest(role=role):
                done = self.analyze(f"--root={self.root}", "verify", unit)
                self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_a_mistake_would_be_found(self):
        for role, unit in self.units():
            with self.subTest(role=role), open(unit) as file:
                text = file.read()
                with open(unit, "w") as file:
                    file.write(text.replace("RestartSec=5", "RestartSec=soon"))
                self.assertIn("soon", self.analyze(f"--root={self.root}", "verify", unit).stderr)

    def test_security(self):
        for role, unit in self.units():
            with self.subTest(role=role):
                done = self.analyze("security", "--offline=true", "--no-pager", f"--threshold={int(MOST_EXPOSED * 10)}", unit)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                [level] = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
                self.assertLessEqual(float(level), MOST_EXPOSED)
                with open(os.path.join(lab.REPOSITORY, "docs", "deploy-machines.md")) as page:
                    self.assertIn(f"{level} of 10", page.read())


if __name__ == "__main__":
    main()

"""deploy/compose.yaml, as Compose reads it. That it comes up, image_test.py tries."""
import json
import os
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from case import Case, lab, main  # noqa: E402

FILE = os.path.join(lab.REPOSITORY, "deploy", "compose.yaml")


def find_compose():
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], check=False, capture_output=True).returncode == 0:
        return ["docker", "compose"]
    return None


COMPOSE = find_compose()

try:
    import yaml
except ImportError:
    yaml = None


@unittest.skipIf(COMPOSE is None, "neither docker-compose nor docker compose is installed")
class Config(Case):
    def config(self, *arguments, **environment):
        done = subprocess.run(
            [*COMPOSE, "-f", FILE, *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env=self.lab.environment(**environment),
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_it_is_accepted(self):
        self.config("config", "--quiet")
        self.config("config", "--quiet", TARGET="host=db1 dbname=bench user=bench", AGENTS="5", PGPASSWORD="$se'cret")

    def test_what_is_started(self):
        up = self.config("config", "--services").split()
        wanted = ["agent", "certs", "controller", "coordinator", "run", "worker-1", "worker-2", "workers"]
        self.assertEqual(sorted(set(up) - {"own"}), wanted)


@unittest.skipIf(yaml is None, "python3-yaml is not installed")
class Services(Case):
    def setUp(self):
        super().setUp()
        with open(FILE) as file:
            self.services = yaml.safe_load(file)["services"]

    def test_ours_may_do_little(self):
        ours = [name for name, one in self.services.items() if "trunkload" in one["image"]]
        self.assertEqual(sorted(ours), ["agent", "certs", "controller", "own", "run"])
        for name in ours:
            with self.subTest(service=name):
                service = self.services[name]
                self.assertTrue(service["read_only"])
                self.assertEqual(service["cap_drop"], ["ALL"])
                self.assertEqual(service["security_opt"], ["no-new-privileges:true"])
                # Nobody but the authority sees its key.
                self.assertEqual(any("authority:" in volume for volume in service["volumes"]), name == "certs")

    def test_only_the_page_is_published_and_only_here(self):
        published = {name: one["ports"] for name, one in self.services.items() if "ports" in one}
        self.assertEqual(published, {"controller": ["127.0.0.1:${HTTP_PORT:-7480}:7480"]})

    def test_ones_own_database_starts_no_citus(self):
        def needed(name):
            return {name}.union(*map(needed, self.services[name].get("depends_on", {})))

        self.assertEqual(needed("own"), {"own", "agent", "controller", "certs"})
        self.assertEqual(set(self.services) - needed("run"), {"own"})

    def test_no_password_in_a_command(self):
        self.assertNotIn("PASSWORD", json.dumps([one.get("command") for one in self.services.values()]))


if __name__ == "__main__":
    main()

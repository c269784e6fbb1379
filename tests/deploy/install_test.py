"""deploy/install, and what deploy/ says of itself in more than one place."""
import os
import re
import stat
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from case import Case, lab, main  # noqa: E402


def text_of(*path):
    with open(os.path.join(lab.REPOSITORY, *path)) as file:
        return file.read()


class Install(Case):
    def install(self, *roles, **environment):
        return subprocess.run(
            [os.path.join(lab.REPOSITORY, "deploy", "install"), *roles],
            check=False,
            capture_output=True,
            text=True,
            env=self.lab.environment(**{"DESTDIR": self.root, "TRUNKLOAD_BUILD": lab.BUILD, **environment}),
        )

    def setUp(self):
        super().setUp()
        self.root = os.path.join(self.lab.folder, "root")

    def mode(self, path):
        return stat.S_IMODE(os.stat(os.path.join(self.root, path)).st_mode)

    def test_an_agent(self):
        done = self.install("agent")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        self.assertEqual(os.listdir(f"{self.root}/etc/systemd/system"), ["trunkload-agent.service"])
        self.assertEqual(self.mode("etc/trunkload/agent.env"), 0o600)
        self.assertEqual(self.mode("etc/trunkload/tls"), 0o750)
        unit = text_of("deploy", "systemd", "trunkload-agent.service")
        program = re.search(r"^ExecStart=(\S+)", unit, re.MULTILINE)[1]
        version = subprocess.run([self.root + program, "--version"], check=True, capture_output=True, text=True)
        self.assertIn("trunkload-agent", version.stdout)

    def test_an_upgrade_leaves_settings_alone(self):
        self.install("controller", "agent")
        settings = f"{self.root}/etc/trunkload/agent.env"
        with open(settings, "w") as file:
            file.write("CONTROLLER=control:7400\n")
        unit = f"{self.root}/etc/systemd/system/trunkload-agent.service"
        with open(unit, "w") as file:
            file.write("of an older version")
        self.assertEqual(self.install("agent").returncode, 0)
        with open(settings) as file:
            self.assertEqual(file.read(), "CONTROLLER=control:7400\n")
        with open(unit) as file:
            self.assertEqual(file.read(), text_of("deploy", "systemd", "trunkload-agent.service"))

    def test_mistakes(self):
        for roles, environment, said in [
            ([], {}, "name what to install"),
            (["agents"], {}, "no 'agents'"),
            (["agent"], {"TRUNKLOAD_BUILD": "/missing"}, "no program /missing/trunkload"),
        ]:
            with self.subTest(said=said):
                done = self.install(*roles, **environment)
                self.assertEqual(done.returncode, 2)
                self.assertEqual(len(done.stderr.splitlines()), 1)
                self.assertIn(said, done.stderr)
        self.assertFalse(os.path.exists(self.root))

    def test_settings_that_units_read(self):
        """What an environment file may set, its unit has, and has a value for unless it has to be set."""
        for role in ["controller", "agent"]:
            unit = text_of("deploy", "systemd", f"trunkload-{role}.service")
            for name in re.findall(r"^#?([A-Z]+)=", text_of("deploy", "systemd", f"{role}.env"), re.MULTILINE):
                with self.subTest(role=role, name=name):
                    self.assertRegex(unit, rf"\${{?{name}\b")

    def test_one_version(self):
        version = re.search(r"VERSION ([0-9.]+) LANGUAGES", text_of("CMakeLists.txt"))[1]
        self.assertEqual(set(re.findall(r"ARG VERSION=(\S+)", text_of("deploy", "Dockerfile"))), {version})
        images = re.findall(r"trunkload-(?:controller|agent):([0-9.]+)", text_of("deploy", "compose.yaml"))
        self.assertEqual(set(images), {version})

    def test_the_image_gets_what_it_copies(self):
        ignored = text_of(".dockerignore")
        for copied in re.findall(r"^COPY (?!--from)(.*) \S+$", text_of("deploy", "Dockerfile"), re.MULTILINE):
            for path in copied.split():
                with self.subTest(path=path):
                    self.assertIn(f"!{path}\n", ignored)
                    self.assertTrue(os.path.exists(os.path.join(lab.REPOSITORY, path)))


if __name__ == "__main__":
    main()

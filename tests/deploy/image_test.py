"""The images, built from their Dockerfiles and run as docs/containers.md says: a fleet of containers on a network of its
own, and deploy/compose.yaml.

Takes minutes, and a container engine that runs: podman or docker, or the one that TRUNKLOAD_ENGINE names. In the
environment, TRUNKLOAD_BUILD_OPTIONS has more options for `build`, as '--network host'; TRUNKLOAD_IMAGES names
images that are built already, the controller's and the agent's.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import time
import unittest
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from case import lab, main  # noqa: E402

BASE = "debian:12-slim"
# The programs, what they are linked with, and Debian.
LARGEST_MB = 150
# What the images are to work under.
HARDENED = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
PASSWORD = "c0rrect-h0rse"
TARGET = "host=database dbname=bench user=bench"
# The main plan, shorter, and on machines of any speed.
SHORTER = ["phases.warm-up.duration=1s", "phases.closed.duration=6s", "phases.open.duration=6s", "objectives=[]"]
POSTGRES = "trunkload-test-postgres"


def find_engine():
    """Its name, or why there is none."""
    names = [os.environ["TRUNKLOAD_ENGINE"]] if "TRUNKLOAD_ENGINE" in os.environ else ["podman", "docker"]
    why = "neither podman nor docker is installed"
    for name in filter(shutil.which, names):
        done = subprocess.run([name, "info"], check=False, capture_output=True, text=True, timeout=60)
        # Docker's client without its server ends with 0 too, where it is old.
        if done.returncode == 0 and "Cannot connect" not in done.stdout + done.stderr:
            return name, None
        why = f"{name} does not work here: {(done.stderr or done.stdout).strip().splitlines()[-1]}"
    return None, why


ENGINE, WHY_NOT = find_engine()


def engine(*arguments, check=True, timeout=120, **environment):
    done = subprocess.run(
        [ENGINE, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{ENGINE} {' '.join(map(str, arguments))}:\n{done.stdout}\n{done.stderr}")
    return done


def build(tag, dockerfile, *options):
    command = [ENGINE, "build", "-f", os.path.join(lab.REPOSITORY, dockerfile), "-t", tag]
    # Podman's own format has no health checks.
    command += ["--format", "docker"] if ENGINE == "podman" else []
    command += [*os.environ.get("TRUNKLOAD_BUILD_OPTIONS", "").split(), *options, lab.REPOSITORY]
    subprocess.run(command, check=True, timeout=6000, stdin=subprocess.DEVNULL)


def setUpModule():
    if ENGINE is None:
        raise unittest.SkipTest(f"no container engine: {WHY_NOT}")
    if engine("image", "inspect", BASE, check=False).returncode != 0:
        pulled = engine("pull", BASE, check=False, timeout=300)
        if pulled.returncode != 0:
            raise unittest.SkipTest(f"the base image {BASE} is not there: {pulled.stderr.strip().splitlines()[-1]}")
    images = os.environ.get("TRUNKLOAD_IMAGES", "").split()
    if not images:
        images = ["trunkload-controller:test", "trunkload-agent:test"]
        for tag in images:
            build(tag, "deploy/Dockerfile", "--target", tag.split(":")[0].split("-")[1])
    Containers.CONTROLLER, Containers.AGENT = images
    build(POSTGRES, "tests/deploy/postgres/Dockerfile")


class ContainersCase(unittest.TestCase):
    """A network of its own, and containers on it that are gone afterwards."""

    CONTROLLER = AGENT = None

    def setUp(self):
        self.mark = f"trunkload-test-{uuid.uuid4().hex[:8]}"
        engine("network", "create", "--internal", self.mark)
        self.addCleanup(engine, "network", "rm", self.mark)
        self.volumes, self.names = [], []
        self.addCleanup(self._remove)

    def _remove(self):
        if self.names:
            engine("rm", "--force", "--volumes", *self.names, check=False)
        if self.volumes:
            engine("volume", "rm", *self.volumes)

    def full_name(self, name):
        return f"{self.mark}-{name}"

    def start(self, name, image, *arguments, options=()):
        """In the background; others reach it under `name`."""
        self.names.append(self.full_name(name))
        engine(
            *f"run --detach --network {self.mark} --network-alias {name} --hostname {name}".split(),
            *("--name", self.full_name(name)),
            *options,
            image,
            *arguments,
        )

    def logs(self, name):
        done = engine("logs", self.full_name(name))
        return done.stdout, done.stderr

    def inspect(self, name, what):
        return json.loads(engine("inspect", "--format", "{{json %s}}" % what, self.full_name(name)).stdout)

    def state(self, name):
        return self.inspect(name, ".State")

    def health(self, name):
        # Podman checks when it is told to, where systemd does not.
        if ENGINE == "podman":
            return engine("healthcheck", "run", self.full_name(name), check=False).returncode == 0
        return self.state(name)["Health"]["Status"] == "healthy"

    def ended(self, name, timeout):
        lab.wait_until(lambda: not self.state(name)["Running"], f"{name} ends", timeout=timeout)
        return self.state(name)["ExitCode"]

    def stop(self, name):
        """How it ended, and after how long."""
        began = time.monotonic()
        engine("stop", "--time", "30", self.full_name(name))
        return self.state(name)["ExitCode"], time.monotonic() - began

    def start_database(self):
        self.start(
            "database",
            POSTGRES,
            *"postgres -c max_connections=200".split(),
            options=[f"--env=POSTGRES_{key}" for key in ["USER=bench", "DB=bench", f"PASSWORD={PASSWORD}"]],
        )
        lab.wait_until(lambda: self.sql("SELECT 1") == "1", "the database is up", timeout=120)

    def sql(self, text):
        psql = ["psql", *"-h 127.0.0.1 -U bench -d bench -XqAt -c".split(), text]
        return engine(
            "exec", f"--env=PGPASSWORD={PASSWORD}", self.full_name("database"), *psql, check=False
        ).stdout.strip()

    def rows(self):
        return int(self.sql("SELECT count(*) FROM users") or 0)

    def make_certificates(self):
        self.volumes.append(self.mark)
        engine("volume", "create", self.mark)

        def certs(*arguments):
            run = ["run", "--rm", *HARDENED, "--network", "none", "-v", f"{self.mark}:/var/lib/trunkload"]
            engine(*run, self.CONTROLLER, "certs", *arguments, "--dir", "/var/lib/trunkload")

        certs("init")
        certs("issue", "controller", "--role", "controller", "--host", "controller", "--host", "localhost")
        certs("issue", "agent", "--role", "agent")
        certs("issue", "operator", "--role", "operator")

    def with_tls(self, role):
        return [*HARDENED, "-v", f"{self.mark}:/pki:ro", "-e", f"TRUNKLOAD_TLS=/pki/{role}", "-e", f"PGPASSWORD={PASSWORD}"]

    def start_fleet(self, agents=3):
        self.make_certificates()
        self.start("controller", self.CONTROLLER, options=self.with_tls("controller"))
        for number in range(1, agents + 1):
            name = f"agent-{number}"
            self.start(name, self.AGENT, "--controller", "controller:7400", "--name", name, options=self.with_tls("agent"))

    def start_run(self, *arguments):
        more = [word for setting in SHORTER for word in ["--set", setting]]
        plan = "/usr/share/trunkload/plans/insert-throughput.yaml"
        self.start(
            "run",
            self.CONTROLLER,
            *("run", plan, "--controller", "controller:7400", "--agents", 3, "--wait", "2m", "--target", TARGET),
            *(*more, "--json", "-", *arguments),
            options=self.with_tls("operator"),
        )

    def result(self, timeout=180):
        """Of the run: its exit status, and what it says."""
        status = self.ended("run", timeout)
        out, err = self.logs("run")
        # Not valid: the machine was too small for this, which the report says.
        self.assertIn(status, (0, 4), out + err)
        return json.loads(out)


class Images(ContainersCase):
    def test_configuration(self):
        with open(os.path.join(lab.REPOSITORY, "CMakeLists.txt")) as text:
            version = re.search(r"VERSION ([0-9.]+) LANGUAGES", text.read())[1]
        for image, data in [(self.CONTROLLER, "/var/lib/trunkload"), (self.AGENT, "/run/trunkload")]:
            with self.subTest(image=image):
                [told] = json.loads(engine("image", "inspect", image).stdout)
                config = told["Config"]
                self.assertEqual(config["User"], "65532:65532")
                self.assertEqual(list(config["Volumes"]), [data])
                self.assertEqual(config["Labels"]["org.opencontainers.image.version"], version)
                self.assertEqual(config["Entrypoint"], [f"/usr/bin/trunkload{'-agent' if image == self.AGENT else ''}"])
                self.assertEqual((config.get("Healthcheck") or told["Healthcheck"])["Test"][0], "CMD")
                megabytes = told["Size"] / 1e6
                print(f"{image}: {megabytes:.1f} MB")
                self.assertLess(megabytes, LARGEST_MB)

    def test_nothing_is_left_of_the_build(self):
        for image in [self.CONTROLLER, self.AGENT]:
            with self.subTest(image=image):
                look = "ls /src /var/lib/apt/lists /var/log; command -v g++ cmake; find / -xdev -perm -o+w -type f 2>/dev/null"
                done = engine("run", "--rm", "--network=none", "--entrypoint=/bin/sh", image, "-c", look, check=False)
                self.assertEqual(done.stdout.replace("/var/lib/apt/lists:", "").replace("/var/log:", "").strip(), "")

    def test_agents_in_the_controllers_image(self):
        self.start_database()
        self.start(
            "run",
            self.CONTROLLER,
            *("run", "/usr/share/trunkload/plans/insert-throughput.yaml", "--local", 2, "--target", TARGET, "--json", "-"),
            *[word for setting in SHORTER for word in ["--set", setting]],
            options=[*HARDENED, "-e", f"PGPASSWORD={PASSWORD}"],
        )
        lab.wait_until(self.rows, "rows come in", timeout=60)
        done = engine("exec", self.full_name("run"), "/bin/sh", "-c", "cat /proc/[0-9]*/comm; id -u; : >/file", check=False)
        self.assertEqual(done.stdout.split().count("trunkload-agent"), 2)
        self.assertIn("65532", done.stdout.split())
        self.assertIn("Read-only file system", done.stderr)
        self.assertEqual(len(self.result()["agents"]), 2)


class Fleet(ContainersCase):
    def test_the_main_plan_with_an_agent_that_is_killed(self):
        self.start_database()
        self.start_fleet()
        for name in ["controller", "agent-1", "agent-2", "agent-3"]:
            lab.wait_until(lambda name=name: self.health(name), f"{name} is healthy", timeout=90)
        self.start_run("--set", "fleet.on_agent_lost=redistribute", "--set", "fleet.lease=3s", "--set", "fleet.min_agents=2")
        lab.wait_until(self.rows, "rows come in", timeout=60)
        time.sleep(3)
        engine("kill", self.full_name("agent-2"))
        result = self.result()
        self.assertEqual([loss["agent"] for loss in result["losses"]], ["agent-2"])
        self.assertEqual(sorted(agent["name"] for agent in result["agents"]), ["agent-1", "agent-2", "agent-3"])
        self.assertGreaterEqual(self.rows(), sum(phase["rows"] for phase in result["phases"]))
        self.expect_clean_ends()

    def expect_clean_ends(self):
        for name in ["agent-1", "agent-3", "controller"]:
            with self.subTest(name=name):
                zombies = "grep -l '^State:.Z' /proc/[0-9]*/status"
                done = engine("exec", self.full_name(name), "/bin/sh", "-c", zombies, check=False)
                self.assertEqual(done.stdout, "", "the dead are buried")
                status, seconds = self.stop(name)
                self.assertEqual(status, 0, self.logs(name))
                self.assertLess(seconds, 15)

    def test_an_agent_that_is_stopped_hands_in_what_it_measured(self):
        self.start_database()
        self.start_fleet()
        self.start_run("--set", "fleet.min_agents=2")
        lab.wait_until(self.rows, "rows come in", timeout=90)
        time.sleep(3)
        status, _ = self.stop("agent-1")
        self.assertEqual(status, 0, self.logs("agent-1"))
        [loss] = self.result()["losses"]
        self.assertEqual(loss["agent"], "agent-1")
        self.assertRegex(loss["reason"], "left|leaves|stop")

    def test_without_certificates(self):
        self.start("controller", self.CONTROLLER, options=HARDENED)
        self.assertEqual(self.ended("controller", 30), 2)
        self.assertIn("--tls", self.logs("controller")[1])


COMPOSE = next(filter(shutil.which, ["docker-compose"]), None)


@unittest.skipIf(ENGINE != "docker" or COMPOSE is None, "docker-compose with docker is not there")
class Compose(ContainersCase):
    """Citus' image is replaced by a PostgreSQL of our own."""

    def setUp(self):
        super().setUp()
        self.port = lab.free_port()
        self.addCleanup(self.compose, "down", "--volumes", "--timeout", "30", check=False)

    def compose(self, *arguments, check=True, timeout=600):
        done = subprocess.run(
            [COMPOSE, "-f", os.path.join(lab.REPOSITORY, "deploy", "compose.yaml"), "-p", self.mark, *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            env={
                **os.environ,
                "CONTROLLER_IMAGE": self.CONTROLLER,
                "AGENT_IMAGE": self.AGENT,
                "CITUS_IMAGE": POSTGRES,
                "HTTP_PORT": str(self.port),
            },
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{arguments}:\n{done.stdout}\n{done.stderr}")
        return done.stdout + done.stderr

    def page(self, path, *options):
        """Over TLS, with the authority that `certs` made and the token that `run` told."""
        said = self.compose("logs", "--no-color", "run")
        token = re.search(r"as password ([0-9a-f]{32})", said)[1]
        [controller] = self.compose("ps", "-q", "controller").split()
        authority = engine("exec", controller, "cat", "/etc/trunkload/tls/ca.crt").stdout
        path_of_authority = os.path.join(self.folder.folder, "ca.crt")
        with open(path_of_authority, "w") as file:
            file.write(authority)
        url = f"https://127.0.0.1:{self.port}{path}"
        user = ["--user", f"me:{token}"] if "--anonymous" not in options else []
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--write-out", "\n%{http_code}", "--cacert", path_of_authority, *user, url],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout.rsplit("\n", 1)

    def test_up(self):
        self.folder = lab.Lab()
        self.addCleanup(self.folder.close)
        self.compose("up", "--detach", "--no-build")
        [run] = self.compose("ps", "-q", "run").split()
        self.assertIn(engine("wait", run, timeout=300).stdout.strip(), ("0", "3", "4"), self.compose("logs"))
        said = self.compose("logs", "--no-color")
        self.assertIn("There is no Citus in this image", said)
        self.assertRegex(said, "run_1 .*open")
        self.assertEqual(len(self.compose("ps", "-q", "agent").split()), 3)
        runs, status = self.page("/")
        self.assertEqual(status, "200")
        self.assertIn("insert-throughput", runs)
        self.assertEqual(self.page("/", "--anonymous")[1], "401")


if __name__ == "__main__":
    main()

"""A fleet of processes, for tests of what becomes of it."""
import contextlib
import os
import signal
import subprocess
import time

from case import DatabaseCase, constant, lab, phase

RATE = 300


class ServingCase(DatabaseCase):
    """A controller that serves, and agents of its fleet: processes that can be killed."""

    SECONDS = 10
    LEASE = "3s"
    LISTEN = "127.0.0.1"
    SECURITY = ()  # what goes with that

    def setUp(self):
        super().setUp()
        self.port = lab.free_port()
        self.data = os.path.join(self.lab.folder, "runs")
        self.serving = self.serve()
        self.agents = {name: self.start_agent(name) for name in ["a-1", "a-2", "a-3"]}

    def serve(self, *arguments):
        serving = self.lab.start(
            lab.program("trunkload"), "serve", "--listen", f"{self.LISTEN}:{self.port}", "--data-dir", self.data,
            *self.SECURITY, *arguments,
        )
        self.addCleanup(self.stop, serving)
        lab.wait_until(lambda: "listening" in serving.err, "the controller listens")
        return serving

    def start_agent(self, name, controller=None, *before):
        agent = self.lab.start(
            *before,
            lab.program("trunkload-agent"),
            "--controller",
            controller or f"127.0.0.1:{self.port}",
            "--name",
            name,
            *(["--insecure"] if controller else []),
        )
        self.addCleanup(self.stop, agent)
        return agent

    def stop(self, process):
        with contextlib.suppress(ProcessLookupError):
            process.signal(signal.SIGCONT)
        process.stop()

    def start_run(self, agents=3, phases=None, **fleet):
        plan = self.plan(
            self.database,
            *(phases or [phase(duration=f"{self.SECONDS}s", **constant(RATE))]),
            fleet={"application_servers": 6, "pool": {"size": 4}, "lease": self.LEASE, **fleet},
        )
        run = self.lab.start_run(
            plan, "--controller", f"127.0.0.1:{self.port}", "--agents", agents, "--quiet"
        )
        lab.wait_until(self.some_rows, "rows come in")
        time.sleep(2)
        return run

    def kill(self, process):
        process.signal(signal.SIGKILL)
        process.wait()

    def expect_table(self, result, unknown=0):
        """As many rows as are acknowledged; up to `unknown` more of which nobody can know, and those that failed."""
        acknowledged = sum(one["rows"] for one in result["phases"])
        failed = sum(sum(one["errors"].values()) for one in result["phases"])
        rows = self.database.rows()
        self.assertGreaterEqual(rows, acknowledged)
        self.assertLessEqual(rows, acknowledged + failed + unknown)

    def loss(self, result):
        [loss] = result["losses"]
        return loss


@contextlib.contextmanager
def namespace(name):
    """A machine of its own, as far as the network goes, at 10.213.7.2; this one is at 10.213.7.1.

    One at a time has these addresses; one that a killed test left behind makes room.
    """

    def ip(*arguments):
        subprocess.run(["ip", *arguments], check=True, capture_output=True)

    subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)
    ip("netns", "add", name)
    try:
        ip("link", "add", f"{name}-a", "type", "veth", "peer", "name", f"{name}-b", "netns", name)
        ip("address", "add", "10.213.7.1/24", "dev", f"{name}-a")
        ip("link", "set", f"{name}-a", "up")
        ip("-n", name, "address", "add", "10.213.7.2/24", "dev", f"{name}-b")
        ip("-n", name, "link", "set", f"{name}-b", "up")
        ip("-n", name, "link", "set", "lo", "up")
        # The far end: this machine's own address stays.
        yield lambda state: ip("-n", name, "link", "set", f"{name}-b", state)
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=False)


class NetworkCase(ServingCase):
    """Controller and database can be reached from other machines: see namespace."""

    LISTEN = "0.0.0.0"
    SECURITY = ("--insecure",)
    SETTINGS = {"listen_addresses": "'*'"}
    NETWORKS = ["10.213.7.0/24"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.database.conninfo = cls.database.conninfo.replace("127.0.0.1", "10.213.7.1")

"""What an agent's own machine lacks spoils a run, and the verdict says so: with the agent and the time."""
import contextlib
import os
import re
import subprocess
import time
import unittest

from case import closed, constant, lab, main, phase
from serving_case import NetworkCase, ServingCase, namespace

GROUPS = "/sys/fs/cgroup"


@contextlib.contextmanager
def quota(name, share):
    """A control group whose processes may use `share` of one processor; yields its file of processes."""
    version2 = os.path.exists(f"{GROUPS}/cgroup.controllers")
    group = f"{GROUPS}/{name}" if version2 else f"{GROUPS}/cpu/{name}"
    try:
        os.mkdir(group)
    except OSError as error:
        raise unittest.SkipTest(f"control groups can't be made here: {error}") from error
    try:
        limit = {"cpu.max": f"{int(share * 100_000)} 100000"} if version2 else {"cpu.cfs_quota_us": int(share * 100_000)}
        for file, value in limit.items():
            try:
                with open(f"{group}/{file}", "w") as out:
                    out.write(str(value))
            except OSError as error:
                raise unittest.SkipTest(f"control groups have no CPU quota here: {error}") from error
        yield f"{group}/cgroup.procs"
    finally:
        os.rmdir(group)


class Throttled(ServingCase):
    def test_a_cpu_quota_that_is_used_up(self):
        with quota(f"trunkload-{os.getpid()}", 0.05) as processes:
            with open(processes, "w") as out:
                out.write(str(self.agents["a-2"].pid))
            run = self.start_run(phases=[phase(duration="5s", **closed(12))])
            run.wait()
            self.stop(self.agents["a-2"])
        self.expect_status(run, 4)
        reasons = " ".join(run.result["verdict"]["reasons"])
        self.assertRegex(reasons, r"agent a-2 was kept from running by its control group for [\d.]+ s, (from|in) ")
        throttled = {agent["name"]: agent["throttled_s"] for agent in run.result["agents"]}
        self.assertGreater(throttled["a-2"], 1)
        self.assertEqual(throttled["a-1"], 0)
        self.expect_table(run.result)


class OutOfFiles(ServingCase):
    def test_the_limit_is_reached_in_mid_run(self):
        run = self.start_run(phases=[phase(duration="6s", **constant(100))], pool={"size": 4, "mode": "reconnect"})
        subprocess.run(["prlimit", "--pid", str(self.agents["a-3"].pid), "--nofile=4:4"], check=True)
        run.wait()
        self.expect_status(run, 4)
        self.assertRegex(
            " ".join(run.result["verdict"]["reasons"]),
            r"agent a-3 could not open \d+ connections, (from second|in) .*no file descriptor left",
        )
        self.assertGreater(run.result["phases"][0]["connect_errors"]["too_many_files"], 0)
        self.expect_table(run.result)


class OutOfPorts(NetworkCase):
    def test_the_range_of_ports_is_too_small(self):
        name = "trunkload"
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(namespace(name))
            except (subprocess.CalledProcessError, FileNotFoundError):
                self.skipTest("network namespaces can't be made here (root and iproute2 are needed)")
            self.agents.pop("a-3").stop()
            remote = self.start_agent("a-3", f"10.213.7.1:{self.port}", "ip", "netns", "exec", name)
            run = self.start_run(phases=[phase(duration="6s", **closed(12))], pool={"size": 4, "mode": "reconnect"})
            two_ports = "echo '50000 50001' > /proc/sys/net/ipv4/ip_local_port_range"
            subprocess.run(["ip", "netns", "exec", name, "sh", "-c", two_ports], check=True)
            run.wait()
            self.stop(remote)
        self.expect_status(run, 4)
        self.assertRegex(
            " ".join(run.result["verdict"]["reasons"]),
            r"agent a-3 could not open \d+ connections, (from second|in) .*no port left",
        )
        self.expect_table(run.result)


class OtherWork(ServingCase):
    """What others do to the machine is worth a note, and no reason: a database on the same machine does it too."""

    def test_waiting_for_a_processor(self):
        spinning = [
            self.lab.start("timeout", "30", "sh", "-c", "while :; do :; done") for _ in range(2 * os.cpu_count())
        ]
        run = self.start_run(phases=[phase(duration="5s", **closed(12))])
        run.wait()
        for process in spinning:
            process.stop()
        self.expect_status(run, 0)
        notes = " ".join(run.result["verdict"]["notes"])
        found = re.search(r"waited for a processor (\d+)% of the time, .*its machine was (\d+)% busy, (\d+)%", notes)
        self.assertTrue(found, notes)
        self.assertGreater(int(found[2]), 90)
        self.assertLess(int(found[3]), 50)


if __name__ == "__main__":
    main()

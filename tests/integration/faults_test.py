"""What is broken on purpose: that it is broken, made whole again however the run ends, and told of as it was."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
import unittest

import case
import lab
import serving_case

RATE = 200


class FaultsCase:
    """For cases that have a `server`: what a plan is run against."""

    def plan_with(self, *faults, seconds=8):
        """A constant rate, so that a dip is the fault's."""
        phase = case.phase(duration=f"{seconds}s", **case.constant(RATE))
        return self.plan(self.server, phase, faults=list(faults))

    def run_with(self, *faults, seconds=8):
        run = self.lab.run(self.plan_with(*faults, seconds=seconds), "--local", 3, timeout=120)
        # A server that is gone for a while is no fault of the agents', and a busy machine is nothing here.
        self.assertIn(run.status, (0, 4), run.out + run.err)
        return run

    def fault(self, run):
        [fault] = run.result["faults"]
        return fault

    def expect_dip(self, fault, at, lasted):
        self.assertEqual(fault.get("failure", ""), "")
        self.assertGreaterEqual(fault["began_s"], at)
        self.assertLess(fault["began_s"], at + 1)
        self.assertGreaterEqual(fault["ended_s"] - fault["began_s"], lasted)
        self.expect_near(fault["throughput_before_per_s"], RATE, share=0.1)
        self.assertLess(fault["throughput_lowest_per_s"], RATE * 0.6)
        self.assertGreater(fault["throughput_back_s"], 0)

    def expect_answers(self):
        lab.wait_until(self.answers, "the server answers again", 30)

    def answers(self):
        with contextlib.suppress(AssertionError):
            return lab.psql(self.lab, self.server.conninfo + " connect_timeout=2", "SELECT 1") == "1"
        return False


def rules():
    return subprocess.run(["iptables-save"], check=True, capture_output=True, text=True).stdout.count("trunkload")


def can_cut_off():
    if os.geteuid() != 0 or shutil.which("iptables-save") is None:
        return False
    return subprocess.run(["iptables", "-w", "-S", "INPUT"], check=False, capture_output=True).returncode == 0


def state_of(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(") ")[2][0]


class OneServer(FaultsCase, case.DatabaseCase):
    @property
    def server(self):
        return self.database

    def postmaster(self):
        with open(os.path.join(self.database.folder, "data", "postmaster.pid")) as file:
            return int(file.readline())

    def processes(self):
        pids = subprocess.run(["pgrep", "-P", str(self.postmaster())], check=True, capture_output=True, text=True)
        return [self.postmaster(), *map(int, pids.stdout.split())]

    def is_paused(self):
        with contextlib.suppress(OSError, ValueError):
            return state_of(self.postmaster()) == "T"
        return False

    def expect_awake(self):
        self.expect_answers()
        # One may have ended since they were listed.
        for pid in self.processes():
            with contextlib.suppress(OSError):
                self.assertNotEqual(state_of(pid), "T")

    def start_paused(self, lasts="60s"):
        run = self.lab.start_run(
            self.plan_with({"at": "1s", "lasts": lasts, "pause": "server"}, seconds=60), "--local", 3, "--quiet"
        )
        lab.wait_until(self.is_paused, "the server is paused", 40)
        return run

    def test_terminate_ends_the_sessions_of_agents(self):
        run = self.run_with({"at": "3s", "terminate": "server"}, seconds=6)
        fault = self.fault(run)
        self.assertEqual(fault.get("failure", ""), "")
        [measured] = run.result["phases"]
        self.assertGreaterEqual(measured["connections_lost"], 12)
        # All agents are there again.
        self.assertGreater(measured["series"][5]["transactions"], RATE * 0.9)
        self.assertRegex(run.out, r"(?s)Faults on purpose.*terminate sessions of server at 3\.\d s of measured: throughput")
        # The observer's session is none of them.
        self.assertFalse([one for one in run.result["observation"]["events"] if "does not answer" in one["text"]])

    def test_kill_and_start_again(self):
        before = self.postmaster()
        plan = self.plan_with({"at": "3s", "lasts": "2s", "kill": "server"}, seconds=12)
        run = self.lab.start_run(plan, "--local", 3)
        # Of an ended postmaster that nobody has taken in, the server's next start would take them for its own.
        locks = [os.path.join(self.database.folder, name) for name in os.listdir(self.database.folder) if name.endswith(".lock")]
        self.assertEqual(len(locks), 1)
        lab.wait_until(lambda: not os.path.exists(locks[0]), "the lock of its socket is gone", 30)
        run.wait(120)
        self.assertIn(run.status, (0, 4), run.out + run.err)
        fault = self.fault(run)
        self.expect_dip(fault, at=3, lasted=2)
        self.assertEqual(fault["what"], "kill server")
        # Whether a transaction was under way at that moment is chance.
        self.assertGreaterEqual(run.result["phases"][0]["connections_lost"], 12)
        self.assertNotEqual(self.postmaster(), before)
        self.assertIn("was not properly shut down", self.database.log())
        self.assertIn("hold what was broken on purpose: kill server", " ".join(run.result["verdict"]["notes"]))
        timeline = run.out.split("\nDatabase")[1]
        self.assertRegex(timeline, r"(?s)second 3: on purpose: kill server.*does not answer.*over: kill server")
        # As it was started before.
        self.assertEqual(self.database.query("SHOW max_connections"), "200")

    def test_stop_in_order(self):
        run = self.run_with({"at": "2s", "lasts": "2s", "stop": "server"}, seconds=10)
        self.expect_dip(self.fault(run), at=2, lasted=2)
        self.assertIn("received fast shutdown request", self.database.log())

    def test_pause(self):
        before = self.postmaster()
        run = self.run_with({"at": "3s", "lasts": "2s", "pause": "server"}, seconds=10)
        fault = self.fault(run)
        self.expect_dip(fault, at=3, lasted=2)
        # Those that came due while it stood still were late, and not lost.
        self.assertGreater(fault["p99_highest_us"], 1_000_000)
        self.assertEqual(self.postmaster(), before)
        self.expect_awake()

    @unittest.skipUnless(can_cut_off(), "iptables can't be used here: it needs root, and to be installed")
    def test_cut_off(self):
        before = rules()
        plan = self.plan_with({"at": "3s", "lasts": "3s", "cut_off": "server"}, seconds=10)
        run = self.lab.start_run(plan, "--local", 3)
        lab.wait_until(lambda: rules() == before + 2, "the rules are there", 40)
        self.assertFalse(self.answers())
        run.wait()
        self.assertIn(run.status, (0, 4), run.err)
        self.assertEqual(rules(), before)
        fault = self.fault(run)
        self.assertEqual(fault.get("failure", ""), "")
        self.assertLess(fault["throughput_lowest_per_s"], RATE * 0.1)
        self.assertEqual(self.database.query("SELECT 1"), "1")

    def test_side_by_side_and_in_a_warm_up(self):
        warm_up = case.phase("warm-up", record=False, duration="4s", **case.constant(RATE))
        measured = case.phase(duration="4s", **case.constant(RATE))
        faults = [
            {"phase": "warm-up", "at": "1s", "lasts": "2s", "pause": "server"},
            {"phase": "warm-up", "at": "1500ms", "command": "sleep 0.5; echo done >" + self.lab.file("done")},
            {"at": "1s", "terminate": "server"},
        ]
        run = self.lab.run(
            self.plan(self.server, warm_up, measured, faults=faults), "--local", 3, "--allow-commands", timeout=120
        )
        self.assertIn(run.status, (0, 4), run.err)
        pause, command, terminate = run.result["faults"]
        self.assertLess(command["ended_s"], pause["ended_s"])
        self.assertGreaterEqual(command["ended_s"] - command["began_s"], 0.5)
        self.assertEqual([one["phase"] for one in (pause, command, terminate)], ["warm-up", "warm-up", "measured"])

    def test_what_lasts_longer_than_the_load_ends_with_it(self):
        run = self.run_with({"at": "1s", "lasts": "10m", "kill": "server"}, seconds=3)
        self.assertIn("ended_s", self.fault(run))
        self.expect_answers()

    def test_cancelling_makes_it_whole(self):
        run = self.start_paused()
        run.signal(signal.SIGINT)
        run.wait(40)
        self.assertEqual(run.status, 130, run.err)
        self.assertFalse(self.is_paused())
        self.expect_awake()
        self.assertIn("ended_s", self.fault(run))

    def test_leaving_at_once_makes_it_whole(self):
        run = self.start_paused()
        run.signal(signal.SIGKILL)
        run.wait()
        lab.wait_until(lambda: not self.is_paused(), "the server is woken")
        self.expect_awake()
        lab.wait_until(lambda: self.lab.leftovers() == [], "agents end")

    def test_a_command_has_to_be_allowed(self):
        done = self.lab.file("done")
        os.remove(done)
        self.database.query("DROP TABLE IF EXISTS users")
        plan = self.plan_with({"at": "1s", "command": f"touch {done}"}, seconds=3)
        refused = self.lab.run(plan, "--local", 3, "--quiet")
        self.expect_sentence(refused, 1, "--allow-commands")
        self.assertEqual(self.database.query("SELECT to_regclass('users') IS NULL"), "t")
        allowed = self.lab.run(plan, "--local", 3, "--quiet", "--allow-commands")
        self.assertIn(allowed.status, (0, 4), allowed.err)
        self.assertTrue(os.path.exists(done))
        self.assertEqual(self.fault(allowed).get("failure", ""), "")

    def test_a_command_that_will_not_end_is_killed(self):
        began = self.lab.file("talking")
        plan = self.plan_with({"at": "1s", "command": f"trap '' TERM; while :; do date >>{began}; echo still here; sleep 0.2; done"}, seconds=3)
        run = self.lab.run(plan, "--local", 3, "--quiet", "--allow-commands", timeout=60)
        (fault,) = run.result["faults"]
        self.assertRegex(fault["failure"], "still ran when the load was over")
        words = os.path.getsize(began)
        time.sleep(1)
        self.assertEqual(os.path.getsize(began), words)

    def test_a_command_that_fails_and_one_that_stays(self):
        began = self.lab.file("began")
        os.remove(began)
        plan = self.plan_with(
            {"command": "echo no such node >&2; exit 3"}, {"at": "1s", "command": f"touch {began}; exec sleep 77"}, seconds=3
        )
        run = self.lab.run(plan, "--local", 3, "--quiet", "--allow-commands")
        self.assertIn(run.status, (0, 4), run.err)
        failed, stayed = run.result["faults"]
        self.assertEqual(failed["failure"], "it ended with status 3: no such node")
        self.assertTrue(os.path.exists(began))
        self.assertIn("was ended", stayed["failure"])
        self.assertEqual(self.lab.children("sleep"), {})
        self.assertIn("no such node", " ".join(run.result["verdict"]["notes"]))

    def test_what_can_not_be_done_is_said_before_tables_are_touched(self):
        self.database.query("DROP TABLE IF EXISTS users")
        run = self.lab.run(self.plan_with({"kill": "worker 1"}), "--local", 3, "--quiet")
        self.expect_sentence(run, 1, r"faults\.0, kill worker 1, .*no node 'worker 1'; it has server")
        self.assertEqual(self.database.query("SELECT to_regclass('users') IS NULL"), "t")

    def test_check_shows_them(self):
        path = self.lab.file("plan.yaml", json.dumps(self.plan_with({"at": "3s", "lasts": "2s", "kill": "server"})))
        checked = self.lab.trunkload("check", path)
        self.assertEqual(checked.status, 0, checked.err)
        self.assertRegex(checked.out, "faults +kill server, at 3s of measured, for 2s")
        path = self.lab.file("plan.yaml", json.dumps(self.plan_with({"at": "9s", "kill": "server"})))
        self.assertEqual(self.lab.trunkload("check", path).status, 2)


class AfterACrash(serving_case.ServingCase):
    def serve(self):
        serving = self.lab.start(
            *(lab.program("trunkload"), "serve", "--listen", f"127.0.0.1:{self.port}"),
            *("--data-dir", self.data, "--allow-commands"),
        )
        self.addCleanup(self.stop, serving)
        lab.wait_until(lambda: "listening" in serving.err, "the controller listens")
        return serving

    def test_another_controller_does_not_do_it_again(self):
        done = self.lab.file("done")
        faults = [{"at": f"{at}s", "command": f"echo {at} >>{done}"} for at in (1, 7)]
        plan = self.plan(self.database, case.phase(duration="10s", **case.constant(RATE)), faults=faults)
        run = self.lab.start_run(plan, "--controller", f"127.0.0.1:{self.port}", "--agents", 3, "--quiet")

        def lines():
            with open(done) as text:
                return text.read().split()

        lab.wait_until(lambda: lines() == ["1"], "the first is done")
        self.kill(self.serving)
        self.serve()
        run.wait()
        self.assertIn(run.status, (0, 4), run.err)
        self.assertEqual(lines(), ["1", "7"])
        self.assertEqual(len(run.result["faults"]), 2)
        self.assertEqual(run.result["faults"][1].get("failure", ""), "")


class OnCitus(FaultsCase, case.CitusCase):
    @property
    def server(self):
        return self.cluster

    def test_a_worker_is_killed_and_comes_back(self):
        run = self.run_with({"at": "4s", "lasts": "2s", "kill": "worker 2"}, seconds=14)
        fault = self.fault(run)
        self.assertEqual(fault.get("failure", ""), "")
        self.assertGreater(fault["errors"], 0)
        self.assertLess(fault["throughput_lowest_per_s"], fault["throughput_before_per_s"] * 0.9)
        # The second worker that the coordinator names is the one.
        self.assertIn("was not properly shut down", self.cluster.workers[1].log())
        for node in (self.cluster.coordinator, self.cluster.workers[0]):
            self.assertNotIn("was not properly shut down", node.log())
        self.assertEqual(self.cluster.workers[1].query("SELECT 1"), "1")

    def test_sessions_of_other_nodes_are_ended_on_a_worker(self):
        run = self.run_with({"at": "3s", "terminate": "worker 1"}, seconds=6)
        self.assertEqual(self.fault(run).get("failure", ""), "")
        self.assertIn("terminating connection due to administrator command", self.cluster.workers[0].log())
        # Agents' own sessions are with the coordinator.
        self.assertEqual(run.result["phases"][0]["connections_lost"], 0)


if __name__ == "__main__":
    case.main()

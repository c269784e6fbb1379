"""Fleets that lose something: agents, their controller, the network, the database. What the result says is compared with the
rows that are in the table."""
import contextlib
import os
import signal
import subprocess
import time
import unittest

from case import constant, lab, main, phase
from serving_case import RATE, NetworkCase, ServingCase, namespace

# Of an agent that is lost, what it did since its last interval is known to nobody: an interval a second, and one on its way.
UNKNOWN_SECONDS = 2.5


class LostAgents(ServingCase):
    def test_continue_says_how_much_load_was_missing_and_since_when(self):
        run = self.start_run()
        self.kill(self.agents["a-2"])
        run.wait()
        self.expect_status(run, 4)
        loss = self.loss(run.result)
        self.assertEqual(loss["agent"], "a-2")
        self.assertAlmostEqual(loss["share"], 1 / 3, places=3)
        self.assertLess(abs(loss["from_s"] - 2), 2)
        [measured] = run.result["phases"]
        # Two thirds go on to the end.
        self.assertEqual(measured["series"][self.SECONDS - 1]["offered"], RATE * 2 / 3)
        self.expect_table(run.result, unknown=RATE / 3 * UNKNOWN_SECONDS)

    def test_it_is_noticed_within_three_seconds(self):
        run = self.start_run()
        run_id = self.lab.trunkload("runs", "--data-dir", self.data).out.split("\n")[1].split()[0]
        watch = self.lab.start(lab.program("trunkload"), "report", run_id, "--controller", f"127.0.0.1:{self.port}")
        self.kill(self.agents["a-2"])
        killed = time.monotonic()
        lab.wait_until(lambda: "2 agents of 3" in watch.err, "the loss is shown", timeout=5)
        self.assertLess(time.monotonic() - killed, 3.3)
        run.wait()
        watch.wait()

    def test_redistribute_brings_the_whole_rate_back(self):
        run = self.start_run(on_agent_lost="redistribute", min_agents=2)
        self.kill(self.agents["a-2"])
        run.wait()
        self.expect_status(run, 0)
        loss = self.loss(run.result)
        self.assertGreater(loss["taken_over_s"], loss["from_s"])
        [measured] = run.result["phases"]
        self.assertEqual(measured["series"][self.SECONDS - 1]["offered"], RATE)
        self.assertNotIn("23505", measured["errors"], "a key was taken twice")
        self.expect_table(run.result, unknown=RATE / 3 * UNKNOWN_SECONDS)

    def test_abort_ends_the_run_at_once(self):
        run = self.start_run(on_agent_lost="abort")
        self.kill(self.agents["a-2"])
        killed = time.monotonic()
        run.wait()
        self.assertLess(time.monotonic() - killed, 6)
        self.expect_status(run, 4)
        self.assertRegex(run.result["verdict"]["reasons"][0], "ended before its time: agent a-2 was lost")
        self.expect_table(run.result, unknown=RATE / 3 * UNKNOWN_SECONDS)

    def test_one_that_is_told_to_stop_hands_in_all_it_did(self):
        run = self.start_run(on_agent_lost="redistribute", min_agents=2)
        told = time.monotonic()
        self.assertEqual(self.agents["a-2"].stop(), 0)
        self.assertLess(time.monotonic() - told, 2.5)
        run.wait()
        self.expect_status(run, 0)
        self.assertTrue(self.loss(run.result)["announced"])
        self.assertEqual(run.result["phases"][0]["series"][self.SECONDS - 1]["offered"], RATE)
        self.expect_table(run.result)

    def test_one_that_sleeps_longer_than_its_lease(self):
        run = self.start_run()
        self.agents["a-2"].signal(signal.SIGSTOP)
        time.sleep(5)
        self.agents["a-2"].signal(signal.SIGCONT)
        woke = time.monotonic()
        run.wait()
        self.expect_status(run, 4)
        self.assertLess(time.monotonic() - woke, 15)
        [measured] = run.result["phases"]
        # It starts nothing of what came due while it slept, and what it had measured before is in the result.
        self.assertLessEqual(measured["offered"], RATE * self.SECONDS - RATE / 3 * 4)
        self.expect_table(run.result)

    def test_a_late_one_takes_the_place_of_a_lost_one(self):
        phases = [phase(name, duration="6s", **constant(RATE)) for name in ["first", "second"]]
        run = self.start_run(phases=phases)
        self.kill(self.agents["a-2"])
        self.start_agent("a-4")
        run.wait()
        second = run.result["phases"][1]
        self.assertEqual(second["series"][5]["offered"], RATE)
        self.assertNotIn("23505", second["errors"], "a key was taken twice")
        self.expect_table(run.result, unknown=RATE / 3 * UNKNOWN_SECONDS)


class LostController(ServingCase):
    SECONDS = 12
    LEASE = "8s"

    def test_another_one_goes_on_and_nothing_is_missing(self):
        run = self.start_run()
        self.kill(self.serving)
        time.sleep(2)
        again = self.serve()
        self.assertIn("going on with run", again.err)
        run.wait()
        self.expect_status(run, 0)
        [measured] = run.result["phases"]
        self.assertEqual(measured["offered"], RATE * self.SECONDS)
        self.assertEqual(run.result["losses"], [])
        self.expect_table(run.result)
        listed = self.lab.trunkload("runs", "--data-dir", self.data)
        self.assertRegex(listed.out, rf"{run.result['run']['id']} .* valid")
        shown = self.lab.trunkload("report", run.result["run"]["id"], "--data-dir", self.data)
        self.assertEqual(shown.status, 0)
        self.assertIn("Phase measured", shown.out)

    def test_killed_twice(self):
        run = self.start_run()
        for _ in range(2):
            self.kill(self.serving)
            time.sleep(0.5)
            self.serving = self.serve()
            time.sleep(2.5)
        run.wait()
        self.expect_status(run, 0)
        self.assertEqual(run.result["phases"][0]["offered"], RATE * self.SECONDS)
        self.expect_table(run.result)


class MovedController(ServingCase):
    SECONDS = 12
    LEASE = "8s"

    def serve(self, *arguments):
        return super().serve("--hand-over", *arguments)

    def test_one_that_is_told_to_stop_leaves_its_run_to_the_next(self):
        run = self.start_run()
        self.serving.signal(signal.SIGTERM)
        self.assertEqual(self.serving.wait(5), 0)
        self.assertIn("to the next controller", self.serving.err)
        time.sleep(2)
        self.assertIn("going on with run", self.serve().err)
        run.wait()
        self.expect_status(run, 0)
        [measured] = run.result["phases"]
        self.assertEqual(measured["offered"], RATE * self.SECONDS)
        self.assertEqual(run.result["losses"], [])
        self.expect_table(run.result)


class SleepingController(ServingCase):
    def test_agents_stop_by_themselves_when_their_lease_ends(self):
        run = self.start_run()
        self.serving.signal(signal.SIGSTOP)
        time.sleep(4.5)
        rows = self.database.rows()
        time.sleep(1)
        self.assertEqual(self.database.rows(), rows, "they load without a controller")
        others = (
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() "
            "AND application_name <> 'trunkload-observer'"
        )
        lab.wait_until(lambda: self.database.query(others) == "0", "their connections are closed")
        self.serving.signal(signal.SIGCONT)
        run.wait()
        self.expect_status(run, 4)
        self.assertRegex(" ".join(run.result["verdict"]["reasons"]), "as long as its lease")
        self.expect_table(run.result)


class FullDisk(ServingCase):
    """The controller's data directory is on a file system that is nearly full."""

    SECONDS = 30

    def serve(self):
        os.mkdir(self.data)
        try:
            mounted = ["mount", "-t", "tmpfs", "-o", "size=1m", "trunkload-test", self.data]
            subprocess.run(mounted, check=True, capture_output=True)
        except (subprocess.CalledProcessError, FileNotFoundError):
            self.skipTest("file systems can't be mounted here (root is needed)")
        self.addCleanup(subprocess.run, ["umount", self.data], check=True)
        return super().serve()

    def test_the_run_ends_in_order_and_what_was_written_stays(self):
        run = self.start_run()
        began = time.monotonic()
        filler = os.path.join(self.data, "filler")
        with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as out:
            while True:
                out.write(bytes(4096))
        run.wait()
        self.assertLess(time.monotonic() - began, 10)
        self.expect_status(run, 4)
        self.assertRegex(
            " ".join(run.result["verdict"]["reasons"]),
            "ended before its time: cannot write the run store .*: there is no space left for it; make room on its file system",
        )
        self.expect_table(run.result)
        os.remove(filler)
        again = self.start_run(phases=[phase(duration="2s", **constant(RATE))])
        again.wait()
        self.expect_status(again, 0)
        self.assertIn(again.result["run"]["id"], self.lab.trunkload("runs", "--data-dir", self.data).out)


class Cancelled(ServingCase):
    SECONDS = 60

    def test_within_two_seconds_however_it_is_told(self):
        def by_command():
            done = self.lab.trunkload("cancel", "--controller", f"127.0.0.1:{self.port}")
            self.assertEqual(done.status, 0, done.err)

        ways = {
            "Ctrl-C": lambda run: run.signal(signal.SIGINT),
            "command": lambda run: by_command(),
            "controller": lambda run: self.serving.signal(signal.SIGTERM),
        }
        for name, cancel in ways.items():
            with self.subTest(way=name):
                run = self.start_run()
                told = time.monotonic()
                cancel(run)
                run.wait()
                self.assertLess(time.monotonic() - told, 2.5)
                self.expect_status(run, 130)
                self.expect_table(run.result)
        self.assertEqual(self.serving.wait(), 0)


class Partitioned(NetworkCase):
    """One agent is on a machine whose network is cut. Its database can be reached no more than its controller."""

    LEASE = "6s"
    SECONDS = 14

    def test_shorter_and_longer_than_the_lease(self):
        name = "trunkload"
        with contextlib.ExitStack() as stack:
            try:
                switch = stack.enter_context(namespace(name))
            except (subprocess.CalledProcessError, FileNotFoundError):
                self.skipTest("network namespaces can't be made here (root and iproute2 are needed)")
            self.agents.pop("a-3").stop()
            remote = self.start_agent("a-3", f"10.213.7.1:{self.port}", "ip", "netns", "exec", name)
            for seconds, losses in [(3, 0), (9, 1)]:
                with self.subTest(seconds=seconds):
                    run = self.start_run()
                    switch("down")
                    time.sleep(seconds)
                    switch("up")
                    run.wait()
                    self.assertIn(run.status, [0, 4], run.err)
                    self.assertEqual(len(run.result["losses"]), losses, run.result["losses"])
                    self.expect_table(run.result)
            self.stop(remote)


if __name__ == "__main__":
    main()

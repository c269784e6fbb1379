"""Checks on a Citus cluster: what it promises, what it does not, and what lies about it."""
import contextlib
import json
import os
import signal
import time

import case
from checks_case import ALL, ChecksCase


class CitusChecksTest(ChecksCase, case.CitusCase):
    # Citus' own recovery of two-phase commits, too, is to be seen at work.
    SETTINGS = {"citus.recover_2pc_interval": "2s"}

    @property
    def database(self):
        return self.cluster.coordinator

    def checked(self, checks, **more):
        # Two-phase commits of many shards take a machine that is full of servers a while.
        return super().checked(checks, **{"duration": "5s", **more})

    def outcomes(self, run):
        run.wait(200)
        self.assertTrue(os.path.exists(run.json_path), run.out + run.err)
        return {check["check"]: check["outcome"] for check in run.result["checks"]}

    def expect_kept(self, run):
        """All are kept; totals that were read over shards may be off."""
        outcomes = self.outcomes(run)
        self.assertEqual(list(outcomes), ALL)
        self.assertIn(outcomes.pop("bank"), ("passed", "expected"), f"{run.result['checks']}\n{run.out}{run.err}")
        self.assertEqual(set(outcomes.values()), {"passed"}, f"{run.result['checks']}\n{run.out}{run.err}")

    def start_under_load(self, checks=ALL, **more):
        run = self.start(self.checked(checks, **more))
        self.wait_for("SELECT 1 FROM trunkload_entries LIMIT 1")
        time.sleep(1)
        return run

    def test_a_quiet_cluster_keeps_its_promises_and_shows_read_skew(self):
        # Many who move money between shards, and many who add it up.
        scripts = [{"builtin": name, "max_tries": 10} for name in ("bank-transfer", "bank-total", "bank-branch-total")]
        for _ in range(self.ATTEMPTS):
            run = self.run_honest(self.checked(ALL, scripts=scripts))
            self.expect_kept(run)
            bank = self.check(run, "bank")
            if bank["outcome"] == "expected":
                break
        self.assertEqual(bank["outcome"], "expected")
        self.assertGreater(bank["deviating"], 0)
        self.assertNotEqual(bank["largest_deviation"], 0)
        self.assertRegex(bank["verdict"], "[0-9]+ totals that were read over shards in between were off, by [0-9]+ at most")
        self.assertEqual(run.result["checks"][5]["verdict"], "all 3 copies are the same")
        # Nothing of the load goes to one node alone.
        self.assertTrue(all(node["committed_per_s"] > 0 for node in run.result["phases"][0]["nodes"]))

    def test_a_worker_that_is_killed(self):
        run = self.start_under_load()
        worker = self.cluster.workers[1]
        worker.kill()
        time.sleep(1)
        worker.start()
        self.expect_kept(run)

    def test_a_coordinator_that_is_killed(self):
        run = self.start_under_load()
        self.cluster.coordinator.kill()
        time.sleep(1)
        self.cluster.coordinator.start()
        self.expect_kept(run)
        self.assertGreater(sum(check["lost_answers"] for check in run.result["checks"]), 0)

    def test_an_agent_that_is_killed(self):
        run = self.start_under_load()
        os.kill(next(iter(self.lab.children("trunkload-agent"))), signal.SIGKILL)
        self.expect_kept(run)

    def test_a_worker_that_is_paused_for_longer_than_the_recovery_takes(self):
        run = self.start_under_load(duration="9s")
        worker = self.cluster.workers[0]
        paused = worker.signal(signal.SIGSTOP)
        time.sleep(5)
        for pid in paused:
            # One may have been about to end.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.expect_kept(run)

    def test_a_cluster_that_is_out_of_reach_is_settled_later(self):
        plan = self.checked(ALL, check_options={"settle_timeout": "3s"})
        path = self.lab.file("later.yaml", json.dumps(plan))
        run = self.start(plan)
        self.wait_for("SELECT 1 FROM trunkload_entries LIMIT 1")
        worker = self.cluster.workers[1]
        worker.kill()
        outcomes = self.outcomes(run)
        worker.start()
        self.assertEqual(set(outcomes.values()), {"indeterminate"}, run.result["checks"])
        self.assertRegex(run.result["checks"][0]["verdict"], f"not settled: .*{worker.port} does not answer")
        again = self.lab.trunkload("check-data", path, run.result["run"]["id"], "--set", "check_options.settle_timeout=1m")
        self.assertEqual(again.status, 0, again.out + again.err)

    def test_a_reference_copy_that_differs_is_found(self):
        run = self.start_under_load(["bank", "reference-tables"])
        worker = self.cluster.workers[1]
        shard = self.database.query("SELECT shardid FROM pg_dist_shard WHERE logicalrelid = 'trunkload_rates'::regclass")
        worker.query(
            "SET citus.enable_manual_changes_to_shards = on; "
            f"UPDATE trunkload_rates_{shard} SET value = value + 100 WHERE rate = 7"
        )
        self.expect_failed(run, "reference-tables", f"rate 7 is .*1[0-9][0-9] on 127.0.0.1:{worker.port}")

    def test_a_forgotten_two_phase_commit_is_found(self):
        run = self.start_under_load(["bank", "prepared-transactions"], check_options={"settle_timeout": "5s"})
        worker = self.cluster.workers[0]
        # Of a node that there is not: nobody will recover it.
        worker.query("BEGIN; SELECT pg_current_xact_id(); PREPARE TRANSACTION 'citus_99_1_2_3'")
        self.addCleanup(worker.query, "ROLLBACK PREPARED 'citus_99_1_2_3'")
        check = self.expect_failed(run, "prepared-transactions", "citus_99_1_2_3 was prepared on .*, and neither committed")
        self.assertEqual(check["witnesses"][0]["node"], f"127.0.0.1:{worker.port}")

    def test_a_two_phase_commit_that_the_role_may_not_recover_leaves_all_open(self):
        self.database.query("CREATE ROLE teller LOGIN; GRANT CREATE ON SCHEMA public TO teller")
        plan = self.checked(["bank", "ledger"], check_options={"settle_timeout": "3s"})
        plan["target"]["conninfo"] = plan["target"]["conninfo"].replace("user=bench", "user=teller")
        run = self.start(plan)
        self.wait_for("SELECT 1 FROM trunkload_entries LIMIT 1")
        worker = self.cluster.workers[0]
        # What such a one wrote is not to be seen: it might be what a check misses.
        worker.query("BEGIN; SELECT pg_current_xact_id(); PREPARE TRANSACTION 'citus_99_1_2_4'")
        self.addCleanup(worker.query, "ROLLBACK PREPARED 'citus_99_1_2_4'")
        self.assertEqual(self.outcomes(run), {"bank": "indeterminate", "ledger": "indeterminate"}, run.out + run.err)
        self.assertRegex(run.result["checks"][0]["verdict"], "1 two-phase commits are not recovered yet, and recover_prep")
        self.assertIn(run.status, (0, 4), run.out + run.err)

    def test_half_a_transfer_on_a_worker_is_found(self):
        run = self.start_under_load(["bank"])
        gone = self.wait_for(
            "DELETE FROM trunkload_entries WHERE branch = 3 AND (writer, operation) = (SELECT writer, operation FROM "
            "trunkload_entries WHERE branch = 3 ORDER BY operation, writer LIMIT 1) RETURNING writer, operation",
            "a transfer of branch 3 is there",
        ).split("\n")[0]
        writer, operation = gone.split("|")
        node = self.database.query(
            "SELECT nodename || ':' || nodeport FROM citus_shards WHERE shardid = "
            "get_shard_id_for_distribution_column('trunkload_entries', 3)"
        )
        self.expect_failed(run, "bank", f"transfer {operation} of writer {writer} is there in part", f"of branch 3 holds .*{node}")


if __name__ == "__main__":
    case.main()

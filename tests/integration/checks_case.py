"""What the tests of checks on PostgreSQL and on Citus share."""
import os

import case
import lab


class LoadIsOver(Exception):
    """The run ended before what was waited for was there."""


ALL = ["bank", "ledger", "counter", "append-list", "read-your-writes", "reference-tables", "prepared-transactions"]


class ChecksCase:
    """What the cases on PostgreSQL and on Citus share; `self.database` is what clients connect to."""

    def checked(self, checks, duration="3s", clients=12, **more):
        plan = self.plan(
            self.database,
            case.phase(duration=duration, **case.closed(clients)),
            setup=False,
            checks=checks,
            check_options={"branches": 8, "accounts": 10, "counters": 5, "lists": 4, **more.pop("check_options", {})},
            **more,
        )
        if not more.get("scripts"):
            del plan["scripts"]
        return plan

    def start(self, plan, *arguments):
        """Without tables of an earlier test, which might pass for its own."""
        for table in self.tables():
            self.database.query(f"DROP TABLE {table} CASCADE")
        run = self.lab.start_run(plan, "--local", 3, "--quiet", *arguments)
        self.addCleanup(run.stop)
        self._run = run
        return run

    def tamper(self, checks, tamper, **more):
        """A run, with what `tamper()` gave, which waits for what it needs of the load and changes it under the load.

        Where the load had ended within a second of that, the phase was too short for this machine: then all is done again
        with a longer one.
        """
        for seconds in (3, 15, 75, 375):
            run = self.start(self.checked(checks, duration=f"{seconds}s", **more))
            try:
                given = tamper()
                since = self.database.query("SELECT clock_timestamp() + interval '1 s'")
                self.wait_for(
                    "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'trunkload-agent%' AND query_start > "
                    f"'{since}' LIMIT 1"
                )
                return run, given
            except LoadIsOver:
                continue
        return self.fail(f"the load was over each time before it was tampered with: {run.out}{run.err}")

    def tables(self):
        return self.database.query(
            "SELECT relname FROM pg_class c WHERE relname ~ '^trunkload_[a-z]+$' AND relkind = 'r' "
            "AND relnamespace = 'public'::regnamespace"
        ).split()

    def wait_for(self, sql, what="the load is on"):
        """What the query gives, once it gives anything. Raises LoadIsOver where the run that was started last ends before."""

        def ask():
            over = self._run.popen.poll() is not None
            try:
                given = self.database.query(sql)
            except AssertionError:
                given = ""  # The table is not made yet.
            if over and not given:
                raise LoadIsOver
            return given

        return lab.wait_until(ask, what, 600)

    def check(self, run, name):
        run.wait(600)
        self.assertTrue(os.path.exists(run.json_path), run.out + run.err)
        (check,) = [one for one in run.result["checks"] if one["check"] == name]
        return check

    def expect_failed(self, run, name, *words):
        check = self.check(run, name)
        self.assertEqual((check["outcome"], run.status), ("failed", 5), f"{check}\n{run.out}\n{run.err}")
        self.assertGreaterEqual(check["violations"], 1)
        said = "\n".join(witness["text"] + " " + witness["node"] for witness in check["witnesses"])
        for word in words:
            self.assertRegex(said, word)
        return check

    def run_honest(self, plan, *arguments):
        run = self.lab.run(plan, "--local", 3, *arguments, timeout=600)
        self.assertIn(run.status, (0, 4), run.out + run.err)
        return run

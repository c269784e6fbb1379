"""What the tests of checks on PostgreSQL and on Citus share."""
import os

import case
import lab

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
        return run

    def tables(self):
        return self.database.query(
            "SELECT relname FROM pg_class c WHERE relname ~ '^trunkload_[a-z]+$' AND relkind = 'r' "
            "AND relnamespace = 'public'::regnamespace"
        ).split()

    def wait_for(self, sql, what="the load is on"):
        """What the query gives, once it gives anything."""

        def ask():
            try:
                return self.database.query(sql)
            except AssertionError:
                return ""  # The table is not made yet.

        return lab.wait_until(ask, what, 60)

    def check(self, run, name):
        run.wait(120)
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
        run = self.lab.run(plan, "--local", 3, *arguments, timeout=120)
        self.assertIn(run.status, (0, 4), run.out + run.err)
        return run

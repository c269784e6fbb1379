"""The throwaway database of `trunkload stack`, with Citus where its extension is installed."""

import os
import shutil
import tempfile
import unittest

from case import Case, closed, lab, main, phase, poisson


class StackCase(Case):
    def setUp(self):
        if lab.postgres_bin() is None:
            self.skipTest("PostgreSQL is not installed (package postgresql-15)")
        super().setUp()
        # Its servers run as another user where this is root, so that it is not in the lab's own folder.
        self.directory = tempfile.mkdtemp(prefix="trunkload-stack-test-", dir="/tmp")
        os.rmdir(self.directory)
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.addCleanup(self.stack, "down")

    def stack(self, command, *arguments):
        return self.lab.trunkload("stack", command, "--dir", self.directory, *arguments, timeout=90)

    @property
    def conninfo(self):
        status = self.stack("status", "--conninfo")
        self.expect_status(status, 0)
        return status.out.strip()

    def query(self, sql):
        return lab.psql(self.lab, self.conninfo, sql)


class Plain(StackCase):
    def test_up_status_down(self):
        self.expect_sentence(self.stack("status"), 1, "stack up")
        up = self.stack("up", "--workers", "0")
        self.expect_status(up, 0)
        self.assertRegex(up.out, "PostgreSQL .*plain")
        self.assertIn(self.conninfo, self.stack("status").out)
        self.expect_sentence(self.stack("up"), 1, "already up")
        self.assertEqual(self.query("SELECT 1"), "1")
        self.expect_status(self.stack("down"), 0)
        self.assertFalse(os.path.exists(self.directory))
        self.assertEqual(self.lab.children("postgres"), {})
        # Nothing to take down is no mistake.
        self.expect_status(self.stack("down"), 0)

    def test_a_directory_of_somebody_else_is_left_alone(self):
        os.mkdir(self.directory)
        with open(os.path.join(self.directory, "precious"), "w"):
            pass
        self.expect_sentence(self.stack("up"), 1, "in use")
        self.stack("down")
        self.assertEqual(os.listdir(self.directory), ["precious"])


@unittest.skipUnless(lab.citus_installed(), "the citus extension is not installed for this PostgreSQL")
class Citus(StackCase):
    def test_rows_are_where_the_result_says(self):
        self.expect_status(self.stack("up", "--workers", "2"), 0)
        scripts = [
            {"builtin": "insert-single"},
            {"builtin": "insert-batch", "variables": {"batch": 10}},
            {"builtin": "insert-copy", "variables": {"batch": 10}},
        ]
        # Three servers share the machine with the agents, which may well be late: rows are judged here, not timing.
        plan = self.plan(
            self, phase("open", record=False, **poisson(100)), phase("closed", **closed(6)), scripts=scripts
        )
        for distribution, distributed in [("auto", True), ("citus", True), ("none", False)]:
            with self.subTest(distribution=distribution):
                plan["setup"]["distribution"] = distribution
                result = self.run_local(plan).result
                server = result["run"]["server"]
                self.assertEqual(server["distributed"], distributed)
                self.assertEqual(server["citus_workers"], 2)
                self.assertEqual(
                    int(self.query("SELECT count(*) FROM users")),
                    sum(one["rows"] for one in result["phases"]),
                )
                nodes = self.query(
                    "SELECT count(DISTINCT nodeport) FROM citus_shards WHERE table_name = 'users'::regclass"
                )
                self.assertEqual(nodes, "2" if distributed else "0")

    def test_plain_postgresql_can_be_asked_for(self):
        self.expect_status(self.stack("up", "--workers", "0"), 0)
        plan = self.plan(self, {"name": "one", "transactions": 10, **closed(2)})
        self.assertEqual(self.run_local(plan).result["run"]["server"]["citus_version"], "")
        plan["setup"]["distribution"] = "citus"
        self.expect_sentence(self.run_local(plan, status=1), 1, "citus", "CREATE EXTENSION")


if __name__ == "__main__":
    main()

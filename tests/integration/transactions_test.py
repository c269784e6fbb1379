"""Isolation levels and what comes of conflicts: on PostgreSQL, behind a pooler, and across shards on Citus."""
import json
import os
import unittest

import case
import lab

PLAN = os.path.join(lab.REPOSITORY, "plans", "transactions.yaml")
LEVELS = {"read-committed": "read committed", "repeatable-read": "repeatable read", "serializable": "serializable"}
# Fails with 22012 at any other level than the one that it expects.
EXPECT_LEVEL = "SELECT 1 / (current_setting('transaction_isolation') = :level)::int;\n"


def of_plan(lab_of_case, server, sweep, *arguments, timeout=200):
    """The plan of the plans folder, in shorter phases and fewer cells."""
    path = lab_of_case.file("transactions.json")
    os.remove(path)
    short = ["--set", "phases.measured.duration=2s"]
    for field, values in sweep.items():
        short += ["--set", f"sweep.{field}={json.dumps(values)}"]
    run = lab_of_case.trunkload("run", PLAN, "--target", server.conninfo, "--local", "3", "--json", path,
                                *short, *arguments, timeout=timeout)
    run.json_path = path
    return run


def cells_of(run, *fields):
    """By the values of these fields."""
    return {
        tuple(cell["cell"]["settings"][field] for field in fields): cell for cell in run.result["cells"]
    }


def scripts_of(cell):
    return {script["name"]: script for script in cell["result"]["phases"][-1]["scripts"]}


def mean_us(script, first_word):
    (command,) = [one for one in script["commands"] if one["text"].startswith(first_word)]
    return command["latency_us"]["mean"]


class Isolation(case.DatabaseCase):
    SETTINGS = {"default_transaction_isolation": "'repeatable read'"}

    def plan_at(self, level, *scripts, server=None, **more):
        plan = self.plan(
            server or self.database,
            {"name": "measured", "transactions": 60, **case.closed(6)},
            setup=False,
            fleet={"application_servers": 2, "pool": {"size": 3, **more.pop("pool", {})}},
            scripts=list(scripts),
            **more,
        )
        if level:
            plan["target"]["isolation"] = level
        return plan

    def expect_no_errors(self, plan):
        (measured,) = self.run_local(plan, agents=2).result["phases"]
        self.assertEqual(measured["errors"], {}, measured["error_messages"])
        self.assertEqual(measured["transactions"], 60)

    def test_transactions_begin_at_the_level_of_the_plan(self):
        for level, pool in [*((level, {}) for level in LEVELS), ("serializable", {"mode": "reconnect"})]:
            with self.subTest(level=level, **pool):
                single = {"text": EXPECT_LEVEL, "variables": {"level": LEVELS[level]}}
                block = {"text": f"BEGIN;\n{EXPECT_LEVEL}END;\n", "variables": {"level": LEVELS[level]}}
                self.expect_no_errors(self.plan_at(level, single, block, pool=pool))

    def test_left_out_it_is_the_servers(self):
        for level in (None, "server"):
            self.expect_no_errors(self.plan_at(level, {"text": EXPECT_LEVEL, "variables": {"level": "repeatable read"}}))

    def test_a_script_has_the_last_word(self):
        text = f"BEGIN ISOLATION LEVEL READ COMMITTED;\n{EXPECT_LEVEL}END;\n"
        self.expect_no_errors(self.plan_at("serializable", {"text": text, "variables": {"level": "read committed"}}))

    def test_options_of_the_target_stay(self):
        plan = self.plan_at(
            "serializable",
            {"text": "SELECT 1 / (current_setting('work_mem') = '7MB')::int;\n" + EXPECT_LEVEL,
             "variables": {"level": "serializable"}},
        )
        plan["target"]["conninfo"] += " options='-c work_mem=7MB -c default_transaction_isolation=read\\\\ committed'"
        self.expect_no_errors(plan)

    def test_each_of_several_hosts_has_it(self):
        plan = self.plan_at("serializable", {"text": EXPECT_LEVEL, "variables": {"level": "serializable"}})
        port = self.database.port
        plan["target"]["conninfo"] = f"host=127.0.0.1,localhost port={port},{port} dbname=bench user=bench"
        plan["target"]["load_balance_hosts"] = "round-robin"
        self.expect_no_errors(plan)

    def test_an_unknown_level_is_named_with_those_there_are(self):
        run = self.lab.run(self.plan_at("snapshot", {"text": "SELECT 1"}), "--local", 1)
        self.expect_sentence(run, 2, "target.isolation", "repeatable-read", "serializable")

    def test_conflict_is_what_makes_serialization_failures(self):
        self.database.query("DROP TABLE IF EXISTS stock; CREATE TABLE stock (id int PRIMARY KEY, n int)")
        self.database.query("INSERT INTO stock SELECT id, 0 FROM generate_series(1, 100000) AS id")
        text = "\\set id random(1, :rows)\nBEGIN;\nUPDATE stock SET n = n + 1 WHERE id = :id;\nSELECT pg_sleep(0.002);\nEND;\n"
        plan = self.plan_at("server", {"text": text, "max_tries": 0}, variables={"rows": 1})
        plan["phases"][0]["transactions"] = 120
        plan["sweep"] = {"target.isolation": ["read-committed", "repeatable-read", "serializable"], "rows": [100000, 1]}
        run = self.lab.run(plan, "--local", 2)
        self.assertIn(run.status, (0, 4), run.err)
        cells = cells_of(run, "target.isolation", "rows")
        for (level, rows), cell in cells.items():
            (measured,) = cell["result"]["phases"]
            with self.subTest(level=level, rows=rows):
                self.assertEqual(cell["result"]["run"]["plan"]["target"]["isolation"], level)
                self.assertEqual((measured["transactions"], measured["errors"]), (120, {}))
                if rows == "1" and level != "read-committed":
                    self.assertGreater(measured["retries"], 20)
                    self.assertEqual(measured["deadlock_retries"], 0)
                else:
                    # Two of a hundred thousand rows may well be the same once in a long time.
                    self.assertLess(measured["retries"], 5)
        # None was lost, however often it was tried.
        self.assertEqual(self.database.query("SELECT sum(n) FROM stock"), str(6 * 120))

    @unittest.skipUnless(lab.pgbouncer(), "PgBouncer is not installed (package pgbouncer)")
    def test_a_pooler_of_transactions_is_refused_before_tables_are_touched(self):
        self.database.query("DROP TABLE IF EXISTS users; CREATE TABLE users (theirs text)")
        for size in (1, 4):
            pooler = lab.PgBouncer(self.lab, self.database, mode="transaction", size=size)
            self.addCleanup(pooler.close)
            script = {"text": "SELECT 1", "query_mode": "extended"}
            plan = {**self.plan_at("serializable", script, server=pooler), "setup": {"workload": "users"}}
            run = self.run_local(plan, agents=1, status=1)
            self.expect_sentence(
                run, 1, "target.isolation is serializable", "pooler", "pool_mode transaction", "BEGIN ISOLATION LEVEL"
            )
        self.assertEqual(self.database.query("SELECT count(*) FROM users"), "0")
        self.database.query("DROP TABLE users")

    @unittest.skipUnless(lab.pgbouncer(), "PgBouncer is not installed (package pgbouncer)")
    def test_a_pooler_of_sessions_does(self):
        pooler = lab.PgBouncer(self.lab, self.database, mode="session", size=10)
        self.addCleanup(pooler.close)
        script = {"text": EXPECT_LEVEL, "query_mode": "extended", "variables": {"level": "serializable"}}
        self.expect_no_errors(self.plan_at("serializable", script, server=pooler))


class PlanOnPostgres(case.DatabaseCase):
    def test_the_plan(self):
        run = of_plan(self.lab, self.database, {"target.isolation": ["read-committed", "repeatable-read"], "shards": [2]})
        self.assertIn(run.status, (0, 4), run.err)
        cells = cells_of(run, "setup.distribution", "target.isolation", "conflict")
        self.assertEqual(len(cells), 12)
        deadlocks = 0
        for (distribution, level, conflict), cell in cells.items():
            if distribution == "citus":
                self.assertRegex(cell["failure"], "citus extension is not in the target's database")
                continue
            scripts = scripts_of(cell)
            self.assertEqual(list(scripts), ["read", "write", "read-write"])
            retries = sum(script["retries"] for script in scripts.values())
            nodes = cell["result"]["phases"][0]["nodes"]
            if conflict == "2":
                deadlocks += sum(node["deadlocks"] for node in nodes)
            else:
                self.assertEqual([node["deadlocks"] for node in nodes], [0])
            if level == "read-committed" and conflict != "2":
                self.assertEqual(retries, 0)
            elif conflict == "0":
                self.assertLess(retries, 0.002 * scripts["read-write"]["transactions"] + 2)
            elif conflict == "1":
                self.assertGreater(retries, 0.01 * scripts["read-write"]["transactions"])
            for script in scripts.values():
                self.assertGreater(mean_us(script, "END"), 0)
        self.assertGreater(deadlocks, 0)
        self.assertRegex(run.out, "6 of 12 cells")
        self.assertRegex(" ".join(run.out.split()), "6 cells could not run: .*citus extension")
        self.assertRegex(run.out, "(?m)^Script read-write: with the mean time in each statement after BEGIN$")
        self.assertLessEqual(max(map(len, run.out.split("\n"))), 100)


class PlanOnCitus(case.CitusCase):
    def parts_prepared(self):
        """How many parts of two-phase commits the coordinator has written down so far."""
        return int(self.cluster.query("SELECT n_tup_ins FROM pg_stat_sys_tables WHERE relname = 'pg_dist_transaction'"))

    def run_plan(self, shards, levels, conflicts):
        """The cells, and for each transaction that wrote the parts of two-phase commits that were prepared."""
        before = self.parts_prepared()
        run = of_plan(
            self.lab, self.cluster,
            {"target.isolation": levels, "conflict": conflicts, "shards": [shards], "setup.distribution": ["citus"]},
        )
        self.assertIn(run.status, (0, 4), run.err)
        cells = cells_of(run, "target.isolation", "conflict")
        self.assertEqual(len(cells), len(levels) * len(conflicts))
        written = 0
        for (level, conflict), cell in cells.items():
            self.assertTrue(cell["result"]["run"]["server"]["distributed"])
            scripts = scripts_of(cell)
            self.assertEqual(list(scripts), ["read", "write", "read-write"])
            written += scripts["write"]["transactions"] + scripts["read-write"]["transactions"]
            if (level, conflict) == ("repeatable-read", "1"):
                self.assertGreater(scripts["read-write"]["retries"], 0)
                self.assertLess(scripts["read-write"]["deadlock_retries"], scripts["read-write"]["retries"])
        self.assertRegex(run.out, "(?m)^Script write: with the mean time in each statement after BEGIN$")
        return cells, (self.parts_prepared() - before) / written

    def test_one_shard_is_one_phase_and_two_are_two(self):
        _, prepared = self.run_plan(1, ["serializable"], [0])
        # Setting tables up takes some.
        self.assertLess(prepared, 0.2)
        cells, prepared = self.run_plan(2, ["read-committed", "repeatable-read"], [0, 1])
        self.assertGreater(prepared, 1.9)
        # What only reads has nothing to prepare.
        scripts = scripts_of(cells["read-committed", "0"])
        self.assertGreater(mean_us(scripts["write"], "END"), 1.2 * mean_us(scripts["read"], "END"))


if __name__ == "__main__":
    case.main()

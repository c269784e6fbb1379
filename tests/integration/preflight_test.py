"""What can be known not to work is said before anything is done: tables are as they were."""
import json
import unittest

from case import DatabaseCase, constant, lab, main, phase

MOST = 20


class Preflight(DatabaseCase):
    SETTINGS = {"max_connections": MOST, "superuser_reserved_connections": 3}

    def setUp(self):
        super().setUp()
        self.database.query(
            "DROP TABLE IF EXISTS users; CREATE TABLE users (theirs text); INSERT INTO users VALUES ('precious')"
        )

    def expect_refusal(self, run, *words):
        self.expect_sentence(run, 1, *words)
        self.assertEqual(self.database.query("SELECT theirs FROM users"), "precious")

    def plan_of(self, connections, **more):
        fleet = {"application_servers": 3, "connections": connections}
        return self.plan(self.database, phase(duration="2s", **constant(100)), fleet=fleet, **more)

    def test_more_than_max_connections(self):
        self.expect_refusal(
            self.run_local(self.plan_of(MOST + 1), status=1), f"opens {MOST + 1} connections", f"at most {MOST} "
        )

    def test_a_role_that_may_have_fewer(self):
        self.database.query("DROP ROLE IF EXISTS app")
        self.database.query("CREATE ROLE app LOGIN CONNECTION LIMIT 5")
        plan = self.plan_of(6)
        plan["target"]["conninfo"] = self.database.conninfo.replace("user=bench", "user=app")
        self.expect_refusal(self.run_local(plan, status=1), "opens 6 connections", "at most 5 ")
        self.database.query("ALTER ROLE app CONNECTION LIMIT -1")
        plan = self.plan_of(MOST - 2)
        plan["target"]["conninfo"] = self.database.conninfo.replace("user=bench", "user=app")
        self.expect_refusal(self.run_local(plan, status=1), f"at most {MOST - 3} ")

    def test_an_agent_that_may_not_open_so_many_files(self):
        run = self.lab.start(
            "prlimit", "--nofile=72:72", lab.program("trunkload"), "run", self.lab.file("plan.yaml", json.dumps(self.plan_of(10))),
            "--local", "1", "--quiet",
        )
        run.wait()
        self.expect_refusal(run, "agent local-1 is to open 10 connections", "72 files", "ulimit -n")

    def test_connections_that_others_have_are_worth_a_warning(self):
        self.database.query("DROP TABLE users")
        others = [self.lab.start("psql", "-X", self.database.conninfo, "-c", "SELECT pg_sleep(2)") for _ in range(12)]
        active = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"
        lab.wait_until(lambda: self.database.query(active) == "12", "the others are there")
        run = self.lab.run(self.plan_of(10), "--local", 1)
        for process in others:
            process.wait()
        self.expect_status(run, 0)
        sentence = rf"opens 10 connections, but of the {MOST} that the target takes from its role, others had 1\d"
        self.assertRegex(run.err, f"warning: the plan {sentence}")
        self.assertRegex(" ".join(run.result["verdict"]["notes"]), f"before the start: the plan {sentence}")

    def pooler(self, **settings):
        pooler = lab.PgBouncer(self.lab, self.database, **settings)
        self.addCleanup(pooler.close)
        return pooler

    @unittest.skipUnless(lab.pgbouncer(), "PgBouncer is not installed (package pgbouncer)")
    def test_a_pooler_has_its_own_limits(self):
        self.database.query("DROP TABLE users")
        plan = self.plan_of(4)
        plan["target"]["conninfo"] = self.pooler(mode="session", size=4).conninfo
        run = self.run_local(plan)
        connections = run.result["run"]["server"]["connections"]
        self.assertTrue(connections["pooled"])
        self.assertGreater(connections["round_trip_us"], 0)
        # The observer goes to the server itself: the pooler's sessions are the load's.
        (node,) = run.result["observation"]["nodes"]
        self.assertEqual(node["name"], f"127.0.0.1:{self.database.port}")
        self.assertGreater(run.result["phases"][0]["nodes"][0]["committed_per_s"], 0)

    @unittest.skipUnless(lab.pgbouncer(), "PgBouncer is not installed (package pgbouncer)")
    def test_a_pooler_that_keeps_no_prepared_statements(self):
        pooler = self.pooler(mode="transaction", size=4)
        plan = self.plan_of(6)
        plan["target"]["conninfo"] = pooler.conninfo
        self.expect_refusal(
            self.run_local(plan, status=1), "keeps no prepared statements", "query_mode to extended", "insert-single"
        )
        self.database.query("DROP TABLE users")
        plan["scripts"][0]["query_mode"] = "extended"
        run = self.run_local(plan)
        self.expect_rows(run.result)
        # Six clients of the pooler, four sessions at most.
        self.assertLessEqual(run.result["phases"][0]["nodes"][0]["from_agents_max"], 4)


if __name__ == "__main__":
    main()

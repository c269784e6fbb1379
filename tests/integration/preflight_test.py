"""What can be known not to work is said before anything is done: tables are as they were."""
import json
import os
import shutil
import unittest

from case import DatabaseCase, constant, lab, main, phase

MOST = 20
PGBOUNCER = "/usr/sbin/pgbouncer"


class PreflightCase(DatabaseCase):
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

    @unittest.skipUnless(os.path.exists(PGBOUNCER), "PgBouncer is not installed (package pgbouncer)")
    def test_a_pooler_has_its_own_limits(self):
        self.database.query("DROP TABLE users")
        folder = os.path.join(self.lab.folder, "pgbouncer")
        os.mkdir(folder)
        port = lab.free_port()
        settings = os.path.join(folder, "pgbouncer.ini")
        with open(settings, "w") as out:
            out.write(
                f"[databases]\nbench = host=127.0.0.1 port={self.database.port} user=bench\n[pgbouncer]\n"
                f"listen_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\nunix_socket_dir =\n"
                f"pool_mode = session\ndefault_pool_size = 4\nlogfile = {folder}/log\n"
            )
        os.chmod(self.lab.folder, 0o755)
        shutil.chown(folder, "postgres" if os.geteuid() == 0 else None)
        pooler = self.lab.start(PGBOUNCER, *(["-u", "postgres"] if os.geteuid() == 0 else []), settings)
        self.addCleanup(pooler.stop)
        plan = self.plan_of(4)
        plan["target"]["conninfo"] = f"host=127.0.0.1 port={port} dbname=bench user=bench"
        lab.wait_until(lambda: self.reaches(plan["target"]["conninfo"]), "the pooler answers")
        run = self.run_local(plan)
        connections = run.result["run"]["server"]["connections"]
        self.assertTrue(connections["pooled"])
        self.assertGreater(connections["round_trip_us"], 0)

    def reaches(self, conninfo):
        try:
            return lab.psql(self.lab, conninfo, "SELECT 1") == "1"
        except AssertionError:
            return False


if __name__ == "__main__":
    main()

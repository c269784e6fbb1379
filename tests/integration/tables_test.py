"""Tables that setup makes and agents load, held to those of pgbench -i of the same PostgreSQL."""
import os
import re
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from case import Case, closed, lab, main  # noqa: E402

# Nodes would look for certificates in the folder of whoever runs this test.
CITUS = {"shared_preload_libraries": "citus", "citus.shard_count": 4, "citus.node_conninfo": "sslmode=disable"}
TABLES = ["accounts", "branches", "tellers", "history"]
SUMS = """SELECT (SELECT format('%s %s %s %s %s %s', count(*), min(aid), max(aid), sum(bid), sum(abalance),
  sum(length(filler))) FROM pgbench_accounts),
 (SELECT format('%s %s %s %s', count(*), sum(bid), sum(bbalance), count(filler)) FROM pgbench_branches),
 (SELECT format('%s %s %s %s %s', count(*), sum(tid), sum(bid), sum(tbalance), count(filler)) FROM pgbench_tellers),
 (SELECT count(*) FROM pgbench_history),
 (SELECT md5(string_agg(a::text, ',' ORDER BY aid)) FROM pgbench_accounts a)"""


class TablesCase(Case):
    def database_with(self, **more):
        database = lab.Database(self.lab, **more)
        self.addCleanup(database.close)
        return database

    def set_up(self, database, *arguments, agents=1, status=0, timeout=60, **setup):
        plan = {
            "name": "tables",
            "target": {"conninfo": database.conninfo},
            "setup": {"workload": "pgbench", **setup},
        }
        run = self.lab.run(plan, "--local", agents, "--quiet", *arguments, timeout=timeout)
        self.assertEqual(run.status, status, run.err)
        self.assertNotIn("NOTICE", run.err)
        return run

    def tool(self, name, database, *arguments):
        done = subprocess.run(
            [os.path.join(lab.postgres_bin(), name), *arguments, "--host=127.0.0.1", f"--port={database.port}"]
            + ["--username=bench", "bench"],
            capture_output=True,
            text=True,
            timeout=60,
            env=self.lab.environment(),
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def schema(self, database):
        # Newer versions of pg_dump mark their output with a random key.
        return re.sub(r"(?m)^\\(un)?restrict .*$", "", self.tool("pg_dump", database, "--schema-only"))



class Tables(TablesCase):
    def test_the_same_tables_as_pgbench(self):
        database = self.database_with()
        place = os.path.join(database.folder, "place")
        os.mkdir(place)
        os.chown(place, os.stat(database.folder).st_uid, -1)
        database.query(f"CREATE TABLESPACE elsewhere LOCATION '{place}'")
        cases = [
            ([], {}),
            (["--scale=3"], {"scale": 3, "loaders": 3}),
            (["--fillfactor=70", "--foreign-keys"], {"fillfactor": 70, "foreign_keys": True}),
            (["--unlogged-tables"], {"unlogged": True}),
            (["--partitions=3"], {"partitions": 3}),
            (
                ["--partitions=2", "--partition-method=hash", "--unlogged-tables", "--fillfactor=50"],
                {"partitions": 2, "partition_method": "hash", "unlogged": True, "fillfactor": 50},
            ),
            (
                ["--tablespace=elsewhere", "--index-tablespace=elsewhere"],
                {"tablespace": "elsewhere", "index_tablespace": "elsewhere"},
            ),
            (["--init-steps=dtpGf"], {"steps": "dtpGf"}),
            (["--init-steps=dtG v"], {"steps": "dtG v"}),
            (["--init-steps=dtggp"], {"steps": "dtggp"}),
            (["--init-steps=dtp"], {"steps": "dtp"}),
        ]
        for options, setup in cases:
            with self.subTest(options=options):
                self.tool("pgbench", database, "--initialize", "--quiet", *options)
                expected = self.schema(database), database.query(SUMS)
                result = self.set_up(database, agents=2, **setup).result
                self.assertEqual(self.schema(database), expected[0])
                self.assertEqual(database.query(SUMS), expected[1])
                self.assertIs(result["run"]["server"]["distributed"], False)

    def test_big_scales_have_big_keys(self):
        database = self.database_with()
        self.tool("pgbench", database, "--initialize", "--quiet", "--scale=20000", "--init-steps=dtp")
        expected = self.schema(database)
        self.set_up(database, scale=20000, steps="dtp")
        self.assertEqual(self.schema(database), expected)

    def test_finished_tables_are_vacuumed(self):
        database = self.database_with()
        self.set_up(database, scale=2)
        self.assertEqual(
            database.query(
                # Fewer than a chunk has: what a loader added to the table for the others may stay empty.
                "SELECT relpages - relallvisible < 100 AND reltuples = 200000 AND relhasindex FROM pg_class "
                "WHERE relname = 'pgbench_accounts'"
            ),
            "t",
        )

    def test_result_says_what_took_how_long(self):
        result = self.set_up(self.database_with(), scale=2).result
        steps = result["run"]["set_up"]
        self.assertEqual(
            [step["name"] for step in steps],
            ["drop tables", "create tables", "client-side generate", "vacuum", "primary keys", "count rows"],
        )
        self.assertEqual([step["rows"] for step in steps], [0, 0, 200000, 0, 0, 0])
        self.assertGreater(steps[2]["seconds"], 0)
        self.assertEqual(result["phases"], [])

    def test_users_are_loaded_too_and_a_strange_table_is_left_alone(self):
        database = self.database_with()
        self.set_up(database, workload="users", rows=34567, loaders=3, agents=2)
        self.assertEqual(
            database.query("SELECT format('%s %s %s', count(*), min(id), max(id)) FROM users"), "34567 1 34567"
        )
        self.assertEqual(
            database.query("SELECT count(*) FROM users WHERE name = 'user ' || id AND email = "
                           "'user' || id || '@example.com' AND created_at IS NOT NULL"),
            "34567",
        )
        database.query("COMMENT ON TABLE users IS 'mine'")
        run = self.set_up(database, workload="users", rows=5, status=1)
        self.assertIn("that Trunkload did not make", run.err)
        self.assertEqual(database.rows(), 34567)

    def test_phases_follow_on_loaded_tables(self):
        database = self.database_with()
        plan = self.plan(
            database,
            {"name": "measured", "transactions": 200, **closed(clients=4)},
            setup=False,
            scripts=[{"builtin": "tpcb-like"}],
        )
        plan["setup"] = {"workload": "pgbench", "scale": 2}
        result = self.run_local(plan, agents=2).result
        self.assertEqual(result["phases"][0]["transactions"], 200)
        self.assertEqual(database.query("SELECT count(*) FROM pgbench_history"), "200")
        self.assertEqual(
            database.query("SELECT (SELECT sum(abalance) FROM pgbench_accounts) = sum(delta) FROM pgbench_history"), "t"
        )
        self.assertGreater(int(database.query("SELECT max(bid) FROM pgbench_history")), 1, "the scale is the setup's")

    def start_big_load(self, database, **setup):
        plan = {
            "name": "tables",
            "target": {"conninfo": database.conninfo},
            # More than is loaded as a whole, unless steps say otherwise.
            "setup": {"workload": "pgbench", "scale": 60, **setup},
        }
        run = self.lab.start_run(plan, "--local", 2, "--quiet")
        self.wait_for_rows(database)
        return run

    def wait_for_rows(self, database):
        lab.wait_until(
            lambda: database.query("SELECT count(*) FROM pg_stat_progress_copy WHERE tuples_processed > 0") != "0",
            "rows are loaded",
        )

    def test_interrupted_and_run_again(self):
        database = self.database_with()
        run = self.start_big_load(database)
        run.signal(signal.SIGINT)
        self.assertEqual(run.wait(), 130, run.err)
        self.set_up(database, scale=3)
        self.assertEqual(database.query("SELECT count(*) FROM pgbench_accounts"), "300000")

    def test_pgbench_interrupted_while_it_loads(self):
        database = self.database_with()
        run = self.lab.start(lab.program("trunkload"), "pgbench", "-i", "-s", "60", database.conninfo)
        self.wait_for_rows(database)
        run.signal(signal.SIGINT)
        self.assertEqual(run.wait(), 130, run.err)
        self.assertIn("the next run begins anew", run.err)

    def test_rows_are_there_once_when_connections_break(self):
        database = self.database_with()
        for name, setup, table, rows in [
            ("chunks", {}, "pgbench_accounts", 6000000),
            ("whole", {"scale": 20}, "pgbench_accounts", 2000000),
            ("users", {"workload": "users", "scale": 1, "rows": 1000000}, "users", 1000000),
        ]:
            with self.subTest(name=name):
                run = self.start_big_load(database, **setup)
                killed = 0
                while run.popen.poll() is None and killed < 6:
                    killed += int(
                        database.query(
                            "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_progress_copy "
                            "WHERE tuples_processed > 0 LIMIT 1) AS loading"
                        )
                    )
                    time.sleep(0.05)
                self.assertEqual(run.wait(), 0, run.err)
                self.assertGreater(killed, 0)
                key = "aid" if table == "pgbench_accounts" else "id"
                self.assertEqual(
                    database.query(f"SELECT format('%s %s %s', count(*), min({key}), max({key})) FROM {table}"),
                    f"{rows} 1 {rows}",
                )

    def test_what_makes_no_sense_to_try_again_ends_the_run(self):
        database = self.database_with()
        self.set_up(database, steps="dt")
        database.query("ALTER TABLE pgbench_accounts ADD CHECK (aid <> 77777)")
        run = self.set_up(database, steps="gvp", status=1)
        self.assertIn("rows could not be loaded", run.err)
        self.assertIn("23514", run.err)

    def test_rows_that_another_session_adds_are_noticed(self):
        database = self.database_with()
        self.set_up(database, steps="dt")
        database.query(
            "CREATE FUNCTION another() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO pgbench_history "
            "(tid) VALUES (1); RETURN NULL; END $$; "
            "CREATE TRIGGER another AFTER INSERT ON pgbench_accounts FOR EACH STATEMENT EXECUTE FUNCTION another()"
        )
        run = self.set_up(database, steps="gvp", status=1)
        self.assertIn("the table pgbench_history has", run.err)


@unittest.skipUnless(lab.citus_installed(), "the citus extension is not installed")
class CitusTables(TablesCase):
    def setUp(self):
        super().setUp()
        self.database = self.database_with(settings=CITUS)
        self.database.query("CREATE EXTENSION citus")
        self.database.query(f"SELECT citus_set_coordinator_host('127.0.0.1', {self.database.port})")
        self.database.query("SELECT citus_set_node_property('127.0.0.1', %d, 'shouldhaveshards', true)" % self.database.port)

    def distribution(self):
        return dict(
            line.split("|")
            for line in self.database.query(
                "SELECT replace(table_name::text, 'pgbench_', ''), citus_table_type || ' ' || distribution_column "
                "FROM citus_tables"
            ).split("\n")
        )

    def test_each_way_to_distribute(self):
        expected = {
            "key": {"accounts": "distributed aid", "history": "distributed aid", "tellers": "distributed tid"}
            | {"branches": "distributed bid"},
            "bid": {table: "distributed bid" for table in TABLES},
            "reference": {"accounts": "distributed aid", "history": "distributed aid"}
            | {table: "reference <none>" for table in ["branches", "tellers"]},
        }
        for by, distribution in expected.items():
            with self.subTest(by=by):
                result = self.set_up(self.database, scale=2, distribute_by=by, foreign_keys=by == "reference").result
                self.assertIs(result["run"]["server"]["distributed"], True)
                self.assertEqual(self.distribution(), distribution)
                self.assertEqual(self.database.query("SELECT count(*) FROM pgbench_accounts"), "200000")

    def test_foreign_keys_need_reference_tables(self):
        run = self.set_up(self.database, foreign_keys=True, status=1)
        self.assertIn("setup.distribute_by to reference", run.err)


if __name__ == "__main__":
    main()

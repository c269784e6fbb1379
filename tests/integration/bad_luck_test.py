"""What happens to a run when the database is not as it should be."""
import signal
import time

from case import Case, DatabaseCase, constant, lab, main, phase

SECRET = "s3cret-never-shown"


class Unreachable(Case):
    def test_nobody_listens(self):
        port = lab.free_port()
        for setup in [True, False]:
            with self.subTest(setup=setup):
                plan = self.plan(self.wire_server(), setup=setup)
                plan["target"]["conninfo"] = f"host=127.0.0.1 port={port} dbname=bench user=bench"
                run = self.run_local(plan, status=1)
                self.expect_sentence(run, 1, str(port), "refused")

    def test_too_many_connections(self):
        server = self.wire_server("--max-connections", 4)
        self.expect_sentence(self.run_local(self.plan(server, setup=False), status=1), 1, "too many clients")

    def test_the_targets_password_is_shown_nowhere(self):
        server = self.wire_server("--password", SECRET)
        plan = self.plan(server, phase(duration="1s"), setup=False)
        for conninfo in [
            f"{server.conninfo} password={SECRET}",
            f"postgresql://bench:{SECRET}@127.0.0.1:{server.port}/bench",
        ]:
            with self.subTest(conninfo=conninfo):
                plan["target"]["conninfo"] = conninfo
                run = self.run_local(plan)
                self.assertGreater(run.result["phases"][0]["transactions"], 0)
                with open(run.json_path) as text:
                    self.assertNotIn(SECRET, text.read() + run.out + run.err)
                checked = self.lab.trunkload("check", run.popen.args[2])
                self.assertEqual(checked.status, 0, checked.err)
                self.assertNotIn(SECRET, checked.out + checked.err)
        plan["target"]["conninfo"] = f"{server.conninfo} password=not-{SECRET}"
        run = self.run_local(plan, status=1)
        self.expect_sentence(run, 1, "password")
        self.assertNotIn(SECRET, run.out + run.err)


class WrongPassword(Case):
    def test_the_server_refuses_it(self):
        if lab.postgres_bin() is None:
            self.skipTest("PostgreSQL is not installed (package postgresql-15)")
        database = lab.Database(self.lab, password=True)
        self.addCleanup(database.close)
        plan = self.plan(database, phase(duration="1s"))
        plan["target"]["conninfo"] = f"{database.conninfo} password={SECRET}"
        run = self.run_local(plan, status=1)
        self.expect_sentence(run, 1, "password authentication failed")
        self.assertNotIn(SECRET, run.out + run.err)
        # libpq's own place for it will do.
        plan["target"]["conninfo"] = database.conninfo
        run = self.lab.run(plan, "--local", 2, "--quiet", PGPASSWORD=database.PASSWORD)
        self.expect_status(run, 0)


class WrongTables(DatabaseCase):
    def setUp(self):
        super().setUp()
        self.database.query("DROP TABLE IF EXISTS users")

    def test_the_table_is_missing(self):
        run = self.run_local(self.plan(self.database, setup=False), status=1)
        self.expect_sentence(run, 1, "users", "does not exist")

    def test_a_table_of_somebody_else_is_not_touched(self):
        self.database.query("CREATE TABLE users (theirs text); INSERT INTO users VALUES ('precious')")
        run = self.run_local(self.plan(self.database), status=1)
        self.expect_sentence(run, 1, "users")
        self.assertEqual(self.database.query("SELECT theirs FROM users"), "precious")

    def test_a_table_of_our_own_is_made_anew(self):
        plan = self.plan(self.database, {**phase(), "duration": "1s"})
        self.run_local(plan)
        result = self.run_local(plan).result
        self.expect_rows(result)


class Restart(DatabaseCase):
    SECONDS = 8

    def test_the_run_goes_on_after_a_restart(self):
        for mode in ["immediate", "fast"]:
            with self.subTest(mode=mode):
                plan = self.plan(self.database, phase(duration=f"{self.SECONDS}s", **constant(300)))
                run = self.lab.start_run(plan, "--local", 3, "--quiet")
                self.wait_for_rows(300)
                self.database.stop(mode)
                self.database.start()
                run.wait()
                # Whether the verdict lets it pass is not the point: it ended by itself, and counted.
                self.assertIn(run.status, [0, 4], run.err)
                [measured] = run.result["phases"]
                self.assertEqual(measured["offered"], 300 * self.SECONDS)
                lost = sum(measured["errors"].values())
                self.assertEqual(measured["transactions"] + lost + measured["dropped"], measured["offered"])
                self.assertGreater(measured["connections_lost"], 0)
                # 57P0x is what the server said before it went, 08006 that it went without a word.
                self.assertLessEqual(
                    set(measured["errors"]), {"57P01", "57P02", "57P03", "08006", "pool_timeout"}
                )
                last = [point["transactions"] for point in measured["series"]][
                    self.SECONDS - 2 : self.SECONDS
                ]
                self.assertGreater(min(last), 250, "the rate is not what it was before the restart")
                # What was acknowledged is there; of the rest, at most as much as failed may be there too.
                self.assertGreaterEqual(self.database.rows(), measured["rows"])
                self.assertLessEqual(self.database.rows(), measured["rows"] + lost)

    def wait_for_rows(self, rows):
        def there():
            try:
                return self.database.rows() >= rows
            except AssertionError:
                return False  # The table is not made yet.

        lab.wait_until(there, f"{rows} rows in the table")
        # The table may still be that of a run before, so let this one get under way.
        time.sleep(1)


class NoConnectionLeft(DatabaseCase):
    SECONDS = 8
    MOST = 30
    SETTINGS = {"max_connections": MOST}

    def test_others_take_all_of_max_connections_in_mid_run(self):
        plan = self.plan(
            self.database,
            phase(duration=f"{self.SECONDS}s", **constant(300)),
            fleet={
                "application_servers": 3,
                "pool": {"size": 4, "mode": "reconnect", "acquire_timeout": "300ms"},
            },
        )
        run = self.lab.start_run(plan, "--local", 3, "--quiet")
        lab.wait_until(self.some_rows, "rows come in")
        time.sleep(1.5)
        # A superuser may take those that are reserved, too. Some are refused: all there are is theirs then.
        taking = [
            self.lab.start("psql", "-X", "-q", self.database.conninfo, "-c", "SELECT pg_sleep(3)")
            for _ in range(self.MOST + 5)
        ]
        run.wait()
        for process in taking:
            process.wait()
        self.assertIn("too many clients", " ".join(process.err for process in taking))
        self.assertIn(run.status, [0, 4], run.err)
        [measured] = run.result["phases"]
        self.assertEqual(measured["offered"], 300 * self.SECONDS)
        self.assertGreater(measured["connect_errors"]["53300"], 0)
        lost = sum(measured["errors"].values())
        self.assertGreater(lost, 0)
        # None of them was sent, so that all is known of each.
        self.assertLessEqual(set(measured["errors"]), {"pool_timeout", "53300"})
        self.assertEqual(measured["transactions"] + lost + measured["dropped"], measured["offered"])
        self.assertEqual(self.database.rows(), measured["rows"])
        self.assertGreater(measured["series"][self.SECONDS - 1]["transactions"], 250)


class DatabaseGone(Case):
    def test_a_server_that_never_comes_back_does_not_hold_the_run_up(self):
        server = self.wire_server()
        plan = self.plan(
            server,
            {**phase(duration="4s", **constant(200)), "drain_timeout": "1s"},
            setup=False,
            fleet={"application_servers": 3, "pool": {"size": 2, "acquire_timeout": "500ms"}},
        )
        run = self.lab.start_run(plan, "--local", 3, "--quiet")
        lab.wait_until(lambda: server.counts()["statements"] > 100, "the run is under way")
        server.process.signal(signal.SIGKILL)
        server.process.wait()
        run.wait(20)
        self.assertIn(run.status, [0, 4], run.err)
        [measured] = run.result["phases"]
        self.assertEqual(measured["offered"], 800)
        self.assertEqual(
            measured["transactions"] + sum(measured["errors"].values()) + measured["dropped"], 800
        )
        self.assertIn("08001", measured["connect_errors"])


if __name__ == "__main__":
    main()

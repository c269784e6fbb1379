"""What a run says of the PostgreSQL that it loads, against what the server itself says; and that the server is left as it
was found."""
import signal
import time

import case
import lab

TRACK = "pg_stat_statements.track"


class ObserverTest(case.DatabaseCase):
    SETTINGS = {"shared_preload_libraries": "pg_stat_statements"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.database.query("CREATE EXTENSION pg_stat_statements")
        cls.database.query(f"ALTER SYSTEM SET {TRACK} = 'none'")
        cls.database.query("SELECT pg_reload_conf()")
        cls.database.query("CREATE ROLE nobody LOGIN")
        cls.database.query("GRANT CREATE ON SCHEMA public TO nobody")

    def observed_plan(self, **more):
        return self.plan(self.database, case.phase("watched", observed=True, **more), case.phase("after"))

    def another_plan(self):
        return self.plan(self.database, scripts=[{"name": "select", "text": "SELECT 1"}], setup=False)

    def tracked(self):
        """What is said of tracking by the server, and by the file that it will read when it starts."""
        return [
            self.database.query(f"SHOW {TRACK}"),
            *self.database.query(
                "SELECT name || '=' || setting FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf' ORDER BY name"
            ).split(),
        ]

    def expect_as_before(self):
        self.assertEqual(self.tracked(), ["none", f"{TRACK}=none"])

    def wait_for_tracking(self):
        lab.wait_until(lambda: self.database.query(f"SHOW {TRACK}") == "top", "tracking is on")

    def test_figures_are_those_of_the_server(self):
        before = int(self.database.query("SELECT xact_commit FROM pg_stat_database WHERE datname = 'bench'"))
        result = self.run_local(self.plan(self.database, setup=True)).result
        (node,) = result["observation"]["nodes"]
        self.assertEqual((node["role"], node["label"]), ("server", "server"))
        for setting in ("max_connections", "shared_buffers", "synchronous_commit", "server_version"):
            self.assertEqual(node["settings"][setting], self.database.query(f"SHOW {setting}"))
        (phase,) = result["phases"]
        (work,) = phase["nodes"]
        self.assertFalse(work["partial"])
        self.assertEqual(work["from_agents_max"], 12)
        self.assertEqual(round(work["rows_written_per_s"] * phase["duration_s"]), phase["rows"])
        committed = work["committed_per_s"] * phase["duration_s"]
        # The observer's own are among them.
        self.assertGreaterEqual(committed, phase["transactions"])
        self.assertLess(committed, phase["transactions"] + 50)
        after = int(self.database.query("SELECT xact_commit FROM pg_stat_database WHERE datname = 'bench'"))
        self.assertLessEqual(committed, after - before)
        self.assertEqual(result["observation"].get("tables", []), [])

    def test_a_role_with_nothing(self):
        plan = self.plan(self.database, case.phase(observed=True))
        plan["target"]["conninfo"] = self.database.conninfo.replace("user=bench", "user=nobody")
        self.database.query("DROP TABLE IF EXISTS users")
        run = self.run_local(plan)
        self.database.query("DROP OWNED BY nobody; GRANT CREATE ON SCHEMA public TO nobody")
        (phase,) = run.result["phases"]
        (work,) = phase["nodes"]
        self.assertEqual(work["from_agents_max"], 12)
        self.assertEqual(round(work["rows_written_per_s"] * phase["duration_s"]), phase["rows"])
        lacking = " ".join(run.result["observation"]["lacking"])
        self.assertIn("only a superuser may turn on pg_stat_statements.track", lacking)
        self.expect_as_before()

    def test_a_server_that_is_started_anew_is_told(self):
        run = self.lab.start_run(self.plan(self.database, case.phase(duration="6s")), "--local", 3, "--quiet")
        lab.wait_until(self.some_rows, "rows come in")
        time.sleep(1)
        self.database.stop("immediate")
        time.sleep(1)
        self.database.start()
        run.wait()
        self.assertIn(run.status, (0, 4), run.err)
        texts = [event["text"] for event in run.result["observation"]["events"]]
        self.assertRegex(texts[0], "^does not answer: ")
        self.assertIn("answers again", texts)
        self.assertTrue(any("lost its counters" in text for text in texts), texts)
        self.assertTrue(run.result["phases"][0]["nodes"][0]["partial"])

    def test_an_observed_phase_has_its_statements_and_leaves_no_trace(self):
        run = self.lab.run(self.observed_plan(), "--local", 3)
        self.expect_status(run, 0)
        watched, after = run.result["phases"]
        self.assertTrue(watched["observed"])
        inserts = [one for one in watched["nodes"][0]["statements"] if one["query"].startswith("INSERT INTO users")]
        self.assertEqual(sum(one["calls"] for one in inserts), watched["transactions"])
        self.assertEqual(sum(one["rows"] for one in inserts), watched["rows"])
        self.assertFalse(after["observed"])
        self.assertEqual(after["nodes"][0].get("statements", []), [])
        self.assertIn("servers counted statements in watched", " ".join(run.result["verdict"]["notes"]))
        self.assertIn("INSERT INTO users", run.out)
        self.expect_as_before()

    def test_a_run_that_is_cancelled_puts_it_back(self):
        run = self.lab.start_run(self.observed_plan(duration="30s"), "--local", 3, "--quiet")
        self.wait_for_tracking()
        run.signal(signal.SIGINT)
        run.wait()
        self.expect_status(run, 130)
        self.expect_as_before()

    def test_after_a_crash_the_next_run_puts_it_back(self):
        run = self.lab.start_run(self.observed_plan(duration="30s"), "--local", 3, "--quiet")
        self.wait_for_tracking()
        # Another run meanwhile takes nothing away.
        self.run_local(self.another_plan())
        self.assertEqual(self.database.query(f"SHOW {TRACK}"), "top")
        run.signal(signal.SIGKILL)
        run.wait()
        self.assertEqual(self.database.query(f"SHOW {TRACK}"), "top")
        lab.wait_until(lambda: self.lab.leftovers() == [], "agents end")
        self.run_local(self.another_plan())
        self.expect_as_before()

    def test_a_server_that_goes_away_meanwhile(self):
        run = self.lab.start_run(self.observed_plan(duration="6s"), "--local", 3, "--quiet")
        self.wait_for_tracking()
        self.database.stop("immediate")
        self.database.start()
        run.wait()
        self.assertIn(run.status, (0, 4), run.err)
        self.expect_as_before()


if __name__ == "__main__":
    case.main()

"""What is said of a Citus cluster under load, against what the cluster itself says."""
import signal
import statistics
import time

import case
import lab

UPDATES = r"""\set id random(1, 20000)
UPDATE users SET name = name WHERE id = :id
"""
# Of 100 updates, 40 more or less are of the same row.
HOT_UPDATES = r"""\set id random(1, 20000)
\if random(1, 100) <= 40
\set id 17
\endif
UPDATE users SET name = name WHERE id = :id
"""


def script(text):
    return {"name": "update-user", "text": text, "distribution_key": "id"}


class CitusTest(case.CitusCase):
    def run_on_citus(self, plan, *arguments, status=0):
        """The machine is full of servers: that a run is not valid for want of CPU is nothing here."""
        run = self.lab.run(plan, "--local", 3, *arguments, timeout=120)
        self.assertIn(run.status, (status, 4), run.out + run.err)
        return run

    def plan_of(self, *scripts, **more):
        plan = self.plan(self.cluster, case.phase(), scripts=list(scripts), **more)
        return {**plan, "setup": {"workload": "users", "rows": 20000}}

    def rows_by_worker(self):
        """By port."""
        lines = self.cluster.query(
            "SELECT nodeport, sum(result::bigint) FROM run_command_on_placements('users', 'SELECT count(*) FROM %s') "
            "WHERE success GROUP BY 1"
        ).split()
        return {int(port): int(rows) for port, rows in (line.split("|") for line in lines)}

    def spread(self, result):
        (table,) = result["observation"]["tables"]
        self.assertEqual(table["table"], "users")
        return table

    def test_rows_queries_and_settings_are_those_of_the_database(self):
        inserts = self.plan_of(
            {"builtin": "insert-single", "weight": 3}, {"builtin": "insert-batch", "variables": {"batch": 10}}
        )
        # Nothing else asks for rows between the two readings of the counters but the making of tables and the counting.
        result = self.run_on_citus(inserts).result
        spread = self.spread(result)
        nodes = result["observation"]["nodes"]
        self.assertEqual([node["role"] for node in nodes], ["coordinator", "worker", "worker"])
        said = {int(nodes[node["node"]]["name"].split(":")[1]): node["rows"] for node in spread["nodes"]}
        self.assertEqual(said, self.rows_by_worker())
        self.assertEqual(sum(node["rows_written"] for node in spread["nodes"]), result["phases"][0]["rows"])
        self.assertTrue(spread["even"], spread["verdict"])

        by_script = {one["name"]: one["transactions"] for one in result["phases"][0]["scripts"]}
        queries = result["phases"][0]["nodes"][0]["citus"]
        self.assertEqual(queries["single_shard"], by_script["insert-single"])
        self.assertEqual(queries["multi_shard"], by_script["insert-batch"])
        for node, database in zip(nodes, self.cluster.nodes):
            for setting in ("citus.shard_count", "max_connections", "server_version"):
                self.assertEqual(node["settings"][setting], database.query(f"SHOW {setting}"))

    def test_connections_are_those_of_pg_stat_activity(self):
        plan = self.plan_of({"builtin": "insert-single"})
        plan["phases"][0]["duration"] = "8s"
        run = self.start_and_wait_for_rows(plan)
        # New sessions have Citus open its connections to the workers one after another.
        time.sleep(1)
        counted = [[] for _ in self.cluster.nodes]
        ends = time.monotonic() + 4
        while time.monotonic() < ends:
            for node, of_node in zip(self.cluster.nodes, counted):
                of_node.append(int(node.query(
                    "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' "
                    "AND datname = 'bench' AND pid <> pg_backend_pid() "
                    "AND application_name NOT LIKE 'trunkload-observer%'"
                )))
        run.wait(60)
        for node, of_node in zip(run.result["phases"][0]["nodes"], counted):
            # Citus' own housekeeping comes and goes.
            self.assertLessEqual(abs(node["connections_max"] - max(of_node)), 3, counted)
            self.assertLessEqual(abs(node["connections_mean"] - statistics.mean(of_node)), 3, counted)
        self.assertEqual(run.result["phases"][0]["nodes"][0]["from_agents_max"], 12)

    def start_and_wait_for_rows(self, plan):
        # What an earlier test left behind is not this run's.
        self.cluster.query("DROP TABLE IF EXISTS users")

        def has_more_than_was_loaded():
            try:
                return int(self.cluster.query("SELECT count(*) FROM users")) > 20100
            except AssertionError:
                return False

        run = self.lab.start_run(plan, "--local", 3)
        lab.wait_until(has_more_than_was_loaded, "the load is on", 60)
        return run

    def test_any_node_takes_clients(self):
        plan = self.plan_of({"builtin": "insert-single"})
        ports = ",".join(str(node.port) for node in self.cluster.nodes)
        plan["target"] = {
            "conninfo": f"host=127.0.0.1,127.0.0.1,127.0.0.1 port={ports} dbname=bench user=bench",
            "load_balance_hosts": "round-robin",
        }
        # More clients than connections: a pool that is not full uses those that were given back last.
        plan["phases"] = [case.phase(**case.closed(24))]
        phase = self.run_on_citus(plan).result["phases"][0]
        self.assertEqual([node["from_agents_max"] for node in phase["nodes"]], [4, 4, 4])
        queries = [node["citus"]["single_shard"] for node in phase["nodes"]]
        self.assertEqual(sum(queries), phase["transactions"])
        self.assertTrue(all(queries), queries)

    def test_a_table_that_is_not_on_every_host_is_refused(self):
        plan = self.plan_of({"builtin": "insert-single"})
        ports = ",".join(str(node.port) for node in self.cluster.nodes)
        plan["target"] = {
            "conninfo": f"host=127.0.0.1,127.0.0.1,127.0.0.1 port={ports} dbname=bench user=bench",
            "load_balance_hosts": "round-robin",
        }
        plan["setup"]["distribution"] = "none"
        run = self.lab.run(plan, "--local", 3)
        self.assertEqual(run.status, 1)
        self.assertIn(f"the host 127.0.0.1:{self.cluster.workers[0].port} has no table users", run.err)

    def test_behind_a_pooler(self):
        if lab.pgbouncer() is None:
            self.skipTest("PgBouncer is not installed (package pgbouncer)")
        pooler = lab.PgBouncer(self.lab, self.cluster.coordinator, size=6)
        self.addCleanup(pooler.close)
        plan = self.plan_of({"builtin": "insert-single", "query_mode": "extended"})
        plan["target"] = {"conninfo": pooler.conninfo}
        result = self.run_on_citus(plan).result
        phase = result["phases"][0]
        self.assertLessEqual(phase["nodes"][0]["from_agents_max"], 6)
        self.assertEqual(phase["nodes"][0]["citus"]["single_shard"], phase["transactions"])
        spread = self.spread(result)
        # Sessions that the pooler keeps open count rows late: those that were loaded, and the load's.
        self.assertEqual(sum(node["rows_written"] for node in spread["nodes"]), phase["rows"])
        said = {int(result["observation"]["nodes"][node["node"]]["name"].split(":")[1]): node["rows"] for node in spread["nodes"]}
        self.assertEqual(said, self.rows_by_worker())

    def test_a_hot_key_is_named(self):
        result = self.run_on_citus(self.plan_of(script(HOT_UPDATES))).result
        spread = self.spread(result)
        shard = self.cluster.query("SELECT get_shard_id_for_distribution_column('users', 17)")
        self.assertFalse(spread["even"])
        self.assertRegex(spread["verdict"], f"shard {shard} on worker [12] .* alone has 4[0-9] %")
        self.assertRegex(spread["verdict"], "id 17 is hot, with (39|4[01]) %")

    def test_shards_that_were_moved_are_told(self):
        result = self.run_on_citus(self.plan_of(script(UPDATES))).result
        self.assertTrue(self.spread(result)["even"], self.spread(result)["verdict"])
        one, other = (worker.port for worker in self.cluster.workers)
        shards = self.cluster.query(
            "SELECT shardid FROM citus_shards WHERE table_name = 'users'::regclass "
            f"AND nodeport = {one} ORDER BY 1 LIMIT 4"
        ).split()
        for shard in shards:
            self.cluster.query(
                f"SELECT citus_move_shard_placement({shard}, '127.0.0.1', {one}, '127.0.0.1', {other}, 'block_writes')"
            )
        plan = self.plan_of(script(UPDATES))
        del plan["setup"]
        spread = self.spread(self.run_on_citus(plan).result)
        self.assertFalse(spread["even"])
        self.assertRegex(spread["verdict"], "worker 2 .* has 6[0-9] % .*: it holds 20 of the 32 shards")

    def tracking(self):
        """Of each node, what is on, and what its configuration file has of it."""
        return [
            [node.query(f"SHOW citus.stat_{what}_track") for what in ("statements", "tenants")]
            + node.query("SELECT name FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf'").split()
            for node in self.cluster.nodes
        ]

    def test_an_observed_phase_names_routes_and_tenants_and_leaves_no_trace(self):
        before = self.tracking()
        self.assertEqual(before[0], ["none", "none"])
        plan = self.plan_of(script(HOT_UPDATES), {"name": "count", "text": "SELECT count(*) FROM users"})
        plan["phases"] = [case.phase("watched", observed=True), case.phase("after")]
        run = self.run_on_citus(plan)
        watched, after = run.result["phases"]
        by_script = {one["name"]: one["transactions"] for one in watched["scripts"]}
        coordinator = watched["nodes"][0]
        update, count = "UPDATE users SET name = name WHERE id = $1", "SELECT count(*) FROM users"
        calls = {one["query"]: one["calls"] for one in coordinator["statements"]}
        self.assertEqual((calls[update], calls[count]), (by_script["update-user"], by_script["count"]))
        keys = {one["query"]: one["keys"] for one in coordinator["routes"]}
        self.assertEqual((keys[update] > 0, keys[count]), (True, 0))
        # On one worker, the hot tenant used the most; the other has not seen it.
        first = [node["tenants"][0]["tenant"] for node in watched["nodes"][1:] if node.get("tenants")]
        self.assertIn("17", first)
        self.assertEqual(after["nodes"][0]["statements"], [])
        self.assertEqual(self.tracking(), before)

    def test_tracking_is_put_back_after_a_crash(self):
        before = self.tracking()
        plan = self.plan_of(script(UPDATES))
        plan["phases"] = [case.phase("watched", duration="30s", observed=True)]
        run = self.lab.start_run(plan, "--local", 3, "--quiet")
        is_on = lambda node: node.query("SHOW citus.stat_tenants_track") == "all"
        lab.wait_until(lambda: all(map(is_on, self.cluster.nodes)), "tracking is on everywhere", 60)
        run.signal(signal.SIGKILL)
        run.wait()
        self.assertNotEqual(self.tracking(), before)
        lab.wait_until(lambda: self.lab.leftovers() == [], "agents end")
        plan = self.plan_of(script(UPDATES))
        del plan["setup"]
        self.run_on_citus(plan)
        self.assertEqual(self.tracking(), before)

    def test_a_role_with_no_rights_sees_enough(self):
        for rights in ("", "GRANT pg_monitor TO nobody"):
            with self.subTest(rights=rights):
                self.cluster.query("DROP OWNED BY nobody; DROP ROLE nobody" if rights else "SELECT 1")
                self.cluster.query(f"CREATE ROLE nobody LOGIN; GRANT CREATE ON SCHEMA public TO nobody; {rights}")
                self.cluster.query("DROP TABLE IF EXISTS users")
                plan = self.plan_of({"builtin": "insert-single"})
                plan["target"] = {"conninfo": self.cluster.conninfo.replace("user=bench", "user=nobody")}
                result = self.run_on_citus(plan).result
                spread = self.spread(result)
                self.assertTrue(spread["even"], spread["verdict"])
                self.assertEqual(
                    sum(node["rows"] for node in spread["nodes"]), 20000 + result["phases"][0]["rows"]
                )
                self.assertEqual(result["observation"]["lacking"], [])
        self.cluster.query("DROP OWNED BY nobody; DROP ROLE nobody")

    def test_a_worker_that_dies_is_told_and_the_run_goes_on(self):
        plan = self.plan_of({"builtin": "insert-single"})
        plan["phases"][0]["duration"] = "8s"
        run = self.start_and_wait_for_rows(plan)
        worker = self.cluster.workers[1]
        worker.stop("immediate")
        time.sleep(2)
        worker.start()
        run.wait(120)
        self.assertIn(run.status, (0, 4), run.err)
        result = run.result
        phase = result["phases"][0]
        self.assertGreater(phase["transactions"], 0)
        self.assertGreater(sum(phase["errors"].values()), 0)
        told = [(event["node"], event["phase"]) for event in result["observation"]["events"]]
        self.assertEqual(told[0], (2, "measured"))
        self.assertRegex(result["observation"]["events"][0]["text"], "does not answer: ")
        self.assertTrue(phase["nodes"][2]["partial"])
        self.assertFalse(phase["nodes"][1]["partial"], result["observation"])
        self.assertTrue(self.spread(result)["partial"])


if __name__ == "__main__":
    case.main()

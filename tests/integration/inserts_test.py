"""Inserts into a real PostgreSQL: what the result says is what the table holds."""
from case import DatabaseCase, closed, constant, main, phase, poisson

LATENCY_FIELDS = {"count", "mean", "stddev", "p50", "p90", "p95", "p99", "p99_9", "max"}


class Inserts(DatabaseCase):
    def test_three_agents_in_open_load_reach_the_rate(self):
        plan = self.plan(
            self.database,
            phase("open", duration="8s", **poisson(2000)),
            fleet={"application_servers": 6, "pool": {"size": 8}},
            scripts=[
                {"builtin": "insert-single", "weight": 3},
                {"builtin": "insert-batch", "weight": 1, "variables": {"batch": 10}},
            ],
            objectives=["error_rate < 0.1%", "p99(response) < 30s"],
        )
        result = self.run_valid(plan).result
        self.expect_shape(result)
        [measured] = result["phases"]
        self.expect_near(measured["offered_per_s"], 2000, share=0.01)
        self.expect_near(measured["throughput_per_s"], 2000, share=0.01)
        self.assertEqual(measured["transactions"], 16000)
        self.assertEqual(measured["dropped"], 0)
        self.assertEqual(measured["errors"], {})
        self.expect_rows(result)
        self.assertEqual(sum(script["rows"] for script in measured["scripts"]), measured["rows"])
        self.assertEqual(sum(point["transactions"] for point in measured["series"]), 16000)
        self.assertEqual(sum(agent["transactions"] for agent in result["agents"]), 16000)

    def expect_shape(self, result):
        self.assertEqual(result["verdict"], {"valid": True, "reasons": [], "notes": []})
        self.assertTrue(result["run"]["id"])
        self.assertEqual(result["run"]["plan"]["name"], "test")
        self.assertEqual([objective["met"] for objective in result["objectives"]], [True, True])
        self.assertEqual(result["objectives"][0]["text"], "error_rate < 0.1%")
        self.assertEqual(len(result["agents"]), 3)
        for agent in result["agents"]:
            self.assertFalse(agent["lost"])
            self.assertGreater(agent["cpu_s"], 0)
            self.assertLess(abs(agent["start_skew_us"]), 5000)
        for measured in result["phases"]:
            self.assertIs(measured["recorded"], True)
            for latencies in [measured["latency_us"]] + [
                script["latency_us"] for script in measured["scripts"]
            ]:
                for name in ["response", "service", "pool_wait", "send_lag"]:
                    summary = latencies[name]
                    self.assertLessEqual(LATENCY_FIELDS, set(summary))
                    for field in LATENCY_FIELDS:
                        self.assertIsInstance(summary[field], (int, float), (name, field))
                    in_order = [summary[field] for field in ["p50", "p90", "p95", "p99", "p99_9", "max"]]
                    self.assertEqual(in_order, sorted(in_order))
            self.assertEqual(measured["latency_us"]["response"]["count"], measured["transactions"])

    def test_every_builtin_in_every_pool_mode(self):
        builtins = [("insert-single", 1), ("insert-batch", 7), ("insert-copy", 7)]
        for mode in ["transaction", "session", "reconnect"]:
            with self.subTest(mode=mode):
                # Each client has a connection of its own, as session mode demands.
                plan = self.plan(
                    self.database,
                    phase(duration="1s", **closed(clients=6)),
                    fleet={"application_servers": 2, "pool": {"size": 3, "mode": mode}},
                    scripts=[
                        {"builtin": name, **({"variables": {"batch": rows}} if rows > 1 else {})}
                        for name, rows in builtins
                    ],
                )
                result = self.run_local(plan, agents=2).result
                [measured] = result["phases"]
                self.assertEqual(
                    [script["name"] for script in measured["scripts"]], [name for name, _ in builtins]
                )
                for script, (name, rows) in zip(measured["scripts"], builtins):
                    self.assertGreater(script["transactions"], 0, name)
                    self.assertEqual(script["rows"], rows * script["transactions"], name)
                self.assertEqual(measured["errors"], {})
                self.expect_rows(result)

    def test_phases_limited_by_transactions_are_exact(self):
        plan = self.plan(
            self.database,
            {"name": "closed", "transactions": 1001, **closed(clients=7)},
            {"name": "open", "transactions": 503, **constant(500)},
            {"name": "one", "transactions": 1, **closed(clients=7)},
        )
        result = self.run_local(plan).result
        self.assertEqual([measured["transactions"] for measured in result["phases"]], [1001, 503, 1])
        self.assertEqual([measured["offered"] for measured in result["phases"]], [1001, 503, 1])
        self.expect_rows(result)

    def test_reactors_of_one_agent_that_end_seconds_apart(self):
        # The one client of the second application server has as much to do as the two of the first.
        plan = self.plan(
            self.database,
            {"name": "apart", "transactions": 400, **closed(clients=3, think_time="20ms")},
            {"name": "after", "transactions": 50, **closed(clients=3)},
            fleet={"application_servers": 2, "pool": {"size": 2}, "threads": 2},
        )
        result = self.run_local(plan, agents=1).result
        self.assertEqual([measured["transactions"] for measured in result["phases"]], [400, 50])
        for measured in result["phases"]:
            self.assertEqual(sum(point["transactions"] for point in measured["series"]), measured["transactions"])
        self.expect_rows(result)

    def test_warm_up_is_measured_but_not_judged(self):
        plan = self.plan(
            self.database,
            {"name": "warm-up", "transactions": 10, "record": False, **closed(clients=2)},
            {"name": "measured", "transactions": 20, **closed(clients=2)},
            objectives=["throughput > 0.001/s"],
        )
        result = self.run_local(plan).result
        self.assertEqual([measured["recorded"] for measured in result["phases"]], [False, True])
        self.assertEqual(result["objectives"][0]["phase"], "measured")
        self.expect_rows(result)

    def test_sequential_keys_are_above_the_loaded_rows_and_never_come_twice(self):
        plan = self.plan(self.database, {"name": "measured", "transactions": 300, **closed(clients=6)})
        plan["setup"]["rows"] = 1000
        result = self.run_local(plan).result
        self.assertEqual(result["phases"][0]["errors"], {})
        self.assertEqual(self.database.rows(), 1300)
        self.assertEqual(self.database.query("SELECT min(id) FROM users"), "1")
        self.assertEqual(self.database.query("SELECT count(*) FROM users WHERE id <= 1000"), "1000")

    def test_random_keys_that_come_twice_are_errors(self):
        for distribution, low_half in [("uniform", (0.35, 0.65)), ("zipfian", (0.65, 1))]:
            with self.subTest(distribution=distribution):
                plan = self.plan(
                    self.database,
                    {"name": "measured", "transactions": 3000, **closed(clients=6)},
                    scripts=[
                        {"builtin": "insert-single", "keys": {"distribution": distribution, "range": 10000}}
                    ],
                )
                [measured] = (result := self.run_local(plan).result)["phases"]
                self.assertEqual(measured["transactions"] + measured["errors"]["23505"], 3000)
                self.assertEqual(measured["latency_us"]["failed"]["count"], measured["errors"]["23505"])
                self.expect_rows(result)
                self.assertEqual(
                    self.database.query("SELECT count(*) FROM users WHERE id NOT BETWEEN 1 AND 10000"), "0"
                )
                low = (
                    int(self.database.query("SELECT count(*) FROM users WHERE id <= 5000"))
                    / self.database.rows()
                )
                self.assertTrue(low_half[0] < low <= low_half[1], low)

    def test_same_seed_draws_the_same_keys(self):
        drawn = []
        for seed in [5, 5, 6]:
            plan = self.plan(
                self.database,
                {"name": "measured", "transactions": 200, **closed(clients=3)},
                seed=seed,
                scripts=[{"builtin": "insert-single", "keys": {"distribution": "uniform"}}],
            )
            self.run_local(plan)
            drawn.append(self.database.query("SELECT md5(string_agg(id::text, ',' ORDER BY id)) FROM users"))
        self.assertEqual(drawn[0], drawn[1])
        self.assertNotEqual(drawn[0], drawn[2])

    def test_steps_and_ramps(self):
        stages = [{"duration": "1s", "rate": "200/s"}, {"duration": "2s", "ramp_to": "600/s"}]
        plan = self.plan(
            self.database, {"name": "stages", "load": {"open": {"arrivals": "constant", "stages": stages}}}
        )
        result = self.run_local(plan).result
        [measured] = result["phases"]
        # 200 in the step; the ramp's mean is 400 for 2 s.
        self.expect_near(measured["offered"], 1000, plus=2)
        # A second's count is of what was noticed in it: a few fall into the next one.
        for point, offered in zip(measured["series"], [200, 300, 500]):
            self.expect_near(point["offered"], offered, share=0.05)
        self.expect_rows(result)


if __name__ == "__main__":
    main()

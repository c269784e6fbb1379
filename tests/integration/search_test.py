"""The highest rate that holds an objective, found on a server whose capacity is known."""
import signal

import case
import lab

# Each connection is one worker of the server's.
CONNECTIONS = 12
DELAY_MS = 10
CAPACITY = CONNECTIONS * 1000 / DELAY_MS


class SearchTest(case.Case):
    def searched(self, server, **more):
        return {
            "name": "capacity",
            "target": {"conninfo": server.conninfo},
            "fleet": {"application_servers": 3, "connections": CONNECTIONS},
            "scripts": [{"builtin": "insert-single"}],
            "phases": [
                case.phase("warm-up", record=False, duration="1s"),
                {
                    "name": "capacity",
                    "drain_timeout": "3s",
                    "load": {"search": {"objective": "p99(response) < 150ms", "from": "300/s", "step": "2s", "precision": 0.03}},
                },
            ],
            "observer": {"enabled": False},
            **more,
        }

    def test_finds_the_capacity_of_the_server(self):
        server = self.wire_server("--delay", f"{DELAY_MS}ms")
        for _ in range(self.ATTEMPTS):
            run = self.lab.run(self.searched(server), "--local", 3, timeout=200)
            self.assertIn(run.status, (0, 4), run.out + run.err)
            (search,) = run.result["searches"]
            if run.status == 0 and abs(search["capacity_per_s"] / CAPACITY - 1) <= 0.05:
                break
        self.expect_near(search["capacity_per_s"], CAPACITY, share=0.05)
        self.assertTrue(search["complete"])
        self.assertRegex(run.out, r"Capacity, capacity: 1,[12]\d\d/s hold p99\(response\) < 150ms, 1,[123]\d\d/s do not")
        rates = [step["rate_per_s"] for step in search["steps"]]
        self.assertEqual(rates[:3], [300, 600, 1200])
        # What it found is a phase of the result; the plan is as it was written.
        (best,) = [phase for phase in run.result["phases"] if phase["recorded"]]
        self.expect_near(best["offered_per_s"], search["capacity_per_s"], share=0.02)
        # No other phase was recorded: what agents are said to have used is of this one.
        for agent in run.result["agents"]:
            self.assertGreater(agent["busiest_reactor"], 0)
            self.assertGreater(agent["schedule_lag_max_us"], 0)
        self.assertEqual([phase["name"] for phase in run.result["run"]["plan"]["phases"]], ["warm-up", "capacity"])
        for step, phase in zip(search["steps"], run.result["phases"][1:]):
            self.assertEqual(step["phase"], phase["name"])
            self.expect_near(phase["offered_per_s"], step["rate_per_s"], share=0.02)

    def test_a_cancelled_search_shows_its_path(self):
        server = self.wire_server("--delay", f"{DELAY_MS}ms")
        run = self.lab.start_run(self.searched(server), "--local", 2)
        lab.wait_until(lambda: "running capacity step 3" in run.err, "the third step runs", 60)
        run.signal(signal.SIGINT)
        self.assertEqual(run.wait(30), 130, run.err)
        (search,) = run.result["searches"]
        self.assertFalse(search["complete"])
        self.assertEqual(len(search["steps"]), 2)
        self.assertRegex(run.out, "the search was not completed")


if __name__ == "__main__":
    case.main()

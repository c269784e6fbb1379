"""Latencies against servers whose own are known."""
import signal
import statistics
import time

from case import Case, constant, main, phase

# The machine may be busy with something else for a while: what is judged is the median of so many runs; the
# bounds stay.
RUNS = 3


class TimingCase(Case):
    def setUp(self):
        super().setUp()
        # What else runs on the machine is no part of what is measured.
        self.lab.ahead = True


class KnownDelay(TimingCase):
    # Long enough that waking up an idle machine's processor, which no measuring can leave out, stays within 1 %.
    DELAY_US = 100_000

    def test_percentiles_are_the_delay(self):
        server = self.wire_server("--delay", "100ms")
        # 300/s × 100 ms: 30 of 96 connections are busy, so nobody waits for one.
        plan = self.plan(
            server,
            phase(duration="3s", **constant(300)),
            setup=False,
            fleet={"application_servers": 3, "pool": {"size": 32}},
        )
        seen = [self.run_local(plan).result["phases"][0] for _ in range(RUNS)]
        for measured in seen:
            self.assertEqual(measured["transactions"], 900)
        for metric in ["response", "service"]:
            for percentile in ["p50", "p99"]:
                values = [measured["latency_us"][metric][percentile] for measured in seen]
                with self.subTest(metric=metric, percentile=percentile, values=values):
                    self.assertGreaterEqual(min(values), self.DELAY_US)
                    self.expect_near(statistics.median(values), self.DELAY_US, share=0.01)


class FrozenServer(TimingCase):
    RATE = 1000
    SECONDS = 6

    def freeze(self, server, run):
        """Stops the server for a second in mid-run; how long it was, in seconds."""
        before = server.counts()["statements"]
        deadline = time.monotonic() + 20
        while server.counts()["statements"] < before + 2 * self.RATE:
            self.assertLess(time.monotonic(), deadline, run.err)
            time.sleep(0.01)
        start = time.monotonic()
        server.process.signal(signal.SIGSTOP)
        time.sleep(1)
        server.process.signal(signal.SIGCONT)
        return time.monotonic() - start

    def test_every_request_due_in_that_second_waited_for_it(self):
        server = self.wire_server()
        plan = self.plan(server, phase(duration=f"{self.SECONDS}s", **constant(self.RATE)), setup=False)
        run = self.lab.start_run(plan, "--local", 3, "--quiet")
        frozen_s = self.freeze(server, run)
        run.wait()
        self.expect_status(run, 0)
        [measured] = run.result["phases"]
        response, service = measured["latency_us"]["response"], measured["latency_us"]["service"]
        self.assertEqual(measured["transactions"], self.RATE * self.SECONDS)
        self.assertEqual(measured["dropped"], 0)
        # Requests slower than x: those due in the first (frozen - x) seconds. So the share p of all, slowest first,
        # is slower than frozen - p × duration.
        for name, share in [("p90", 0.10), ("p95", 0.05), ("p99", 0.01), ("p99_9", 0.001), ("max", 0)]:
            with self.subTest(percentile=name):
                self.expect_near(response[name] / 1e6, frozen_s - share * self.SECONDS, plus=0.03)
        self.assertLess(response["p50"], 50_000)
        # Only those that were sent before or while it was frozen waited for an answer: one for each connection. The
        # others waited for a connection.
        self.expect_near(service["max"] / 1e6, frozen_s, plus=0.03)
        self.assertLess(service["p99"], 100_000)
        self.expect_near(
            measured["latency_us"]["pool_wait"]["p95"] / 1e6, frozen_s - 0.05 * self.SECONDS, plus=0.05
        )
        self.assertGreater(max(point["response_max_us"] for point in measured["series"]), 950_000)


class ManyErrors(Case):
    def test_errors_are_counted_by_sqlstate_and_miss_the_objective(self):
        server = self.wire_server("--error", "40001", "--every", "10")
        plan = self.plan(
            server, phase(duration="2s", **constant(500)), setup=False, objectives=["error_rate < 1%"]
        )
        run = self.run_local(plan, status=3)
        [measured] = run.result["phases"]
        counts = server.counts()
        self.assertEqual(measured["errors"], {"40001": 100})
        self.assertEqual(measured["transactions"], 900)
        self.assertEqual(counts["statements"], 900)
        self.assertEqual(
            run.result["objectives"],
            [{"text": "error_rate < 1%", "met": False, "value": 10.0, "phase": "measured"}],
        )
        self.assertTrue(run.result["verdict"]["valid"])


if __name__ == "__main__":
    main()

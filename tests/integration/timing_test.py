"""Latencies against servers whose own are known."""
import signal
import time

from case import Case, constant, main, phase

class TimingCase(Case):
    def setUp(self):
        super().setUp()
        # What else runs on the machine is no part of what is measured.
        self.lab.ahead = True
        self.lab.keep_processors_awake()


class KnownDelay(TimingCase):
    DELAY_US = 20_000

    def test_percentiles_are_the_delay(self):
        server = self.wire_server("--delay", "20ms")
        # 300/s × 20 ms: 6 of 96 connections are busy, so nobody waits for one.
        plan = self.plan(
            server,
            phase(duration="3s", **constant(300)),
            setup=False,
            fleet={"application_servers": 3, "pool": {"size": 32}},
        )
        seen = []
        for _ in range(self.ATTEMPTS):
            [measured] = self.run_local(plan).result["phases"]
            self.assertEqual(measured["transactions"], 900)
            values = [
                measured["latency_us"][metric][percentile]
                for metric in ["response", "service"]
                for percentile in ["p50", "p99"]
            ]
            self.assertGreaterEqual(min(values), self.DELAY_US)
            if max(values) <= 1.01 * self.DELAY_US:
                return
            seen.append(values)
        self.fail(f"not within 1 % of {self.DELAY_US} µs: {seen}")


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
        far_off = []
        for _ in range(self.ATTEMPTS):
            run = self.lab.start_run(plan, "--local", 3, "--quiet")
            frozen_s = self.freeze(server, run)
            run.wait()
            self.expect_status(run, 0)
            [measured] = run.result["phases"]
            self.assertEqual(measured["transactions"], self.RATE * self.SECONDS)
            self.assertEqual(measured["dropped"], 0)
            far_off = self.far_off(measured, frozen_s)
            if not far_off:
                return
        self.fail(f"frozen for {frozen_s} s: {far_off}")

    def far_off(self, measured, frozen_s):
        """What is not as it must be: [what, seconds, seconds wanted]."""
        latency = measured["latency_us"]
        # Requests slower than x: those due in the first (frozen - x) seconds. So the share p of all, slowest first,
        # is slower than frozen - p × duration.
        shares = {"p90": 0.10, "p95": 0.05, "p99": 0.01, "p99_9": 0.001, "max": 0}
        wanted = [(("response", name), frozen_s - share * self.SECONDS) for name, share in shares.items()]
        # Only those that were sent before or while it was frozen waited for an answer: one for each connection. The
        # others waited for a connection.
        wanted += [
            (("response", "p50"), 0),
            (("service", "max"), frozen_s),
            (("service", "p99"), 0),
            (("pool_wait", "p95"), frozen_s - 0.05 * self.SECONDS),
        ]
        seen = [(what, latency[what[0]][what[1]] / 1e6, seconds) for what, seconds in wanted]
        slowest = max(point["response_max_us"] for point in measured["series"]) / 1e6
        seen.append(("series", slowest, frozen_s))
        return [one for one in seen if abs(one[1] - one[2]) > 0.03]


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

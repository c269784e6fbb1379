"""What the integration tests share: a lab for each case, plans, and how a run is judged from outside."""
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import lab  # noqa: E402


def closed(clients=8, **more):
    return {"load": {"closed": {"clients": clients, **more}}}


def constant(rate):
    return {"load": {"open": {"rate": f"{rate}/s", "arrivals": "constant"}}}


def poisson(rate):
    return {"load": {"open": {"rate": f"{rate}/s", "arrivals": "poisson"}}}


def phase(name="measured", **more):
    return {"name": name, "duration": "2s", **closed(), **more}


# Reasons of a verdict that a machine with other things to do gives to any run, however right the programs are.
BUSY_MACHINE = re.compile("give it more CPU|on a reactor thread|had no processor left|the agreed instant")


class Case(unittest.TestCase):
    """Runs the programs in a lab of the case's own, and holds them to leaving nothing behind."""

    # How often a figure that a busy machine can spoil is taken again. What is wrong in the programs is wrong each time.
    ATTEMPTS = 5

    def setUp(self):
        self.lab = lab.Lab()
        self.addCleanup(self.lab.close)
        self.addCleanup(self._expect_nothing_left)

    def _expect_nothing_left(self):
        self.assertEqual(self.lab.leftovers(), [])

    def wire_server(self, *arguments):
        server = lab.WireServer(self.lab, *arguments)
        self.addCleanup(server.close)
        return server

    def plan(self, server, *phases, setup=True, **more):
        plan = {
            "name": "test",
            "target": {"conninfo": server.conninfo},
            "fleet": {"application_servers": 3, "pool": {"size": 4}},
            "scripts": [{"builtin": "insert-single"}],
            "phases": list(phases or [phase()]),
            **more,
        }
        return {**plan, "setup": {"workload": "users"}} if setup else plan

    def run_local(self, plan, *arguments, agents=3, status=0, timeout=120):
        """A run with agents on this machine that is expected to end with `status`."""
        run = self.lab.run(plan, "--local", agents, "--quiet", *arguments, timeout=timeout)
        self.expect_status(run, status)
        return run

    def run_valid(self, plan, *arguments, **more):
        """A run whose verdict counts: it is made again where the machine was too busy for it."""
        for _ in range(self.ATTEMPTS):
            run = self.run_local(plan, *arguments, **more)
            if run.status == 0:
                return run
        self.fail(f"not valid in {self.ATTEMPTS} attempts: {run.result['verdict']}")

    def expect_status(self, run, status):
        """For 0, a run will do that is not valid only because the machine was busy: see run_valid."""
        said = f"\n{' '.join(map(str, run.popen.args))}\n{run.out}\n{run.err}"
        if run.json_path and os.path.exists(run.json_path):
            reasons = run.result["verdict"]["reasons"]
            said += f"\n{reasons}"
            if (status, run.status) == (0, 4) and all(map(BUSY_MACHINE.search, reasons)):
                return
        self.assertEqual(run.status, status, said)

    def expect_sentence(self, run, status, *words):
        """It could not run, and said why: one line, with these words in it."""
        self.expect_status(run, status)
        lines = run.err.strip().split("\n")
        self.assertEqual(len(lines), 1, run.err)
        for word in words:
            self.assertRegex(lines[0], f"(?i){word}")

    def expect_near(self, value, wanted, share=0.0, plus=0.0):
        self.assertLessEqual(abs(value - wanted), abs(wanted) * share + plus, f"{value} is not {wanted}")


class DatabaseCase(Case):
    """Cases of one class share one throwaway PostgreSQL."""

    SETTINGS = {}  # of the server
    NETWORKS = ()  # that may come to it, beside this machine

    @classmethod
    def setUpClass(cls):
        if lab.postgres_bin() is None:
            raise unittest.SkipTest("PostgreSQL is not installed (package postgresql-15)")
        cls.database_lab = lab.Lab()
        cls.addClassCleanup(cls.database_lab.close)
        cls.database = lab.Database(cls.database_lab, settings=cls.SETTINGS, networks=cls.NETWORKS)
        cls.addClassCleanup(cls.database.close)

    def some_rows(self):
        try:
            return self.database.rows() > 0
        except AssertionError:
            return False  # The table is not made yet.

    def expect_rows(self, result, warm_up_rows=0):
        """As many rows in the table as the result says."""
        self.assertEqual(
            sum(phase["rows"] for phase in result["phases"]) + warm_up_rows, self.database.rows()
        )


class CitusCase(Case):
    """Cases of one class share one throwaway cluster of a coordinator and two workers."""

    SETTINGS = {}  # of each node

    @classmethod
    def setUpClass(cls):
        if not lab.citus_installed():
            raise unittest.SkipTest("the citus extension is not installed for this PostgreSQL")
        cls.database_lab = lab.Lab()
        cls.addClassCleanup(cls.database_lab.close)
        cls.cluster = lab.CitusCluster(cls.database_lab, settings=cls.SETTINGS)
        cls.addClassCleanup(cls.cluster.close)


def main():
    """Ends with 77 where everything was skipped, so that ctest says so too."""
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    if result.skipped and (result.testsRun == 0 or len(result.skipped) == result.testsRun):
        sys.exit(77)

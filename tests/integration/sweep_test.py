"""Sweeps: every cell a run of its own, interrupted and gone on with, and shown again."""
import contextlib
import os
import re
import signal

import case
import lab


def sweep_of(result):
    return {tuple(sorted(cell["cell"]["settings"].items())): cell for cell in result["cells"]}


class SweepTest(case.DatabaseCase):
    def swept(self, sweep, **more):
        return self.plan(
            self.database,
            case.phase(duration="1s", **case.closed(4)),
            scripts=[{"builtin": "insert-batch"}],
            sweep=sweep,
            **more,
        )

    def done(self, run):
        """It ended in its own time; on a busy machine cells need not be valid."""
        self.assertIn(run.status, (0, 4), run.out + run.err)
        return run

    def test_each_cell_begins_with_the_same_tables(self):
        run = self.done(self.lab.run(self.swept({"batch": [1, 10], "pool.size": [1, 2]}), "--local", 2, timeout=120))
        cells = sweep_of(run.result)
        self.assertEqual(len(cells), 4)
        for settings, cell in cells.items():
            plan = cell["result"]["run"]["plan"]
            self.assertEqual(plan["scripts"][0]["variables"]["batch"], dict(settings)["batch"])
            self.assertEqual(str(plan["fleet"]["pool"]["size"]), dict(settings)["pool.size"])
            # Nothing is left of the cell before.
            (phase,) = cell["result"]["phases"]
            self.assertEqual(phase["rows"], phase["transactions"] * int(dict(settings)["batch"]))
            self.assertEqual(cell["result"]["agents"].__len__(), 2)
        last = run.result["cells"][-1]["result"]
        self.expect_rows(last)
        self.assertEqual({effect["field"] for effect in run.result["effects"]}, {"batch", "pool.size"})
        self.assertRegex(run.out, "4 of 4 cells")

    def test_a_cell_that_cannot_run_is_passed_over(self):
        sweep = {"setup.distribution": ["citus", "none"]}
        run = self.done(self.lab.run(self.swept(sweep), "--local", 1, timeout=60))
        cells = sweep_of(run.result)
        failed = cells[(("setup.distribution", "citus"),)]
        self.assertRegex(failed["failure"], "citus extension is not in the target's database")
        self.assertNotIn("result", failed)
        self.assertIn("result", cells[(("setup.distribution", "none"),)])
        self.assertRegex(run.out, "1 cell could not run: ")

    def test_an_interrupted_sweep_is_gone_on_with(self):
        plan = self.swept({"batch": [1, 2, 3, 4]}, sweep_order="random")
        run = self.lab.start_run(plan, "--local", 1)
        lab.wait_until(lambda: "cell 3 of 4" in run.err, "the third cell begins", 60)
        run.signal(signal.SIGINT)
        self.assertEqual(run.wait(60), 130, run.err)
        self.assertRegex(run.out, "2 of 4 cells")
        (sweep,) = set(re.findall(r"--resume (sweep-\S+)", run.err))
        before = {cell["cell"]["number"]: cell["result"]["run"]["id"] for cell in run.result["cells"] if "result" in cell}
        self.assertEqual(len(before), 2)

        other = self.lab.run(self.swept({"batch": [1, 2, 3, 4]}, seed=7), "--local", 1, "--resume", sweep)
        self.expect_sentence(other, 2, "another plan")
        again = self.done(self.lab.run(plan, "--local", 1, "--resume", sweep, timeout=60))
        after = {cell["cell"]["number"]: cell["result"]["run"]["id"] for cell in again.result["cells"]}
        self.assertEqual(len(after), 4)
        for number, run_id in before.items():
            self.assertEqual(after[number], run_id)

        json_path = os.path.join(self.lab.folder, "again.json")
        shown = self.lab.trunkload("report", sweep, "--json", json_path)
        self.assertEqual(shown.status, 0, shown.err)
        self.assertRegex(shown.out, "4 of 4 cells")
        listed = self.lab.trunkload("runs")
        self.assertEqual(listed.out.count(sweep), 4)

    def test_a_check_that_failed_is_said_by_an_interrupted_sweep_too(self):
        plan = self.swept({"batch": [1, 2]}, checks=["ledger"])
        run = self.lab.start_run(plan, "--local", 1)

        def delete_one():
            with contextlib.suppress(AssertionError):  # The table is not made yet.
                return self.database.query(
                    "DELETE FROM trunkload_ledger WHERE operation = 5 AND writer = "
                    "(SELECT writer FROM trunkload_ledger WHERE operation = 5 LIMIT 1) RETURNING 1"
                )

        lab.wait_until(delete_one, "a row of the first cell is there", 60)
        lab.wait_until(lambda: "cell 2 of 2" in run.err, "the second cell begins", 60)
        run.signal(signal.SIGINT)
        self.assertEqual(run.wait(60), 5, run.err)
        self.assertRegex(run.out, "1 of 2 cells")

    def test_mistakes_are_found_before_the_first_cell(self):
        run = self.lab.run(self.swept({"pool.size": [1, 0]}), "--local", 1)
        self.expect_sentence(run, 2, "pool.size", "out of range")
        run = self.lab.run(self.swept({"pool.siez": [1]}), "--local", 1)
        self.expect_sentence(run, 2, "pool.siez")
        run = self.lab.run(self.swept({"nothing": [1]}), "--local", 1)
        self.expect_sentence(run, 2, "sweep.nothing: no field of a plan, and no variable")
        plain = self.plan(self.database)
        run = self.lab.run(plain, "--local", 1, "--resume", "sweep-x")
        self.expect_sentence(run, 2, "the plan has no sweep")


if __name__ == "__main__":
    case.main()

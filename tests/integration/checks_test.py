"""Checks on a real PostgreSQL: what keeps its promises passes, and each lie is found with its witness."""
import json
import os
import signal
import time

import case
from checks_case import ALL, ChecksCase

class ChecksTest(ChecksCase, case.DatabaseCase):
    SETTINGS = {"max_prepared_transactions": 10}

    def test_a_database_that_keeps_its_promises_passes(self):
        run = self.run_honest(self.checked(ALL))
        outcomes = {check["check"]: check["outcome"] for check in run.result["checks"]}
        self.assertEqual(
            outcomes,
            {name: "not-applicable" if name in ALL[5:] else "passed" for name in ALL},
            run.out,
        )
        done = {script["name"]: script["transactions"] for script in run.result["phases"][0]["scripts"]}
        by_name = {check["check"]: check for check in run.result["checks"]}
        for check, scripts in {
            "bank": ("bank-transfer", "bank-branch-transfer"),
            "ledger": ("ledger-insert",),
            "counter": ("counter-increment",),
            "append-list": ("list-append",),
            "read-your-writes": ("register-write",),
        }.items():
            self.assertEqual(by_name[check]["acknowledged"], sum(done[script] for script in scripts), check)
            self.assertGreater(by_name[check]["acknowledged"], 0, check)
        # Writing them down is next to nothing of what agents do.
        recording = sum(check["recording_cpu_s"] for check in run.result["checks"])
        self.assertLess(recording, 0.05 * sum(agent["cpu_s"] for agent in run.result["agents"]))
        # What was compared on the way, too.
        self.assertEqual(by_name["bank"]["looks"], done["bank-total"] + done["bank-branch-total"])
        self.assertEqual(by_name["read-your-writes"]["looks"], done["register-write"])
        self.assertGreater(by_name["append-list"]["looks"], 0)
        self.assertEqual(self.database.rows_of("trunkload_ledger"), done["ledger-insert"])
        self.assertRegex(run.out, r"(?s)Checks.*ledger: passed")

    def test_a_deleted_row_is_missed(self):
        run, deleted = self.tamper(["ledger"], lambda: self.wait_for(
            "DELETE FROM trunkload_ledger WHERE ctid = (SELECT ctid FROM trunkload_ledger WHERE operation = 20 LIMIT 1) "
            "RETURNING writer, operation"
        ))
        writer, operation = map(int, deleted.split("|"))
        check = self.expect_failed(run, "ledger", f"insert {operation} of writer {writer} was acknowledged, and is not")
        self.assertEqual(check["violations"], 1)
        self.assertEqual((check["witnesses"][0]["writer"], check["witnesses"][0]["operation"]), (writer, operation))
        self.assertRegex(check["witnesses"][0]["at"], r"^20\d\d-.*Z$")
        self.assertRegex(self.lab.trunkload("report").out.split("\n")[0], "CHECK FAILED: ledger")

    def test_a_doubled_row_is_found(self):
        run, _ = self.tamper(["ledger"], lambda: self.wait_for(
            "INSERT INTO trunkload_ledger SELECT * FROM trunkload_ledger WHERE operation = 20 LIMIT 1 RETURNING 1"
        ))
        self.expect_failed(run, "ledger", "insert 20 of writer [0-9]+ is there in part, or more than once: a row of .*; a row")

    def test_what_was_refused_and_is_there_is_found(self):
        self.addCleanup(self.database.query, "DROP FUNCTION refuse CASCADE")

        def plant():
            self.wait_for("SELECT 1 FROM trunkload_ledger LIMIT 1")
            self.database.query(
                "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                "IF NEW.operation % 10 = 0 AND current_setting('application_name') <> 'planted' THEN "
                "RAISE EXCEPTION 'refused' USING ERRCODE = '23514'; END IF; RETURN NEW; END $$; "
                "CREATE TRIGGER refuse BEFORE INSERT ON trunkload_ledger FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
            refused = self.wait_for(
                "SELECT a.writer, a.operation + 1 FROM trunkload_ledger a WHERE (a.operation + 1) % 10 = 0 AND EXISTS "
                "(SELECT FROM trunkload_ledger b WHERE b.writer = a.writer AND b.operation = a.operation + 2) AND NOT EXISTS "
                "(SELECT FROM trunkload_ledger c WHERE c.writer = a.writer AND c.operation = a.operation + 1) LIMIT 1"
            ).split("|")
            self.database.query(f"SET application_name = planted; INSERT INTO trunkload_ledger VALUES ({', '.join(refused)})")
            return refused

        run, (writer, operation) = self.tamper(["ledger"], plant)
        check = self.expect_failed(
            run, "ledger", f"insert {operation} of writer {writer} was refused or rolled back, and is there"
        )
        self.assertEqual(check["violations"], 1)
        self.assertGreater(check["refused"], 0)

    def test_a_row_that_nobody_sent_is_found(self):
        run, _ = self.tamper(["ledger"], lambda: self.wait_for(
            "INSERT INTO trunkload_ledger SELECT 0, 1000000 FROM trunkload_ledger LIMIT 1 RETURNING 1"
        ))
        self.expect_failed(run, "ledger", "insert 1000000 of writer 0 is there, and nobody has sent it")

    def test_half_a_transfer_is_found(self):
        run, gone = self.tamper(["bank"], lambda: self.wait_for(
            "DELETE FROM trunkload_entries WHERE ctid = (SELECT ctid FROM trunkload_entries WHERE branch <= 8 "
            "AND operation = 5 LIMIT 1) RETURNING writer, branch, account"
        ))
        writer, branch, account = gone.split("|")
        self.expect_failed(
            run,
            "bank",
            f"transfer 5 of writer {writer} is there in part",
            f"account {account} of branch {branch} holds -?[0-9]+, and its entries say",
        )

    def test_money_that_was_made_is_found(self):
        run, _ = self.tamper(["bank"], lambda: self.wait_for(
            "UPDATE trunkload_accounts SET balance = balance + 7 WHERE branch = 12 AND account = 3 AND EXISTS "
            "(SELECT FROM trunkload_entries) RETURNING 1"
        ))
        check = self.expect_failed(
            run, "bank", "account 3 of branch 12 holds", "the total of branch 12 is 10007, where 10000 was to be"
        )
        # Those who read the branch's total meanwhile have seen it.
        self.assertEqual(check["largest_deviation"], 7)
        self.assertGreater(check["deviating"], 0)

    def test_a_lost_update_is_found(self):
        run, _ = self.tamper(["counter"], lambda: self.wait_for(
            "UPDATE trunkload_counters SET value = value - 1 WHERE counter = 3 AND value > 5 RETURNING 1"
        ))
        self.expect_failed(run, "counter", "counter 3 was made [0-9]+ by 2 increments, of which all but one are lost")

    def test_a_counter_that_is_gone_is_missed(self):
        # Each client ends as it misses it, and the last of them ends the phase.
        run = self.start(self.checked(["counter"], duration="1h"))
        self.wait_for("DELETE FROM trunkload_counters WHERE counter = 3 AND value > 5 RETURNING 1")
        self.expect_failed(run, "counter", "the number of counters is 4, where 5 was to be")

    def test_the_plans_own_scripts_keep_their_variables(self):
        self.database.query("CREATE TABLE seen (key int, branches int, seen int); CREATE TABLE other (key int)")
        self.addCleanup(self.database.query, "DROP TABLE seen, other")
        text = "INSERT INTO seen VALUES (:key, :branches, :seen);\n"
        plan = self.checked(
            ["bank", "append-list"],
            variables={"key": 7, "branches": 77, "seen": 777},
            scripts=[{"text": text, "name": "own"}],
        )
        run = self.run_honest(plan)
        self.assertEqual({check["outcome"] for check in run.result["checks"]}, {"passed"}, run.out)
        self.assertEqual(self.database.query("SELECT DISTINCT key, branches, seen FROM seen"), "7|77|777")

    def test_a_check_without_operations_says_so(self):
        scripts = [{"builtin": "ledger-insert"}, {"builtin": "counter-increment", "weight": 0}]
        run = self.run_honest(self.checked(["ledger", "counter"], scripts=scripts))
        self.assertEqual(self.check(run, "ledger")["outcome"], "passed", run.out)
        counter = self.check(run, "counter")
        self.assertEqual(counter["outcome"], "indeterminate", counter)
        self.assertRegex(counter["verdict"], "nothing to check")

    def test_a_reordered_append_is_found(self):
        run, changed = self.tamper(["append-list"], lambda: self.wait_for(
            "UPDATE trunkload_lists SET items = (SELECT array_agg(item ORDER BY position DESC) FROM "
            "unnest(items) WITH ORDINALITY AS i (item, position)) WHERE list = (SELECT list FROM trunkload_lists "
            "WHERE cardinality(items) > 20 ORDER BY list LIMIT 1) RETURNING list"
        ), clients=4)
        self.expect_failed(run, "append-list", f"list {changed} has [0-9]+\\.[0-9]+ at .*, which its writer appended later")

    def test_a_list_that_no_longer_begins_as_it_was_read_is_found(self):
        # Long lists: those who appended are sure to come back.
        run, _ = self.tamper(["append-list"], lambda: self.wait_for(
            "UPDATE trunkload_lists SET items[1] = '9999.1' WHERE list = (SELECT max(list) FROM trunkload_lists) "
            "AND cardinality(items) BETWEEN 5 AND 300 RETURNING 1"
        ), check_options={"lists": 1})
        check = self.expect_failed(run, "append-list", "was acknowledged, and is not there", "nobody has sent it")
        self.assertGreater(check["deviating"], 0)

    def test_a_stale_read_is_found(self):
        def set_back():
            # Each of them, twenty times: some writer is sure to read its own between two of its writes.
            for _ in range(20):
                self.wait_for("WITH set_back AS (UPDATE trunkload_registers SET value = value - 1 RETURNING 1) SELECT 1 FROM set_back LIMIT 1")

        run, _ = self.tamper(["read-your-writes"], set_back)
        check = self.expect_failed(run, "read-your-writes", "read [0-9]+ as its own register of .*, where [0-9]+ was to be")
        self.assertGreater(check["deviating"], 0)

    def test_checks_are_settled_again_later(self):
        plan = self.checked(["ledger", "counter"])
        path = self.lab.file("later.yaml", json.dumps(plan))
        run = self.run_honest(plan)
        run_id = run.result["run"]["id"]
        again = self.lab.trunkload("check-data", path, run_id)
        self.assertEqual(again.status, 0, again.out + again.err)
        self.database.query("DELETE FROM trunkload_ledger WHERE operation = 2 AND writer = (SELECT min(writer) FROM trunkload_ledger)")
        again = self.lab.trunkload("check-data", path, run_id)
        self.assertEqual(again.status, 5, again.out + again.err)
        self.assertRegex(again.out, "CHECK FAILED: ledger")
        # The tables of another run say nothing of this one.
        self.run_honest(plan)
        again = self.lab.trunkload("check-data", path, run_id)
        self.assertEqual(again.status, 4, again.out + again.err)
        self.assertRegex(again.out, r"the table\s+trunkload_ledger is of another run")

    def test_a_table_that_is_not_ours_is_left_alone(self):
        for table in self.tables():
            self.database.query(f"DROP TABLE {table}")
        self.database.query("CREATE TABLE trunkload_ledger (mine int)")
        self.addCleanup(self.database.query, "DROP TABLE trunkload_ledger")
        run = self.lab.run(self.checked(["ledger"]), "--local", 1, "--quiet")
        self.expect_sentence(run, 1, "trunkload_ledger", "did not make")

    def test_lost_answers_are_settled(self):
        def terminate():
            # Each connection once it has written something, so that an answer is on its way somewhere.
            for _ in range(5):
                self.wait_for(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'trunkload-agent%' "
                    "AND backend_xid IS NOT NULL"
                )

        run, _ = self.tamper(["ledger", "bank"], terminate)
        check = self.check(run, "ledger")
        self.assertEqual(check["outcome"], "passed", check)
        lost = check["lost_answers"] + self.check(run, "bank")["lost_answers"]
        self.assertGreater(lost, 0)
        self.assertEqual(self.check(run, "bank")["outcome"], "passed")
        self.assertEqual(check["acknowledged"] + check["lost_committed"], self.database.rows_of("trunkload_ledger"))

    def test_an_agent_that_was_killed(self):
        untold = 0
        for _ in range(self.ATTEMPTS):
            run = self.start(self.checked(["ledger", "bank", "counter"], duration="6s"))
            self.wait_for("SELECT 1 FROM trunkload_ledger LIMIT 1")
            time.sleep(1.5)
            os.kill(next(iter(self.lab.children("trunkload-agent"))), signal.SIGKILL)
            for name in ("ledger", "bank", "counter"):
                check = self.check(run, name)
                self.assertEqual(check["outcome"], "passed", check)
            untold = self.check(run, "ledger")["untold"]
            # None where the agent had just told all, or nothing was committed at that moment.
            if untold > 0:
                break
        self.assertGreater(untold, 0)

    def test_mistakes_in_plans(self):
        for change, words in {
            "checks.0=bank": ("checks",),
            "checks=[ledger, ledger]": ("checks.1", "written twice"),
            "checks=[lodger]": ("lodger", "did you mean .ledger."),
            "scripts=[{builtin: bank-total}]": ("is one of the check bank", "expected checks"),
            "scripts=[{builtin: ledger-insert, query_mode: simple}]": ("expected extended or prepared",),
            "scripts=[{builtin: ledger-insert}, {builtin: ledger-insert}]": ("once",),
        }.items():
            run = self.lab.run(self.checked(["ledger"]), "--local", 1, "--quiet", "--set", change)
            if change != "checks.0=bank":
                self.expect_sentence(run, 2, *words)


class CrashCase(ChecksCase, case.DatabaseCase):
    """A server that is killed under load, with what it promises on and off."""

    def crash_and_settle(self):
        run = self.start(self.checked(["ledger", "bank", "counter"], duration="8s"))
        self.wait_for("SELECT 1 FROM trunkload_ledger WHERE operation = 20 LIMIT 1")
        self.database.kill()
        self.database.start()
        return {name: self.check(run, name) for name in ("ledger", "bank", "counter")}


class DurableTest(CrashCase):
    SETTINGS = {"fsync": "on"}

    def test_nothing_acknowledged_is_lost(self):
        for name, check in self.crash_and_settle().items():
            self.assertEqual(check["outcome"], "passed", f"{name}: {check}")
            self.assertGreater(check["acknowledged"], 0)


class NotDurableTest(CrashCase):
    # What was committed is written down so late that a crash is sure to find some that was not.
    SETTINGS = {"fsync": "on", "synchronous_commit": "off", "wal_writer_delay": "10000", "wal_buffers": "65536"}

    def test_what_is_lost_is_found(self):
        check = self.crash_and_settle()["ledger"]
        self.assertEqual(check["outcome"], "failed", check)
        self.assertRegex(check["witnesses"][0]["text"], "was acknowledged, and is not there")


del CrashCase

if __name__ == "__main__":
    case.main()

"""Scripts in pgbench's language on a real PostgreSQL: what they leave in its tables, and what becomes of errors."""
import collections
import json
import os
import re
import subprocess

from case import DatabaseCase, closed, lab, main, phase, poisson

COUNTER = """
DROP TABLE IF EXISTS counter;
CREATE TABLE counter (id int PRIMARY KEY, value int NOT NULL);
INSERT INTO counter VALUES (1, 0), (2, 0);
"""
# Tells the server's log what a transaction drew, whatever becomes of the transaction.
LOG_DRAW = """
CREATE OR REPLACE FUNCTION log_draw(client int, draw bigint) RETURNS void LANGUAGE plpgsql
AS $$ BEGIN RAISE LOG 'drawn by %: %', client, draw; END $$;
"""


class Scripts(DatabaseCase):
    def run_script(self, text, *arguments, clients=4, transactions=100, status=0, plan=None, **fields):
        """The only phase's result, of a run of one script with so many transactions."""
        measured = {"name": "measured", "transactions": transactions, **closed(clients)}
        made = self.plan(
            self.database,
            measured,
            setup=False,
            fleet={"application_servers": 2, "pool": {"size": max(1, clients // 2)}},
            scripts=[{"text": text, **fields}],
            **(plan or {}),
        )
        run = self.run_local(made, *arguments, agents=2, status=status)
        return run.result["phases"][0] if status in (0, 4) else run

    def rows_of(self, sql):
        return self.database.query(sql).split("\n")

    def test_the_builtins_of_pgbench_keep_its_tables_in_balance(self):
        pgbench = os.path.join(lab.postgres_bin(), "pgbench")
        subprocess.run([pgbench, "-i", "-q", "-s", "2", self.database.conninfo], check=True, capture_output=True)
        for mode in ["simple", "extended", "prepared"]:
            with self.subTest(mode=mode):
                self.database.query("TRUNCATE pgbench_history; UPDATE pgbench_accounts SET abalance = 0 WHERE abalance <> 0; "
                                    "UPDATE pgbench_tellers SET tbalance = 0; UPDATE pgbench_branches SET bbalance = 0")
                names = ["tpcb-like", "simple-update", "select-only"]
                plan = self.plan(
                    self.database,
                    {"name": "measured", "transactions": 600, **closed(6)},
                    setup=False,
                    scripts=[{"builtin": name, "query_mode": mode} for name in names],
                    variables={"scale": 2},
                )
                [measured] = self.run_local(plan).result["phases"]
                self.assertEqual(measured["errors"], {})
                done = {script["name"]: script["transactions"] for script in measured["scripts"]}
                self.assertEqual(list(done), names)
                self.assertEqual(sum(done.values()), 600)
                writing = done["tpcb-like"] + done["simple-update"]
                self.assertEqual(self.database.query("SELECT count(*) FROM pgbench_history"), str(writing))
                accounts, history = self.rows_of(
                    "SELECT sum(abalance) FROM pgbench_accounts UNION ALL SELECT sum(delta) FROM pgbench_history"
                )
                self.assertEqual(accounts, history)
                tellers, branches = self.rows_of(
                    "SELECT sum(tbalance) FROM pgbench_tellers UNION ALL SELECT sum(bbalance) FROM pgbench_branches"
                )
                self.assertEqual(tellers, branches)
                # A few thousand rows of each written one may be looked at, and all of them are there.
                self.assertEqual(
                    self.database.query("SELECT count(DISTINCT bid) FROM pgbench_history"), "2"
                )
                self.assertEqual(measured["rows"], 4 * done["tpcb-like"] + 2 * done["simple-update"])

    def test_a_serialization_failure_is_tried_again_with_the_same_random_numbers(self):
        self.database.query(COUNTER + LOG_DRAW)
        before = self.drawn()
        measured = self.run_script(
            r"""
\set draw random(1, 1000000000000)
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT log_draw(:client_id, :draw);
UPDATE counter SET value = value + 1 WHERE id = 1;
END;
""",
            max_tries=0,
        )
        self.assertEqual(measured["errors"], {})
        self.assertEqual(measured["transactions"], 100)
        self.assertGreater(measured["retries"], 0)
        self.assertGreater(measured["retried"], 0)
        self.assertLessEqual(measured["retried"], measured["retries"])
        # Each counted once, however often it was tried.
        self.assertEqual(self.database.query("SELECT value FROM counter WHERE id = 1"), "100")
        drawn = self.drawn()
        drawn.subtract(before)
        drawn = +drawn
        self.assertEqual(len(drawn), 100)
        self.assertEqual(sum(drawn.values()), 100 + measured["retries"])

    def drawn(self):
        return collections.Counter(re.findall(r"drawn by \d+: \d+", self.database.log()))

    def test_a_deadlock_is_tried_again(self):
        self.database.query(COUNTER)
        deadlock = r"""
\set first 1 + :client_id % 2
\set second 3 - :first
BEGIN;
UPDATE counter SET value = value + 1 WHERE id = :first;
\sleep 5 ms
UPDATE counter SET value = value + 1 WHERE id = :second;
END;
"""
        measured = self.run_script(deadlock, clients=2, transactions=6, max_tries=100)
        self.assertEqual(measured["deadlock_retries"], measured["retries"])
        self.assertEqual(measured["errors"], {})
        self.assertGreater(measured["retries"], 0)
        self.assertEqual(self.rows_of("SELECT value FROM counter ORDER BY id"), ["6", "6"])
        # Without a second try it is a failure, which ends nobody.
        measured = self.run_script(deadlock, clients=2, transactions=6, continue_on_error=False)
        self.assertEqual(set(measured["errors"]), {"40P01"})
        self.assertEqual(measured["transactions"] + measured["errors"]["40P01"], 6)
        self.assertIn("deadlock detected", measured["error_messages"]["40P01"])
        self.assertEqual(measured["aborted_clients"], 0)

    def test_other_errors_end_the_client_or_the_transaction(self):
        self.database.query("DROP TABLE IF EXISTS once; CREATE TABLE once (id int PRIMARY KEY)")
        twice = "BEGIN;\nINSERT INTO once VALUES (:client_id);\nEND;\n"
        measured = self.run_script(twice, transactions=20, max_tries=5)
        self.assertEqual(measured["transactions"], 4)
        self.assertEqual(measured["errors"], {"23505": 16})
        self.assertEqual(measured["retries"], 0)
        self.assertIn("once_pkey", measured["error_messages"]["23505"])
        measured = self.run_script(twice, transactions=20, status=4, continue_on_error=False)
        self.assertEqual(measured["transactions"], 0)
        self.assertEqual(measured["errors"], {"23505": 4})
        self.assertEqual(measured["aborted_clients"], 4)

    def test_rows_become_variables_with_their_columns_names(self):
        self.database.query("DROP TABLE IF EXISTS seen; CREATE TABLE seen (a text, b text, c text, d text, e text)")
        for mode in ["simple", "extended", "prepared"]:
            self.run_script(
                r"""
SELECT 41 + 1 AS a, NULL AS b \gset one_
SELECT 7 AS c \; SELECT 8 AS d UNION ALL SELECT 9 \; SELECT 10 AS c WHERE false \aset
\set e :one_a * 2
INSERT INTO seen VALUES (':one_a', ':one_b', ':c', ':d', ':e');
""" if mode == "simple" else r"""
SELECT 41 + 1 AS a, NULL AS b \gset one_
SELECT 7 AS c \gset
SELECT 8 AS d UNION ALL SELECT 9 ORDER BY 1 \aset
\set e :one_a * 2
INSERT INTO seen VALUES (:one_a, :one_b, :c, :d, :e);
""",
                transactions=4,
                query_mode=mode,
            )
        self.assertEqual(self.database.query("SELECT DISTINCT a, b, c, d, e FROM seen"), "42||7|9|84")
        self.assertEqual(self.database.query("SELECT count(*) FROM seen"), "12")

    def test_pipelines(self):
        self.database.query("DROP TABLE IF EXISTS piped; CREATE TABLE piped (client int, step int)")
        steps = "".join(f"INSERT INTO piped VALUES (:client_id, {step});\n" for step in range(20))
        for mode in ["extended", "prepared"]:
            measured = self.run_script(f"\\startpipeline\nBEGIN;\n{steps}END;\n\\endpipeline\n", query_mode=mode)
            self.assertEqual(measured["transactions"], 100)
            self.assertEqual(measured["rows"], 2000)
        self.assertEqual(self.database.query("SELECT count(*), count(DISTINCT step) FROM piped"), "4000|20")
        # What follows an error is left out, and the transaction is one failure.
        measured = self.run_script(
            "\\startpipeline\nINSERT INTO piped VALUES (1, -1);\nSELECT 1 / 0;\nINSERT INTO piped VALUES (1, -1);\n"
            "\\endpipeline\n",
            status=4,  # nothing succeeded
        )
        self.assertEqual(measured["errors"], {"22012": 100})
        self.assertEqual(self.database.query("SELECT count(*) FROM piped WHERE step = -1"), "0")

    def test_clients_have_numbers_of_their_own_in_the_whole_fleet(self):
        self.database.query("DROP TABLE IF EXISTS who; CREATE TABLE who (agent int, agents int, client int)")
        self.run_script("INSERT INTO who VALUES (:agent_id, :agents, :client_id);", clients=6, transactions=60)
        self.assertEqual(
            self.rows_of("SELECT agent, agents, client, count(*) FROM who GROUP BY 1, 2, 3 ORDER BY 3"),
            [f"{client % 2}|2|{client}|10" for client in range(6)],
        )

    def test_commands_are_measured_one_by_one(self):
        measured = self.run_script(
            "\\set x 1\nSELECT pg_sleep(0.02);\nSELECT :x;\n", transactions=8, per_command=True
        )
        [script] = measured["scripts"]
        self.assertEqual([command["text"] for command in script["commands"]],
                         ["\\set x 1", "SELECT pg_sleep(0.02);", "SELECT :x;"])
        self.assertEqual([command["latency_us"]["count"] for command in script["commands"]], [8, 8, 8])
        self.assertGreater(script["commands"][1]["latency_us"]["p50"], 20_000)
        self.assertLess(script["commands"][2]["latency_us"]["p50"], 20_000)

    def test_open_load_skips_what_is_too_late(self):
        plan = self.plan(
            self.database,
            {"name": "measured", "duration": "2s", "latency_limit": "20ms", **poisson(200)},
            setup=False,
            fleet={"application_servers": 1, "pool": {"size": 1}},
            scripts=[{"text": "SELECT pg_sleep(0.03);"}],
        )
        [measured] = self.run_local(plan, agents=1).result["phases"]
        self.assertGreater(measured["skipped"], 100)
        self.assertEqual(measured["late"], measured["transactions"])
        self.assertEqual(measured["offered"], measured["transactions"] + measured["skipped"])

    def test_a_script_in_a_file_is_looked_up_beside_the_plan(self):
        path = self.lab.file("mine.sql", "SELECT :answer;\n")
        plan = self.plan(
            self.database,
            {"name": "measured", "transactions": 5, **closed(1)},
            setup=False,
            fleet={"application_servers": 1},
            scripts=[{"file": os.path.basename(path), "variables": {"answer": 42}}],
        )
        result = self.run_local(plan, agents=1).result
        self.assertEqual(result["phases"][0]["scripts"][0]["name"] + ".sql", os.path.basename(path))
        self.assertEqual(result["run"]["plan"]["scripts"][0]["text"], "SELECT :answer;\n")

    def test_the_example_of_the_plans_folder(self):
        path = os.path.join(lab.REPOSITORY, "plans", "own-scripts.yaml")
        arguments = ["--target", self.database.conninfo, "--set", "phases.0.duration=2s", "--quiet", "--local", "3"]
        result = self.lab.file("result.json")
        run = self.lab.trunkload("run", path, *arguments, "--json", result)
        self.assertIn(run.status, (0, 4), run.err)
        with open(result) as text:
            [measured] = json.load(text)["phases"]
        self.assertEqual(measured["errors"], {})
        rows = {script["name"]: script["rows"] for script in measured["scripts"]}
        self.assertEqual(rows["insert-single"] + rows["insert-batch"], self.database.rows())
        # Most of those that are looked for have been written.
        self.assertGreater(rows["read-and-rename"], 0)

    def test_a_mistake_in_a_script_is_shown_before_anything_starts(self):
        path = self.lab.file("wrong.sql", "SELECT 1;\n\\set x 1 +\n")
        plan = self.plan(
            self.database,
            setup=False,
            scripts=[{"file": os.path.basename(path)}],
            fleet={"application_servers": 1},
        )
        run = self.run_local(plan, agents=1, status=2)
        self.assertIn(f"scripts.0.file: {os.path.basename(path)}:2:11: ", run.err)
        self.assertIn("\\set x 1 +\n", run.err)
        self.assertRegex(run.err, r"\n *\^")

    def test_the_shell_is_for_agents_that_allow_it(self):
        self.database.query("DROP TABLE IF EXISTS said; CREATE TABLE said (number int)")
        text = "\\setshell number expr 40 + :two\n\\shell true\nINSERT INTO said VALUES (:number);\n"
        fields = {"transactions": 4, "plan": {"variables": {"two": 2}}}
        refused = self.run_script(text, status=1, **fields)
        self.assertRegex(refused.err, "script-1:1:1: this agent runs no commands of the shell.*--allow-shell")
        self.assertEqual(self.database.query("SELECT count(*) FROM said"), "0")
        self.run_script(text, "--allow-shell", **fields)
        self.assertEqual(self.database.query("SELECT DISTINCT number FROM said"), "42")


if __name__ == "__main__":
    main()

"""`trunkload pgbench` beside the installed pgbench: what is taken and refused, what is printed, logged and left behind."""
import array
import fcntl
import glob
import os
import re
import signal
import subprocess
import termios

from case import DatabaseCase, lab, main

# Refused by both before anything is loaded.
REFUSED = """
-z
--nonsense
--no-vacuum=1
-c
-c 0
-c x
-c 1.5
-c -1
-j 0
-j x
-s 0
-t 0
-t x
-T 0
-T -1
-t 1 -T 1
-L 0
-L x
-R 0
-R x
-M fast
-D x
-D =1
-D x=
-b none
-b s
-b select-only@x
-b select-only@-1
-b select-only@0
-f /nowhere/at-all.sql
-f mine.sql@x
-f mine.sql@99999999999
-S --sampling-rate=0.5
-S -l --sampling-rate=0
-S -l --sampling-rate=2
-S --aggregate-interval=1
-S --log-prefix=x
-S -l --sampling-rate=0.5 --aggregate-interval=1 -T 5
-S -l --aggregate-interval=2 -T 5
-S -l --aggregate-interval=0
-S --progress-timestamp
-P 0
--max-tries=0
--max-tries=-1
--max-tries=x
--random-seed=x
--show-script=none
-i -c 2
-i -S
-i -T 5
-i -M simple
-F 80 -S
-q -S
--partitions=2 -S
-I dt -S
-i -F 9
-i -F 101
-i -I xyz
-i --partition-method=hash
-i --partition-method=list --partitions=2
-i --partitions=-1
-f empty.sql
-f wrong.sql
-f unclosed.sql
"""

# Run by both, and compared line by line with the numbers left out.
RUN = """
-S
-S -c 2 -j 2 -t 5
-c 2 -j 8 -t 3 -n
-N -t 3 -C -c 2
-S -n -t 4 -P 1
-S -n -t 20 -R 200 -c 2
-S -n -t 20 -R 200 -L 500 -c 2
-S -n -t 5 -L 100
-n -b tpcb@2 -b sel@3 -f mine.sql -t 60 -c 2
-n -b tpcb -b sel@0 -t 2 -r
-n -f mine.sql -t 3 -r
-n -f mine.sql -t 3 -r --max-tries=5 -M prepared
-n -f mine.sql -t 3 --failures-detailed -M extended
-n -b sel -f mine.sql@2 -t 50 -c 2 --failures-detailed --max-tries=3 -r
-n -S -T 1
-n -S -T 1 --max-tries=0 -L 100
-n -f mine.sql -D delta=5 -s 7 -t 2
-n -f fails.sql -c 2 -t 5
-n -f fails.sql -f mine.sql@0 -t 1 --failures-detailed
-n -f divides.sql -t 2
-n -v -S -t 1
-S -t 1 -v
"""

FILES = {
    "mine.sql": "\\set aid random(1, 100)\nBEGIN;\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\nEND;\n",
    "empty.sql": "",
    "wrong.sql": "\\set x 1 +\n",
    "unclosed.sql": "\\if true\nSELECT 1;\n",
    "fails.sql": "SELECT 1 FROM nowhere;\n",
    "divides.sql": "\\set x 1 / 0\nSELECT :x;\n",
    "draws.sql": "\\set r random(1, 1000000000)\n\\set z random_zipfian(1, 1000, 1.5)\n\\set h hash(:client_id)\n"
    "INSERT INTO draws VALUES (:client_id, :r, :z, :h);\n",
}


def masked(output):
    """The lines of a report: without the first, which names the program, without our percentiles, without numbers."""
    lines = output.split("\n\n")[0].strip().split("\n")[1:]
    return [re.sub(r"-?\d+(\.\d+)?|NaN", "#", line) for line in lines]


class PgbenchCommand(DatabaseCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pgbench_program = os.path.join(lab.postgres_bin(), "pgbench")
        cls.folder = cls.database_lab.file("scripts")
        os.remove(cls.folder)
        os.mkdir(cls.folder)
        for name, text in FILES.items():
            with open(os.path.join(cls.folder, name), "w") as out:
                out.write(text)
        subprocess.run(
            [cls.pgbench_program, "-i", "-q", cls.database.conninfo], check=True, capture_output=True
        )

    def run_in_folder(self, *command):
        return subprocess.run(
            [*command, self.database.conninfo],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            env=self.lab.environment(),
            check=False,
        )

    def pgbench(self, *arguments):
        return self.run_in_folder(self.pgbench_program, *arguments)

    def ours(self, *arguments):
        return self.run_in_folder(lab.program("trunkload"), "pgbench", *arguments)

    def test_refuses_what_pgbench_refuses(self):
        for line in REFUSED.strip().split("\n"):
            with self.subTest(line):
                theirs, ours = self.pgbench(*line.split()), self.ours(*line.split())
                self.assertEqual(theirs.returncode, 1, theirs.stderr)
                self.assertEqual(ours.returncode, 1, ours.stdout + ours.stderr)
                self.assertTrue(ours.stderr.startswith("trunkload pgbench: "), ours.stderr)
                self.assertEqual(ours.stdout, "")

    def test_prints_the_lines_that_pgbench_prints(self):
        for line in RUN.strip().split("\n"):
            with self.subTest(line):
                theirs, ours = self.pgbench(*line.split()), self.ours(*line.split())
                self.assertEqual(ours.returncode, theirs.returncode, ours.stderr + theirs.stderr)
                self.assertEqual(masked(ours.stdout), masked(theirs.stdout))
                if "-P" in line:
                    continue
                for words in ["number of transactions actually processed", "number of failed", "scaling factor"]:
                    if "-T" not in line and "-L" not in line:
                        self.assertEqual(
                            re.findall(f"{words}.*", ours.stdout), re.findall(f"{words}.*", theirs.stdout)
                        )

    def test_tells_of_partitions(self):
        for method in ["range", "hash"]:
            made = self.ours(*f"-i -q -I dtg --partitions=3 --partition-method={method}".split())
            self.assertEqual(made.returncode, 0, made.stderr)
            theirs, ours = self.pgbench(*"-n -S -t 2".split()), self.ours(*"-n -S -t 2".split())
            self.assertIn(f"partition method: {method}\npartitions: 3\n", ours.stdout)
            self.assertEqual(masked(ours.stdout), masked(theirs.stdout))
        self.assertEqual(self.pgbench(*"-i -q".split()).returncode, 0)

    def test_the_same_seed_leaves_the_same_rows(self):
        rows = []
        self.database.query("CREATE TABLE draws (client int, r bigint, z bigint, h bigint)")
        for program in [self.pgbench, self.ours, lambda *more: self.ours("--agents=3", *more)]:
            self.database.query("TRUNCATE draws")
            done = program(*"-n -f draws.sql -c 6 -j 2 -t 20 --random-seed=12345".split())
            self.assertEqual(done.returncode, 0, done.stderr)
            rows.append(self.database.query("SELECT * FROM draws ORDER BY 1, 2"))
        self.assertEqual(len(rows[0].split("\n")), 120)
        self.assertEqual(rows[1], rows[0])
        self.assertEqual(rows[2], rows[0])

    def logs(self, pattern):
        found = {}
        for path in sorted(glob.glob(os.path.join(self.folder, pattern))):
            with open(path) as text:
                found[path] = [line.split() for line in text]
            os.remove(path)
        return found

    def test_logs_are_pgbenchs(self):
        for line in ["-t 20 -c 3", "-t 20 -c 3 -R 1000 --max-tries=3", "-T 3 --aggregate-interval=1"]:
            with self.subTest(line):
                arguments = ["-n", "-f", "mine.sql", "-l", "--log-prefix=ours", *line.split()]
                done = self.ours(*arguments)
                self.assertEqual(done.returncode, 0, done.stderr)
                [ours] = self.logs("ours.*").values()
                self.pgbench(*[re.sub("ours", "theirs", argument) for argument in arguments])
                [theirs] = self.logs("theirs.*").values()
                self.assertEqual({len(fields) for fields in ours}, {len(fields) for fields in theirs})
                if "-t" in line:
                    self.assertEqual(len(ours), 60)
                if "-t" in line and "-R" not in line:
                    self.assertEqual(
                        sorted((fields[0], int(fields[1])) for fields in ours),
                        sorted((str(client), number) for client in range(3) for number in range(1, 21)),
                    )
                if "-T" in line:
                    processed = re.search(r"actually processed: (\d+)", done.stdout)[1]
                    self.assertEqual(sum(int(fields[1]) for fields in ours), int(processed))

    def test_each_agent_has_a_log(self):
        done = self.ours(*"-n -S -c 4 -t 5 --agents=2 -l --log-prefix=many".split())
        self.assertEqual(done.returncode, 0, done.stderr)
        logs = self.logs("many.*")
        self.assertEqual(len(logs), 2)
        self.assertEqual(sum(map(len, logs.values())), 20)
        names = sorted(logs)
        self.assertEqual(names[1], names[0] + ".1")

    def test_a_sample_is_logged(self):
        done = self.ours(*"-n -S -c 2 -t 1000 -l --sampling-rate=0.1 --log-prefix=some".split())
        self.assertEqual(done.returncode, 0, done.stderr)
        [log] = self.logs("some.*").values()
        self.expect_near(len(log), 200, plus=80)

    def test_a_log_that_can_not_be_written_is_said_before(self):
        done = self.ours(*"-n -S -l --log-prefix=/nowhere/log".split())
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nowhere/log", done.stderr)

    def test_errors_go_on_or_end_clients(self):
        done = self.ours(*"-n -f fails.sql -c 2 -t 5".split())
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, 'relation "nowhere" does not exist')
        done = self.ours(*"-n -f fails.sql -f mine.sql -c 2 -t 50 --continue-on-error --failures-detailed".split())
        self.assertEqual(done.returncode, 0, done.stderr)
        failed = int(re.search(r"number of other failures: (\d+)", done.stdout)[1])
        self.assertGreater(failed, 0)
        self.assertIn(f"actually processed: {100 - failed}/100", done.stdout)

    def test_the_run_ends_with_the_first_client_that_does(self):
        self.database.query("CREATE TABLE IF NOT EXISTS once (id int PRIMARY KEY)")
        with open(os.path.join(self.folder, "once.sql"), "w") as out:
            out.write("\\if :client_id = 0\nSELECT 1 / 0;\n\\endif\nSELECT pg_sleep(0.01);\n")
        done = self.ours(*"-n -f once.sql -c 2 -T 60 --exit-on-abort".split())
        self.assertEqual(done.returncode, 2)
        self.assertIn("division by zero", done.stderr)

    def start_and_wait_for_load(self, *arguments):
        run = self.lab.start(lab.program("trunkload"), "pgbench", *arguments, self.database.conninfo)
        active = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'trunkload-agent' AND query LIKE 'SELECT abalance%'"
        lab.wait_until(lambda: self.database.query(active) != "0", "the load has begun")
        return run

    def test_interrupted_it_reports_what_there_is(self):
        run = self.start_and_wait_for_load("-n", "-S", "-T", "60")
        run.signal(signal.SIGINT)
        self.assertEqual(run.wait(), 130, run.err)
        self.assertRegex(run.out, r"number of transactions actually processed: [1-9]")

    def test_an_agent_that_is_lost_leaves_a_run_incomplete(self):
        run = self.start_and_wait_for_load("-n", "-S", "-c", "2", "-T", "3", "--agents=2")
        os.kill(min(self.lab.children("trunkload-agent")), signal.SIGKILL)
        self.assertEqual(run.wait(), 2, run.err)
        self.assertIn("these figures are incomplete", run.err)
        self.assertRegex(run.out, r"number of transactions actually processed: [1-9]")

    def test_a_script_that_is_being_typed_can_be_given_up(self):
        typing = subprocess.Popen(
            [lab.program("trunkload"), "pgbench", "-f", "-", self.database.conninfo],
            stdin=subprocess.PIPE,
            env=self.lab.environment(),
        )
        typing.stdin.write(b"SELECT 1;\n")
        typing.stdin.flush()
        left = array.array("i", [1])
        lab.wait_until(
            lambda: fcntl.ioctl(typing.stdin, termios.FIONREAD, left) == 0 and left[0] == 0, "it has been read"
        )
        typing.send_signal(signal.SIGINT)
        self.assertEqual(typing.wait(10), -signal.SIGINT)
        typing.stdin.close()

    def test_no_message_shows_a_piece_of_a_password(self):
        for database in ["postgresql://bench:s3/cret@127.0.0.1/bench", "host=127.0.0.1 password=s3 cret"]:
            done = self.lab.trunkload("pgbench", "-S", database)
            self.assertEqual(done.status, 1)
            self.assertNotRegex(done.out + done.err, "s3|cret")
            self.assertRegex(done.err, "^trunkload pgbench: ")

    def test_tables_that_are_not_there_are_named_with_what_makes_them(self):
        self.database.query("CREATE DATABASE empty")
        conninfo = self.database.conninfo.replace("dbname=bench", "dbname=empty")
        done = self.lab.trunkload("pgbench", "-S", conninfo)
        self.assertEqual(done.status, 1)
        self.assertRegex(done.err, "pgbench_branches.*trunkload pgbench -i")

    def test_shows_progress_once_in_so_many_seconds(self):
        done = self.ours(*"-n -S -T 4 -P 2".split())
        self.assertEqual(done.returncode, 0, done.stderr)
        pattern = r"progress: \d+\.0 s, [\d.]+ tps, lat [\d.]+ ms stddev [\d.]+, 0 failed"
        self.assertGreaterEqual(len(re.findall(pattern, done.stderr)), 1, done.stderr)

    def test_only_shows(self):
        for arguments, words in [(["--help"], "Usage"), (["-b", "list"], "tpcb-like"), (["--version"], "trunkload")]:
            done = self.ours(*arguments)
            self.assertEqual(done.returncode, 0)
            self.assertIn(words, done.stdout + done.stderr)


if __name__ == "__main__":
    main()

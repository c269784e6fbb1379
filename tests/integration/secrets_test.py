"""A planted password is looked for in all that runs write, send and show."""
import base64
import contextlib
import glob
import os
import secrets
import select
import shutil
import signal
import socket
import sqlite3
import sys
import threading
import time
import unittest
import urllib.parse
import urllib.request
import zlib

from case import Case, closed, constant, lab, main, phase

PARTS = [secrets.token_hex(8) for _ in range(4)]
# Every character that some spelling of a connection string trips over.
PASSWORD = "{}@{}/{} {}'".format(*PARTS)
ENCODED = urllib.parse.quote(PASSWORD, safe="")
QUOTED = "'" + PASSWORD.replace("'", "\\'") + "'"
# What the password can't be told from any more is not looked for: a piece is 64 random bits.
NEEDLES = [piece.encode() for piece in [*PARTS, ENCODED]] + [
    base64.b64encode(piece.encode()).rstrip(b"=")[:12] for piece in [PASSWORD, f"x:{PASSWORD}"]
]
# Files of the test's own that hold it on purpose.
OWN = ("-plan.yaml", "-pgpass", "-password", "-service")

# Takes the place of trunkload-agent beside a copy of trunkload: the agent itself, with what it and its controller say to
# each other written down.
TAPPED_AGENT = """#!{python}
import os, signal, subprocess, sys
sys.dont_write_bytecode = True
sys.path[:0] = [{support!r}, {here!r}]
import secrets_test
arguments = sys.argv[1:]
at = arguments.index("--controller") + 1
tap = secrets_test.Tap(int(arguments[at].rsplit(":", 1)[1]), open({folder!r} + "/wire-%d" % os.getpid(), "ab", buffering=0))
arguments[at] = "127.0.0.1:%d" % tap.port
log = open({folder!r} + "/agent-%d" % os.getpid(), "ab")
agent = subprocess.Popen([{agent!r}, *arguments], stdout=log, stderr=log)
signal.signal(signal.SIGTERM, lambda *_: agent.terminate())
os._exit(max(agent.wait(), 1 if agent.returncode < 0 else 0))
"""


class Tap:
    """A port of this machine that leads to another; all bytes of both directions go into a file, too."""

    def __init__(self, port, file):
        self._file = file
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError), self._listener:
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._pass_on, args=(near,), daemon=True).start()

    def _pass_on(self, near):
        with contextlib.suppress(OSError), near, socket.create_connection(("127.0.0.1", self._to)) as far:
            other = {near: far, far: near}
            while True:
                for end in select.select([near, far], [], [])[0]:
                    data = end.recv(1 << 16)
                    if not data:
                        return
                    self._file.write(data)
                    other[end].sendall(data)

    def close(self):
        # Wakes who accepts there.
        self._listener.shutdown(socket.SHUT_RDWR)


class Titles:
    """The command lines of all processes of a lab, as long as it is watched."""

    def __init__(self, lab_):
        self.seen = set()
        self._lab = lab_
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self):
        while not self._stop.wait(0.05):
            children = self._lab.children()
            # A process that starts others has been running for a while: for its first moment nobody can answer.
            if not any(name.startswith("trunkload-agent") for name in children.values()):
                continue
            for pid in children:
                with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as title:
                    self.seen.add(title.read())

    def close(self):
        self._stop.set()
        self._thread.join()


def inflated(value):
    """What a value of the store holds, compressed as it may be."""
    for bits in (15, -15, 31):
        for skipped in (0, 4, 8):
            with contextlib.suppress(zlib.error):
                return zlib.decompressobj(bits).decompress(value[skipped:])
    return b""


def rows_of(path):
    """All that is in an SQLite file, compressed or not."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
        for (table,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in store.execute(f"SELECT * FROM {table}"):
                for value in row:
                    data = value if isinstance(value, bytes) else str(value).encode()
                    yield data
                    yield inflated(data)


def leaks(name, data):
    """Which pieces of the password are in there: a list of sentences."""
    return [f"{name} holds {needle.decode()}" for needle in NEEDLES if needle in data]


def leaks_below(folder):
    found = []
    for path in glob.glob(f"{folder}/**", recursive=True):
        if not os.path.isfile(path) or path.endswith(OWN) or "/trunkload-with-taps/trunkload" in path:
            continue
        with open(path, "rb") as file:
            data = file.read()
        found += leaks(path, data)
        if data.startswith(b"SQLite format 3"):
            found += [leak for value in rows_of(path) for leak in leaks(f"a row of {path}", value)]
    return found


class LeaksAreFound(unittest.TestCase):
    """The search itself finds what is planted, wherever that is."""

    def test_in_each_spelling(self):
        for text in [PASSWORD, ENCODED, PASSWORD.split("/")[0], base64.b64encode(PASSWORD.encode()).decode()]:
            self.assertTrue(leaks("it", b"\0before " + text.encode() + b" after"), text)
        self.assertEqual(leaks("it", b"nothing of the kind"), [])

    def test_in_files_and_in_rows_of_a_store(self):
        here = lab.Lab()
        self.addCleanup(here.close)
        self.assertEqual(leaks_below(here.folder), [])
        path = os.path.join(here.folder, "runs.db")
        with contextlib.closing(sqlite3.connect(path)) as store:
            store.execute("CREATE TABLE kept (value BLOB)")
            compressed = zlib.compress(b"password=" + PASSWORD.encode() + b" " * 1000)
            store.execute("INSERT INTO kept VALUES (?)", (compressed,))
            store.commit()
        self.assertIn("a row of", leaks_below(here.folder)[0])
        here.file("log", f"something {ENCODED}")
        self.assertGreater(len(leaks_below(here.folder)), 1)

    def test_on_a_wire(self):
        here = lab.Lab()
        self.addCleanup(here.close)
        with socket.create_server(("127.0.0.1", 0)) as far, open(here.file("wire"), "wb", buffering=0) as file:
            tap = Tap(far.getsockname()[1], file)
            with socket.create_connection(("127.0.0.1", tap.port)) as near:
                end, _ = far.accept()
                near.sendall(PASSWORD.encode())
                self.assertTrue(end.recv(1000))
                end.close()
            tap.close()
        self.assertTrue(leaks_below(here.folder))


class SecretsTest(Case):
    """Each test leaves its traces in the lab's folder; then that is searched."""

    @classmethod
    def setUpClass(cls):
        if lab.postgres_bin() is None:
            raise unittest.SkipTest("PostgreSQL is not installed (package postgresql-15)")
        cls.database_lab = lab.Lab()
        cls.addClassCleanup(cls.database_lab.close)
        cls.database = lab.Database(cls.database_lab, password=True)
        cls.addClassCleanup(cls.database.close)
        doubled = PASSWORD.replace("'", "''")
        cls.database.query(f"CREATE ROLE loader LOGIN PASSWORD '{doubled}'")
        cls.database.query("GRANT ALL ON SCHEMA public TO loader")
        cls.place = f"host=127.0.0.1 port={cls.database.port} dbname=bench user=loader"
        cls.uri = f"postgresql://loader:{ENCODED}@127.0.0.1:{cls.database.port}/bench"

    def setUp(self):
        super().setUp()
        # The last thing of each test.
        self.titles = Titles(self.lab)
        self.addCleanup(self.titles.close)
        self.program = self.with_taps()
        for table in self.database.query(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        ).split():
            self.database.query(f"DROP TABLE {table} CASCADE")

    def with_taps(self):
        """A trunkload whose agents on this machine have a tap on their wire."""
        folder = os.path.join(self.lab.folder, "trunkload-with-taps")
        os.mkdir(folder)
        program = os.path.join(folder, "trunkload")
        try:
            os.link(lab.program("trunkload"), program)
        except OSError:
            shutil.copy(lab.program("trunkload"), program)
        agent = os.path.join(folder, "trunkload-agent")
        with open(agent, "w") as script:
            script.write(
                TAPPED_AGENT.format(
                    python=sys.executable,
                    here=os.path.dirname(os.path.abspath(__file__)),
                    support=os.path.dirname(os.path.abspath(lab.__file__)),
                    folder=self.lab.folder,
                    agent=lab.program("trunkload-agent"),
                )
            )
        os.chmod(agent, 0o755)
        return program

    def expect_no_leak(self):
        self.titles.close()
        found = leaks_below(self.lab.folder)
        for title in self.titles.seen:
            found += leaks("a command line", title)
        self.assertEqual(found, [])

    def plan_of(self, conninfo, *phases, **more):
        plan = self.plan(self.database, *(phases or [phase(duration="2s")]), **more)
        return {**plan, "target": {"conninfo": conninfo}}

    def start(self, command, *arguments, **environment):
        """With the logs of all libraries."""
        noise = {"GRPC_VERBOSITY": "DEBUG", "GRPC_TRACE": "http,http_keepalive,channel,call_error"}
        process = self.lab.start(command, *map(str, arguments), **{**noise, **environment})
        self.addCleanup(self.end, process)
        return process

    def end(self, process):
        with contextlib.suppress(ProcessLookupError):
            process.signal(signal.SIGCONT)
        process.stop()

    def run_plan(self, plan, *arguments, **environment):
        path = self.lab.file("plan.yaml", lab.json.dumps(plan))
        result = self.lab.file("result.json")
        run = self.start(self.program, "run", path, "--json", result, *arguments, **environment)
        run.json_path = result
        run.wait(120)
        return run

    def expect_done(self, run):
        self.assertIn(run.status, (0, 4), run.out + run.err)
        self.assertGreater(run.result["phases"][0]["transactions"], 0)

    def wire(self):
        """What local agents and their controller said to each other."""
        said = b""
        for path in glob.glob(f"{self.lab.folder}/wire-*"):
            with open(path, "rb") as file:
                said += file.read()
        return said

    # Agents of this machine.

    def test_in_the_target_of_a_plan(self):
        run = self.run_plan(self.plan_of(f"{self.place} password={QUOTED}"), "--local", 2)
        self.expect_done(run)
        self.assertIn(b"loader", self.wire())
        self.expect_no_leak()

    def test_in_a_uri_on_the_command_line(self):
        for target in [self.uri, f"postgresql://127.0.0.1:{self.database.port}/bench?user=loader&password={ENCODED}"]:
            run = self.run_plan(self.plan_of(""), "--local", 2, "--target", target)
            self.expect_done(run)
        self.assertIn(b"loader", self.wire())
        self.assertTrue(any(b"--target" in title for title in self.titles.seen), self.titles.seen)
        self.expect_no_leak()

    def test_in_an_override_and_in_a_sweep(self):
        plan = self.plan_of("", phase(duration="1s"), sweep={"fleet.pool.size": [1, 2]})
        run = self.run_plan(plan, "--local", 2, "--set", f"target.conninfo={self.uri}")
        self.assertIn(run.status, (0, 4), run.out + run.err)
        self.assertEqual(len(run.result["cells"]), 2)
        # Values of a sweep are shown.
        plan = self.plan_of(self.place, sweep={"target.conninfo": [self.place, self.uri]})
        self.expect_refused(self.run_plan(plan, "--local", 2), "password file")
        self.expect_no_leak()

    def test_as_pgbench(self):
        for arguments in [("-i", "-s", "1", "--agents", "2"), ("-n", "-S", "-T", "2", "-c", "2", "--agents", "2")]:
            done = self.start(self.program, "pgbench", *arguments, self.uri)
            done.wait(120)
            self.assertEqual(done.status, 0, done.err)
        self.expect_no_leak()

    def test_with_a_check_that_fails(self):
        plan = self.plan_of(
            f"{self.place} password={QUOTED}", phase(duration="4s", **closed(4)), setup=False, checks=["ledger"]
        )
        del plan["scripts"]
        path = self.lab.file("plan.yaml", lab.json.dumps(plan))
        run = self.start(self.program, "run", path, "--local", 2, "--json", "-")

        def deleted():
            with contextlib.suppress(AssertionError):  # The table is not made yet.
                return self.database.query(
                    "DELETE FROM trunkload_ledger WHERE ctid = (SELECT ctid FROM trunkload_ledger "
                    "WHERE operation = 2 LIMIT 1) RETURNING 1"
                )
            return ""

        lab.wait_until(deleted, "a row is there to be deleted", 60)
        run.wait(120)
        self.assertEqual(run.status, 5, run.out + run.err)
        self.expect_no_leak()

    def test_of_an_agent_that_is_killed(self):
        path = self.lab.file(
            "plan.yaml",
            lab.json.dumps(self.plan_of(self.uri, phase(duration="6s", **constant(100)))),
        )
        run = self.start(self.program, "run", path, "--local", 3)
        lab.wait_until(lambda: "measured" in run.err + run.out, "the load is on", 60)
        agents = [
            pid
            for pid in self.lab.children("trunkload-agent")
            if os.path.samefile(f"/proc/{pid}/exe", lab.program("trunkload-agent"))
        ]
        os.kill(agents[0], signal.SIGKILL)
        run.wait(120)
        self.assertIn("lost", run.out + run.err)
        self.expect_no_leak()

    def test_that_is_wrong(self):
        for password in [f"{QUOTED[:-1]}x'", f"'{PARTS[0]}'"]:
            run = self.run_plan(self.plan_of(f"{self.place} password={password}"), "--local", 2)
            self.expect_sentence_of(run, 1, "password authentication failed")
        run = self.run_plan(self.plan_of(self.place, setup=False, observer={"enabled": False}), "--local", 2,
                            PGPASSWORD=PASSWORD + "x")
        self.expect_sentence_of(run, 1, "password authentication failed")
        self.expect_no_leak()

    def test_in_what_is_no_connection_string(self):
        malformed = [
            f"postgresql://loader:{PASSWORD}@127.0.0.1/bench",
            f"postgresql://loader:{PARTS[0]}/{PARTS[1]}@127.0.0.1/bench",
            f"postgresql://loader:{PARTS[0]}@{PARTS[1]}@127.0.0.1/bench",
            f"host=127.0.0.1 password={PARTS[0]} {PARTS[1]}",
            f"host=127.0.0.1 password='{PARTS[0]}",
            f"{self.place} pasword={PARTS[0]}",
            f"postgresql://loader@127.0.0.1/bench?passwort={PARTS[0]}",
            f"postgresql://loader:{PARTS[0]}%zz@127.0.0.1/bench",
        ]
        for target in malformed:
            with self.subTest(target=target):
                for arguments in [("--local", 2), ("--controller", "127.0.0.1:1"), ("--listen", "127.0.0.1:0", "--agents", 2)]:
                    self.expect_refused(self.run_plan(self.plan_of(""), *arguments, "--target", target), "expected|URI")
                path = self.lab.file("plan.yaml", lab.json.dumps(self.plan_of(target)))
                for command in [("check", path), ("check-data", path, "x"), ("run", path)]:
                    self.expect_sentence_of(self.finished(*command), 2, "expected|URI")
                self.expect_sentence_of(self.finished("pgbench", "-n", "-S", target), 1, "expected|URI")
        self.expect_no_leak()

    # Agents elsewhere.

    def finished(self, *arguments, **environment):
        done = self.start(self.program, *arguments, **environment)
        done.wait(60)
        return done

    def expect_sentence_of(self, done, status, *words):
        self.assertEqual(done.status, status, done.out + done.err)
        for word in words:
            self.assertRegex(done.err, word)

    def expect_refused(self, run, *words):
        self.expect_sentence_of(run, 2, *words)

    def test_goes_to_no_other_machine(self):
        elsewhere = [("--controller", "127.0.0.1:1", "--agents", 1), ("--listen", "127.0.0.1:0", "--agents", 1)]
        for conninfo in [f"{self.place} password={QUOTED}", self.uri, f"{self.place} sslpassword={PARTS[0]}"]:
            for place in elsewhere:
                for more in [{}, {"sweep": {"fleet.pool.size": [1, 2]}}]:
                    self.expect_refused(
                        self.run_plan(self.plan_of(conninfo, **more), *place), "~/.pgpass.*PGPASSWORD.*service file"
                    )
            # pgbench's own status.
            for place in elsewhere:
                self.expect_sentence_of(self.finished("pgbench", *place, "-S", conninfo), 1, "~/.pgpass")
        self.expect_refused(self.run_plan(self.plan_of(f"{self.place} sslpassword={PARTS[0]}"), "--local", 1), "service file")
        self.expect_no_leak()

    def serve(self, *arguments, **environment):
        port, http = lab.free_port(), lab.free_port()
        serving = self.start(
            lab.program("trunkload"), "serve", "--listen", f"127.0.0.1:{port}", "--http", f"127.0.0.1:{http}",
            "--data-dir", os.path.join(self.lab.folder, "served"), *arguments, **environment,
        )
        lab.wait_until(lambda: "listening" in serving.err, "the controller listens", 60)
        self.http = f"http://127.0.0.1:{http}"
        wire = open(os.path.join(self.lab.folder, f"wire-{port}"), "wb", buffering=0)
        tap = Tap(port, wire)
        self.addCleanup(wire.close)
        self.addCleanup(tap.close)
        return tap.port

    def get(self, path):
        """A page, which is left in the lab's folder."""
        with urllib.request.urlopen(self.http + path, timeout=30) as answer:
            body = answer.read()
            self.lab.file("http", f"{answer.headers}\n{body.decode()}")
        return body.decode()

    def test_of_a_fleet_from_its_environment(self):
        port = self.serve(PGPASSWORD=PASSWORD)
        agents = [
            self.start(lab.program("trunkload-agent"), "--controller", f"127.0.0.1:{port}", "--name", name,
                       PGPASSWORD=PASSWORD)
            for name in ["a-1", "a-2", "a-3"]
        ]
        path = self.lab.file("plan.yaml", lab.json.dumps(self.plan_of(
            self.place, phase(duration="8s", **constant(100)), fleet={"application_servers": 6, "lease": "3s"})))
        run = self.start(lab.program("trunkload"), "run", path, "--controller", f"127.0.0.1:{port}", "--agents", 3)
        lab.wait_until(lambda: "measured" in run.err + run.out, "the load is on", 60)
        for page in ["/", "/metrics", "/healthz"]:
            self.get(page)
        time.sleep(2)
        agents[0].signal(signal.SIGKILL)
        agents[0].wait()
        run.wait(120)
        self.assertIn("a-1", run.out + run.err)
        [run_id] = {word.split('"')[0] for word in self.get("/").split('href="/runs/')[1:]}
        for page in [f"/runs/{run_id}", f"/runs/{run_id}.json", "/metrics"]:
            self.get(page)
        self.finished("report", "--controller", f"127.0.0.1:{port}", run_id, "--json", "-")
        self.assertIn(b"loader", self.wire())
        self.expect_no_leak()

    def test_of_a_fleet_that_has_another(self):
        port = self.serve(PGPASSWORD=PASSWORD)
        self.start(lab.program("trunkload-agent"), "--controller", f"127.0.0.1:{port}", "--name", "a-1",
                   PGPASSWORD=f"{PARTS[0]}")
        run = self.run_plan(self.plan_of(self.place), "--controller", f"127.0.0.1:{port}", "--agents", 1)
        self.expect_sentence_of(run, 1, "password authentication failed")
        self.get("/")
        self.expect_no_leak()

    def test_in_a_password_file_and_everything_from_the_environment(self):
        escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
        passfile = self.lab.file("pgpass", f"*:*:*:loader:{escaped}\n")
        os.chmod(passfile, 0o600)
        environment = {"PGPASSFILE": passfile, "PGHOST": "127.0.0.1", "PGPORT": str(self.database.port),
                       "PGUSER": "loader", "PGDATABASE": "bench"}
        plan = self.plan_of("")
        path = self.lab.file("plan.yaml", lab.json.dumps(plan))
        checked = self.finished("check", path)
        self.assertEqual(checked.status, 0, checked.err)
        self.assertIn("from libpq's environment", checked.out)
        self.expect_done(self.run_plan(plan, "--local", 2, **environment))
        # The file's name is no secret.
        plan["target"] = {"conninfo": f"passfile={passfile}"}
        self.expect_done(self.run_plan(plan, "--local", 2, **{**environment, "PGPASSFILE": ""}))
        port = self.serve(**environment)
        self.start(lab.program("trunkload-agent"), "--controller", f"127.0.0.1:{port}", "--name", "a-1", **environment)
        self.expect_done(self.run_plan(self.plan_of(""), "--controller", f"127.0.0.1:{port}", "--agents", 1))
        self.expect_no_leak()


if __name__ == "__main__":
    main()

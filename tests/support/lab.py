"""The programs under test, the servers they run against, and what they leave behind.

`python3 lab.py` says which tests will be skipped on this machine, and why.
"""
import contextlib
import glob
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("TRUNKLOAD_BUILD", os.path.join(REPOSITORY, "build", "dev"))
# A machine that is much slower than most multiplies all time-outs, which only end what hangs.
SLOWNESS = int(os.environ.get("TRUNKLOAD_TIMEOUT_FACTOR", "1"))


def program(name):
    return os.path.join(BUILD, name)


def postgres_bin():
    """The folder of PostgreSQL's newest server programs, or None."""
    found = glob.glob("/usr/lib/postgresql/*/bin/initdb")
    return os.path.dirname(max(found, key=lambda path: int(path.split("/")[4]))) if found else None


def citus_installed():
    bin_folder = postgres_bin()
    if bin_folder is None:
        return False
    version = bin_folder.split("/")[4]
    return os.path.exists(f"/usr/share/postgresql/{version}/extension/citus.control")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(condition, what, timeout=60):
    timeout *= SLOWNESS
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{timeout} s have passed without this: {what}")


def go_ahead():
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


class Lab:
    """A place to run the programs in, with a folder for temporary files: what is left there shows."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="trunkload-lab-")
        os.chmod(self.folder, 0o755)
        self.temporary = os.path.join(self.folder, "tmp")
        os.mkdir(self.temporary)
        os.chmod(self.temporary, 0o1777)
        # Handed down to every process that is started here, so that those which are left over can be told.
        self._mark = uuid.uuid4().hex
        self._files = 0
        # Set, what is started from then on goes ahead of all else on this machine, where that is allowed.
        self.ahead = False
        self._spinning = []

    def close(self):
        for pid in self.children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self._spinning:
            process.wait()
        shutil.rmtree(self.folder)

    def children(self, name=""):
        """Processes, started from here directly or not, whose program's name contains `name`: {pid: name}."""
        mark = f"TRUNKLOAD_LAB={self._mark}".encode()
        found = {}
        for entry in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open(f"/proc/{entry}/environ", "rb") as environ:
                    if mark not in environ.read().split(b"\0"):
                        continue
                with open(f"/proc/{entry}/comm") as comm:
                    found[int(entry)] = comm.read().strip()
        return {pid: comm for pid, comm in found.items() if name in comm}

    def environment(self, **more):
        # Nothing of the caller's own PostgreSQL settings may show through.
        mine = {key: text for key, text in os.environ.items() if not key.startswith("PG")}
        return {**mine, "TRUNKLOAD_LAB": self._mark, "TMPDIR": self.temporary, "LC_ALL": "C.UTF-8",
                "XDG_DATA_HOME": os.path.join(self.folder, "data"), **more}

    def file(self, name, text=""):
        self._files += 1
        path = os.path.join(self.folder, f"{self._files}-{name}")
        with open(path, "w") as out:
            out.write(text)
        return path

    def start(self, *command, **environment):
        return Process(self, command, environment)

    def keep_processors_awake(self):
        """Until close(): a processor that idles takes tens of microseconds to wake, which no measuring can leave out."""
        for core in os.sched_getaffinity(0):
            spinning = self.start(*f"taskset -c {core} chrt --idle 0 sh -c".split(), "while :; do :; done")
            self._spinning.append(spinning)

    def trunkload(self, *arguments, timeout=120, **environment):
        """Runs trunkload to its end."""
        process = self.start(program("trunkload"), *arguments, **environment)
        process.wait(timeout)
        return process

    def start_run(self, plan, *arguments, **environment):
        """Starts `trunkload run` of a plan: a dictionary, which as JSON is YAML too."""
        path = self.file("plan.yaml", plan if isinstance(plan, str) else json.dumps(plan, indent=1))
        result = self.file("result.json")
        os.remove(result)
        run = self.start(
            program("trunkload"), "run", path, "--json", result, *map(str, arguments), **environment
        )
        run.json_path = result
        return run

    def run(self, plan, *arguments, timeout=120, **environment):
        run = self.start_run(plan, *arguments, **environment)
        run.wait(timeout)
        return run

    def leftovers(self):
        """Processes of the product that still run, and files it left in its temporary folder."""
        return sorted(self.children("trunkload").values()) + sorted(os.listdir(self.temporary))


class Process:
    """A program that runs, or has run; its two outputs are in files."""

    def __init__(self, lab, command, environment):
        self._out, self._err = lab.file("out"), lab.file("err")
        with open(self._out, "w") as out, open(self._err, "w") as err:
            self.popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=lab.environment(**environment),
                cwd=lab.folder,
                start_new_session=True,
                preexec_fn=go_ahead if lab.ahead else None,
            )
        self.json_path = None

    @property
    def pid(self):
        return self.popen.pid

    @property
    def out(self):
        with open(self._out, errors="replace") as text:
            return text.read()

    @property
    def err(self):
        with open(self._err, errors="replace") as text:
            return text.read()

    @property
    def result(self):
        with open(self.json_path) as text:
            return json.load(text)

    @property
    def status(self):
        return self.popen.returncode

    def signal(self, number):
        self.popen.send_signal(number)

    def wait(self, timeout=120):
        timeout *= SLOWNESS
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            # It leads a session, so this reaches what it started as well.
            os.killpg(self.pid, signal.SIGKILL)
            self.popen.wait()
            raise AssertionError(
                f"not ended within {timeout} s: {self.popen.args}\n{self.out}\n{self.err}"
            ) from None

    def stop(self, timeout=20):
        if self.popen.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait(timeout)


class WireServer:
    """tests/support/wire_server.h as a process."""

    def __init__(self, lab, *arguments):
        self.process = lab.start(program("wire_server"), *map(str, arguments))
        self._lines = 1
        self.port = int(wait_until(lambda: self._line(0), "wire_server prints its port"))
        self.conninfo = f"host=127.0.0.1 port={self.port} dbname=bench user=bench"

    def _line(self, index):
        lines = self.process.out.split("\n")[:-1]
        return lines[index] if len(lines) > index else None

    def counts(self):
        """What it has answered so far: statements, rows, errors."""
        self.process.signal(signal.SIGUSR1)
        line = wait_until(lambda: self._line(self._lines), "wire_server prints its counts")
        self._lines += 1
        return json.loads(line)

    def close(self):
        # It may have been stopped in another sense.
        self.process.signal(signal.SIGCONT)
        self.process.stop()


def psql(lab, conninfo, sql):
    """What the statement gives, as unadorned text."""
    done = subprocess.run(
        [os.path.join(postgres_bin(), "psql"), *"-XqAt -v ON_ERROR_STOP=1 -c".split(), sql, conninfo],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120 * SLOWNESS,
        env=lab.environment(),
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(f"psql: {done.stderr}")
    return done.stdout.strip()


class Database:
    """A throwaway PostgreSQL on loopback, with a superuser `bench` and a database `bench`."""

    PASSWORD = "c0rrect-h0rse"

    def __init__(self, lab, password=False, settings=None, networks=()):
        """`password`: over TCP, it asks for PASSWORD by scram-sha-256. `networks`: who may come, beside this machine."""
        self._lab = lab
        self._bin = postgres_bin()
        self.port = free_port()
        self.folder = tempfile.mkdtemp(prefix="database-", dir=lab.folder)
        self._as_user = []
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root; its package made this user.
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self._as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        self._data = os.path.join(self.folder, "data")
        secret = lab.file("password", self.PASSWORD)
        os.chmod(secret, 0o644)
        auth = f"--auth-local=trust --auth-host={'scram-sha-256' if password else 'trust'} --pwfile={secret}"
        self._tool("initdb", f"-D {self._data} -U bench --no-sync --no-locale -E UTF8 {auth}")
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.folder,
            "fsync": "off",
            "max_connections": 200,
            **(settings or {}),
        }
        with open(os.path.join(self._data, "pg_hba.conf"), "a") as rules:
            rules.writelines(f"host all all {network} trust\n" for network in networks)
        self._options = " ".join(f"-c {key}={value}" for key, value in options.items())
        self.start()
        self.conninfo = f"host=127.0.0.1 port={self.port} dbname=bench user=bench"
        psql(
            self._lab,
            f"host={self.folder} port={self.port} dbname=postgres user=bench",
            "CREATE DATABASE bench",
        )

    def _tool(self, name, arguments, *more):
        # Output goes to a file: a server that pg_ctl starts would keep a pipe open.
        log = self._lab.file(name)
        with open(log, "w") as out:
            done = subprocess.run(
                [*self._as_user, os.path.join(self._bin, name), *arguments.split(), *more],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self.folder,
                timeout=120 * SLOWNESS,
                env=self._lab.environment(),
                check=False,
            )
        if done.returncode != 0:
            with open(log) as text:
                raise AssertionError(f"{name} failed: {text.read()}")

    def start(self):
        log = os.path.join(self.folder, "log")
        self._tool("pg_ctl", f"start -D {self._data} -w -s -l {log} -o", self._options)

    def stop(self, mode="fast"):
        self._tool("pg_ctl", f"stop -D {self._data} -w -s -m {mode}")

    def query(self, sql):
        return psql(self._lab, f"host={self.folder} port={self.port} dbname=bench user=bench", sql)

    def signal(self, number):
        """To all its processes, which are given back."""
        with open(os.path.join(self._data, "postmaster.pid")) as file:
            postmaster = int(file.readline())
        # So that it starts no others meanwhile.
        os.kill(postmaster, signal.SIGSTOP)
        with open(f"/proc/{postmaster}/task/{postmaster}/children") as file:
            processes = [postmaster, *map(int, file.read().split())]
        for pid in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return processes

    def kill(self):
        """Without a chance to write anything down."""

        def runs(pid):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as stat:
                return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
            return False

        processes = self.signal(signal.SIGKILL)
        wait_until(lambda: not any(map(runs, processes)), "the server is dead")
        # Where nobody buries the dead, they pass for another server that runs.
        for lock in (os.path.join(self._data, "postmaster.pid"), os.path.join(self.folder, f".s.PGSQL.{self.port}.lock")):
            os.remove(lock)

    def rows_of(self, table):
        return int(self.query(f"SELECT count(*) FROM {table}"))

    def rows(self):
        return self.rows_of("users")

    def log(self):
        with open(os.path.join(self.folder, "log"), errors="replace") as text:
            return text.read()

    def close(self):
        self.stop("immediate")


class CitusCluster:
    """A throwaway coordinator with workers, each a Database."""

    SETTINGS = {
        "shared_preload_libraries": "citus,pg_stat_statements",
        "citus.enable_statistics_collection": "off",
        "citus.node_conninfo": "sslmode=disable",
        "citus.enable_stat_counters": "on",
        "wal_level": "logical",
        "max_prepared_transactions": 200,
    }

    def __init__(self, lab, workers=2, settings=None):
        self.nodes = [Database(lab, settings={**self.SETTINGS, **(settings or {})}) for _ in range(workers + 1)]
        self.coordinator, self.workers = self.nodes[0], self.nodes[1:]
        for node in self.nodes:
            node.query("CREATE EXTENSION citus")
            node.query("CREATE EXTENSION pg_stat_statements")
        self.coordinator.query(f"SELECT citus_set_coordinator_host('127.0.0.1', {self.coordinator.port})")
        for worker in self.workers:
            self.coordinator.query(f"SELECT citus_add_node('127.0.0.1', {worker.port})")
        self.conninfo = self.coordinator.conninfo

    def query(self, sql):
        return self.coordinator.query(sql)

    def close(self):
        for node in self.nodes:
            node.close()


def pgbouncer():
    return shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")


class PgBouncer:
    """A pooler before a Database, for its database and user `bench`."""

    def __init__(self, lab, database, mode="transaction", size=20):
        self.port = free_port()
        folder = tempfile.mkdtemp(prefix="pgbouncer-", dir=lab.folder)
        config = os.path.join(folder, "pgbouncer.ini")
        with open(config, "w") as out:
            out.write(
                f"[databases]\nbench = host=127.0.0.1 port={database.port} user=bench\n[pgbouncer]\n"
                f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\nauth_type = any\n"
                f"pool_mode = {mode}\ndefault_pool_size = {size}\nmax_client_conn = 1000\n"
                f"logfile = {folder}/log\n"
            )
        as_user = []
        if os.geteuid() == 0:
            # It refuses to run as root, as PostgreSQL does.
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
            as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        self.process = lab.start(*as_user, pgbouncer(), config)
        self.conninfo = f"host=127.0.0.1 port={self.port} dbname=bench user=bench"
        wait_until(self._listens, "PgBouncer listens")

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def close(self):
        self.process.popen.send_signal(signal.SIGTERM)
        self.process.wait(20)


def npm():
    return shutil.which("node") and shutil.which("npm")


def main():
    if postgres_bin() is None:
        print("Tests on a real PostgreSQL are skipped: it is not installed (package postgresql-15).")
    elif not citus_installed():
        print(
            "Tests on Citus are skipped: its extension is not installed for this PostgreSQL "
            "(see https://docs.citusdata.com, installation on Debian)."
        )
    if pgbouncer() is None:
        print("Tests behind a pooler are skipped: PgBouncer is not installed (package pgbouncer).")
    if not npm():
        print("Tests of the Helm chart are skipped in part, without a helm in whole: no npm (packages nodejs and npm).")
    if not os.environ.get("TRUNKLOAD_CLUSTER"):
        print("Tests on a Kubernetes cluster are skipped: TRUNKLOAD_CLUSTER names no kubeconfig (see docs/HACKING.md).")


if __name__ == "__main__":
    main()

"""One agent beside pgbench and a bare epoll loop: in turns, on the same server, medians of several rounds."""
import argparse
import json
import os
import statistics
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import lab  # noqa: E402

RELEASE = os.path.join(lab.REPOSITORY, "build", "release")


class Workload:
    """One transaction, as the agent runs it and as pgbench does."""

    def __init__(self, name, pgbench_script, plan_script=None, variables=None):
        self.name, self.pgbench_script, self.variables = name, pgbench_script, variables or {}
        self.plan_script = plan_script or {"text": pgbench_script, "variables": self.variables}


INSERT = Workload(
    "insert",
    # The same statement as the agent's insert-single, and parameters of the same length.
    """\\set id random(1, 1000000000000)
INSERT INTO users (id, name, email) VALUES (:id, :name, :email);
""",
    {"builtin": "insert-single"},
    {"name": "user 1234567", "email": "user1234567@example.com"},
)
SELECT_ONLY = Workload(
    "select-only",
    """\\set aid random(1, 100000 * :scale)
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
""",
)
TPCB_LIKE = Workload(
    "tpcb-like",
    """\\set aid random(1, 100000 * :scale)
\\set bid random(1, 1 * :scale)
\\set tid random(1, 10 * :scale)
\\set delta random(-5000, 5000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
END;
""",
)
TEN_STATEMENTS = Workload(
    "ten statements with an expression each",
    "".join(
        f"""\\set key{i} 1 + (hash(random_zipfian(1, 100000, 1.1)) & 65535) % greatest({i}, 1000 * :scale)
SELECT abalance FROM pgbench_accounts WHERE aid = :key{i} AND bid <> {i};
"""
        for i in range(10)
    ),
)


def split_cores():
    """The cores of the servers, and that of the client which is measured."""
    mine = sorted(os.sched_getaffinity(0))
    return mine[:-1] or mine, mine[-1]


def ended(process):
    """The CPU seconds, user and system, of a process that has ended, by the kernel's account."""
    _, status, usage = os.wait4(process.pid, 0)
    process.popen.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


class Bench:
    """One server, one kind of load."""

    def __init__(self, place, core, server, connections, seconds, rate=None, workload=INSERT):
        self.place, self.core, self.server, self.workload = place, core, server, workload
        self.connections, self.seconds, self.rate = connections, seconds, rate
        self.script = place.file("script.sql", workload.pgbench_script)
        self._start_cpu = None

    def start(self, *command):
        return self.place.start("taskset", "-c", str(self.core), *map(str, command))

    def agent(self):
        load = (
            {"open": {"rate": f"{self.rate}/s", "arrivals": "poisson"}}
            if self.rate
            else {"closed": {"clients": self.connections}}
        )
        plan = {
            "name": "bench",
            "target": {"conninfo": self.server.conninfo},
            "fleet": {"application_servers": 1, "pool": {"size": self.connections}},
            "scripts": [self.workload.plan_script],
            "phases": [{"name": "measured", "duration": f"{self.seconds}s", "load": load}],
        }
        if isinstance(self.server, lab.Database):
            plan["setup"] = {"workload": "users", "distribution": "none"}
        port = lab.free_port()
        path, result_path = self.place.file("plan.yaml", json.dumps(plan)), self.place.file("result.json")
        run_arguments = f"run {path} --quiet --json {result_path} --listen 127.0.0.1:{port} --agents 1"
        run = self.place.start(os.path.join(RELEASE, "trunkload"), *run_arguments.split())
        agent_arguments = f"--controller 127.0.0.1:{port} --name bench --once"
        agent = self.start(os.path.join(RELEASE, "trunkload-agent"), *agent_arguments.split())
        run.wait(self.seconds + 60)
        whole_cpu_s = ended(agent)
        if run.status not in (0, 4):
            raise AssertionError(run.out + run.err)
        with open(result_path) as text:
            result = json.load(text)
        [measured] = result["phases"]
        if measured["errors"] or measured["dropped"]:
            raise AssertionError(f"errors {measured['errors']}, dropped {measured['dropped']}")
        lag = measured["latency_us"]["send_lag"]
        return {
            "cpu_us": 1e6 * result["agents"][0]["cpu_s"] / measured["transactions"],
            "whole_cpu_us": 1e6 * whole_cpu_s / measured["transactions"],
            "rate": measured["throughput_per_s"],
            "lag_mean_us": lag["mean"],
            "lag_p99_us": lag["p99"],
            "lag_max_us": lag["max"],
        }

    def pgbench(self, log=False):
        if self._start_cpu is None:
            # To start, connect, prepare and end: no part of a transaction's cost.
            self._start_cpu = statistics.median(self._pgbench_cpu(["-t", "1"])[1] for _ in range(3))
        arguments = ["-T", self.seconds] + (["-R", self.rate] if self.rate else [])
        prefix = os.path.join(self.place.temporary, "log")
        process, cpu_s = self._pgbench_cpu(arguments + (["-l", f"--log-prefix={prefix}"] if log else []))
        transactions = int(field(process, "number of transactions actually processed: "))
        measured = {
            "cpu_us": 1e6 * (cpu_s - self._start_cpu) / (transactions - self.connections),
            "rate": float(field(process, "tps = ")),
        }
        if log:
            lags = []
            for name in os.listdir(self.place.temporary):
                path = os.path.join(self.place.temporary, name)
                with open(path) as lines:
                    lags += [float(line.split()[6]) for line in lines]
                os.remove(path)
            lags.sort()
            measured.update(
                lag_mean_us=statistics.mean(lags), lag_p99_us=lags[int(0.99 * len(lags))], lag_max_us=lags[-1]
            )
        return measured

    def _pgbench_cpu(self, arguments):
        pgbench = os.path.join(lab.postgres_bin(), "pgbench")
        how = f"-n -M prepared -j 1 -c {self.connections} -f {self.script}".split()
        variables = [f"-D{name}={value}" for name, value in self.workload.variables.items()]
        process = self.start(pgbench, *how, *variables, *arguments, self.server.conninfo)
        return process, ended(process)

    def bare_loop(self):
        arguments = f"--port {self.server.port} --connections {self.connections} --seconds {self.seconds}"
        process = self.start(lab.program("bare_loop"), *arguments.split())
        ended(process)
        if process.status != 0:
            raise AssertionError(process.err)
        measured = json.loads(process.out)
        return {
            "cpu_us": 1e6 * measured["cpu_s"] / measured["transactions"],
            "rate": measured["transactions"] / self.seconds,
        }

    def rounds(self, count, **contenders):
        """Each contender's medians, by name. The one that goes first is another in each round."""
        names, seen = list(contenders), {name: [] for name in contenders}
        for turn in range(count):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                seen[name].append(contenders[name]())
        return {
            name: {key: statistics.median(one[key] for one in results) for key in results[0]}
            for name, results in seen.items()
        }


def field(process, label):
    if label not in process.out:
        raise AssertionError(f"{process.popen.args} failed:\n{process.out}{process.err}")
    return process.out.split(label, 1)[1].split()[0].split("/")[0]


class Table:
    COLUMNS = [
        "",
        "agent",
        "whole process",
        "pgbench -j 1",
        "bare loop",
        "to pgbench",
        "to bare loop",
        "at most",
    ]

    def __init__(self):
        self.lines = [self.COLUMNS]

    def add(self, what, agent, whole=None, pgbench=None, bare=None, limit="", digits=2):
        def show(value):
            return "" if value is None else f"{value:.{digits}f}"

        def ratio(value):
            return "" if value is None else f"{agent / value:.2f}"

        self.lines.append(
            [what, show(agent), show(whole), show(pgbench), show(bare), ratio(pgbench), ratio(bare), limit]
        )

    def print(self):
        widths = [max(len(line[i]) for line in self.lines) for i in range(len(self.COLUMNS))]
        for line in self.lines:
            print(
                "  ".join(
                    cell.ljust(width) if i == 0 else cell.rjust(width)
                    for i, (cell, width) in enumerate(zip(line, widths))
                ).rstrip()
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one round of one second each: a look, not a measurement"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of each turn")
    arguments = parser.parse_args()
    rounds, seconds = (1, 1) if arguments.quick else (arguments.rounds, arguments.seconds)

    place, table = lab.Lab(), Table()
    server_cores, client_core = split_cores()
    # All that is started from here on runs where the servers do, but for the clients, which are moved.
    os.sched_setaffinity(0, server_cores)
    wire = lab.WireServer(place)
    database = lab.Database(place)
    try:
        for connections, to_pgbench in [(16, 0.95), (1000, 0.85)]:
            bench = Bench(place, client_core, wire, connections, seconds)
            got = bench.rounds(rounds, agent=bench.agent, pgbench=bench.pgbench, bare=bench.bare_loop)
            name = f"{connections} connections, server that answers at once"
            table.add(
                f"CPU µs a transaction, {name}",
                got["agent"]["cpu_us"],
                got["agent"]["whole_cpu_us"],
                got["pgbench"]["cpu_us"],
                got["bare"]["cpu_us"],
                f"{to_pgbench} of pgbench" + (", 1.12 of bare" if connections == 16 else ""),
            )
            table.add(
                f"transactions/s, {name}",
                got["agent"]["rate"],
                None,
                got["pgbench"]["rate"],
                got["bare"]["rate"],
                "(at least) 1.00",
                digits=0,
            )
        for workload, limit in [(SELECT_ONLY, 0.95), (TPCB_LIKE, 0.95), (TEN_STATEMENTS, 1.00)]:
            bench = Bench(place, client_core, wire, 16, seconds, workload=workload)
            got = bench.rounds(rounds, agent=bench.agent, pgbench=bench.pgbench)
            table.add(
                f"CPU µs a transaction, 16 connections, {workload.name}",
                got["agent"]["cpu_us"],
                got["agent"]["whole_cpu_us"],
                got["pgbench"]["cpu_us"],
                None,
                f"{limit:.2f} of pgbench",
            )
        bench = Bench(place, client_core, database, 16, seconds)
        got = bench.rounds(rounds, agent=bench.agent, pgbench=bench.pgbench)
        table.add(
            "CPU µs a transaction, 16 connections, PostgreSQL",
            got["agent"]["cpu_us"],
            got["agent"]["whole_cpu_us"],
            got["pgbench"]["cpu_us"],
            None,
            "0.95 of pgbench",
        )
        bench = Bench(place, client_core, wire, 16, seconds, rate=5000)
        got = bench.rounds(
            rounds, agent=bench.agent, pgbench=bench.pgbench, logged=lambda: bench.pgbench(log=True)
        )
        table.add(
            "CPU µs a transaction, open loop at 5000/s",
            got["agent"]["cpu_us"],
            got["agent"]["whole_cpu_us"],
            got["pgbench"]["cpu_us"],
            None,
            "1.00 of pgbench",
        )
        for statistic, limit in [("mean", ""), ("p99", "100"), ("max", "")]:
            table.add(
                f"µs behind the schedule, {statistic}, open loop at 5000/s",
                got["agent"][f"lag_{statistic}_us"],
                None,
                got["logged"][f"lag_{statistic}_us"],
                None,
                limit,
                digits=0,
            )
        record = place.start(lab.program("record_bench"))
        record.wait()
        recorded = json.loads(record.out)
        table.add("ns to record one latency", recorded["record_ns"], limit="15")
        table.add("ns to record what came of one operation", recorded["operation_ns"])
    finally:
        database.close()
        wire.close()
        place.close()
    print(
        f"Prepared statements over TCP, single inserts unless another script is named; medians of {rounds} rounds of {seconds} s, in turns; servers on "
        f"{', '.join(f'core {core}' for core in server_cores)}, each client by itself on core {client_core}.\n"
    )
    table.print()


if __name__ == "__main__":
    main()

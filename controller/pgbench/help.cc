#include "controller/pgbench/help.h"

namespace trunkload {

std::string PgbenchHelp() {
  return R"(Runs pgbench's scripts on a fleet, with pgbench's own options, and reports as pgbench does, with percentiles.

Usage: trunkload pgbench [OPTION]... [DBNAME]

The fleet:
  --agents=N               agents: processes of this machine; with --listen or --controller, how many to wait for [1]
  --listen=HOST:PORT       wait here for agents from anywhere
  --controller=HOST:PORT   have the controller that serves there run it
  --tls=DIR                with either: show the certificate in this folder, as "trunkload certs issue" makes it
  --tls-server-name=NAME   the name in the controller's certificate, where it is not the HOST that is dialled
  --insecure               plain text beyond this machine too: nothing is encrypted, nobody is checked
  --wait=DURATION          give up when the agents are not there by then [60s]
  --allow-shell            let scripts run commands of the shell on this machine

What to run:
  -b, --builtin=NAME[@W]   a builtin script, weighted at W [1]; "-b list" lists them
  -f, --file=FILE[@W]      a script in a file, weighted at W [1]; - is standard input
  -N, --skip-some-updates  as -b simple-update
  -S, --select-only        as -b select-only

How:
  -c, --client=N           clients in the whole fleet, each with a connection [1]
  -C, --connect            a new connection for each transaction
  -D, --define=VAR=VALUE   a variable of the scripts
  -j, --jobs=N             threads of each agent [1]
  -L, --latency-limit=MS   count transactions that take longer; with -R, skip those that are later already
  -M, --protocol=simple|extended|prepared
                           how statements are sent [simple]
  -n, --no-vacuum          no vacuum beforehand
  -R, --rate=N             transactions per second in the whole fleet, by a Poisson process
  -s, --scale=N            the scale that scripts and the report are told
  -t, --transactions=N     transactions of each client [10]
  -T, --time=SECONDS       how long, in place of -t
  -v, --vacuum-all         vacuum all four tables beforehand
  --continue-on-error      an error fails its transaction and doesn't end its client
  --exit-on-abort          end the run when a client has ended
  --max-tries=N            tries of a transaction that meets a serialization failure or a deadlock [1]; 0: no limit
  --random-seed=SEED       "time", "rand" or a number; else PGBENCH_RANDOM_SEED says

What to show:
  -l, --log                write a log of the transactions, one file for each agent
  -P, --progress=SECONDS   show how it goes, so often
  -r, --report-per-command latencies, failures and retries of each command
  --aggregate-interval=SECONDS
                           log sums of so many seconds
  --failures-detailed      failures by their kinds
  --log-prefix=PREFIX      of the log files' names [pgbench_log]
  --progress-timestamp     progress with the time since 1970
  --sampling-rate=SHARE    log this share of the transactions
  --show-script=NAME       show a builtin script, and nothing else
  --verbose-errors         show what the server said to errors

To make the tables (-i), with loaders on all agents:
  -i, --initialize         make and load pgbench's tables
  -I, --init-steps=STEPS   d drop, t make tables, g load them from the agents, G load them in the server, v vacuum,
                           p primary keys, f foreign keys [dtgvp]
  -F, --fillfactor=N       of the tables [100]
  -n, --no-vacuum          no vacuum afterwards
  -q, --quiet              show less
  -s, --scale=N            100,000 accounts each [1]
  --distribution=auto|citus|none
                           whether Citus distributes them [auto: where it is in the database]
  --distribute-by=key|bid|reference
                           by what it does [key]
  --foreign-keys           with foreign keys
  --index-tablespace=NAME  --tablespace=NAME
  --loaders=N              connections that load, in the whole fleet [4]
  --partition-method=range|hash
  --partitions=N           of pgbench_accounts [0: none]
  --unlogged-tables        not logged for recovery

Where:
  -d, --dbname=DBNAME      the database, a connection string or a URI; the last argument does the same
  -h, --host=HOST          -p, --port=PORT          -U, --username=USER
  -V, --version            -?, --help

Exit status: 0; 1 could not run, or wrong usage; 2 clients ended before their time; 130 interrupted.

Example: trunkload pgbench --agents 3 -c 64 -j 2 -T 60 -f mine.sql@3 -b select-only -M prepared -P 5 bench
)";
}

}  // namespace trunkload

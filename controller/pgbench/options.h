#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/tls/transport.h"
#include "controller/pgbench/initialize.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// One -b or -f: a script and how often it is picked.
struct PgbenchScript {
  v1::Builtin builtin = v1::BUILTIN_UNSPECIFIED;
  std::string file;  // where it is no builtin; "-" is standard input
  std::string text;  // of standard input, once it has been read
  uint64_t weight = 1;
};

// The command line of `trunkload pgbench`: pgbench's own, of PostgreSQL 15 with what later versions added,
// and what a fleet needs beside it.
struct PgbenchOptions {
  // Connecting; empty: not said.
  std::string host;
  std::string port;
  std::string user;
  std::string database;  // a name, a connection string or a URI

  // The fleet.
  std::optional<uint32_t> agents;
  std::string listen;
  std::string controller;
  Transport transport;
  absl::Duration wait = absl::Seconds(60);
  bool allow_shell = false;

  bool initialize = false;
  InitializeOptions init;  // but for scale and no_vacuum, which are below
  bool quiet = false;

  std::optional<uint32_t> scale;
  bool no_vacuum = false;

  // Running.
  std::vector<PgbenchScript> scripts;
  std::map<std::string, std::string> variables;
  v1::QueryMode query_mode = v1::QUERY_MODE_SIMPLE;
  uint32_t clients = 1;
  uint32_t threads = 1;
  std::optional<uint64_t> transactions;  // of each client
  std::optional<absl::Duration> duration;
  double rate_per_s = 0;  // 0: none
  std::optional<absl::Duration> latency_limit;
  uint32_t max_tries = 1;
  bool continue_on_error = false;
  bool exit_on_abort = false;
  bool reconnect = false;
  bool vacuum_all = false;
  uint32_t progress_s = 0;  // 0: none
  bool progress_timestamp = false;
  bool report_per_command = false;
  bool failures_detailed = false;
  bool verbose_errors = false;
  bool log = false;
  std::string log_prefix = "pgbench_log";
  double sampling_rate = 0;  // 0: all
  uint32_t aggregate_interval_s = 0;
  std::optional<uint64_t> seed;
};

// What a command line asks for.
struct PgbenchRequest {
  PgbenchOptions options;
  // Where it only asks for something to be shown: on standard output, or on standard error.
  std::string print;
  std::string print_on_stderr;
};

// `arguments` without the program's name. `seed_of_environment` is $PGBENCH_RANDOM_SEED, or null.
// INVALID_ARGUMENT with a sentence. Not thread-safe: getopt_long isn't.
absl::StatusOr<PgbenchRequest> ParsePgbenchOptions(std::span<const std::string> arguments,
                                                   const char* seed_of_environment);

}  // namespace trunkload

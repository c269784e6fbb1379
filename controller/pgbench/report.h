#pragma once

#include <string>

#include "controller/pgbench/options.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// How pgbench_accounts is partitioned.
struct PgbenchPartitions {
  std::string method;  // range or hash; empty: it is one table
  std::string count;
};

// Whether it is of a run that PgbenchPlan planned, as the functions below need it.
bool IsOfPgbench(const v1::RunResult& result, const PgbenchOptions& options);

// What pgbench 15 prints after a run, line by line, and below it the percentiles that it doesn't know.
std::string PgbenchReport(const v1::RunResult& result, const PgbenchOptions& options,
                          const PgbenchPartitions& partitions);

// Clients or agents ended before the run did, which is then incomplete.
bool WasAborted(const v1::RunResult& result);

// What the server said to errors: those that ended clients, and with --verbose-errors all. A line each.
std::string PgbenchErrors(const v1::RunResult& result, const PgbenchOptions& options);

}  // namespace trunkload

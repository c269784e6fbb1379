#pragma once

#include <string>

#include "absl/status/status.h"
#include "controller/pgbench/options.h"

namespace trunkload {

// What the values of options don't tell: which of them were written.
struct WrittenOptions {
  // The first that only -i has, and the first that only a run has; empty: none.
  std::string of_init;
  std::string of_run;
  bool log_prefix = false;
  bool partition_method = false;
};

// Fills in what follows from other options, and finds those that don't go together. INVALID_ARGUMENT with a
// sentence.
absl::Status CompletePgbenchOptions(const WrittenOptions& written, PgbenchOptions& options);

}  // namespace trunkload

#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "controller/pgbench/options.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// Where the options have the database.
v1::Target PgbenchTarget(const PgbenchOptions& options);

// What the options ask for, as a plan of one phase, completed and checked. `scale` and `seed` are what the
// scripts' variables say. Reads the scripts' files, and standard input where one is named "-".
// INVALID_ARGUMENT, with file, line and caret for a mistake in a script.
absl::StatusOr<v1::Plan> PgbenchPlan(const PgbenchOptions& options, uint32_t scale, uint64_t seed);

}  // namespace trunkload

#pragma once

#include <string>

#include "absl/time/time.h"
#include "controller/pgbench/options.h"
#include "trunkload/v1/control.pb.h"

namespace trunkload {

// pgbench's -P: a line for each so many seconds of the run. Not thread-safe.
class PgbenchProgress {
 public:
  // `options` must outlive it.
  explicit PgbenchProgress(const PgbenchOptions& options) : options_(options) {}

  // What to show, often nothing, now that these are the sums of the phase's complete seconds.
  std::string Lines(const v1::PhaseTotals& totals, absl::Time now);

 private:
  const PgbenchOptions& options_;
  v1::PhaseTotals shown_;
};

}  // namespace trunkload

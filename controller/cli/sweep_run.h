#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controller/cli/kept_runs.h"
#include "controller/cli/plan_run.h"
#include "controller/cli/run_screen.h"
#include "controller/sweep/sweep_cells.h"
#include "trunkload/v1/plan.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// What a sweep is made from.
struct SweepJob {
  // With its sweep.
  v1::Plan plan;
  std::vector<SweepSetting> settings;
  // The plan with a cell's values. INVALID_ARGUMENT where they make it a wrong one.
  std::function<absl::StatusOr<v1::Plan>(const std::vector<std::string>& overrides)> with;
  // Of the sweep to go on with; empty: a new one.
  std::string resume;
  KeptRunsPlace kept;
};

// Runs the cells of a sweep one after the other, those that a sweep of that id has not run yet. A cell that
// can't run for a reason of its own is passed over and told. What came of them, also where a signal ended it;
// an error where no cell could be tried. `status`: of the program.
absl::StatusOr<v1::SweepResult> RunSweep(const SweepJob& job, RunPlace place, RunScreen& screen, int& status);

}  // namespace trunkload

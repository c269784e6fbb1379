#include "controller/cli/exit_status.h"

#include <algorithm>
#include <iostream>

namespace trunkload {

ExitStatus ReportError(const absl::Status& status) {
  std::cerr << "trunkload: " << status.message() << std::endl;
  if (absl::IsCancelled(status)) return kExitCancelled;
  return absl::IsInvalidArgument(status) ? kExitUsage : kExitCouldNotRun;
}

ExitStatus ExitStatusOf(const v1::RunResult& result) {
  const bool failed = std::any_of(
      result.checks().begin(), result.checks().end(),
      [](const v1::CheckResult& check) { return check.outcome() == v1::CheckResult::OUTCOME_FAILED; });
  if (failed) return kExitCheckFailed;
  if (result.run().cancelled()) return kExitCancelled;
  if (!result.verdict().valid()) return kExitNotValid;
  const bool met = std::all_of(result.objectives().begin(), result.objectives().end(),
                               [](const v1::ObjectiveResult& objective) { return objective.met(); });
  return met ? kExitOk : kExitObjectiveMissed;
}

}  // namespace trunkload

#include "controller/run_outcome.h"

#include <algorithm>

namespace trunkload {
namespace {

struct Ended {
  bool check_failed = false;
  bool cancelled = false;
  bool valid = false;
  bool objectives_met = false;
};

std::string Words(const Ended& run) {
  if (run.check_failed) return "check failed";
  if (run.cancelled) return "cancelled";
  if (!run.valid) return "not valid";
  return run.objectives_met ? "valid" : "objective missed";
}

}  // namespace

std::string RunOutcome(const v1::RunSummary& run) {
  switch (run.state()) {
    case v1::RunSummary::STATE_UNDER_WAY:
      return "under way";
    case v1::RunSummary::STATE_INTERRUPTED:
      return "interrupted";
    case v1::RunSummary::STATE_FAILED:
      return "could not run";
    default:
      return Words({run.check_failed(), run.cancelled(), run.valid(), run.objectives_met()});
  }
}

std::string RunOutcome(const v1::RunResult& result) {
  const bool check_failed = std::any_of(
      result.checks().begin(), result.checks().end(),
      [](const v1::CheckResult& check) { return check.outcome() == v1::CheckResult::OUTCOME_FAILED; });
  const bool met = std::all_of(result.objectives().begin(), result.objectives().end(),
                               [](const v1::ObjectiveResult& objective) { return objective.met(); });
  return Words({check_failed, result.run().cancelled(), result.verdict().valid(), met});
}

std::string RunOutcome(const absl::StatusOr<v1::RunResult>& result) {
  if (result.ok()) return RunOutcome(*result);
  return absl::IsCancelled(result.status()) ? "cancelled" : "could not run";
}

}  // namespace trunkload

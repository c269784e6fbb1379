#include "controller/checks/unsettled.h"

#include "absl/strings/str_cat.h"

namespace trunkload {

v1::CheckResult Unsettled(v1::Check check, const std::string& why) {
  v1::CheckResult result;
  result.set_check(check);
  result.set_outcome(v1::CheckResult::OUTCOME_INDETERMINATE);
  result.set_verdict(
      absl::StrCat("not settled: ", why, "; settle it later with `trunkload check-data PLAN RUN`"));
  return result;
}

std::vector<v1::CheckResult> Unsettled(const v1::Plan& plan, const std::string& why) {
  std::vector<v1::CheckResult> results;
  for (const int check : plan.checks()) results.push_back(Unsettled(static_cast<v1::Check>(check), why));
  return results;
}

}  // namespace trunkload

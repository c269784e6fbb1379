#include "controller/report/checks_text.h"

#include <cstdlib>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "controller/plan/plan_text.h"
#include "controller/report/units.h"

namespace trunkload {
namespace {

std::string NameOf(const v1::CheckResult& check) {
  const auto* const value = v1::Check_descriptor()->FindValueByNumber(check.check());
  return value == nullptr ? "?" : EnumText(*value);
}

std::string OutcomeText(v1::CheckResult::Outcome outcome) {
  switch (outcome) {
    case v1::CheckResult::OUTCOME_PASSED:
      return "passed";
    case v1::CheckResult::OUTCOME_FAILED:
      return "FAILED";
    case v1::CheckResult::OUTCOME_EXPECTED:
      return "passed, as far as Citus promises it";
    case v1::CheckResult::OUTCOME_NOT_APPLICABLE:
      return "does not apply";
    default:
      return "INDETERMINATE";
  }
}

Paint PaintOf(v1::CheckResult::Outcome outcome) {
  switch (outcome) {
    case v1::CheckResult::OUTCOME_PASSED:
    case v1::CheckResult::OUTCOME_EXPECTED:
      return Paint::kGood;
    case v1::CheckResult::OUTCOME_NOT_APPLICABLE:
      return Paint::kNone;
    default:
      return Paint::kBad;
  }
}

// Of the fleet, in the run.
double CpuSeconds(const v1::RunResult& result) {
  double sum = 0;
  for (const v1::AgentResult& agent : result.agents()) sum += agent.cpu_s();
  return sum;
}

std::string Counts(const v1::CheckResult& check, double cpu_s) {
  std::vector<std::string> counts;
  const uint64_t all = check.acknowledged() + check.refused() + check.lost_answers();
  if (all > 0) {
    counts.push_back(absl::StrCat(CountText(check.acknowledged()), " acknowledged"));
    counts.push_back(absl::StrCat(CountText(check.refused()), " refused"));
  }
  if (check.lost_answers() > 0) {
    // Of a register that was written since, nobody knows any more.
    const bool known = check.check() != v1::CHECK_READ_YOUR_WRITES;
    counts.push_back(absl::StrCat(
        CountText(check.lost_answers()), " answers lost",
        known ? absl::StrCat(", of which ", CountText(check.lost_committed()), " were committed") : ""));
  }
  if (check.looks() > 0) {
    std::string looks = absl::StrCat(CountText(check.looks()), " reads compared");
    if (check.deviating() > 0) {
      absl::StrAppend(&looks, ", ", CountText(check.deviating()), " deviated, by ",
                      CountText(static_cast<uint64_t>(std::abs(check.largest_deviation()))), " at most");
    }
    counts.push_back(std::move(looks));
  }
  if (check.recording_cpu_s() > 0 && cpu_s > 0) {
    counts.push_back(absl::StrFormat("written down in %.2g %% of the agents' CPU time",
                                     100 * check.recording_cpu_s() / cpu_s));
  }
  if (check.seconds() > 0) counts.push_back(absl::StrFormat("settled in %.1f s", check.seconds()));
  return absl::StrJoin(counts, ", ");
}

}  // namespace

void AddFailedChecks(const v1::RunResult& result, Page& page) {
  std::vector<std::string> failed;
  for (const v1::CheckResult& check : result.checks()) {
    if (check.outcome() == v1::CheckResult::OUTCOME_FAILED) failed.push_back(NameOf(check));
  }
  if (failed.empty()) return;
  page.Line(
      absl::StrCat(failed.size() == 1 ? "CHECK FAILED: " : "CHECKS FAILED: ", absl::StrJoin(failed, ", ")),
      Paint::kBad);
}

void AddChecks(const v1::RunResult& result, Page& page) {
  if (result.checks().empty()) return;
  const double cpu_s = CpuSeconds(result);
  page.Line();
  page.Line("Checks", Paint::kHeading);
  for (const v1::CheckResult& check : result.checks()) {
    page.Folded(absl::StrCat(NameOf(check), ": ",
                             page.Painted(PaintOf(check.outcome()), OutcomeText(check.outcome())), ": ",
                             check.verdict()),
                "  ");
    if (const std::string counts = Counts(check, cpu_s); !counts.empty()) page.Folded(counts, "    ");
    for (const v1::Witness& witness : check.witnesses()) {
      const std::string node = witness.node().empty() ? "" : absl::StrCat(" (on ", witness.node(), ")");
      page.Folded(absl::StrCat("- ", witness.text(), node), "    ");
    }
    const uint64_t shown = static_cast<uint64_t>(check.witnesses_size());
    if (check.violations() > shown)
      page.Line(absl::StrCat("    and ", CountText(check.violations() - shown), " more contradictions"));
  }
}

std::string ChecksReport(const v1::RunResult& result, bool color) {
  Page page(color);
  AddFailedChecks(result, page);
  AddChecks(result, page);
  return page.Take();
}

}  // namespace trunkload

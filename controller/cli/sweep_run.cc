#include "controller/cli/sweep_run.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "controller/cli/exit_status.h"
#include "controller/plan/plan_check.h"
#include "controller/report/sweep_text.h"
#include "controller/report/units.h"
#include "controller/run_rates.h"
#include "controller/sweep/sweep_result.h"
#include "google/protobuf/util/message_differencer.h"

namespace trunkload {
namespace {

using Results = std::map<uint32_t, absl::StatusOr<v1::RunResult>>;

std::string NewSweepId() {
  absl::BitGen random;
  return absl::StrCat("sweep-", absl::FormatTime("%Y%m%d-%H%M%S", absl::Now(), absl::UTCTimeZone()),
                      absl::StrFormat("-%04x", absl::Uniform<uint16_t>(random)));
}

// All of them are checked before the first is run.
absl::StatusOr<std::vector<v1::Plan>> PlansOf(const SweepJob& job, const std::string& sweep) {
  std::vector<v1::Plan> plans;
  for (const SweepSetting& setting : job.settings) {
    absl::StatusOr<v1::Plan> plan = job.with(setting.overrides);
    if (!plan.ok()) return plan.status();
    v1::SweepCell& cell = *plan->mutable_cell();
    cell.set_sweep(sweep);
    cell.set_number(setting.number);
    cell.set_cells(static_cast<uint32_t>(job.settings.size()));
    cell.mutable_settings()->insert(setting.values.begin(), setting.values.end());
    plans.push_back(*std::move(plan));
  }
  return plans;
}

absl::Status CheckSamePlan(const Results& results, const std::vector<v1::Plan>& plans,
                           const std::string& sweep) {
  for (const auto& [number, result] : results) {
    const bool same = number < plans.size() && google::protobuf::util::MessageDifferencer::Equals(
                                                   result->run().plan(), Redacted(plans[number]));
    if (same) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "--resume: the cells of ", sweep,
        " were run from another plan, or with other overrides: use those, or leave --resume out"));
  }
  return absl::OkStatus();
}

// Whether another cell may well run.
bool OfThisCellAlone(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsInvalidArgument(status);
}

int StatusOf(const Results& results) {
  int status = kExitOk;
  bool any = false;
  for (const auto& [number, result] : results) {
    if (!result.ok()) continue;
    any = true;
    const int of_cell = ExitStatusOf(*result);
    if (of_cell == kExitCheckFailed) return of_cell;
    // The statuses rise with what they say: an objective missed, not valid, a check failed.
    status = std::max<int>(status, of_cell);
  }
  return any ? status : kExitCouldNotRun;
}

}  // namespace

absl::StatusOr<v1::SweepResult> RunSweep(const SweepJob& job, RunPlace place, RunScreen& screen,
                                         int& status) {
  const std::string sweep = job.resume.empty() ? NewSweepId() : job.resume;
  absl::StatusOr<std::vector<v1::Plan>> plans = PlansOf(job, sweep);
  if (!plans.ok()) return plans.status();
  Results results;
  if (!job.resume.empty()) {
    absl::StatusOr<Results> before = CellsOf(job.kept, sweep);
    if (!before.ok()) return before.status();
    if (before->empty())
      return absl::NotFoundError(absl::StrCat("--resume: no cell of ", sweep, " has ended"));
    if (absl::Status same = CheckSamePlan(*before, *plans, sweep); !same.ok()) return same;
    results = *std::move(before);
  }
  const size_t resumed = results.size();
  screen.ShowNote(absl::StrCat(sweep, ": ", plans->size(), " cells",
                               resumed > 0 ? absl::StrCat(", ", resumed, " of them done before") : ""));
  absl::StatusOr<std::unique_ptr<PlanRunner>> runner = PlanRunner::Open(std::move(place), screen);
  if (!runner.ok()) return runner.status();
  absl::Status stopped;
  bool cancelled = false;
  for (const uint32_t number : SweepSequence(job.plan, plans->size())) {
    if (results.contains(number)) continue;
    const std::string cell = absl::StrCat("cell ", results.size() + 1, " of ", plans->size(), ": ",
                                          SettingsText((*plans)[number].cell()));
    screen.ShowNote(cell);
    absl::StatusOr<v1::RunResult> result = (*runner)->Run((*plans)[number]);
    cancelled = absl::IsCancelled(result.status()) || (result.ok() && result->run().cancelled());
    if (cancelled) break;
    if (!result.ok() && !OfThisCellAlone(result.status())) {
      stopped = result.status();
      break;
    }
    screen.ShowNote(result.ok() ? absl::StrCat("  ", RateText(RatesOf(*result).transactions_per_s), "/s",
                                               result->verdict().valid() ? "" : ", NOT VALID")
                                : absl::StrCat("  could not run: ", result.status().message()));
    results.emplace(number, std::move(result));
  }
  if (results.empty() && !stopped.ok()) return stopped;
  if (!stopped.ok()) ReportError(stopped);
  if (cancelled || !stopped.ok())
    screen.ShowNote(absl::StrCat("go on with it later, by the same command line and --resume ", sweep));
  const int of_cells = StatusOf(results);
  // A check that failed did, whatever came of the other cells.
  if (of_cells == kExitCheckFailed) {
    status = of_cells;
  } else {
    status = cancelled ? kExitCancelled : !stopped.ok() ? kExitCouldNotRun : of_cells;
  }
  return MakeSweepResult(Redacted(job.plan), sweep, results);
}

}  // namespace trunkload

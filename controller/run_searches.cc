#include "controller/run_searches.h"

#include <utility>

#include "common/duration.h"
#include "controller/plan/objective.h"

namespace trunkload {
namespace {

// Of what comes due in a step, so much has to be done.
constexpr double kDoneToHold = 0.97;

void SetRate(v1::Plan& plan, uint32_t phase, double rate, absl::Duration takes) {
  v1::Phase& step = *plan.mutable_phases(static_cast<int>(phase));
  step.mutable_load()->mutable_open()->set_rate(rate);
  *step.mutable_duration() = ToProto(takes);
}

}  // namespace

RunSearches::RunSearches(const v1::Plan& asked, v1::Plan& expanded) {
  expanded = ExpandSearches(asked, phases_);
  for (const SearchPhases& search : phases_) {
    v1::SearchResult& result = results_.emplace_back();
    result.set_phase(search.phase.name());
    result.set_objective(search.phase.load().search().objective());
  }
}

std::optional<size_t> RunSearches::SearchOf(uint32_t phase) const {
  for (size_t i = 0; i < phases_.size(); ++i) {
    const uint32_t first = phases_[i].first;
    if (phase >= first && phase < first + kMostSearchSteps) return i;
  }
  return std::nullopt;
}

CapacitySearch RunSearches::ProgressOf(size_t search) const {
  CapacitySearch progress(phases_[search].phase.load().search());
  for (const v1::SearchStep& step : results_[search].steps()) progress.Add(step.held());
  return progress;
}

RunSearches::Next RunSearches::EndStep(uint32_t phase, const v1::PhaseResult& result,
                                       const Merger::Script& total, v1::Plan& plan) {
  const size_t search = SearchOf(phase).value();
  v1::SearchResult& found = results_[search];
  const v1::ObjectiveResult judged =
      Objective::Parse(found.objective())
          .value()
          .Evaluate({{result.name(), total.response, total.service, total.pool_wait, total.send_lag,
                      total.failed, result.error_rate(), result.throughput_per_s(), result.rows_per_s()}});
  v1::SearchStep& step = *found.add_steps();
  step.set_phase(result.name());
  step.set_rate_per_s(plan.phases(static_cast<int>(phase)).load().open().rate());
  step.set_value(judged.value());
  if (result.offered() > 0)
    step.set_done(static_cast<double>(result.transactions()) / static_cast<double>(result.offered()));
  step.set_held(judged.met() && step.done() >= kDoneToHold);
  const CapacitySearch progress = ProgressOf(search);
  found.set_capacity_per_s(progress.holds());
  found.set_failed_per_s(progress.fails());
  found.set_complete(!progress.NextRate() && progress.holds() > 0 && progress.fails() > 0);
  return ChooseNext(search, progress, plan);
}

RunSearches::Next RunSearches::ChooseNext(size_t search, const CapacitySearch& progress,
                                          v1::Plan& plan) const {
  const uint32_t first = phases_[search].first;
  const uint32_t next = first + static_cast<uint32_t>(results_[search].steps_size());
  const std::optional<double> rate = progress.NextRate();
  if (!rate || next >= first + kMostSearchSteps) return {.phase = first + kMostSearchSteps, .takes = {}};
  const absl::Duration takes = progress.StepAt(*rate);
  SetRate(plan, next, *rate, takes);
  return {.phase = next, .takes = takes};
}

absl::Status RunSearches::Restore(std::vector<v1::SearchResult> results, v1::Plan& plan) {
  // A run that was written down before its first phase has none yet.
  if (results.empty()) return absl::OkStatus();
  if (results.size() != results_.size()) return absl::DataLossError("searches that its plan does not have");
  results_ = std::move(results);
  for (size_t i = 0; i < results_.size(); ++i) {
    if (results_[i].steps_size() > kMostSearchSteps)
      return absl::DataLossError("a search with more steps than it may take");
    const CapacitySearch progress = ProgressOf(i);
    uint32_t phase = phases_[i].first;
    for (const v1::SearchStep& step : results_[i].steps())
      SetRate(plan, phase++, step.rate_per_s(), progress.StepAt(step.rate_per_s()));
    ChooseNext(i, progress, plan);
  }
  return absl::OkStatus();
}

}  // namespace trunkload

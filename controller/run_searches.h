#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "controller/capacity_search.h"
#include "controller/merger.h"
#include "trunkload/v1/plan.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// The searches among a run's phases: what came of their steps, and which step is next. A step's rate and
// duration are written into the plan that is run. Not thread-safe.
class RunSearches {
 public:
  struct Next {
    // The next step, or the first phase after the search.
    uint32_t phase = 0;
    // Of a step.
    std::optional<absl::Duration> takes;
  };

  // As the plan was asked for; `expanded` becomes the plan that is run.
  RunSearches(const v1::Plan& asked, v1::Plan& expanded);

  bool IsStep(uint32_t phase) const { return SearchOf(phase).has_value(); }
  // Judges a step that has ended, and chooses what follows.
  Next EndStep(uint32_t phase, const v1::PhaseResult& result, const Merger::Script& total, v1::Plan& plan);
  // One for each search of the plan, in its order.
  const std::vector<v1::SearchResult>& results() const { return results_; }
  // Goes on after these. DATA_LOSS where they are not of this plan.
  absl::Status Restore(std::vector<v1::SearchResult> results, v1::Plan& plan);

 private:
  // Which of them the phase is a step of.
  std::optional<size_t> SearchOf(uint32_t phase) const;
  // As far as it has come.
  CapacitySearch ProgressOf(size_t search) const;
  Next ChooseNext(size_t search, const CapacitySearch& progress, v1::Plan& plan) const;

  std::vector<SearchPhases> phases_;
  std::vector<v1::SearchResult> results_;
};

}  // namespace trunkload

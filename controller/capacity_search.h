#pragma once

#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "trunkload/v1/plan.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// Looks for the highest rate that holds an objective: doubles it (or halves it, where the first does not
// hold) until it has a rate that holds and one that does not, then halves what is between, until that is
// within the precision. Pure: a step's outcome in, the next rate out.
class CapacitySearch {
 public:
  // `search` was checked.
  explicit CapacitySearch(const v1::SearchLoad& search);

  // Of the next step, per second; none: it is over.
  std::optional<double> NextRate() const { return next_; }
  // How long a step at that rate takes: so long that its percentile is made from at least 20 transactions
  // above it.
  absl::Duration StepAt(double rate) const;
  // The outcome of the step at NextRate().
  void Add(bool held);

  // The highest rate that held; 0: none did. And the lowest that did not; 0: none.
  double holds() const { return holds_; }
  double fails() const { return fails_; }

 private:
  const double precision_;
  const absl::Duration step_;
  double samples_ = 0;
  double holds_ = 0;
  double fails_ = 0;
  std::optional<double> next_;
};

// A search takes no more steps than this.
inline constexpr int kMostSearchSteps = 30;

// Which phases of an expanded plan are the steps of one search.
struct SearchPhases {
  // Of the plan before.
  v1::Phase phase;
  uint32_t first = 0;
};
// The plan with as many phases as a search may take steps in place of each search, at its first rate: their
// rates and durations are set when their turn comes, and those that are not needed are passed over.
// `searches` learns of them.
v1::Plan ExpandSearches(const v1::Plan& plan, std::vector<SearchPhases>& searches);

}  // namespace trunkload

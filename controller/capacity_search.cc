#include "controller/capacity_search.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/duration.h"
#include "controller/plan/objective.h"

namespace trunkload {
namespace {

// How many transactions have to be above a percentile, that it means something.
constexpr double kSamplesAbove = 20;
// A rate of less than one transaction in so many seconds is no capacity.
constexpr double kLowestRate = 0.1;
constexpr double kHighestRate = 100'000'000;

}  // namespace

CapacitySearch::CapacitySearch(const v1::SearchLoad& search)
    : precision_(search.precision()), step_(FromProto(search.step())), next_(search.from()) {
  const absl::StatusOr<Objective> objective = Objective::Parse(search.objective());
  const double percent = objective.ok() ? objective->percent() : 0;
  // The highest of all needs as many as any.
  if (percent > 0) samples_ = kSamplesAbove / std::max(0.001, 1 - percent / 100);
}

absl::Duration CapacitySearch::StepAt(double rate) const {
  return std::max(step_, absl::Ceil(absl::Seconds(samples_ / rate), absl::Seconds(1)));
}

void CapacitySearch::Add(bool held) {
  if (!next_) return;
  (held ? holds_ : fails_) = *next_;
  if (fails_ == 0) {
    next_ = holds_ * 2;
  } else if (holds_ == 0) {
    next_ = fails_ / 2;
  } else {
    next_ = (holds_ + fails_) / 2;
    if (fails_ - holds_ <= precision_ * fails_) next_.reset();
  }
  if (next_ && (*next_ < kLowestRate || *next_ > kHighestRate)) next_.reset();
}

v1::Plan ExpandSearches(const v1::Plan& plan, std::vector<SearchPhases>& searches) {
  searches.clear();
  v1::Plan expanded = plan;
  expanded.clear_phases();
  for (const v1::Phase& phase : plan.phases()) {
    if (!phase.load().has_search()) {
      *expanded.add_phases() = phase;
      continue;
    }
    searches.push_back({phase, static_cast<uint32_t>(expanded.phases_size())});
    const v1::SearchLoad& search = phase.load().search();
    for (int step = 1; step <= kMostSearchSteps; ++step) {
      v1::Phase& to = *expanded.add_phases();
      to = phase;
      // No phase of a plan has a space in its name.
      to.set_name(absl::StrCat(phase.name(), " step ", step));
      // Whether it is judged is known when the search is over.
      to.set_record(false);
      *to.mutable_duration() = ToProto(CapacitySearch(search).StepAt(search.from()));
      to.mutable_load()->mutable_open()->set_rate(search.from());
      to.mutable_load()->mutable_open()->set_arrivals(search.arrivals());
    }
  }
  return expanded;
}

}  // namespace trunkload

#pragma once

#include <vector>

#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// How many transactions of an open load have come due in the whole fleet, as a function of time: linear in a
// step, quadratic in a ramp. Immutable.
class RateProfile {
 public:
  // `phase` has an open load. The profile of a phase that is limited by transactions never ends.
  explicit RateProfile(const v1::Phase& phase);

  // Due in all; infinite in a profile that never ends.
  double total() const { return total_; }
  // When, in seconds from the start of the phase, so many have come due; arrivals in [0, total()).
  double SecondsUntil(double arrivals) const;

 private:
  struct Segment {
    double start_s;
    double arrivals_before;
    double duration_s;
    double start_rate;
    double end_rate;
    double arrivals() const { return (start_rate + end_rate) / 2 * duration_s; }
  };
  void Add(double duration_s, double start_rate, double end_rate);

  std::vector<Segment> segments_;
  double total_ = 0;
};

}  // namespace trunkload

#include "agent/rate_profile.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace trunkload {
namespace {

double Seconds(const google::protobuf::Duration& duration) {
  return static_cast<double>(duration.seconds()) + duration.nanos() / 1e9;
}

}  // namespace

RateProfile::RateProfile(const v1::Phase& phase) {
  const v1::OpenLoad& load = phase.load().open();
  if (load.stages().empty()) {
    const double duration =
        phase.has_duration() ? Seconds(phase.duration()) : std::numeric_limits<double>::infinity();
    Add(duration, load.rate(), load.rate());
    return;
  }
  double rate = 0;
  for (const v1::Stage& stage : load.stages()) {
    const double start_rate = stage.has_ramp_to() ? rate : stage.rate();
    rate = stage.has_ramp_to() ? stage.ramp_to() : stage.rate();
    Add(Seconds(stage.duration()), start_rate, rate);
  }
}

void RateProfile::Add(double duration_s, double start_rate, double end_rate) {
  const double start_s = segments_.empty() ? 0 : segments_.back().start_s + segments_.back().duration_s;
  segments_.push_back({start_s, total_, duration_s, start_rate, end_rate});
  total_ += segments_.back().arrivals();
}

double RateProfile::SecondsUntil(double arrivals) const {
  auto after = std::upper_bound(segments_.begin(), segments_.end(), arrivals,
                                [](double wanted, const Segment& s) { return wanted < s.arrivals_before; });
  // Segments in which nothing comes due share their count with the next one: the last of them is the one
  // meant.
  const Segment& segment = *std::prev(after);
  const double rest = arrivals - segment.arrivals_before;
  const double slope = segment.start_rate == segment.end_rate
                           ? 0
                           : (segment.end_rate - segment.start_rate) / segment.duration_s;
  // rest = start_rate·t + slope/2·t², solved in the form that is stable for any slope (2c / (b + √(b² +
  // 4ac))).
  const double root = std::sqrt(std::max(0.0, segment.start_rate * segment.start_rate + 2 * slope * rest));
  const double divisor = segment.start_rate + root;
  const double t = divisor == 0 ? 0 : 2 * rest / divisor;
  return segment.start_s + std::min(t, segment.duration_s);
}

}  // namespace trunkload

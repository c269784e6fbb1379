#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "absl/status/status.h"
#include "common/histogram.h"
#include "trunkload/v1/checkpoint.pb.h"
#include "trunkload/v1/control.pb.h"
#include "trunkload/v1/fleet.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// A phase second by second, over the whole fleet. Keeps the latencies of the newest few seconds only, so that
// its size grows by some numbers a second. Not thread-safe.
class Series {
 public:
  // `interval` has passed CheckInterval. What covers several seconds is spread evenly over them, its
  // latencies count in the last.
  void Add(const v1::Interval& interval);
  // Nothing more is to come for the seconds before this one. Latencies that come all the same only raise its
  // maximum.
  void CompleteBefore(uint32_t second);

  // What Restore needs to go on from here, but for the points.
  void SaveTo(v1::PhaseCheckpoint& state) const;
  // The points that changed since the last call.
  std::vector<v1::SeriesPoint> TakeChangedPoints();
  // From what SaveTo left and all points, as a new Series. INVALID_ARGUMENT where that does not fit together.
  absl::Status Restore(const v1::PhaseCheckpoint& state, std::vector<v1::SeriesPoint> points);

  // All seconds before this one are complete.
  uint32_t complete() const { return complete_; }
  const std::vector<v1::SeriesPoint>& points() const { return points_; }
  // Of the complete seconds; what comes late for one of those is added then.
  const v1::PhaseTotals& totals() const { return totals_; }

 private:
  void AddShare(const v1::PhaseTotals& sum, uint32_t second, uint64_t index, uint64_t seconds);

  std::vector<v1::SeriesPoint> points_;
  std::set<uint32_t> changed_;
  uint32_t complete_ = 0;
  std::map<uint32_t, Histogram> open_;
  v1::PhaseTotals totals_;
  // Of seconds that are not complete.
  std::map<uint32_t, v1::PhaseTotals> open_totals_;
};

}  // namespace trunkload

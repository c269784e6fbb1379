#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/histogram.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// What objectives are judged on: one recorded phase, over the whole fleet. The histograms are the merger's,
// over all scripts, and outlive this.
struct PhaseMeasure {
  std::string name;
  const Histogram& response;
  const Histogram& service;
  const Histogram& pool_wait;
  const Histogram& send_lag;
  const Histogram& failed;
  double error_rate = 0;  // 0 to 1
  double throughput_per_s = 0;
  double rows_per_s = 0;
};

// One line of a plan's objectives, as plan.proto describes them: p99(response) < 50ms in open. A value.
class Objective {
 public:
  // The error says at which character (from 1) `text` is wrong, and what was expected there.
  static absl::StatusOr<Objective> Parse(absl::string_view text);

  // Over the phase it names, or all. A phase in which nothing was measured doesn't meet an objective on
  // latencies (except on failed), nor do no phases.
  v1::ObjectiveResult Evaluate(const std::vector<PhaseMeasure>& recorded_phases) const;

  // Of a percentile; 100 of a maximum; 0 of anything else.
  double percent() const {
    if (!OnLatency() || statistic_ == Statistic::kMean) return 0;
    return statistic_ == Statistic::kMax ? 100 : percent_;
  }
  const std::string& text() const { return text_; }
  // Empty: every recorded phase.
  const std::string& phase() const { return phase_; }

 private:
  enum class Metric { kResponse, kService, kPoolWait, kSendLag, kFailed, kErrorRate, kThroughput, kRows };
  enum class Statistic { kPercentile, kMean, kMax };
  enum class Comparison { kBelow, kAtMost, kAbove, kAtLeast };
  class Parser;

  bool OnLatency() const { return metric_ <= Metric::kFailed; }
  const Histogram& HistogramOf(const PhaseMeasure& measure) const;
  // In units of the text.
  double ValueIn(const PhaseMeasure& measure) const;
  bool Met(double value) const;

  std::string text_;
  std::string phase_;
  Metric metric_ = Metric::kResponse;
  Statistic statistic_ = Statistic::kPercentile;
  double percent_ = 0;
  Comparison comparison_ = Comparison::kBelow;
  double limit_ = 0;
  // One unit of the limit, in nanoseconds, as a share of 1 or per second.
  double unit_ = 1;
};

}  // namespace trunkload

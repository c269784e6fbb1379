#include "controller/series.h"

#include <algorithm>

namespace trunkload {
namespace {

// How much later than the others an agent may report a second, and still count in its percentiles.
constexpr uint32_t kOpenSeconds = 5;

constexpr double kNanosPerMicro = 1000;

}  // namespace

void Series::Add(const v1::Interval& interval) {
  v1::SeriesPoint sum;
  for (const v1::ScriptInterval& script : interval.scripts()) {
    sum.set_offered(sum.offered() + script.offered());
    sum.set_transactions(sum.transactions() + script.transactions());
    sum.set_rows(sum.rows() + script.rows());
    sum.set_dropped(sum.dropped() + script.dropped());
    for (const auto& [code, count] : script.errors()) sum.set_errors(sum.errors() + count);
  }
  while (points_.size() <= interval.last_second()) {
    points_.emplace_back().set_second(static_cast<uint32_t>(points_.size() - 1));
  }
  const uint64_t seconds = interval.last_second() - interval.first_second() + 1;
  for (uint64_t i = 0; i < seconds; ++i) {
    const auto share = [seconds, i](uint64_t total) {
      return total / seconds + (i < total % seconds ? 1 : 0);
    };
    v1::SeriesPoint& point = points_[interval.first_second() + i];
    point.set_offered(point.offered() + share(sum.offered()));
    point.set_transactions(point.transactions() + share(sum.transactions()));
    point.set_rows(point.rows() + share(sum.rows()));
    point.set_errors(point.errors() + share(sum.errors()));
    point.set_dropped(point.dropped() + share(sum.dropped()));
  }

  v1::SeriesPoint& last = points_[interval.last_second()];
  for (const v1::ScriptInterval& script : interval.scripts()) {
    const double max_us = static_cast<double>(script.response().max_ns()) / kNanosPerMicro;
    last.set_response_max_us(std::max(last.response_max_us(), max_us));
    if (interval.last_second() >= complete_) open_[interval.last_second()].MergeChecked(script.response());
  }
  if (points_.size() > kOpenSeconds) CompleteBefore(static_cast<uint32_t>(points_.size()) - kOpenSeconds);
}

void Series::CompleteBefore(uint32_t second) {
  complete_ = std::max(complete_, second);
  while (!open_.empty() && open_.begin()->first < complete_) {
    const auto& [number, response] = *open_.begin();
    v1::SeriesPoint& point = points_[number];
    point.set_response_p50_us(static_cast<double>(response.PercentileNanos(50)) / kNanosPerMicro);
    point.set_response_p99_us(static_cast<double>(response.PercentileNanos(99)) / kNanosPerMicro);
    open_.erase(open_.begin());
  }
}

}  // namespace trunkload

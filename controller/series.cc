#include "controller/series.h"

#include <algorithm>
#include <utility>

namespace trunkload {
namespace {

// How much later than the others an agent may report a second, and still count in its percentiles.
constexpr uint32_t kOpenSeconds = 5;

constexpr double kNanosPerMicro = 1000;

// Part `index` of `seconds` in a sum that is spread evenly over them.
uint64_t Share(uint64_t total, uint64_t index, uint64_t seconds) {
  return total / seconds + (index < total % seconds ? 1 : 0);
}

v1::PhaseTotals SumOf(const v1::Interval& interval) {
  v1::PhaseTotals sum;
  sum.set_aborted_clients(interval.aborted_clients());
  for (const v1::ScriptInterval& script : interval.scripts()) {
    sum.set_transactions(sum.transactions() + script.transactions());
    for (const auto& [code, count] : script.errors()) sum.set_errors(sum.errors() + count);
    sum.set_skipped(sum.skipped() + script.skipped());
    sum.set_retried(sum.retried() + script.retried());
    sum.set_retries(sum.retries() + script.retries());
    sum.set_response_us(sum.response_us() + script.response().sum_ns() / kNanosPerMicro);
    sum.set_response_squares_us2(sum.response_squares_us2() +
                                 script.response().sum_squares_ns2() / (kNanosPerMicro * kNanosPerMicro));
    sum.set_send_lag_us(sum.send_lag_us() + script.send_lag().sum_ns() / kNanosPerMicro);
  }
  return sum;
}

void AddTo(v1::PhaseTotals& to, const v1::PhaseTotals& more) {
  to.set_transactions(to.transactions() + more.transactions());
  to.set_errors(to.errors() + more.errors());
  to.set_skipped(to.skipped() + more.skipped());
  to.set_retried(to.retried() + more.retried());
  to.set_retries(to.retries() + more.retries());
  to.set_response_us(to.response_us() + more.response_us());
  to.set_response_squares_us2(to.response_squares_us2() + more.response_squares_us2());
  to.set_send_lag_us(to.send_lag_us() + more.send_lag_us());
  to.set_aborted_clients(to.aborted_clients() + more.aborted_clients());
}

}  // namespace

void Series::AddShare(const v1::PhaseTotals& sum, uint32_t second, uint64_t index, uint64_t seconds) {
  v1::PhaseTotals share;
  share.set_transactions(Share(sum.transactions(), index, seconds));
  share.set_errors(Share(sum.errors(), index, seconds));
  share.set_skipped(Share(sum.skipped(), index, seconds));
  share.set_retried(Share(sum.retried(), index, seconds));
  share.set_retries(Share(sum.retries(), index, seconds));
  share.set_aborted_clients(Share(sum.aborted_clients(), index, seconds));
  share.set_response_us(sum.response_us() / static_cast<double>(seconds));
  share.set_response_squares_us2(sum.response_squares_us2() / static_cast<double>(seconds));
  share.set_send_lag_us(sum.send_lag_us() / static_cast<double>(seconds));
  AddTo(second < complete_ ? totals_ : open_totals_[second], share);
}

void Series::Add(const v1::Interval& interval) {
  v1::SeriesPoint sum;
  for (const v1::ScriptInterval& script : interval.scripts()) {
    sum.set_offered(sum.offered() + script.offered());
    sum.set_transactions(sum.transactions() + script.transactions());
    sum.set_rows(sum.rows() + script.rows());
    sum.set_dropped(sum.dropped() + script.dropped());
  }
  const v1::PhaseTotals totals = SumOf(interval);
  while (points_.size() <= interval.last_second()) {
    points_.emplace_back().set_second(static_cast<uint32_t>(points_.size() - 1));
  }
  const uint64_t seconds = interval.last_second() - interval.first_second() + 1;
  for (uint64_t i = 0; i < seconds; ++i) {
    const auto share = [seconds, i](uint64_t total) { return Share(total, i, seconds); };
    const auto second = static_cast<uint32_t>(interval.first_second() + i);
    AddShare(totals, second, i, seconds);
    v1::SeriesPoint& point = points_[second];
    changed_.insert(second);
    point.set_offered(point.offered() + share(sum.offered()));
    point.set_transactions(point.transactions() + share(sum.transactions()));
    point.set_rows(point.rows() + share(sum.rows()));
    point.set_errors(point.errors() + share(totals.errors()));
    point.set_skipped(point.skipped() + share(totals.skipped()));
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

void Series::SaveTo(v1::PhaseCheckpoint& state) const {
  state.set_complete_seconds(complete_);
  *state.mutable_totals() = totals_;
  std::map<uint32_t, v1::OpenSecond> open;
  for (const auto& [second, response] : open_) *open[second].mutable_response() = response.ToProto();
  for (const auto& [second, totals] : open_totals_) *open[second].mutable_totals() = totals;
  for (auto& [second, of_second] : open) {
    of_second.set_second(second);
    *state.add_open_seconds() = std::move(of_second);
  }
}

std::vector<v1::SeriesPoint> Series::TakeChangedPoints() {
  std::vector<v1::SeriesPoint> points;
  for (const uint32_t second : changed_) points.push_back(points_[second]);
  changed_.clear();
  return points;
}

absl::Status Series::Restore(const v1::PhaseCheckpoint& state, std::vector<v1::SeriesPoint> points) {
  for (size_t i = 0; i < points.size(); ++i) {
    // Those in which nothing happened were never saved.
    const size_t second = points[i].second();
    if (second < i) return absl::InvalidArgumentError("a second twice");
    while (points_.size() < second) {
      points_.emplace_back().set_second(static_cast<uint32_t>(points_.size() - 1));
    }
    points_.push_back(std::move(points[i]));
  }
  complete_ = state.complete_seconds();
  totals_ = state.totals();
  for (const v1::OpenSecond& open : state.open_seconds()) {
    if (absl::Status status = Histogram::Check(open.response()); !status.ok()) return status;
    if (open.has_response()) {
      if (open.second() >= points_.size())
        return absl::InvalidArgumentError("an open second without its point");
      open_[open.second()].MergeChecked(open.response());
    }
    if (open.has_totals()) open_totals_[open.second()] = open.totals();
  }
  return absl::OkStatus();
}

void Series::CompleteBefore(uint32_t second) {
  complete_ = std::max(complete_, second);
  totals_.set_seconds(complete_);
  while (!open_totals_.empty() && open_totals_.begin()->first < complete_) {
    AddTo(totals_, open_totals_.begin()->second);
    open_totals_.erase(open_totals_.begin());
  }
  while (!open_.empty() && open_.begin()->first < complete_) {
    const auto& [number, response] = *open_.begin();
    v1::SeriesPoint& point = points_[number];
    changed_.insert(number);
    point.set_response_p50_us(static_cast<double>(response.PercentileNanos(50)) / kNanosPerMicro);
    point.set_response_p99_us(static_cast<double>(response.PercentileNanos(99)) / kNanosPerMicro);
    open_.erase(open_.begin());
  }
}

}  // namespace trunkload

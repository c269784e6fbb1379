#include "controller/pgbench/progress.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"

namespace trunkload {

std::string PgbenchProgress::Lines(const v1::PhaseTotals& totals, absl::Time now) {
  const uint32_t seconds = totals.seconds() - shown_.seconds();
  if (options_.progress_s == 0 || totals.seconds() < shown_.seconds() || seconds < options_.progress_s)
    return "";
  const auto transactions = static_cast<double>(totals.transactions() - shown_.transactions());
  const auto mean_of = [transactions](double sum) { return transactions > 0 ? sum / transactions : 0; };
  const double latency_us = mean_of(totals.response_us() - shown_.response_us());
  const double squares_us2 = mean_of(totals.response_squares_us2() - shown_.response_squares_us2());
  const double stddev_us = std::sqrt(std::max(0.0, squares_us2 - latency_us * latency_us));

  std::string line = options_.progress_timestamp
                         ? absl::StrFormat("progress: %.3f s", absl::ToDoubleSeconds(now - absl::UnixEpoch()))
                         : absl::StrFormat("progress: %.1f s", static_cast<double>(totals.seconds()));
  absl::StrAppendFormat(&line, ", %.1f tps, lat %.3f ms stddev %.3f, %d failed", transactions / seconds,
                        latency_us / 1000, stddev_us / 1000, totals.errors() - shown_.errors());
  if (options_.rate_per_s > 0) {
    absl::StrAppendFormat(&line, ", lag %.3f ms",
                          mean_of(totals.send_lag_us() - shown_.send_lag_us()) / 1000);
    if (options_.latency_limit.has_value()) {
      absl::StrAppendFormat(&line, ", %d skipped", totals.skipped() - shown_.skipped());
    }
  }
  if (options_.max_tries != 1) {
    absl::StrAppendFormat(&line, ", %d retried, %d retries", totals.retried() - shown_.retried(),
                          totals.retries() - shown_.retries());
  }
  shown_ = totals;
  return line + "\n";
}

}  // namespace trunkload

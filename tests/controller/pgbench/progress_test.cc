#include "controller/pgbench/progress.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

using testing::HasSubstr;

v1::PhaseTotals Totals(uint32_t seconds, uint64_t transactions, double mean_us, double stddev_us) {
  v1::PhaseTotals totals;
  const auto count = static_cast<double>(transactions);
  totals.set_seconds(seconds);
  totals.set_transactions(transactions);
  totals.set_response_us(count * mean_us);
  totals.set_response_squares_us2(count * (stddev_us * stddev_us + mean_us * mean_us));
  totals.set_send_lag_us(count * 50);
  totals.set_errors(transactions / 10);
  totals.set_skipped(transactions / 20);
  totals.set_retried(transactions / 25);
  totals.set_retries(transactions / 5);
  return totals;
}

TEST(PgbenchProgressTest, SaysNothingUnlessAsked) {
  const PgbenchOptions options;
  EXPECT_EQ(PgbenchProgress(options).Lines(Totals(5, 100, 1000, 1), absl::Now()), "");
}

TEST(PgbenchProgressTest, IsOfTheTimeSinceTheLastLine) {
  PgbenchOptions options;
  options.progress_s = 2;
  PgbenchProgress progress(options);
  EXPECT_EQ(progress.Lines(Totals(1, 100, 1000, 250), absl::Now()), "");
  EXPECT_EQ(progress.Lines(Totals(2, 200, 1000, 250), absl::Now()),
            "progress: 2.0 s, 100.0 tps, lat 1.000 ms stddev 0.250, 20 failed\n");
  EXPECT_EQ(progress.Lines(Totals(3, 300, 1000, 250), absl::Now()), "");
  // 300 more of them in three seconds, which take 3 ms each.
  v1::PhaseTotals later = Totals(2, 200, 1000, 250);
  later.MergeFrom(v1::PhaseTotals());
  later.set_seconds(5);
  later.set_transactions(500);
  later.set_response_us(later.response_us() + 300 * 3000.0);
  later.set_response_squares_us2(later.response_squares_us2() + 300 * 3000.0 * 3000.0);
  EXPECT_EQ(progress.Lines(later, absl::Now()),
            "progress: 5.0 s, 100.0 tps, lat 3.000 ms stddev 0.000, 0 failed\n");
}

TEST(PgbenchProgressTest, HasWhatTheOptionsAskFor) {
  PgbenchOptions options;
  options.progress_s = 1;
  options.rate_per_s = 100;
  options.latency_limit = absl::Milliseconds(5);
  options.max_tries = 3;
  options.progress_timestamp = true;
  const absl::Time now = absl::FromUnixMillis(1'700'000'000'250);
  EXPECT_EQ(PgbenchProgress(options).Lines(Totals(1, 100, 1000, 0), now),
            "progress: 1700000000.250 s, 100.0 tps, lat 1.000 ms stddev 0.000, 10 failed, lag 0.050 ms, 5 "
            "skipped, 4 "
            "retried, 20 retries\n");
}

TEST(PgbenchProgressTest, ASecondWithoutTransactionsHasALineToo) {
  PgbenchOptions options;
  options.progress_s = 1;
  EXPECT_THAT(PgbenchProgress(options).Lines(Totals(1, 0, 0, 0), absl::Now()),
              HasSubstr(" 0.0 tps, lat 0.000 ms"));
}

}  // namespace
}  // namespace trunkload

#include "agent/pacer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace trunkload {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

v1::Phase Open(double rate, int seconds, v1::Arrivals arrivals) {
  v1::Phase phase;
  if (seconds > 0) phase.mutable_duration()->set_seconds(seconds);
  phase.mutable_load()->mutable_open()->set_rate(rate);
  phase.mutable_load()->mutable_open()->set_arrivals(arrivals);
  return phase;
}

void AddStage(v1::Phase& phase, int seconds, bool ramp, double rate) {
  v1::Stage& stage = *phase.mutable_load()->mutable_open()->add_stages();
  stage.mutable_duration()->set_seconds(seconds);
  if (ramp) {
    stage.set_ramp_to(rate);
  } else {
    stage.set_rate(rate);
  }
}

std::vector<int64_t> AllDue(const v1::Phase& phase, uint32_t servers, uint64_t transactions = 0) {
  std::vector<int64_t> due;
  for (uint32_t number = 0; number < servers; ++number) {
    Pacer pacer(phase, {number, servers, transactions, number + 100});
    for (uint64_t i = 0; i < pacer.count(); ++i) due.push_back(pacer.DueNanos(i));
  }
  std::sort(due.begin(), due.end());
  return due;
}

TEST(PacerTest, ConstantArrivalsOfAllServersInterleaveEvenly) {
  const std::vector<int64_t> due = AllDue(Open(1000, 3, v1::ARRIVALS_CONSTANT), 7);
  ASSERT_EQ(due.size(), 3000u);
  for (size_t i = 0; i < due.size(); ++i) EXPECT_NEAR(due[i], i * 1e6, 1) << i;
}

TEST(PacerTest, TotalsAreExactForAnyNumberOfServers) {
  for (const v1::Arrivals arrivals : {v1::ARRIVALS_CONSTANT, v1::ARRIVALS_POISSON}) {
    for (const uint32_t servers : {1u, 2u, 3u, 6u, 50u, 999u}) {
      const std::vector<int64_t> due = AllDue(Open(2000, 8, arrivals), servers);
      ASSERT_EQ(due.size(), 16'000u) << servers;
      EXPECT_GE(due.front(), 0);
      EXPECT_LT(due.back(), 8 * kSecond);
    }
  }
}

TEST(PacerTest, PoissonGapsAreExponential) {
  Pacer pacer(Open(1000, 200, v1::ARRIVALS_POISSON), {0, 1, 0, 42});
  ASSERT_EQ(pacer.count(), 200'000u);
  double sum = 0, squares = 0;
  uint64_t short_gaps = 0;
  int64_t last = 0;
  for (uint64_t i = 0; i < pacer.count(); ++i) {
    const int64_t due = pacer.DueNanos(i);
    ASSERT_GE(due, last);
    const double gap_ms = (due - last) / 1e6;
    sum += gap_ms;
    squares += gap_ms * gap_ms;
    if (gap_ms < std::log(2)) ++short_gaps;
    last = due;
  }
  const double mean = sum / pacer.count();
  EXPECT_NEAR(mean, 1, 0.01);
  EXPECT_NEAR(squares / pacer.count() - mean * mean, 1, 0.03);
  EXPECT_NEAR(static_cast<double>(short_gaps) / pacer.count(), 0.5, 0.01);
}

TEST(PacerTest, AnArrivalIsAFunctionOfItsIndex) {
  const v1::Phase phase = Open(500, 20, v1::ARRIVALS_POISSON);
  Pacer forwards(phase, {0, 1, 0, 9}), backwards(phase, {0, 1, 0, 9});
  std::vector<int64_t> due;
  for (uint64_t i = 0; i < forwards.count(); ++i) due.push_back(forwards.DueNanos(i));
  for (uint64_t i = backwards.count(); i-- > 0;) EXPECT_EQ(backwards.DueNanos(i), due[i]) << i;
}

TEST(PacerTest, StepsAndRampsComeDueAsTheirAreaSays) {
  v1::Phase phase = Open(0, 30, v1::ARRIVALS_CONSTANT);
  AddStage(phase, 10, true, 100);  // 0 to 100/s: 500
  AddStage(phase, 10, false, 0);   // nothing
  AddStage(phase, 10, false, 50);  // 500
  const std::vector<int64_t> due = AllDue(phase, 3);
  ASSERT_EQ(due.size(), 1000u);
  const auto before = [&](double seconds) {
    return std::lower_bound(due.begin(), due.end(), static_cast<int64_t>(seconds * kSecond)) - due.begin();
  };
  EXPECT_NEAR(before(5), 125, 1);
  EXPECT_EQ(before(10), 500);
  EXPECT_EQ(before(20), 500);
  EXPECT_NEAR(before(25), 750, 1);
}

TEST(PacerTest, APhaseLimitedByTransactionsStopsAtTheirNumber) {
  const std::vector<int64_t> due = AllDue(Open(100, 0, v1::ARRIVALS_CONSTANT), 4, 25);
  ASSERT_EQ(due.size(), 100u);
  EXPECT_EQ(due.back(), 990'000'000);
}

}  // namespace
}  // namespace trunkload

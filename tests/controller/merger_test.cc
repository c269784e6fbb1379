#include "controller/merger.h"

#include <cmath>
#include <vector>

#include "controller/phase_result.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

using testing::HasSubstr;

constexpr int64_t kMillisecond = 1'000'000;

v1::Plan TwoScripts() {
  v1::Plan plan;
  plan.add_scripts()->set_builtin(v1::BUILTIN_INSERT_SINGLE);
  plan.add_scripts()->set_builtin(v1::BUILTIN_INSERT_COPY);
  for (const char* name : {"first", "second"}) {
    v1::Phase& phase = *plan.add_phases();
    phase.set_name(name);
    phase.mutable_duration()->set_seconds(10);
    phase.set_record(true);
    phase.mutable_load()->mutable_open()->set_rate(10);
  }
  return plan;
}

v1::Interval Slice(uint64_t number, uint32_t first, uint32_t last, uint64_t transactions = 10,
                   int64_t latency_ns = kMillisecond) {
  v1::Interval interval;
  interval.set_phase(1);
  interval.set_number(number);
  interval.set_first_second(first);
  interval.set_last_second(last);
  Histogram latency;
  for (uint64_t i = 0; i < transactions; ++i) latency.Record(latency_ns);
  v1::ScriptInterval& script = *interval.add_scripts();
  script.set_offered(transactions + 3);
  script.set_transactions(transactions);
  script.set_rows(transactions * 100);
  script.set_dropped(1);
  (*script.mutable_errors())["40001"] = 2;
  *script.mutable_response() = latency.ToProto();
  interval.add_scripts();
  *interval.mutable_schedule_lag() = latency.ToProto();
  interval.set_busiest_reactor(0.5);
  interval.set_last_completion_ns((last + 1) * uint64_t{1'000'000'000});
  return interval;
}

v1::PhaseEnded Ended(uint64_t intervals) {
  v1::PhaseEnded ended;
  ended.set_phase(1);
  ended.set_intervals(intervals);
  return ended;
}

class MergerTest : public testing::Test {
 protected:
  v1::Plan plan_ = TwoScripts();
  Merger merger_{plan_, 1, {7, 8}};
  v1::PhaseResult Result() { return MakePhaseResult(plan_, 1, 10, merger_, Total(merger_)); }
};

TEST_F(MergerTest, MergingTwiceIsMergingOnce) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(merger_.Merge(7, Slice(0, 0, 0), 100).ok());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(merger_.Merge(7, Slice(1, 1, 1), 100).ok());
  ASSERT_TRUE(merger_.Merge(7, Slice(0, 0, 0), 100).ok());
  ASSERT_TRUE(merger_.Merge(8, Slice(0, 0, 0), 100).ok()) << "another agent's has the same number";
  const v1::PhaseResult result = Result();
  EXPECT_EQ(result.transactions(), 30);
  EXPECT_EQ(result.offered(), 39);
  EXPECT_EQ(result.rows(), 3000);
  EXPECT_EQ(result.dropped(), 3);
  EXPECT_EQ(result.errors().at("40001"), 6);
  EXPECT_DOUBLE_EQ(result.error_rate(), 9.0 / 39);
  EXPECT_EQ(result.latency_us().response().count(), 30);
  EXPECT_EQ(merger_.agents().at(7).transactions, 20);
}

TEST_F(MergerTest, TheOrderOfAgentsAndIntervalsDoesNotMatter) {
  Merger other(plan_, 1, {7, 8});
  std::vector<std::pair<AgentId, v1::Interval>> intervals;
  for (uint32_t i = 0; i < 4; ++i) {
    intervals.emplace_back(7, Slice(i, i, i, 5 + i, (i + 1) * 3 * kMillisecond));
    intervals.emplace_back(8, Slice(i, i, i, 9 + i, (i + 1) * 70 * kMillisecond));
  }
  for (const auto& [agent, interval] : intervals) ASSERT_TRUE(merger_.Merge(agent, interval, 100).ok());
  // An interval that comes before its turn is taken when it comes.
  std::swap(intervals[2], intervals[4]);
  for (auto it = intervals.rbegin(); it != intervals.rend(); ++it) {
    if (it->first == 8) {
      ASSERT_TRUE(other.Merge(8, it->second, 100).ok());
    }
  }
  for (const auto& [agent, interval] : intervals) {
    if (agent == 7) {
      ASSERT_TRUE(other.Merge(agent, interval, 100).ok());
    }
  }
  v1::PhaseResult a = Result();
  v1::PhaseResult b = MakePhaseResult(plan_, 1, 10, other, Total(other));
  EXPECT_EQ(a.DebugString(), b.DebugString());
}

TEST_F(MergerTest, KnowsWhichAreMissing) {
  ASSERT_TRUE(merger_.Merge(7, Slice(0, 0, 0), 100).ok());
  ASSERT_TRUE(merger_.Merge(7, Slice(2, 2, 2), 100).ok());
  ASSERT_TRUE(merger_.End(7, Ended(5)).ok());
  EXPECT_EQ(merger_.agents().at(7).missing_intervals, 3);
  ASSERT_TRUE(merger_.Merge(8, Slice(0, 0, 0), 100).ok());
  ASSERT_TRUE(merger_.End(8, Ended(1)).ok());
  EXPECT_EQ(merger_.agents().at(8).missing_intervals, 0);
}

TEST_F(MergerTest, RefusesAnEndThatCanNotBe) {
  ASSERT_TRUE(merger_.Merge(7, Slice(0, 0, 0), 100).ok());
  EXPECT_FALSE(merger_.End(7, Ended(0)).ok()) << "fewer than it sent";
  EXPECT_FALSE(merger_.End(9, Ended(0)).ok()) << "takes no part";
  v1::PhaseEnded other = Ended(1);
  other.set_phase(0);
  EXPECT_FALSE(merger_.End(7, other).ok());
  v1::PhaseEnded stamp = Ended(1);
  stamp.set_started_ns(INT64_MIN);
  EXPECT_FALSE(merger_.End(7, stamp).ok());
  EXPECT_TRUE(merger_.End(7, Ended(1)).ok());
  EXPECT_FALSE(merger_.End(7, Ended(1)).ok()) << "twice";
  EXPECT_FALSE(merger_.Merge(7, Slice(1, 1, 1), 100).ok()) << "after its end";
}

TEST_F(MergerTest, RefusesMalformedIntervalsWithoutTrace) {
  ASSERT_TRUE(merger_.Merge(7, Slice(0, 0, 2), 100).ok());
  std::vector<v1::Interval> malformed(12, Slice(1, 3, 3));
  malformed[0].set_phase(0);
  malformed[1].add_scripts();
  malformed[2].set_first_second(4);
  malformed[3].set_first_second(1);
  malformed[4].set_last_second(200);
  malformed[5].set_busiest_reactor(std::nan(""));
  malformed[6].mutable_scripts(0)->mutable_response()->add_count(1);
  malformed[7].mutable_scripts(1)->mutable_send_lag()->add_count(1);
  (*malformed[8].mutable_scripts(0)->mutable_errors())["\x1b[2J"] = 1;
  malformed[9].mutable_scripts(0)->set_rows(UINT64_MAX);
  malformed[10].mutable_schedule_lag()->add_bucket_delta(1u << 31);
  malformed[11].set_number(5000);
  const std::string before = Result().DebugString();
  for (size_t i = 0; i < malformed.size(); ++i) {
    const absl::Status status = merger_.Merge(7, malformed[i], 100);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << i;
    EXPECT_THAT(status.message(), HasSubstr("is malformed")) << i;
  }
  EXPECT_EQ(Result().DebugString(), before);
  EXPECT_TRUE(merger_.Merge(7, Slice(1, 3, 3), 100).ok());
  EXPECT_FALSE(merger_.Merge(9, Slice(0, 0, 0), 100).ok()) << "takes no part";
}

TEST_F(MergerTest, TakesTheCodesThatAreNoSqlstate) {
  v1::Interval interval = Slice(0, 0, 0);
  for (const char* code : {"pool_timeout", "unfinished", "other", "08006"}) {
    (*interval.mutable_scripts(0)->mutable_errors())[code] = 1;
  }
  EXPECT_TRUE(merger_.Merge(7, interval, 100).ok());
  EXPECT_EQ(Result().errors().at("other"), 1);
}

TEST_F(MergerTest, ASecondIsCompleteWhenAllHaveReportedIt) {
  ASSERT_TRUE(merger_.Merge(7, Slice(0, 0, 0, 10, 2 * kMillisecond), 100).ok());
  EXPECT_EQ(merger_.series().complete(), 0);
  ASSERT_TRUE(merger_.Merge(8, Slice(0, 0, 0, 10, 4 * kMillisecond), 100).ok());
  ASSERT_EQ(merger_.series().complete(), 1);
  const v1::SeriesPoint& point = merger_.series().points()[0];
  EXPECT_EQ(point.transactions(), 20);
  EXPECT_EQ(point.errors(), 4);
  EXPECT_EQ(point.dropped(), 2);
  EXPECT_NEAR(point.response_p50_us(), 2000, 2);
  EXPECT_NEAR(point.response_p99_us(), 4000, 4);
  EXPECT_NEAR(point.response_max_us(), 4000, 4);
  ASSERT_TRUE(merger_.Merge(7, Slice(1, 1, 1), 100).ok());
  EXPECT_EQ(merger_.series().complete(), 1);
  merger_.Leave(8);
  EXPECT_EQ(merger_.series().complete(), 2) << "nothing more is to come from the other";
}

TEST_F(MergerTest, SeveralSecondsAreSpreadEvenlyWithAnExactSum) {
  ASSERT_TRUE(merger_.Merge(7, Slice(0, 0, 3, 10), 100).ok());
  std::vector<uint64_t> transactions;
  for (const v1::SeriesPoint& point : merger_.series().points()) transactions.push_back(point.transactions());
  EXPECT_THAT(transactions, testing::ElementsAre(3, 3, 2, 2));
}

TEST_F(MergerTest, ALateAgentHoldsUpTheSeriesForSomeSecondsOnly) {
  for (uint32_t i = 0; i < 60; ++i) ASSERT_TRUE(merger_.Merge(7, Slice(i, i, i), 100).ok());
  EXPECT_EQ(merger_.series().complete(), 55);
  ASSERT_TRUE(merger_.Merge(8, Slice(0, 0, 0, 10, 50 * kMillisecond), 100).ok());
  EXPECT_EQ(merger_.series().points()[0].transactions(), 20);
  EXPECT_NEAR(merger_.series().points()[0].response_max_us(), 50'000, 50);
  EXPECT_EQ(Result().transactions(), 610);
}

TEST_F(MergerTest, CountsLateNoticesAndAveragesReactors) {
  v1::Interval late = Slice(0, 0, 0, 4, 20 * kMillisecond);
  late.set_busiest_reactor(1.0);
  ASSERT_TRUE(merger_.Merge(7, late, 100).ok());
  ASSERT_TRUE(merger_.Merge(7, Slice(1, 1, 3, 6, kMillisecond), 100).ok());
  v1::Interval drain = Slice(2, 10, 10, 0);
  drain.set_busiest_reactor(0);
  ASSERT_TRUE(merger_.Merge(7, drain, 100).ok());
  const Merger::Agent& agent = merger_.agents().at(7);
  EXPECT_EQ(agent.noticed, 10);
  EXPECT_EQ(agent.noticed_late, 4);
  EXPECT_DOUBLE_EQ(agent.busiest_reactor, 1);
  EXPECT_DOUBLE_EQ(agent.busiest_reactor_mean, (1.0 + 3 * 0.5) / 4) << "by seconds, without the drain";
}

TEST_F(MergerTest, TheDrainCountsInTheDurationOnlyWhereItTookLonger) {
  ASSERT_TRUE(merger_.Merge(7, Slice(0, 0, 8), 100).ok());
  EXPECT_DOUBLE_EQ(Result().duration_s(), 10);
  EXPECT_DOUBLE_EQ(Result().throughput_per_s(), 1);
  ASSERT_TRUE(merger_.Merge(7, Slice(1, 9, 19), 100).ok());
  EXPECT_DOUBLE_EQ(Result().duration_s(), 20);
  EXPECT_DOUBLE_EQ(Result().throughput_per_s(), 1);
  EXPECT_DOUBLE_EQ(Result().offered_per_s(), 2.6) << "over the phase without its drain";
}

}  // namespace
}  // namespace trunkload

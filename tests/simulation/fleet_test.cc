#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/simulation/expectations.h"
#include "tests/simulation/simulated_fleet.h"

namespace trunkload {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

std::vector<v1::Interval> Generated(const SimulatedFleet& fleet) {
  std::vector<v1::Interval> intervals;
  for (const LoadHistory& history : fleet.histories()) {
    for (const LoadHistory::Phase& phase : history.phases) {
      intervals.insert(intervals.end(), phase.intervals.begin(), phase.intervals.end());
    }
  }
  return intervals;
}

// The 99th percentile of how far agents began from the median of all, over all phases, as the simulation
// knows it.
double TrueSkewMillis(const SimulatedFleet& fleet, size_t phases) {
  std::vector<double> skews;
  for (size_t phase = 0; phase < phases; ++phase) {
    std::vector<int64_t> starts;
    for (const LoadHistory& history : fleet.histories()) starts.push_back(history.phases[phase].started_ns);
    std::sort(starts.begin(), starts.end());
    for (int64_t start : starts) {
      skews.push_back(std::abs(static_cast<double>(start - starts[starts.size() / 2])) / 1e6);
    }
  }
  std::sort(skews.begin(), skews.end());
  return skews[skews.size() * 99 / 100];
}

double ReportedSkewMillis(const v1::RunResult& result) {
  std::vector<double> skews;
  for (const v1::AgentResult& agent : result.agents()) skews.push_back(agent.start_skew_us() / 1000);
  std::sort(skews.begin(), skews.end());
  return skews[skews.size() * 99 / 100];
}

void RunWholeFleet(uint64_t seed, int agents) {
  SCOPED_TRACE(Replay(seed));
  FleetOptions options{
      .seed = seed, .agents = agents, .plan = ThreePhases(static_cast<uint32_t>(agents) * 2)};
  options.network = {.delay_ns = 2'000'000, .jitter_ns = 2'000'000, .loss = 0.01};
  SimulatedFleet fleet(options);
  const absl::StatusOr<v1::RunResult> result = fleet.Run();
  ASSERT_TRUE(result.ok()) << result.status();
  ExpectNoViolations(fleet);
  EXPECT_THAT(result->verdict().reasons(), testing::IsEmpty());
  EXPECT_TRUE(result->verdict().valid());
  ASSERT_EQ(result->phases_size(), 3);
  ASSERT_EQ(result->agents_size(), agents);
  ExpectSums(*result, Generated(fleet));
  for (const v1::AgentResult& agent : result->agents()) EXPECT_EQ(agent.connecting_us(), 5000);
  const double skew = TrueSkewMillis(fleet, 3);
  const double reported = ReportedSkewMillis(*result);
  testing::Test::RecordProperty("true_skew_p99_us", std::to_string(skew * 1000));
  testing::Test::RecordProperty("reported_skew_p99_us", std::to_string(reported * 1000));
  EXPECT_LE(skew, 5);
  EXPECT_LE(reported, 5);
}

TEST(FleetSimulationTest, FiftyAgentsAddUpExactlyAndStartTogether) {
  for (uint64_t seed : Seeds(1)) RunWholeFleet(seed, 50);
}

TEST(FleetSimulationTest, AHundredAgentsStartTogether) {
  for (uint64_t seed : Seeds(1)) RunWholeFleet(seed, 100);
}

TEST(FleetSimulationTest, ManySeeds) {
  for (uint64_t seed : Seeds(100)) {
    RunWholeFleet(seed, 3);
    if (HasFailure()) break;
  }
}

TEST(FleetSimulationTest, PasswordInATargetIsRefused) {
  v1::Plan plan = ThreePhases(6);
  plan.mutable_target()->set_conninfo("dbname=bench password=secret");
  const absl::StatusOr<v1::RunResult> result = SimulatedFleet({.plan = plan}).Run();
  EXPECT_TRUE(absl::IsInvalidArgument(result.status())) << result.status();
  EXPECT_THAT(std::string(result.status().message()),
              testing::AllOf(testing::HasSubstr("~/.pgpass"), testing::Not(testing::HasSubstr("secret"))));
}

TEST(FleetSimulationTest, ResultHasTheServerAndTheObjectives) {
  SimulatedFleet fleet({.plan = ThreePhases(6)});
  const absl::StatusOr<v1::RunResult> result = fleet.Run();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->run().server().postgresql_version(), "15.4");
  ASSERT_EQ(result->objectives_size(), 1);
  EXPECT_TRUE(result->objectives(0).met());
}

TEST(FleetSimulationTest, SameSeedSameRun) {
  std::string runs[2];
  for (std::string& run : runs) {
    SimulatedFleet fleet({.seed = 7, .plan = ThreePhases(6)});
    absl::StatusOr<v1::RunResult> result = fleet.Run();
    ASSERT_TRUE(result.ok()) << result.status();
    result->mutable_run()->clear_id();
    run = result->DebugString();
  }
  EXPECT_EQ(runs[0], runs[1]);
}

TEST(FleetSimulationTest, AgentsAreKilledAtAnyMoment) {
  for (uint64_t seed : Seeds(100)) {
    SCOPED_TRACE(Replay(seed));
    FleetOptions options{.seed = seed, .agents = 4, .plan = ThreePhases(8)};
    options.faults.agents_killed = 1 + static_cast<int>(seed % 4);
    SimulatedFleet fleet(options);
    const absl::StatusOr<v1::RunResult> result = fleet.Run();
    ExpectNoViolations(fleet);
    if (!result.ok()) {
      EXPECT_TRUE(absl::IsUnavailable(result.status()) || absl::IsDeadlineExceeded(result.status()))
          << result.status();
    } else {
      ExpectSums(*result, fleet.Counted());
      const auto lost = std::count_if(result->agents().begin(), result->agents().end(),
                                      [](const v1::AgentResult& agent) { return agent.lost(); });
      EXPECT_EQ(result->verdict().valid(), lost == 0);
      EXPECT_EQ(result->verdict().reasons().empty(), lost == 0);
      EXPECT_EQ(result->losses_size(), lost);
    }
    if (testing::Test::HasFailure()) break;
  }
}

TEST(FleetSimulationTest, CancelledAtAnyMoment) {
  for (uint64_t seed : Seeds(100)) {
    SCOPED_TRACE(Replay(seed));
    FleetOptions options{.seed = seed, .agents = 3, .plan = ThreePhases(6)};
    options.network.loss = 0.05;
    options.cancel_at_ns =
        static_cast<int64_t>(seed * 2'654'435'761 % 16) * kSecond + static_cast<int64_t>(seed);
    SimulatedFleet fleet(options);
    const absl::StatusOr<v1::RunResult> result = fleet.Run();
    ExpectNoViolations(fleet);
    if (!result.ok()) {
      EXPECT_TRUE(absl::IsCancelled(result.status())) << result.status();
    } else {
      ExpectSums(*result, Generated(fleet));
      EXPECT_EQ(result->verdict().valid(), !result->run().cancelled());
    }
    if (testing::Test::HasFailure()) break;
  }
}

}  // namespace
}  // namespace trunkload

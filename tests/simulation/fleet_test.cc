#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "controller/phase_result.h"
#include "controller/plan/plan_check.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "tests/simulation/simulated_fleet.h"

namespace trunkload {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

v1::Plan ThreePhases(uint32_t application_servers) {
  v1::Plan plan;
  EXPECT_TRUE(
      google::protobuf::TextFormat::ParseFromString(R"pb(
                                                      name: "simulated"
                                                      target { conninfo: "dbname=bench password=secret" }
                                                      scripts { builtin: BUILTIN_INSERT_SINGLE weight: 3 }
                                                      scripts { builtin: BUILTIN_INSERT_BATCH weight: 1 }
                                                      scripts { builtin: BUILTIN_TPCB_LIKE per_command: true }
                                                      phases {
                                                        name: "warm-up"
                                                        duration { seconds: 2 }
                                                        record: false
                                                        load { closed { clients: 24 } }
                                                      }
                                                      phases {
                                                        name: "closed"
                                                        duration { seconds: 4 }
                                                        load { closed { clients: 48 } }
                                                      }
                                                      phases {
                                                        name: "open"
                                                        duration { seconds: 4 }
                                                        load { open { rate: 2000 } }
                                                      }
                                                      objectives: "p99(response) < 100ms"
                                                    )pb",
                                                    &plan));
  plan.mutable_fleet()->set_application_servers(application_servers);
  absl::StatusOr<v1::Plan> valid = ValidatePlan(std::move(plan));
  EXPECT_TRUE(valid.ok()) << valid.status();
  return *valid;
}

// One seed when TRUNKLOAD_SEED is set: the way to replay a failure.
std::vector<uint64_t> Seeds(uint64_t count) {
  uint64_t only;
  if (const char* text = std::getenv("TRUNKLOAD_SEED"); text != nullptr && absl::SimpleAtoi(text, &only))
    return {only};
  std::vector<uint64_t> seeds;
  for (uint64_t seed = 1; seed <= count; ++seed) seeds.push_back(seed);
  return seeds;
}

std::string Replay(uint64_t seed) {
  return absl::StrCat("replay with TRUNKLOAD_SEED=", seed);
}

void ExpectSummary(v1::LatencySummary summary, const Histogram& histogram) {
  v1::LatencySummary expected = Summarise(histogram);
  // Squares are added up in another order, so that their last digit may differ.
  EXPECT_NEAR(summary.stddev(), expected.stddev(), 1e-9 * (1 + expected.stddev() + expected.mean()));
  summary.clear_stddev();
  expected.clear_stddev();
  EXPECT_EQ(summary.DebugString(), expected.DebugString());
}

// Every figure of the result is the sum of what the intervals held.
void ExpectSums(const v1::RunResult& result, const std::vector<v1::Interval>& intervals) {
  for (int p = 0; p < result.phases_size(); ++p) {
    const v1::PhaseResult& phase = result.phases(p);
    Histogram response;
    Histogram failed;
    Histogram commands;
    uint64_t offered = 0, transactions = 0, rows = 0, dropped = 0, errors = 0;
    uint64_t skipped = 0, late = 0, retried = 0, retries = 0, command_failures = 0;
    for (const v1::Interval& interval : intervals) {
      if (static_cast<int>(interval.phase()) != p) continue;
      for (const v1::ScriptInterval& script : interval.scripts()) {
        offered += script.offered();
        transactions += script.transactions();
        rows += script.rows();
        dropped += script.dropped();
        skipped += script.skipped();
        late += script.late();
        retried += script.retried();
        retries += script.retries();
        for (const v1::CommandInterval& command : script.commands()) {
          commands.Merge(*Histogram::FromProto(command.latency()));
          command_failures += command.failures();
        }
        if (script.errors().contains("23505")) errors += script.errors().at("23505");
        response.Merge(*Histogram::FromProto(script.response()));
        failed.Merge(*Histogram::FromProto(script.failed()));
      }
    }
    EXPECT_EQ(phase.offered(), offered) << phase.name();
    EXPECT_EQ(phase.transactions(), transactions) << phase.name();
    EXPECT_EQ(phase.rows(), rows) << phase.name();
    EXPECT_EQ(phase.dropped(), dropped) << phase.name();
    EXPECT_EQ(phase.errors().contains("23505") ? phase.errors().at("23505") : 0, errors) << phase.name();
    EXPECT_EQ(phase.skipped(), skipped) << phase.name();
    EXPECT_EQ(phase.late(), late) << phase.name();
    EXPECT_EQ(phase.retried(), retried) << phase.name();
    EXPECT_EQ(phase.retries(), retries) << phase.name();
    EXPECT_EQ(phase.error_messages().contains("23505"), errors > 0) << phase.name();
    ExpectSummary(phase.latency_us().response(), response);
    ExpectSummary(phase.latency_us().failed(), failed);
    uint64_t of_commands = 0, failures_of_commands = 0;
    for (const v1::CommandResult& command : phase.scripts(2).commands()) {
      of_commands += command.latency_us().count();
      failures_of_commands += command.failures();
    }
    EXPECT_EQ(of_commands, commands.count()) << phase.name();
    EXPECT_EQ(failures_of_commands, command_failures) << phase.name();
    uint64_t in_series = 0, in_scripts = 0, skipped_in_series = 0;
    for (const v1::SeriesPoint& point : phase.series()) {
      in_series += point.transactions();
      skipped_in_series += point.skipped();
    }
    EXPECT_EQ(skipped_in_series, skipped) << phase.name();
    for (const v1::ScriptResult& script : phase.scripts()) in_scripts += script.transactions();
    EXPECT_EQ(in_series, transactions) << phase.name();
    EXPECT_EQ(in_scripts, transactions) << phase.name();
  }
}

std::vector<v1::Interval> Generated(const SimulatedFleet& fleet) {
  std::vector<v1::Interval> intervals;
  for (const LoadHistory& history : fleet.histories()) {
    for (const LoadHistory::Phase& phase : history.phases) {
      intervals.insert(intervals.end(), phase.intervals.begin(), phase.intervals.end());
    }
  }
  return intervals;
}

void ExpectNoProtocolErrors(const SimulatedFleet& fleet) {
  for (const LoadHistory& history : fleet.histories()) EXPECT_EQ(history.protocol_error, "");
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
  ExpectNoProtocolErrors(fleet);
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

TEST(FleetSimulationTest, NoPasswordInTheResult) {
  SimulatedFleet fleet({.plan = ThreePhases(6)});
  const absl::StatusOr<v1::RunResult> result = fleet.Run();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->DebugString(), testing::Not(testing::HasSubstr("secret")));
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

TEST(FleetSimulationTest, AgentsCrashAtAnyMoment) {
  for (uint64_t seed : Seeds(100)) {
    SCOPED_TRACE(Replay(seed));
    FleetOptions options{.seed = seed, .agents = 4, .plan = ThreePhases(8)};
    options.crashes = 1 + static_cast<int>(seed % 4);
    SimulatedFleet fleet(options);
    const absl::StatusOr<v1::RunResult> result = fleet.Run();
    EXPECT_EQ(fleet.results(), 1);
    ExpectNoProtocolErrors(fleet);
    if (!result.ok()) {
      EXPECT_TRUE(absl::IsUnavailable(result.status()) || absl::IsDeadlineExceeded(result.status()))
          << result.status();
    } else {
      ExpectSums(*result, fleet.delivered());
      const auto lost = std::count_if(result->agents().begin(), result->agents().end(),
                                      [](const v1::AgentResult& agent) { return agent.lost(); });
      EXPECT_EQ(result->verdict().valid(), lost == 0);
      EXPECT_EQ(result->verdict().reasons().empty(), lost == 0);
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
    EXPECT_EQ(fleet.results(), 1);
    ExpectNoProtocolErrors(fleet);
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

// Whole fleets under everything that can go wrong at once.
#include <algorithm>
#include <cstdlib>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/simulation/expectations.h"
#include "tests/simulation/simulated_fleet.h"

namespace trunkload {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
// Two phases of ten seconds and their drains, waiting for agents, leases, and all that is restarted.
constexpr int64_t kEndsWithin = 200 * kSecond;

// What goes wrong follows from the seed: from nothing but lost segments to everything.
FleetOptions Trouble(uint64_t seed) {
  std::mt19937_64 random(seed * 0x9e3779b97f4a7c15);
  const auto upto = [&random](int most) { return std::uniform_int_distribution<int>(0, most)(random); };
  FleetOptions options{.seed = seed};
  options.agents = seed % 50 == 0 ? 40 : 2 + upto(4);
  options.plan = TwoPhases(static_cast<uint32_t>(options.agents * (1 + upto(2))));
  v1::Fleet& fleet = *options.plan.mutable_fleet();
  fleet.set_on_agent_lost(static_cast<v1::OnAgentLost>(1 + upto(2)));
  fleet.mutable_lease()->set_seconds(3 + upto(7));
  if (upto(1) == 0) fleet.set_min_agents(1);
  options.network = {
      .delay_ns = 500'000 * (1 + upto(40)), .jitter_ns = 1'000'000 * (1 + upto(20)), .loss = 0.01 * upto(10)};
  options.clock_drift = 1e-4 * upto(2);
  Faults& faults = options.faults;
  faults.agents_killed = upto(2);
  faults.agents_started_again = upto(2);
  faults.agents_told_to_stop = upto(3) == 0 ? 1 : 0;
  faults.controller_killed = upto(2);
  faults.controller_stalled = upto(5) == 0 ? 1 : 0;
  faults.streams_reset = upto(3);
  faults.partitions = upto(2);
  faults.wall_clock_jumps = upto(1);
  faults.slowest_save_ns = upto(4) == 0 ? 3 * kSecond : 30'000'000;
  faults.within_ns = 30 * kSecond;
  // So few that seconds are told together as soon as the controller is away for some of them.
  if (upto(2) == 0) options.outbox = {.messages = 3, .unacknowledged = 2};
  options.plan.mutable_observer()->set_enabled(upto(1) == 0);
  options.plan.mutable_observer()->mutable_count_limit()->set_seconds(3);
  if (upto(5) == 0) options.cancel_at_ns = upto(25) * kSecond + static_cast<int64_t>(seed % 997) * 1'000'000;
  return options;
}

// What the seeds have led to, so that it can be seen that they lead to everything.
struct Outcomes {
  int results = 0;
  int valid = 0;
  int lost = 0;
  int taken_over = 0;
  int resumed = 0;
  int announced = 0;
  int coarse = 0;
};
Outcomes outcomes;

void Tally(const v1::RunResult& result, const SimulatedFleet& fleet) {
  ++outcomes.results;
  outcomes.valid += result.verdict().valid();
  outcomes.resumed += fleet.resumed();
  outcomes.coarse += std::any_of(result.agents().begin(), result.agents().end(),
                                 [](const v1::AgentResult& agent) { return agent.coarse_seconds() > 0; });
  for (const v1::Loss& loss : result.losses()) {
    ++outcomes.lost;
    outcomes.taken_over += loss.has_taken_over_s();
    outcomes.announced += loss.announced();
  }
}

void RunInTrouble(uint64_t seed) {
  SCOPED_TRACE(Replay(seed));
  const FleetOptions options = Trouble(seed);
  SimulatedFleet fleet(options);
  const absl::StatusOr<v1::RunResult> result = fleet.Run();
  ExpectNoViolations(fleet);
  ExpectNobodyTwice(fleet);
  EXPECT_LE(fleet.now_ns(), kEndsWithin);
  if (fleet.cancelled_ns() != INT64_MAX && options.faults.controller_killed == 0 &&
      options.faults.controller_stalled == 0) {
    EXPECT_LE(fleet.now_ns() - fleet.cancelled_ns(), 2 * kSecond);
  }
  if (!result.ok()) {
    EXPECT_FALSE(absl::IsInternal(result.status()) || absl::IsDataLoss(result.status())) << result.status();
    return;
  }
  ExpectSums(*result, fleet.Counted());
  EXPECT_EQ(result->verdict().valid(), result->verdict().reasons().empty());
  Tally(*result, fleet);
  const bool tolerated = options.plan.fleet().min_agents() > 0;
  EXPECT_FALSE(result->losses_size() > 0 && !tolerated && result->verdict().valid());
}

class TroubleTest : public testing::TestWithParam<uint64_t> {};

// So many seeds each, so that they can be run side by side; TRUNKLOAD_SEEDS in its place.
constexpr uint64_t kSeedsAtOnce = 250;

TEST_P(TroubleTest, AddsUpExactlyAndEnds) {
  const char* const text = std::getenv("TRUNKLOAD_SEEDS");
  const uint64_t count = text == nullptr ? kSeedsAtOnce : std::strtoull(text, nullptr, 10);
  for (const uint64_t seed : Seeds(count, GetParam() * count + 1)) {
    RunInTrouble(seed);
    if (HasFailure()) return;
  }
  RecordProperty("results", outcomes.results);
  std::printf("of %d results %d valid; agents lost %d, announced %d, taken over %d; resumed %d; coarse %d\n",
              outcomes.results, outcomes.valid, outcomes.lost, outcomes.announced, outcomes.taken_over,
              outcomes.resumed, outcomes.coarse);
}

INSTANTIATE_TEST_SUITE_P(Simulation, TroubleTest, testing::Range(uint64_t{0}, uint64_t{16}));

TEST(BigTroubleTest, TwoHundredAgents) {
  FleetOptions options = Trouble(4711);
  options.agents = 200;
  options.plan = TwoPhases(400);
  options.plan.mutable_fleet()->set_on_agent_lost(v1::ON_AGENT_LOST_REDISTRIBUTE);
  options.faults = {.agents_killed = 10,
                    .agents_started_again = 5,
                    .controller_killed = 1,
                    .streams_reset = 20,
                    .partitions = 10,
                    .from_ns = 8 * kSecond,
                    .within_ns = 20 * kSecond};
  options.cancel_at_ns = INT64_MAX;
  SimulatedFleet fleet(options);
  const absl::StatusOr<v1::RunResult> result = fleet.Run();
  ExpectNoViolations(fleet);
  ExpectNobodyTwice(fleet);
  ASSERT_TRUE(result.ok()) << result.status();
  ExpectSums(*result, fleet.Counted());
  EXPECT_EQ(fleet.resumed(), 1);
  EXPECT_GE(result->losses_size(), 1);
}

}  // namespace
}  // namespace trunkload

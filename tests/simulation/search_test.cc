// Searches for the highest rate, whose steps are chosen as the run goes on, under what can go wrong.
#include "common/duration.h"
#include "controller/capacity_search.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/simulation/expectations.h"
#include "tests/simulation/simulated_fleet.h"

namespace trunkload {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr uint64_t kSeeds = 100;

// A search and a closed phase after it. What simulated loads do holds nothing, so that rates are halved to
// the end.
v1::Plan SearchAndClosed(uint32_t application_servers, double from) {
  v1::Plan plan = TwoPhases(application_servers);
  v1::Phase& search = *plan.mutable_phases(0);
  search.set_name("capacity");
  search.clear_duration();
  v1::SearchLoad& load = *search.mutable_load()->mutable_search();
  load.set_objective("mean(response) < 1s");
  load.set_from(from);
  load.set_arrivals(v1::ARRIVALS_CONSTANT);
  load.set_precision(0.05);
  *load.mutable_step() = ToProto(absl::Seconds(2));
  return plan;
}

TEST(SearchSimulation, EachRateFollowsFromTheStepsBefore) {
  for (const uint64_t seed : Seeds(kSeeds)) {
    SCOPED_TRACE(Replay(seed));
    FleetOptions options{.seed = seed};
    options.plan = SearchAndClosed(6, 3);
    options.plan.mutable_fleet()->set_min_agents(1);
    options.plan.mutable_observer()->set_enabled(seed % 2 == 0);
    options.faults.controller_killed = static_cast<int>(seed % 3);
    // No lease ends meanwhile.
    options.faults.longest_downtime_ns = 3 * kSecond;
    options.faults.streams_reset = 2;
    options.faults.agents_killed = seed % 5 == 0 ? 1 : 0;
    SimulatedFleet fleet(options);
    const absl::StatusOr<v1::RunResult> result = fleet.Run();
    ExpectNoViolations(fleet);
    ExpectNobodyTwice(fleet);
    if (!result.ok()) {
      EXPECT_FALSE(absl::IsInternal(result.status()) || absl::IsDataLoss(result.status())) << result.status();
      continue;
    }
    ASSERT_EQ(result->searches_size(), 1);
    const v1::SearchResult& search = result->searches(0);
    CapacitySearch progress(options.plan.phases(0).load().search());
    for (const v1::SearchStep& step : search.steps()) {
      ASSERT_TRUE(progress.NextRate().has_value());
      EXPECT_DOUBLE_EQ(step.rate_per_s(), *progress.NextRate());
      progress.Add(step.held());
    }
    std::string why;
    for (const std::string& reason : result->verdict().reasons()) why += reason + "\n";
    EXPECT_FALSE(progress.NextRate().has_value()) << "it went on to its end\n" << why;
    // The phase after it came next, with all that it is.
    ASSERT_EQ(result->phases_size(), search.steps_size() + 1);
    EXPECT_EQ(result->phases().rbegin()->name(), "open");
    std::vector<v1::Interval> counted = fleet.Counted();
    for (v1::Interval& interval : counted) {
      if (interval.phase() == kMostSearchSteps)
        interval.set_phase(static_cast<uint32_t>(search.steps_size()));
    }
    ExpectSums(*result, counted);
    EXPECT_EQ(result->run().plan().phases_size(), 2) << "the plan is as it was asked for";
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace trunkload

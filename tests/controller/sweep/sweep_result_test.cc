#include "controller/sweep/sweep_result.h"

#include "controller/report/sweep_text.h"
#include "controller/sweep/sweep_cells.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

using testing::HasSubstr;

v1::Plan SweptPlan() {
  v1::Plan plan;
  plan.set_name("sizes");
  for (const char* value : {"2", "4", "8", "16", "32"})
    (*plan.mutable_sweep())["pool.size"].add_values(value);
  for (const char* value : {"none", "citus"}) (*plan.mutable_sweep())["setup.distribution"].add_values(value);
  return plan;
}

v1::RunResult Run(uint32_t connections, uint64_t transactions) {
  v1::RunResult result;
  result.mutable_run()->mutable_plan()->mutable_fleet()->set_application_servers(2);
  result.mutable_run()->mutable_plan()->mutable_fleet()->mutable_pool()->set_size(connections / 2);
  result.mutable_verdict()->set_valid(true);
  v1::PhaseResult& warm_up = *result.add_phases();
  warm_up.set_duration_s(1);
  warm_up.set_transactions(1'000'000);
  v1::PhaseResult& phase = *result.add_phases();
  phase.set_recorded(true);
  phase.set_duration_s(10);
  phase.set_transactions(transactions);
  phase.set_rows(transactions * 3);
  return result;
}

// Twice as fast without Citus, and bending down at 20 connections.
std::map<uint32_t, absl::StatusOr<v1::RunResult>> AllCells() {
  std::map<uint32_t, absl::StatusOr<v1::RunResult>> cells;
  const std::vector<SweepSetting> settings = SweepSettings(SweptPlan()).value();
  for (const SweepSetting& setting : settings) {
    const uint32_t n = 2 * static_cast<uint32_t>(std::stoul(setting.values.at("pool.size")));
    const double throughput = 10000.0 * n / (1 + 0.002375 * n * (n - 1) + 0.05 * (n - 1));
    const double of = setting.values.at("setup.distribution") == "citus" ? 0.5 : 1;
    cells.emplace(setting.number, Run(n, static_cast<uint64_t>(throughput * of)));
  }
  return cells;
}

TEST(SweepResultTest, EffectsAreRatiosOfPairs) {
  const v1::SweepResult result = MakeSweepResult(SweptPlan(), "sweep-1", AllCells());
  EXPECT_EQ(result.cells_size(), 10);
  EXPECT_EQ(result.cells(3).cell().settings().at("pool.size"), "4");
  const v1::Effect& citus = *result.effects().rbegin();
  EXPECT_EQ(citus.field(), "setup.distribution");
  EXPECT_EQ(citus.value(), "citus");
  EXPECT_EQ(citus.against(), "none");
  EXPECT_EQ(citus.pairs(), 5);
  EXPECT_NEAR(citus.ratio(), 0.5, 1e-3);
  EXPECT_NEAR(citus.rows_ratio(), 0.5, 1e-3);
}

TEST(SweepResultTest, TheKneeIsNamed) {
  const v1::SweepResult result = MakeSweepResult(SweptPlan(), "sweep-1", AllCells());
  ASSERT_EQ(result.curves_size(), 2);
  EXPECT_EQ(result.curves(0).load(), "connections");
  EXPECT_EQ(result.curves(0).settings().at("setup.distribution"), "citus");
  EXPECT_NEAR(result.curves(1).fit().peak_load(), 20, 0.2);
  EXPECT_THAT(SweepText(result, false),
              HasSubstr("setup.distribution=none: throughput bends down at 20 connections"));
}

TEST(SweepResultTest, ACellThatCouldNotRunIsNoZero) {
  auto cells = AllCells();
  const std::string why = "the citus extension is not in the target's database";
  for (auto& [number, cell] : cells) {
    if (number % 2 == 1) cell = absl::FailedPreconditionError(why);
  }
  cells.erase(8);
  const v1::SweepResult result = MakeSweepResult(SweptPlan(), "sweep-1", cells);
  for (const v1::Effect& effect : result.effects()) EXPECT_EQ(effect.field(), "pool.size");
  EXPECT_EQ(result.curves_size(), 1);
  const std::string text = SweepText(result, false);
  EXPECT_THAT(text, HasSubstr("sizes, sweep sweep-1: 4 of 10 cells"));
  EXPECT_THAT(text, HasSubstr("- 5 cells could not run: " + why));
  EXPECT_THAT(text, HasSubstr("not run yet"));
}

TEST(SweepResultTest, WhatIsNotValidIsMarked) {
  auto cells = AllCells();
  cells.at(0)->mutable_verdict()->set_valid(false);
  cells.at(0)->mutable_verdict()->add_reasons("agent a ran out of CPU");
  const std::string text = SweepText(MakeSweepResult(SweptPlan(), "sweep-1", cells), false);
  EXPECT_THAT(text, HasSubstr("- 1 cell not valid: agent a ran out of CPU"));
  EXPECT_THAT(text, HasSubstr("NOT VALID"));
}

}  // namespace
}  // namespace trunkload

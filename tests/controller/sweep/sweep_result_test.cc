#include "controller/sweep/sweep_result.h"

#include <algorithm>

#include "absl/strings/str_split.h"
#include "controller/report/sweep_text.h"
#include "controller/sweep/sweep_cells.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

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

TEST(SweepResultTest, FewTablesAreShownInFullAndManyInASentence) {
  auto cells = AllCells();
  for (auto& [number, cell] : cells) {
    v1::Observation& observation = *cell->mutable_observation();
    observation.add_nodes()->set_label("worker 1");
    v1::TableSpread& table = *observation.add_tables();
    table.set_table("users");
    table.set_even(true);
    table.set_verdict("even within sampling noise");
    table.add_nodes()->set_rows(1234);
  }
  EXPECT_THAT(SweepText(MakeSweepResult(SweptPlan(), "sweep-1", cells), false),
              AllOf(HasSubstr("10 cells: users is even within sampling noise"), Not(HasSubstr("1,234"))));
  while (cells.size() > 3) cells.erase(cells.begin());
  EXPECT_THAT(
      SweepText(MakeSweepResult(SweptPlan(), "sweep-1", cells), false),
      AllOf(HasSubstr("shards: even within sampling noise"), HasSubstr("worker 1"), HasSubstr("1,234")));
}

TEST(SweepResultTest, ManyTablesThatAreUnevenInTheirOwnWaysAreShownByOne) {
  auto cells = AllCells();
  for (auto& [number, cell] : cells) {
    v1::TableSpread& table = *cell->mutable_observation()->add_tables();
    table.set_table("users");
    table.set_verdict("uneven: shard 10" + std::to_string(number) + " alone has 26 %");
  }
  EXPECT_THAT(
      SweepText(MakeSweepResult(SweptPlan(), "sweep-1", cells), false),
      AllOf(HasSubstr(
                "  10 cells, as in pool.size=2, setup.distribution=none: users is uneven: shard 100 alone"),
            Not(HasSubstr("shard 101 alone"))));
}

TEST(SweepResultTest, WithoutCitusItSaysWhatDoesNotApply) {
  auto cells = AllCells();
  EXPECT_THAT(SweepText(MakeSweepResult(SweptPlan(), "sweep-1", cells), false), Not(HasSubstr("no Citus")));
  for (auto& [number, cell] : cells) {
    cell->mutable_run()->mutable_server()->set_postgresql_version("15.4");
    cell->mutable_observation()->add_nodes()->set_role(v1::DatabaseNode::ROLE_SERVER);
  }
  EXPECT_THAT(SweepText(MakeSweepResult(SweptPlan(), "sweep-1", cells), false),
              AllOf(HasSubstr("PostgreSQL 15.4 without Citus"),
                    HasSubstr("Distribution\n  no Citus in the target's database")));
}

TEST(SweepResultTest, APeakBelowWhatWasTriedIsNotNamed) {
  auto cells = AllCells();
  for (auto& [number, cell] : cells) {
    const v1::Fleet& fleet = cell->run().plan().fleet();
    const uint32_t n = fleet.application_servers() * fleet.pool().size();
    cell->mutable_phases(1)->set_transactions(1'000'000 / n);
  }
  const std::string text = SweepText(MakeSweepResult(SweptPlan(), "sweep-1", cells), false);
  EXPECT_THAT(text, AllOf(HasSubstr("throughput falls from the fewest connections that were tried, 4,"),
                          Not(HasSubstr("bends down"))));
}

TEST(SweepResultTest, WhatFailedIsTold) {
  auto cells = AllCells();
  for (auto& [number, cell] : cells) {
    (*cell->mutable_phases(0)->mutable_errors())["57014"] = 1;
    (*cell->mutable_phases(1)->mutable_errors())["40001"] = 2;
  }
  EXPECT_THAT(SweepText(MakeSweepResult(SweptPlan(), "sweep-1", cells), false),
              AllOf(HasSubstr("- errors: 20 x 40001 "), Not(HasSubstr("57014"))));
}

TEST(SweepResultTest, WhatIsNotValidIsMarked) {
  auto cells = AllCells();
  cells.at(0)->mutable_verdict()->set_valid(false);
  cells.at(0)->mutable_verdict()->add_reasons("agent a ran out of CPU");
  const std::string text = SweepText(MakeSweepResult(SweptPlan(), "sweep-1", cells), false);
  EXPECT_THAT(text, HasSubstr("- 1 cell not valid: agent a ran out of CPU"));
  EXPECT_THAT(text, HasSubstr("NOT VALID"));
}

// --- Scripts.

void AddCommand(v1::ScriptResult& script, const std::string& text, double mean_us) {
  v1::CommandResult& command = *script.add_commands();
  command.set_text(text);
  if (mean_us == 0) return;
  command.mutable_latency_us()->set_count(script.transactions());
  command.mutable_latency_us()->set_mean(mean_us);
}

v1::ScriptResult& AddScript(v1::PhaseResult& phase, const std::string& name, uint64_t transactions,
                            double mean_us, uint64_t retries) {
  v1::ScriptResult& script = *phase.add_scripts();
  script.set_name(name);
  script.set_offered(transactions);
  script.set_transactions(transactions);
  script.set_retries(retries);
  v1::LatencySummary& response = *script.mutable_latency_us()->mutable_response();
  response.set_count(transactions);
  response.set_mean(mean_us);
  response.set_p99(3 * mean_us);
  AddCommand(script, "\\set id 1", 0);
  AddCommand(script, "BEGIN;", mean_us / 10);
  AddCommand(script, "update x SET y = 1;", mean_us / 2);
  return script;
}

// Two-phase commits on Citus: with two shards, COMMIT takes four times as long there, and as long as before
// in plain tables.
v1::Plan TransactionsPlan() {
  v1::Plan plan;
  plan.set_name("transactions");
  (*plan.mutable_variables())["shards"] = "1";
  for (const char* value : {"1", "2"}) (*plan.mutable_sweep())["shards"].add_values(value);
  for (const char* value : {"none", "citus"}) (*plan.mutable_sweep())["setup.distribution"].add_values(value);
  for (const char* value : {"read-committed", "serializable"})
    (*plan.mutable_sweep())["target.isolation"].add_values(value);
  return plan;
}

std::map<uint32_t, absl::StatusOr<v1::RunResult>> TransactionsCells() {
  std::map<uint32_t, absl::StatusOr<v1::RunResult>> cells;
  const std::vector<SweepSetting> settings = SweepSettings(TransactionsPlan()).value();
  for (const SweepSetting& setting : settings) {
    const bool citus = setting.values.at("setup.distribution") == "citus";
    const bool two_phase = citus && setting.values.at("shards") == "2";
    const bool serializable = setting.values.at("target.isolation") == "serializable";
    v1::RunResult result = Run(4, two_phase ? 1000 : citus ? 4000 : 20'000);
    v1::PhaseResult& phase = *result.mutable_phases(1);
    phase.set_offered(phase.transactions());
    const uint64_t half = phase.transactions() / 2;
    AddCommand(AddScript(phase, "read", half, 1000, 0), "END;", 100);
    v1::ScriptResult& write =
        AddScript(phase, "write", half, two_phase ? 8000 : 2000, serializable ? half / 4 : 0);
    AddCommand(write, "END;", two_phase ? 1200 : 300);
    phase.set_retries(write.retries());
    cells.emplace(setting.number, std::move(result));
  }
  return cells;
}

TEST(SweepScriptsTest, EachScriptInEachCellWithItsStatements) {
  const std::string text =
      SweepText(MakeSweepResult(TransactionsPlan(), "sweep-1", TransactionsCells()), false);
  EXPECT_THAT(text, HasSubstr(R"(
Script write: with the mean time in each statement after BEGIN
  distribution shards isolation       done/s     mean      p99  retries   UPDATE   COMMIT
  none         1      read-committed   1,000  2.00 ms  6.00 ms        -  1.00 ms   300 us
  none         1      serializable     1,000  2.00 ms  6.00 ms   25.0 %  1.00 ms   300 us
)"));
  // What nothing has is left out.
  EXPECT_THAT(text, AllOf(Not(HasSubstr("failed")), Not(HasSubstr("wait p99")), Not(HasSubstr("deadlocks"))));
}

TEST(SweepScriptsTest, EffectsAreThoseOfEachScriptAndOfWhatTheyDependOn) {
  const std::string text =
      SweepText(MakeSweepResult(TransactionsPlan(), "sweep-1", TransactionsCells()), false);
  EXPECT_THAT(text, HasSubstr(R"(
  shards=2: 0.50 of shards=1 (0.25 to 1.00 over 4 pairs)
    medians 1.00 with setup.distribution=none, 0.25 with setup.distribution=citus
  target.isolation=serializable: 1.00 of target.isolation=read-committed (1.00 to 1.00 over 4 pairs)
)"));
  EXPECT_THAT(text, HasSubstr(R"(
  shards=2 against 1, with setup.distribution=none (2 pairs)
    read                  1.00      1.00      1.00      1.00                   -
    write                 1.00      1.00      1.00      1.00    12.5 % to 12.5 %
  shards=2 against 1, with setup.distribution=citus (2 pairs)
    read                  0.25      1.00      1.00      1.00                   -
    write                 0.25      4.00      4.00      4.00    12.5 % to 12.5 %
  target.isolation=serializable against read-committed (4 pairs)
    read                  1.00      1.00      1.00      1.00                   -
    write                 1.00      1.00      1.00      1.00     0.0 % to 25.0 %
)"));
}

TEST(SweepScriptsTest, OneScriptThatIsNotMeasuredByCommandHasNoTableOfItsOwn) {
  EXPECT_THAT(SweepText(MakeSweepResult(SweptPlan(), "sweep-1", AllCells()), false),
              AllOf(Not(HasSubstr("Script ")), Not(HasSubstr("Each script"))));
}

TEST(SweepScriptsTest, NoLineIsWiderThanAPage) {
  v1::Plan plan = TransactionsPlan();
  (*plan.mutable_sweep())["phases.measured.load.closed.think_time"].add_values("100ms");
  auto cells = TransactionsCells();
  for (auto& [number, cell] : cells) {
    for (v1::ScriptResult& script : *cell->mutable_phases(1)->mutable_scripts()) {
      for (int i = 0; i < 4; ++i) AddCommand(script, "SELECT 1;", 99'900);
      (*script.mutable_errors())["40001"] = 3;
    }
  }
  const std::string text = SweepText(MakeSweepResult(plan, "sweep-1", cells), false);
  EXPECT_THAT(
      text,
      HasSubstr("\n  phases.measured.load.closed.think_time=100ms, setup.distribution=citus, shards=1\n"));
  EXPECT_THAT(text, HasSubstr("Script write: with the mean time in 5 of its 6 statements after BEGIN\n"));
  size_t widest = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) widest = std::max(widest, line.size());
  EXPECT_LE(widest, 100);
}

}  // namespace
}  // namespace trunkload

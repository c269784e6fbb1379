#include "tests/simulation/expectations.h"

#include <algorithm>
#include <cstdlib>
#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "controller/phase_result.h"
#include "controller/plan/plan_check.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

void ExpectSummary(v1::LatencySummary summary, const Histogram& histogram) {
  v1::LatencySummary expected = Summarise(histogram);
  // Squares are added up in another order, so that their last digit may differ.
  EXPECT_NEAR(summary.stddev(), expected.stddev(), 1e-9 * (1 + expected.stddev() + expected.mean()));
  summary.clear_stddev();
  expected.clear_stddev();
  EXPECT_EQ(summary.DebugString(), expected.DebugString());
}

v1::Plan Valid(const std::string& text, uint32_t application_servers) {
  v1::Plan plan;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &plan));
  plan.mutable_fleet()->set_application_servers(application_servers);
  absl::StatusOr<v1::Plan> valid = ValidatePlan(std::move(plan));
  EXPECT_TRUE(valid.ok()) << valid.status();
  return *valid;
}

}  // namespace

v1::Plan ThreePhases(uint32_t application_servers) {
  return Valid(R"pb(
                 name: "simulated"
                 target { conninfo: "dbname=bench" }
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
               application_servers);
}

v1::Plan TwoPhases(uint32_t application_servers) {
  return Valid(R"pb(
                 name: "simulated"
                 target { conninfo: "dbname=bench" }
                 scripts { builtin: BUILTIN_INSERT_SINGLE }
                 phases {
                   name: "closed"
                   duration { seconds: 10 }
                   load { closed { clients: 1000 } }
                 }
                 phases {
                   name: "open"
                   duration { seconds: 10 }
                   load { open { rate: 2000 } }
                 }
               )pb",
               application_servers);
}

std::vector<uint64_t> Seeds(uint64_t count, uint64_t first) {
  uint64_t only;
  if (const char* text = std::getenv("TRUNKLOAD_SEED"); text != nullptr && absl::SimpleAtoi(text, &only))
    return {only};
  std::vector<uint64_t> seeds;
  for (uint64_t seed = first; seed < first + count; ++seed) seeds.push_back(seed);
  return seeds;
}

std::string Replay(uint64_t seed) {
  const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
  return absl::StrCat("replay with TRUNKLOAD_SEED=", seed, " build/dev/simulation_test --gtest_filter='",
                      test.test_suite_name(), ".", test.name(), "'");
}

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
    for (const v1::CommandResult& command : phase.scripts(phase.scripts_size() - 1).commands()) {
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

void ExpectNoViolations(const SimulatedFleet& fleet) {
  EXPECT_THAT(fleet.violations(), testing::IsEmpty());
  EXPECT_EQ(fleet.results(), 1);
}

void ExpectNobodyTwice(const SimulatedFleet& fleet) {
  std::map<uint32_t, std::vector<LoadHistory::Span>> by_server;
  for (const LoadHistory& history : fleet.histories()) {
    for (const LoadHistory::Span& span : history.spans) by_server[span.server].push_back(span);
  }
  for (auto& [server, spans] : by_server) {
    std::sort(spans.begin(), spans.end(), [](const auto& a, const auto& b) { return a.from_ns < b.from_ns; });
    for (size_t i = 1; i < spans.size(); ++i) {
      EXPECT_LE(spans[i - 1].to_ns, spans[i].from_ns) << "application server " << server;
    }
  }
}

}  // namespace trunkload

#include "controller/merger.h"

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "controller/operation_record.h"
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
  EXPECT_NEAR(result.latency_us().response().stddev(), 0, 0.01);
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
  for (const char* code : {"pool_timeout", "unfinished", "other", "08006", "not_one_row", "in_transaction",
                           "script_error", "pipeline_open", "shell_failed"}) {
    (*interval.mutable_scripts(0)->mutable_errors())[code] = 1;
  }
  EXPECT_TRUE(merger_.Merge(7, interval, 100).ok());
  EXPECT_EQ(Result().errors().at("other"), 1);
}

// A plan whose first script is in pgbench's language, and measured by its commands.
class TextMergerTest : public testing::Test {
 protected:
  TextMergerTest() {
    v1::Script& script = *plan_.mutable_scripts(0);
    script.set_name("pay");
    script.set_text("\\set a 1\n  UPDATE t\n  SET b = :a; SELECT 1;\n\\if :a\n\\endif\n");
    script.set_per_command(true);
    merger_.emplace(plan_, 1, std::vector<AgentId>{7, 8});
  }
  static v1::Interval Measured(uint64_t number) {
    v1::Interval interval = Slice(number, static_cast<uint32_t>(number), static_cast<uint32_t>(number));
    v1::ScriptInterval& script = *interval.mutable_scripts(0);
    script.set_skipped(5);
    script.set_late(2);
    script.set_retried(3);
    script.set_retries(4);
    script.set_deadlock_retries(1);
    (*script.mutable_error_messages())["40001"] = "could not\nserialize";
    for (int i = 0; i < 4; ++i) {
      Histogram latency;
      for (int j = 0; j <= i; ++j) latency.Record((i + 1) * kMillisecond);
      v1::CommandInterval& command = *script.add_commands();
      *command.mutable_latency() = latency.ToProto();
      command.set_failures(static_cast<uint64_t>(i));
      command.set_retries(static_cast<uint64_t>(i) / 2);
    }
    interval.set_aborted_clients(1);
    return interval;
  }
  v1::PhaseResult Result() { return MakePhaseResult(plan_, 1, 10, *merger_, Total(*merger_)); }

  v1::Plan plan_ = TwoScripts();
  std::optional<Merger> merger_;
};

TEST_F(TextMergerTest, AddsUpWhatBecameOfTransactions) {
  for (const AgentId agent : {7, 8}) ASSERT_TRUE(merger_->Merge(agent, Measured(0), 100).ok());
  const v1::PhaseResult result = Result();
  EXPECT_EQ(result.skipped(), 10);
  EXPECT_EQ(result.late(), 4);
  EXPECT_EQ(result.retried(), 6);
  EXPECT_EQ(result.retries(), 8);
  EXPECT_EQ(result.deadlock_retries(), 2);
  EXPECT_EQ(result.aborted_clients(), 2);
  EXPECT_EQ(result.error_messages().at("40001"), "could not serialize") << "one line";
  EXPECT_EQ(result.scripts(0).name(), "pay");
  EXPECT_EQ(result.scripts(0).skipped(), 10);
  EXPECT_EQ(result.scripts(0).error_messages_size(), 1);
  EXPECT_EQ(result.scripts(1).error_messages_size(), 0);
  EXPECT_DOUBLE_EQ(result.error_rate(), 6.0 / 26) << "the skipped ones did not fail";
  EXPECT_EQ(result.series(0).skipped(), 10);
  EXPECT_EQ(result.series(0).errors(), 4);
  EXPECT_EQ(result.series(0).transactions(), 20);
}

TEST_F(TextMergerTest, AddsUpCommandsByTheirFirstLines) {
  for (const AgentId agent : {7, 8}) ASSERT_TRUE(merger_->Merge(agent, Measured(0), 100).ok());
  const v1::PhaseResult result = Result();
  ASSERT_EQ(result.scripts(0).commands_size(), 4);
  EXPECT_EQ(result.scripts(1).commands_size(), 0);
  std::vector<std::string> texts;
  for (const v1::CommandResult& command : result.scripts(0).commands()) texts.push_back(command.text());
  EXPECT_THAT(texts, testing::ElementsAre("\\set a 1", "UPDATE t", "SELECT 1;", "\\if :a"));
  const v1::CommandResult& last = result.scripts(0).commands(3);
  EXPECT_EQ(last.latency_us().count(), 8);
  EXPECT_NEAR(last.latency_us().mean(), 4000, 1);
  EXPECT_EQ(last.failures(), 6);
  EXPECT_EQ(last.retries(), 2);
}

TEST_F(TextMergerTest, RefusesWhatItsScriptCanNotGive) {
  std::vector<v1::Interval> malformed(11, Measured(0));
  malformed[0].mutable_scripts(0)->add_commands();
  malformed[1].mutable_scripts(0)->mutable_commands()->RemoveLast();
  malformed[2].mutable_scripts(1)->add_commands();
  malformed[3].mutable_scripts(0)->mutable_commands(1)->mutable_latency()->add_count(1);
  malformed[4].mutable_scripts(0)->mutable_commands(1)->set_retries(2);
  malformed[5].mutable_scripts(0)->mutable_commands(1)->set_failures(UINT64_MAX);
  (*malformed[6].mutable_scripts(0)->mutable_error_messages())["40001"] = std::string(201, 'x');
  (*malformed[7].mutable_scripts(0)->mutable_error_messages())["no code"] = "x";
  malformed[8].mutable_scripts(0)->set_skipped(UINT64_MAX);
  malformed[9].set_aborted_clients(UINT64_MAX);
  malformed[10].mutable_scripts(0)->set_deadlock_retries(5);
  for (size_t i = 0; i < malformed.size(); ++i) {
    EXPECT_TRUE(absl::IsInvalidArgument(merger_->Merge(7, malformed[i], 100))) << i;
  }
  EXPECT_EQ(Result().transactions(), 0);
  v1::Interval none = Measured(0);
  none.mutable_scripts(0)->clear_commands();
  EXPECT_TRUE(merger_->Merge(7, none, 100).ok()) << "nothing of commands, where nothing ran";
}

TEST_F(TextMergerTest, ALogIsWholeAndOfTheRunsScripts) {
  v1::Interval logged = Measured(0);
  v1::TransactionLog& log = *logged.mutable_log();
  log.add_client(3);
  log.add_number(0);
  log.add_script(1);
  log.add_outcome(v1::TransactionLog::OUTCOME_SUCCEEDED);
  log.add_ended_us(1000);
  log.add_response_us(900);
  log.add_send_lag_us(0);
  log.add_retries(0);
  std::vector<v1::Interval> malformed(4, logged);
  malformed[0].mutable_log()->add_retries(0);
  malformed[1].mutable_log()->set_script(0, 2);
  malformed[2].mutable_log()->set_outcome(0, static_cast<v1::TransactionLog::Outcome>(77));
  malformed[3].mutable_log()->set_response_us(0, -1);
  for (size_t i = 0; i < malformed.size(); ++i) {
    EXPECT_TRUE(absl::IsInvalidArgument(merger_->Merge(7, malformed[i], 100))) << i;
  }
  EXPECT_TRUE(merger_->Merge(7, logged, 100).ok());
}

TEST_F(TextMergerTest, TotalsAreThoseOfCompleteSeconds) {
  ASSERT_TRUE(merger_->Merge(7, Measured(0), 100).ok());
  EXPECT_EQ(merger_->series().totals().seconds(), 0);
  EXPECT_EQ(merger_->series().totals().transactions(), 0);
  ASSERT_TRUE(merger_->Merge(8, Measured(0), 100).ok());
  ASSERT_TRUE(merger_->Merge(7, Measured(1), 100).ok());
  const v1::PhaseTotals& totals = merger_->series().totals();
  EXPECT_EQ(totals.seconds(), 1);
  EXPECT_EQ(totals.transactions(), 20);
  EXPECT_EQ(totals.errors(), 4);
  EXPECT_EQ(totals.skipped(), 10);
  EXPECT_EQ(totals.retried(), 6);
  EXPECT_EQ(totals.retries(), 8);
  EXPECT_DOUBLE_EQ(totals.response_us(), 20 * 1000.0);
  EXPECT_DOUBLE_EQ(totals.response_squares_us2(), 20 * 1e6);
  ASSERT_TRUE(merger_->Merge(8, Measured(1), 100).ok());
  EXPECT_EQ(totals.seconds(), 2);
  EXPECT_EQ(totals.transactions(), 40);
}

TEST_F(TextMergerTest, WhatComesLateIsAddedToTheTotals) {
  for (uint64_t i = 0; i < 20; ++i) ASSERT_TRUE(merger_->Merge(7, Measured(i), 100).ok());
  EXPECT_EQ(merger_->series().totals().seconds(), 15);
  EXPECT_EQ(merger_->series().totals().transactions(), 150);
  ASSERT_TRUE(merger_->Merge(8, Slice(0, 0, 19, 30), 100).ok());
  EXPECT_EQ(merger_->series().totals().seconds(), 20);
  EXPECT_EQ(merger_->series().totals().transactions(), 230);
  EXPECT_NEAR(merger_->series().totals().response_us(), 230 * 1000.0, 1e-3);
}

TEST(RecordedMergerTest, AddsUpLedgersAndKeepsThemOverARestart) {
  v1::Plan plan = TwoScripts();
  plan.mutable_scripts(0)->set_recorded(true);
  Merger merger(plan, 1, {7, 8});
  const auto slice = [](uint64_t number, uint64_t writer, uint64_t first) {
    v1::Interval interval = Slice(number, static_cast<uint32_t>(number), static_cast<uint32_t>(number));
    Ledger ledger;
    for (uint64_t i = 0; i < 10; ++i)
      ledger.Record(writer, first + i, i == 3 ? Ledger::Outcome::kLost : Ledger::Outcome::kAcknowledged);
    *interval.mutable_scripts(0)->mutable_ledger() = ledger.ToProto();
    interval.mutable_scripts(0)->mutable_findings()->set_looks(10);
    return interval;
  };
  ASSERT_TRUE(merger.Merge(7, slice(0, 1, 1), 100).ok());
  ASSERT_TRUE(merger.Merge(8, slice(0, 2, 1), 100).ok());
  ASSERT_TRUE(merger.Merge(7, slice(0, 1, 1), 100).ok()) << "once more";
  absl::StatusOr<Merger> restored = Merger::Restore(plan, merger.Save(), {});
  ASSERT_TRUE(restored.ok()) << restored.status();
  ASSERT_TRUE(restored->Merge(7, slice(1, 1, 11), 100).ok());
  const Merger::Script& script = restored->scripts()[0];
  EXPECT_EQ(script.ledger.acknowledged(), 27u);
  EXPECT_EQ(script.ledger.lost(), 3u);
  EXPECT_EQ(script.findings.looks(), 30u);
  OperationRecord record;
  record.Add(*restored);
  EXPECT_TRUE(record.incomplete()) << "no agent has said that it has ended";
  const absl::StatusOr<OperationRecord> again = OperationRecord::FromProto(plan, record.ToProto(plan));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->scripts()[0].ledger.acknowledged(), 27u);
}

TEST(RecordedMergerTest, RefusesALedgerThatNobodyAskedFor) {
  const v1::Plan plan = TwoScripts();
  Merger merger(plan, 1, {7});
  v1::Interval interval = Slice(0, 0, 0);
  interval.mutable_scripts(0)->mutable_ledger()->add_writers()->set_writer(1);
  EXPECT_FALSE(merger.Merge(7, interval, 100).ok());
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
  EXPECT_EQ(agent.strain.noticed(), 10);
  EXPECT_EQ(agent.strain.noticed_late(), 4);
  EXPECT_DOUBLE_EQ(agent.strain.busiest_reactor(), 1);
  EXPECT_DOUBLE_EQ(agent.strain.busiest_reactor_mean(), (1.0 + 3 * 0.5) / 4)
      << "by seconds, without the drain";
}

v1::Interval WithMachine(v1::Interval interval, double machine_cpu, double process_cpus,
                         uint64_t throttled_ns) {
  v1::MachineUse& machine = *interval.mutable_machine();
  machine.set_processors(4);
  machine.set_machine_cpu(machine_cpu);
  machine.set_process_cpus(process_cpus);
  machine.set_waited(machine_cpu / 2);
  machine.set_throttled_ns(throttled_ns);
  return interval;
}

TEST_F(MergerTest, AveragesMachinesAndKnowsTheSecondsInWhichTheyWereFull) {
  ASSERT_TRUE(merger_.Merge(7, WithMachine(Slice(0, 0, 0), 0.5, 0.5, 0), 100).ok());
  ASSERT_TRUE(merger_.Merge(7, WithMachine(Slice(1, 1, 3), 1, 3, 6'000'000), 100).ok());
  v1::Interval no_files = WithMachine(Slice(2, 7, 7), 1, 1, 0);
  (*no_files.mutable_connect_errors())["too_many_files"] = 5;
  (*no_files.mutable_connect_errors())["no_free_port"] = 1;
  ASSERT_TRUE(merger_.Merge(7, no_files, 100).ok());
  ASSERT_TRUE(merger_.Merge(7, WithMachine(Slice(3, 10, 10, 0), 0.1, 0.1, 1'000'000), 100).ok())
      << "the drain";
  // As another controller would have it from disk.
  const absl::StatusOr<Merger> restored = Merger::Restore(plan_, merger_.Save(), merger_.TakeChangedPoints());
  ASSERT_TRUE(restored.ok()) << restored.status();
  const v1::AgentStrain& strain = restored->agents().at(7).strain;
  EXPECT_EQ(strain.ShortDebugString(), merger_.agents().at(7).strain.ShortDebugString());
  EXPECT_DOUBLE_EQ(strain.machine().machine_cpu(), (0.5 + 3 + 1) / 5);
  EXPECT_DOUBLE_EQ(strain.machine().process_cpus(), (0.5 + 9 + 1) / 5);
  EXPECT_EQ(strain.machine().throttled_ns(), 6'000'000);
  EXPECT_EQ(strain.full_machine().ShortDebugString(), "first_second: 1 last_second: 3 seconds: 3")
      << "later others filled it";
  EXPECT_EQ(strain.waited().ShortDebugString(), "last_second: 7 seconds: 5");
  EXPECT_EQ(strain.throttled().ShortDebugString(), "first_second: 1 last_second: 3 seconds: 3");
  EXPECT_EQ(strain.too_many_files(), 5);
  EXPECT_EQ(strain.out_of_files().ShortDebugString(), "first_second: 7 last_second: 7 seconds: 1");
  EXPECT_EQ(strain.no_free_port(), 1);
}

TEST_F(MergerTest, RefusesAUseOfTheMachineThatCannotBe) {
  for (const auto& [machine_cpu, process_cpus] :
       {std::pair(1.1, 0.0), std::pair(std::nan(""), 0.0), std::pair(0.5, -1.0), std::pair(0.5, 1e12)}) {
    const v1::Interval wrong = WithMachine(Slice(0, 0, 0), machine_cpu, process_cpus, 0);
    EXPECT_TRUE(absl::IsInvalidArgument(merger_.Merge(7, wrong, 100))) << machine_cpu << " " << process_cpus;
  }
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

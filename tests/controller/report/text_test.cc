#include "controller/report/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "controller/report/live_line.h"
#include "controller/report/units.h"

namespace trunkload {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

void SetLatencies(v1::LatencySummary& summary, double us) {
  summary.set_count(15998);
  summary.set_mean(us);
  summary.set_p50(us);
  summary.set_p90(2 * us);
  summary.set_p95(3 * us);
  summary.set_p99(4 * us);
  summary.set_p99_9(10 * us);
  summary.set_max(100 * us);
  summary.set_stddev(us / 2);
}

v1::CheckResult Check(v1::Check check, v1::CheckResult::Outcome outcome, const std::string& verdict) {
  v1::CheckResult result;
  result.set_check(check);
  result.set_outcome(outcome);
  result.set_verdict(verdict);
  return result;
}

v1::RunResult Result() {
  v1::RunResult result;
  result.mutable_run()->set_id("20260101-000000-abcd");
  result.mutable_run()->set_started_at("2026-01-01T00:00:00Z");
  result.mutable_run()->mutable_plan()->set_name("insert-throughput");
  result.mutable_run()->mutable_server()->set_postgresql_version("15.4");
  result.mutable_verdict()->set_valid(true);
  v1::ObjectiveResult& objective = *result.add_objectives();
  objective.set_text("p99(response) < 50ms");
  objective.set_met(true);
  objective.set_value(4.92);
  objective.set_phase("open");
  v1::PhaseResult& phase = *result.add_phases();
  phase.set_name("open");
  phase.set_recorded(true);
  phase.set_duration_s(8);
  phase.set_offered(16001);
  phase.set_offered_per_s(2000.1);
  phase.set_throughput_per_s(1999.8);
  phase.set_rows_per_s(51400);
  phase.set_transactions(15998);
  phase.set_rows(411200);
  (*phase.mutable_errors())["23505"] = 3;
  SetLatencies(*phase.mutable_latency_us()->mutable_response(), 1230);
  SetLatencies(*phase.mutable_latency_us()->mutable_send_lag(), 12);
  v1::AgentResult& agent = *result.add_agents();
  agent.set_name("local-1");
  agent.set_share(1);
  agent.set_cpu_s(2.31);
  agent.set_busiest_reactor(0.31);
  agent.set_schedule_lag_p99_us(45);
  agent.set_schedule_lag_max_us(1200);
  agent.set_start_skew_us(120);
  agent.set_clock_uncertainty_us(40);
  return result;
}

TEST(TextReportTest, Golden) {
  EXPECT_EQ(TextReport(Result(), /*color=*/false),
            R"(VALID, 1 of 1 objectives met
  met     p99(response) < 50ms  4.92 ms in open

insert-throughput, run 20260101-000000-abcd; started 2026-01-01T00:00:00Z; PostgreSQL 15.4 without
  Citus

Phase open, 8.0 s
                     offered/s    done/s    rows/s      done      rows    errors   dropped
  all                    2,000     2,000    51,400    15,998   411,200         3         0
  errors: 3 x 23505 duplicate key

                           p50       p90       p95       p99     p99.9       max      mean    stddev
  response             1.23 ms   2.46 ms   3.69 ms   4.92 ms   12.3 ms    123 ms   1.23 ms    615 us
  send lag               12 us     24 us     36 us     48 us    120 us   1.20 ms     12 us    6.0 us

1 agent
                         share       CPU   busiest   lag p99   lag max    waited      skew       +/-
  local-1              100.0 %    2.31 s    31.0 %     45 us   1.20 ms     0.0 %    120 us     40 us
)");
}

TEST(TextReportTest, AgentsOfLongNamesAreToldApart) {
  v1::RunResult result = Result();
  result.mutable_agents(0)->set_name("load-trunkload-agent-dbf688fcb-mlxzl");
  result.add_agents()->set_name("load-trunkload-agent-dbf688fcb-zgp45");
  result.mutable_agents(1)->set_lost(true);
  const std::string report = TextReport(result, /*color=*/false);
  EXPECT_THAT(report, HasSubstr("\n  load-..-mlxzl "));
  EXPECT_THAT(report, HasSubstr("\n  load-..-zgp45 LOST "));
}

TEST(TextReportTest, FitsAHundredColumnsAndLeadsWithWhatIsWrong) {
  v1::RunResult result = Result();
  result.mutable_verdict()->set_valid(false);
  std::string long_reason = "the load generator";
  for (int i = 0; i < 20; ++i) absl::StrAppend(&long_reason, " fell behind its schedule");
  result.mutable_verdict()->add_reasons(long_reason);
  result.mutable_objectives(0)->set_met(false);
  result.mutable_agents(0)->set_lost(true);
  for (int i = 0; i < 50; ++i)
    result.add_agents()->set_name(absl::StrCat("agent-with-a-rather-long-name-", i));
  const std::string report = TextReport(result, /*color=*/false);
  EXPECT_THAT(report, ::testing::StartsWith("NOT VALID, 0 of 1 objectives met\n"));
  EXPECT_THAT(report, HasSubstr("MISSED  p99(response) < 50ms"));
  EXPECT_THAT(report, HasSubstr("local-1 LOST"));
  EXPECT_THAT(report, HasSubstr("and 31 more"));
  for (absl::string_view line : absl::StrSplit(report, '\n')) EXPECT_LE(line.size(), 100u) << line;
}

TEST(TextReportTest, WhatBecameOfTransactionsInPgbenchsLanguage) {
  v1::RunResult result = Result();
  result.clear_agents();
  v1::PhaseResult& phase = *result.mutable_phases(0);
  (*phase.mutable_errors())["40001"] = 1200;
  (*phase.mutable_error_messages())["40001"] = "could not serialize access due to concurrent update";
  (*phase.mutable_error_messages())["23505"] = "duplicate key value violates unique constraint \"t_pkey\"";
  phase.set_skipped(1234);
  phase.set_late(17);
  phase.set_retried(30);
  phase.set_retries(4100);
  phase.set_deadlock_retries(12);
  phase.set_aborted_clients(2);
  v1::ScriptResult& script = *phase.add_scripts();
  script.set_name("pay");
  const auto add = [&script](const std::string& text, double us, uint64_t failures) {
    v1::CommandResult& command = *script.add_commands();
    command.set_text(text);
    if (us > 0) SetLatencies(*command.mutable_latency_us(), us);
    command.set_failures(failures);
  };
  add("\\set aid random(1, 100000 * :scale)", 2, 0);
  add("UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;", 850, 1200);
  add("\\else", 0, 0);
  add("SELECT '\x1b[31m'", 3, 0);
  const std::string report = TextReport(result, /*color=*/false);
  EXPECT_THAT(report, HasSubstr(R"(
                     offered/s    done/s    rows/s      done      rows    errors   dropped   skipped
  all                    2,000     2,000    51,400    15,998   411,200     1,203         0     1,234
  late: 17 above the phase's latency_limit
  retried: 30 transactions, 4,100 retries, after 4,088 x 40001 serialization, 12 x 40P01 deadlock
  errors: 3 x 23505 duplicate key, 1,200 x 40001 serialization
    23505: duplicate key value violates unique constraint "t_pkey"
    40001: could not serialize access due to concurrent update
  clients that ended before the phase did: 2
)"));
  EXPECT_THAT(report, HasSubstr(R"(
       mean       p50       p99       max  failures  command of pay
     2.0 us    2.0 us    8.0 us    200 us         0  \set aid random(1, 100000 * :scale)
     850 us    850 us   3.40 ms   85.0 ms     1,200  UPDATE pgbench_accounts SET abalance = abalance
)"));
  EXPECT_THAT(report, Not(HasSubstr("\033"))) << "nothing for a terminal to obey";
  EXPECT_THAT(report, Not(HasSubstr("else"))) << "nothing is measured of a jump";
  for (absl::string_view line : absl::StrSplit(report, '\n')) EXPECT_LE(line.size(), 100u) << line;
}

TEST(TextReportTest, ColorsOnlyWhenAsked) {
  EXPECT_THAT(TextReport(Result(), false), Not(HasSubstr("\033")));
  EXPECT_THAT(TextReport(Result(), true), HasSubstr("\033[1;32mVALID"));
}

TEST(LiveLineTest, SaysWhatTheFleetDoes) {
  v1::Progress progress;
  progress.set_stage(v1::Progress::STAGE_RUNNING);
  progress.set_phase("open");
  progress.set_elapsed_s(3);
  progress.set_duration_s(8);
  progress.set_throughput_per_s(2012);
  progress.set_response_p99_us(4200);
  progress.set_errors(1);
  progress.set_agents(2);
  progress.set_agents_wanted(3);
  EXPECT_EQ(LiveLine(progress, 100),
            "running open 3/8 s  |  2,012/s  |  p99 4.20 ms  |  1 error  |  2 agents of 3");
  EXPECT_EQ(LiveLine(progress, 10).size(), 10u);
}

TEST(UnitsTest, ThreeDigitsInTheUnitThatSuits) {
  EXPECT_EQ(LatencyText(0), "0 us");
  EXPECT_EQ(LatencyText(9.96), "10 us");
  EXPECT_EQ(LatencyText(999.4), "999 us");
  EXPECT_EQ(LatencyText(999.6), "1.00 ms");
  EXPECT_EQ(LatencyText(999'600), "1.00 s");
  EXPECT_EQ(LatencyText(3.6e9), "3600 s");
  EXPECT_EQ(CountText(999), "999");
  EXPECT_EQ(CountText(1'234'567), "1,234,567");
  EXPECT_EQ(RateText(0.25), "0.25");
  EXPECT_EQ(RateText(1999.8), "2,000");
}

TEST(TextReportTest, SaysFirstWhatCheckFailed) {
  v1::RunResult result = Result();
  using Outcome = v1::CheckResult;
  *result.add_checks() =
      Check(v1::CHECK_BANK, Outcome::OUTCOME_FAILED, "12 contradictions, the first: half a transfer");
  v1::CheckResult& bank = *result.mutable_checks(0);
  bank.set_acknowledged(12345);
  bank.set_lost_answers(3);
  bank.set_lost_committed(2);
  bank.set_looks(20);
  bank.set_deviating(4);
  bank.set_largest_deviation(-17);
  bank.set_violations(12);
  bank.set_recording_cpu_s(0.000231);
  bank.add_witnesses()->set_text("transfer 5 of writer 7 is there in part");
  bank.mutable_witnesses(0)->set_node("10.0.0.5:5432");
  *result.add_checks() = Check(v1::CHECK_APPEND_LIST, Outcome::OUTCOME_PASSED, "all is there");
  *result.add_checks() = Check(v1::CHECK_LEDGER, Outcome::OUTCOME_FAILED, "1 contradiction: a row is gone");
  *result.add_checks() = Check(v1::CHECK_COUNTER, Outcome::OUTCOME_INDETERMINATE, "not settled: no answer");
  const std::string text = TextReport(result, /*color=*/false);
  EXPECT_EQ(text.substr(0, text.find('\n')), "CHECKS FAILED: bank, ledger");
  EXPECT_THAT(
      text,
      HasSubstr("  bank: FAILED: 12 contradictions, the first: half a transfer\n"
                "    12,345 acknowledged, 0 refused, 3 answers lost, of which 2 were committed, 20 reads "
                "compared, 4\n      deviated, by 17 at most, written down in 0.01 % of the agents' CPU time\n"
                "    - transfer 5 of writer 7 is there in part (on 10.0.0.5:5432)\n"
                "    and 11 more contradictions\n"
                "  append-list: passed: all is there\n"));
  EXPECT_THAT(text, HasSubstr("  counter: INDETERMINATE: not settled: no answer\n"));
}

TEST(TextReportTest, SaysNothingOfChecksWhereThereAreNone) {
  EXPECT_THAT(TextReport(Result(), /*color=*/false), Not(HasSubstr("heck")));
}

}  // namespace
}  // namespace trunkload

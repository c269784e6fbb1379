#include "controller/pgbench/report.h"

#include <string>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

using testing::HasSubstr;
using testing::Not;

class PgbenchReportTest : public testing::Test {
 protected:
  // Two scripts of three clients; ten transactions, one skipped, two that failed, one of them after three
  // retries.
  PgbenchReportTest() {
    options_.clients = 3;
    options_.scripts = {{.builtin = v1::BUILTIN_SELECT_ONLY, .weight = 3}, {.file = "mine.sql", .weight = 1}};
    v1::Plan& plan = *result_.mutable_run()->mutable_plan();
    (*plan.mutable_variables())["scale"] = "7";
    plan.add_phases()->set_transactions(30);
    v1::PhaseResult& phase = *result_.add_phases();
    phase.set_duration_s(2);
    phase.set_throughput_per_s(5);
    phase.set_transactions(10);
    phase.set_skipped(1);
    phase.set_late(4);
    phase.set_retried(2);
    phase.set_retries(3);
    (*phase.mutable_errors())["40001"] = 1;
    (*phase.mutable_errors())["40P01"] = 1;
    (*phase.mutable_error_messages())["40001"] = "could not serialize access";
    SetLatency(*phase.mutable_latency_us()->mutable_response());
    SetLatency(*phase.mutable_latency_us()->mutable_send_lag());
    for (const uint64_t transactions : {8, 2}) {
      v1::ScriptResult& script = *phase.add_scripts();
      script.set_transactions(transactions);
      SetLatency(*script.mutable_latency_us()->mutable_response());
    }
    v1::CommandResult& command = *phase.mutable_scripts(1)->add_commands();
    command.set_text("SELECT 1;");
    command.mutable_latency_us()->set_mean(1'234);
    command.set_failures(5);
    command.set_retries(3);
    v1::AgentResult& agent = *result_.add_agents();
    agent.set_connecting_us(8'000);
  }

  static void SetLatency(v1::LatencySummary& latency) {
    latency.set_count(10);
    latency.set_mean(1'500);
    latency.set_stddev(250);
    latency.set_max(9'000);
    latency.set_p99(4'000);
  }

  std::string Report() const { return PgbenchReport(result_, options_, partitions_); }

  v1::RunResult result_;
  PgbenchOptions options_;
  PgbenchPartitions partitions_;
};

TEST_F(PgbenchReportTest, OfScriptsLimitedByTransactions) {
  const std::string report = Report();
  EXPECT_TRUE(absl::StartsWith(report,
                               "transaction type: multiple scripts\n"
                               "scaling factor: 7\n"
                               "query mode: simple\n"
                               "number of clients: 3\n"
                               "number of threads: 1\n"
                               "maximum number of tries: 1\n"
                               "number of transactions per client: 10\n"
                               "number of transactions actually processed: 10/30\n"
                               "number of failed transactions: 2 (15.385%)\n"
                               // Three clients for two seconds, over twelve that they ran.
                               "latency average = 500.000 ms (including failures)\n"
                               "initial connection time = 8.000 ms\n"
                               "tps = 5.000000 (without initial connection time)\n"
                               "SQL script 1: <builtin: select only>\n"
                               " - weight: 3 (targets 75.0% of total)\n"
                               " - 8 transactions (61.5% of total, tps = 4.000000)\n"
                               " - number of failed transactions: 0 (0.000%)\n"
                               " - latency average = 1.500 ms\n"
                               " - latency stddev = 0.250 ms\n"
                               "SQL script 2: mine.sql\n"))
      << report;
  EXPECT_THAT(report, HasSubstr("\n\npercentiles in ms "));
  EXPECT_THAT(report, HasSubstr("\nlatency of script 2 "));
}

TEST_F(PgbenchReportTest, OfATimeWithARateALimitAndRetries) {
  options_.duration = absl::Seconds(2);
  options_.rate_per_s = 6;
  options_.latency_limit = absl::Milliseconds(1.5);
  options_.max_tries = 0;
  options_.failures_detailed = true;
  const std::string report = Report();
  EXPECT_THAT(report, HasSubstr("number of threads: 1\n"
                                "duration: 2 s\n"
                                "number of transactions actually processed: 10\n"
                                "number of failed transactions: 2 (15.385%)\n"
                                "number of serialization failures: 1 (7.692%)\n"
                                "number of deadlock failures: 1 (7.692%)\n"
                                "number of transactions retried: 2 (15.385%)\n"
                                "total number of retries: 3\n"
                                "number of transactions skipped: 1 (7.692%)\n"
                                "number of transactions above the 1.5 ms latency limit: 4/10 (40.000%)\n"
                                "latency average = 1.500 ms\n"
                                "latency stddev = 0.250 ms\n"
                                "rate limit schedule lag: avg 1.500 (max 9.000) ms\n"));
}

TEST_F(PgbenchReportTest, AnErrorThatIsTriedAgainIsNoFailureOfItsStatement) {
  options_.report_per_command = true;
  EXPECT_THAT(Report(), HasSubstr(" - statement latencies in milliseconds and failures:\n"
                                  "         1.234           2  SELECT 1;\n"));
  options_.max_tries = 5;
  EXPECT_THAT(Report(), HasSubstr(" - statement latencies in milliseconds, failures and retries:\n"
                                  "         1.234           2           3  SELECT 1;\n"));
}

TEST_F(PgbenchReportTest, OfNothingOnlyTheHead) {
  result_.mutable_phases(0)->set_transactions(0);
  result_.mutable_phases(0)->set_skipped(0);
  result_.mutable_phases(0)->clear_errors();
  partitions_ = {.method = "hash", .count = "3"};
  const std::string report = Report();
  EXPECT_THAT(report, HasSubstr("scaling factor: 7\npartition method: hash\npartitions: 3\n"));
  EXPECT_THAT(report, HasSubstr("number of failed transactions: 0 (NaN%)\n"));
  EXPECT_THAT(report, Not(HasSubstr("tps")));
}

TEST_F(PgbenchReportTest, ErrorsAreShownWhereTheyEndedClientsOrAreAskedFor) {
  EXPECT_EQ(PgbenchErrors(result_, options_), "");
  options_.verbose_errors = true;
  EXPECT_EQ(PgbenchErrors(result_, options_), "1 x 40001: could not serialize access\n1 x 40P01\n");
  options_.verbose_errors = false;
  (*result_.mutable_phases(0)->mutable_errors())["42P01"] = 3;
  result_.mutable_phases(0)->set_aborted_clients(3);
  EXPECT_EQ(PgbenchErrors(result_, options_), "3 x 42P01\n");
}

TEST_F(PgbenchReportTest, ARunIsIncompleteWithoutAllItsClientsAndAgents) {
  EXPECT_FALSE(WasAborted(result_));
  result_.mutable_agents(0)->set_lost(true);
  EXPECT_TRUE(WasAborted(result_));
  result_.mutable_agents(0)->set_lost(false);
  result_.mutable_phases(0)->set_aborted_clients(1);
  EXPECT_TRUE(WasAborted(result_));
}

TEST_F(PgbenchReportTest, AnotherRunsResultIsTold) {
  EXPECT_TRUE(IsOfPgbench(result_, options_));
  v1::RunResult without_phase = result_;
  without_phase.clear_phases();
  EXPECT_FALSE(IsOfPgbench(without_phase, options_));
  v1::RunResult other_scripts = result_;
  other_scripts.mutable_phases(0)->add_scripts();
  EXPECT_FALSE(IsOfPgbench(other_scripts, options_));
  result_.mutable_run()->mutable_plan()->clear_variables();
  EXPECT_FALSE(IsOfPgbench(result_, options_));
}

}  // namespace
}  // namespace trunkload

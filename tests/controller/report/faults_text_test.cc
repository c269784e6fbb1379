#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_replace.h"
#include "controller/report/plan_summary.h"
#include "controller/report/text.h"

namespace trunkload {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

v1::FaultResult Killed() {
  v1::FaultResult fault;
  fault.set_phase("measured");
  fault.set_what("kill worker 1");
  fault.set_began_s(5);
  fault.set_ended_s(10.2);
  fault.set_throughput_before_per_s(5123);
  fault.set_throughput_lowest_per_s(812);
  fault.set_p99_before_us(3000);
  fault.set_p99_highest_us(1'200'000);
  fault.set_errors(1234);
  fault.set_throughput_back_s(6.1);
  fault.set_p99_back_s(8);
  return fault;
}

// As one line.
std::string Report(const v1::FaultResult& fault) {
  v1::RunResult result;
  result.add_phases()->set_name("measured");
  *result.add_faults() = fault;
  return absl::StrReplaceAll(TextReport(result, /*color=*/false), {{"\n    ", " "}});
}

TEST(FaultsTextTest, ADipIsASentence) {
  EXPECT_THAT(
      Report(Killed()),
      HasSubstr(
          "  kill worker 1 at 5.0 s of measured, over at 10.2 s: throughput fell from 5,123/s to 812/s, "
          "p99 rose from 3.00 ms to 1.20 s, 1,234 errors; throughput was back 6.1 s after it began, p99 "
          "was back 8.0 s after\n"));
}

TEST(FaultsTextTest, WhatStayedAndWhatNeverCameBack) {
  v1::FaultResult fault = Killed();
  fault.set_throughput_back_s(0);
  fault.set_throughput_lowest_per_s(5000);
  fault.clear_p99_back_s();
  EXPECT_THAT(Report(fault),
              HasSubstr("throughput stayed, 5,123/s before and 5,000/s at the lowest, p99 rose from 3.00 "
                        "ms to 1.20 s, 1,234 errors; p99 was not back before the load ended\n"));
  fault.set_p99_back_s(0);
  EXPECT_THAT(Report(fault),
              HasSubstr("p99 stayed, 3.00 ms before and 1.20 s at the highest, 1,234 errors\n"));
}

TEST(FaultsTextTest, WithoutABeforeThereIsNoDip) {
  v1::FaultResult fault = Killed();
  fault.clear_throughput_before_per_s();
  EXPECT_THAT(Report(fault),
              HasSubstr("nothing was done in a whole second before it, to compare with; 1,234 errors"));
}

TEST(FaultsTextTest, OneThatFailedSaysWhyAndIsNotOnTheTimeline) {
  v1::FaultResult fault;
  fault.set_phase("measured");
  fault.set_what("kill worker 9");
  fault.set_failure("the database has no node 'worker 9'");
  EXPECT_THAT(Report(fault),
              HasSubstr("kill worker 9 at 0.0 s of measured: the database has no node 'worker 9'\n"));
}

TEST(FaultsTextTest, TheTimelineHasThemAmongWhatHappenedToNodes) {
  v1::RunResult result;
  for (const char* name : {"warm-up", "measured"}) result.add_phases()->set_name(name);
  *result.add_faults() = Killed();
  result.mutable_observation()->add_nodes()->set_label("worker 1");
  const auto add = [&result](const std::string& phase, double second, const std::string& text) {
    v1::NodeEvent& event = *result.mutable_observation()->add_events();
    event.set_phase(phase);
    event.set_second(second);
    event.set_text(text);
  };
  add("warm-up", 7, "was slow");
  add("measured", 6, "does not answer");
  add("measured", 11, "answers again");
  add("", 0, "was read");
  EXPECT_THAT(TextReport(result, /*color=*/false),
              HasSubstr("  warm-up, second 7: worker 1 was slow\n"
                        "  measured, second 5: on purpose: kill worker 1\n"
                        "  measured, second 6: worker 1 does not answer\n"
                        "  measured, second 10: over: kill worker 1\n"
                        "  measured, second 11: worker 1 answers again\n"
                        "  after the last phase: worker 1 was read\n"));
}

TEST(FaultsTextTest, WithoutFaultsThereIsNothing) {
  EXPECT_THAT(TextReport(v1::RunResult(), /*color=*/false), Not(HasSubstr("Faults")));
}

TEST(FaultsTextTest, APlansSummaryNamesThem) {
  v1::Plan plan;
  v1::Fault& kill = *plan.add_faults();
  kill.set_kill("worker 1");
  kill.set_phase("measured");
  kill.mutable_at()->set_seconds(20);
  kill.mutable_lasts()->set_seconds(5);
  v1::Fault& command = *plan.add_faults();
  command.set_command("echo\nhere");
  command.set_phase("measured");
  v1::Fault& terminate = *plan.add_faults();
  terminate.set_terminate("coordinator");
  terminate.set_phase("measured");
  const std::string summary = PlanSummary(plan);
  EXPECT_THAT(summary, HasSubstr("faults      kill worker 1, at 20s of measured, for 5s\n"));
  EXPECT_THAT(summary, Not(HasSubstr("echo\n")));
  EXPECT_THAT(summary, HasSubstr("terminate sessions of coordinator, at 0s of measured\n"));
}

}  // namespace
}  // namespace trunkload

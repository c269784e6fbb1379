#include "controller/http/pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "absl/strings/str_cat.h"
#include "controller/http/chart.h"
#include "controller/http/html.h"
#include "google/protobuf/descriptor.h"

namespace trunkload {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kEvil[] = "<script>alert('1')</script>\"&";
constexpr char kEvilEscaped[] = "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;&amp;";

// Every text there is, at whatever depth, one of each list; numbers and enums get a value, too.
void FillTexts(google::protobuf::Message& message, const std::string& text, int depth = 0) {
  using google::protobuf::FieldDescriptor;
  const auto& reflection = *message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    if (field.is_map()) continue;
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        field.is_repeated() ? reflection.AddString(&message, &field, text)
                            : reflection.SetString(&message, &field, text);
        break;
      case FieldDescriptor::CPPTYPE_DOUBLE:
        if (!field.is_repeated()) reflection.SetDouble(&message, &field, 1);
        break;
      case FieldDescriptor::CPPTYPE_UINT64:
        if (!field.is_repeated()) reflection.SetUInt64(&message, &field, 1);
        break;
      case FieldDescriptor::CPPTYPE_MESSAGE:
        // A plan's Load and Setup hold nothing that is shown.
        if (depth > 4) break;
        FillTexts(field.is_repeated() ? *reflection.AddMessage(&message, &field)
                                      : *reflection.MutableMessage(&message, &field),
                  text, depth + 1);
        break;
      default:
        break;
    }
  }
}

v1::RunResult Result() {
  v1::RunResult result;
  result.mutable_run()->set_id("20260102-030405-1a2b");
  result.mutable_run()->mutable_plan()->set_name("throughput");
  result.mutable_run()->set_started_at("2026-01-02T03:04:05Z");
  result.mutable_verdict()->set_valid(true);
  v1::ObjectiveResult& objective = *result.add_objectives();
  objective.set_text("p99(response) < 5ms in open");
  objective.set_met(true);
  objective.set_value(3.21);
  v1::PhaseResult& phase = *result.add_phases();
  phase.set_name("open");
  phase.set_recorded(true);
  phase.set_throughput_per_s(1234);
  phase.set_duration_s(10);
  phase.mutable_latency_us()->mutable_response()->set_count(10);
  phase.mutable_latency_us()->mutable_response()->set_p99_9(4560);
  for (uint32_t second = 0; second < 10; ++second) {
    v1::SeriesPoint& point = *phase.add_series();
    point.set_second(second);
    point.set_transactions(1000 + 100 * second);
    point.set_response_p99_us(2000);
  }
  result.add_agents()->set_name("a-1");
  return result;
}

size_t Count(const std::string& text, const std::string& what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++count;
  return count;
}

TEST(HtmlTest, EscapesWhatMarkupIsMadeOf) {
  EXPECT_EQ(EscapedHtml(kEvil), kEvilEscaped);
  EXPECT_EQ(EscapedHtml(std::string("a\0b\x1b[0m\nc", 9)), "a?b?[0m\nc");
  EXPECT_EQ(Html().Link("/runs/\"><b>", "<i>").text(), "<a href=\"/runs/&quot;&gt;&lt;b&gt;\">&lt;i&gt;</a>");
  Html table;
  table.BeginTable({"<a>", "><b>"});
  table.BeginRow();
  table.Cell("<c>");
  table.Cell("<d>");
  table.EndTable();
  EXPECT_THAT(table.text(),
              AllOf(HasSubstr("&lt;a&gt;"), HasSubstr("<th scope=\"col\" class=\"number\">&lt;b&gt;"),
                    HasSubstr("<td>&lt;c&gt;"), HasSubstr("<td class=\"number\">&lt;d&gt;")));
}

TEST(PagesTest, TextsOfAResultAreNoMarkup) {
  v1::RunResult result;
  FillTexts(result, kEvil);
  // A step of a search is named after it.
  result.mutable_searches(0)->mutable_steps(0)->set_phase(absl::StrCat(kEvil, "-1"));
  // Two seconds, so that there is a chart.
  result.mutable_phases(0)->set_duration_s(10);
  result.mutable_phases(0)->set_offered_per_s(0);
  result.mutable_phases(0)->add_series()->set_second(2);
  result.mutable_phases(0)->add_series()->set_second(3);
  const std::string page = ResultPage(result);
  EXPECT_THAT(page, AllOf(Not(HasSubstr("<script")), HasSubstr(kEvilEscaped), HasSubstr("<svg")));
}

TEST(PagesTest, TextsOfRunsAndProgressAreNoMarkup) {
  v1::RunSummary run;
  FillTexts(run, kEvil);
  ControllerStatus status;
  FillTexts(status.run, kEvil);
  FillTexts(status.progress, kEvil);
  status.run.set_run_id(absl::StrCat("other", kEvil));
  for (const std::string& page :
       {RunsPage({run}, status), NoResultPage(run), ProgressPage(status), ErrorPage(kEvil, kEvil)}) {
    EXPECT_THAT(page, AllOf(Not(HasSubstr("<script")), HasSubstr(kEvilEscaped)));
  }
}

// The content security policy lets none of it through.
TEST(PagesTest, NoPageNeedsScriptsOrStylesOfItsOwn) {
  for (const std::string& page :
       {ResultPage(Result()), RunsPage({}, {}), ProgressPage({}), NoResultPage({}), ErrorPage("", "")}) {
    EXPECT_THAT(page, AllOf(Not(HasSubstr("<script")), Not(HasSubstr("style=\"")), Not(HasSubstr("<style")),
                            Not(testing::ContainsRegex(" on[a-z]+=")), HasSubstr("href=\"/style.css\"")))
        << page;
  }
}

TEST(PagesTest, ResultHasItsFigures) {
  const std::string page = ResultPage(Result());
  EXPECT_THAT(page, AllOf(HasSubstr("<p class=\"word\">Valid</p>"), HasSubstr("class=\"verdict good\""),
                          HasSubstr("3.21 ms"), HasSubstr("<td class=\"number\">1,234</td>"),
                          HasSubstr("<td class=\"number\">4.56 ms</td>"), HasSubstr("a-1"),
                          HasSubstr("href=\"/runs/20260102-030405-1a2b.json\""), HasSubstr("<svg")));
  EXPECT_THAT(page, Not(HasSubstr("http-equiv=\"refresh\"")));
  // The whole report is below.
  EXPECT_THAT(page, HasSubstr("<pre>VALID, 1 of 1 objectives met"));
}

TEST(PagesTest, WhatSpoilsARunComesFirst) {
  v1::RunResult result = Result();
  result.mutable_verdict()->set_valid(false);
  result.mutable_verdict()->add_reasons("agent a-1 had no processor left");
  const std::string page = ResultPage(result);
  EXPECT_THAT(page, AllOf(HasSubstr("class=\"verdict bad\""), HasSubstr("Not valid")));
  EXPECT_LT(page.find("agent a-1 had no processor left"), page.find("<table"));
  result.add_checks()->set_outcome(v1::CheckResult::OUTCOME_FAILED);
  EXPECT_THAT(ResultPage(result), HasSubstr("<p class=\"word\">Check failed</p>"));
}

TEST(PagesTest, RunUnderWayIsShownOnceAndReloads) {
  ControllerStatus status{.agents = 1};
  status.run.set_run_id("20260102-030405-1a2b");
  status.run.set_plan("throughput");
  EXPECT_EQ(Count(RunsPage({}, status), "href=\"/runs/20260102-030405-1a2b\""), 1u);
  v1::RunSummary kept = status.run;
  kept.set_state(v1::RunSummary::STATE_UNDER_WAY);
  const std::string page = RunsPage({kept}, status);
  EXPECT_EQ(Count(page, "href=\"/runs/20260102-030405-1a2b\""), 1u);
  EXPECT_THAT(page, AllOf(HasSubstr("http-equiv=\"refresh\""), HasSubstr("1 agent is connected")));
  status.progress.set_stage(v1::Progress::STAGE_RUNNING);
  status.progress.set_phase("open");
  status.progress.set_duration_s(20);
  status.progress.set_elapsed_s(7);
  EXPECT_THAT(ProgressPage(status), AllOf(HasSubstr("http-equiv=\"refresh\""), HasSubstr("7 of 20 s"),
                                          HasSubstr("<progress max=\"20.0\" value=\"7.0\">")));
}

TEST(ChartTest, HasAsManyPointsAsAScreenAndNoneWithoutTwoSeconds) {
  v1::RunResult result = Result();
  EXPECT_EQ(Count(ThroughputChart(result), "<polyline"), 2u);
  result.mutable_phases(0)->set_duration_s(100'000);
  for (uint32_t second = 10; second < 100'000; ++second)
    result.mutable_phases(0)->add_series()->set_second(second);
  EXPECT_LT(ThroughputChart(result).size(), 40'000u);
  v1::RunResult none;
  EXPECT_EQ(ThroughputChart(none), "");
  none.add_phases()->add_series();
  EXPECT_EQ(ThroughputChart(none), "");
}

TEST(ChartTest, LeavesOutWhatIsNoWholeSecondOfThePhase) {
  v1::RunResult result = Result();
  const std::string chart = ThroughputChart(result);
  v1::SeriesPoint& drain = *result.mutable_phases(0)->add_series();
  drain.set_second(10);
  drain.set_response_p99_us(9'000'000);
  EXPECT_EQ(ThroughputChart(result), chart);
  // A line of its own for each phase.
  *result.add_phases() = result.phases(0);
  EXPECT_EQ(Count(ThroughputChart(result), "<polyline"), 4u);
}

TEST(ChartTest, StaysInItsFrameWhateverTheFigures) {
  v1::RunResult result = Result();
  result.mutable_phases(0)->mutable_series(3)->set_response_p99_us(3.6e9);
  result.mutable_phases(0)->mutable_series(4)->set_transactions(1'000'000'000'000);
  v1::FaultResult& fault = *result.add_faults();
  fault.set_phase("open");
  fault.set_began_s(-5);
  fault.set_ended_s(1e9);
  const std::string chart = ThroughputChart(result);
  EXPECT_THAT(chart, AllOf(Not(HasSubstr("nan")), Not(HasSubstr("inf")), Not(HasSubstr("=\"-")),
                           Not(HasSubstr(",-")), HasSubstr("class=\"fault\"")));
  for (v1::SeriesPoint& point : *result.mutable_phases(0)->mutable_series()) {
    point.set_transactions(0);
    point.set_response_p99_us(0);
  }
  EXPECT_THAT(ThroughputChart(result), AllOf(Not(HasSubstr("nan")), Not(HasSubstr("inf"))));
}

}  // namespace
}  // namespace trunkload

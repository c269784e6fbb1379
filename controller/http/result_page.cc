#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "controller/http/chart.h"
#include "controller/http/html.h"
#include "controller/http/pages.h"
#include "controller/plan/plan_text.h"
#include "controller/report/faults_text.h"
#include "controller/report/objective_text.h"
#include "controller/report/text.h"
#include "controller/report/units.h"
#include "controller/run_outcome.h"

namespace trunkload {
namespace {

uint64_t Sum(const google::protobuf::Map<std::string, uint64_t>& errors) {
  uint64_t sum = 0;
  for (const auto& [code, count] : errors) sum += count;
  return sum;
}

// Only a run that is all right is painted so.
absl::string_view ClassOf(const v1::RunResult& result) {
  return RunOutcome(result) == "valid" ? "good" : "bad";
}

void AddVerdict(const v1::RunResult& result, Html& html) {
  html.Raw(absl::StrCat("<div class=\"verdict ", ClassOf(result), "\">\n"));
  std::string outcome = RunOutcome(result);
  outcome[0] = absl::ascii_toupper(static_cast<unsigned char>(outcome[0]));
  html.Element("p", "word", outcome);
  if (!result.verdict().valid()) html.Element("p", "", "The figures do not say what the database can do:");
  if (!result.verdict().reasons().empty() || !result.verdict().notes().empty()) {
    html.Raw("<ul>\n");
    for (const std::string& reason : result.verdict().reasons()) html.Element("li", "", reason);
    for (const std::string& note : result.verdict().notes())
      html.Element("li", "", absl::StrCat("note: ", note));
    html.Raw("</ul>\n");
  }
  html.Raw("</div>\n");
}

void AddObjectives(const v1::RunResult& result, Html& html) {
  if (result.objectives().empty()) return;
  html.Element("h2", "", "Objectives");
  html.BeginTable({"", "objective", ">value", "in"});
  for (const v1::ObjectiveResult& objective : result.objectives()) {
    html.BeginRow(objective.met() ? "good" : "bad");
    html.Cell(objective.met() ? "met" : "missed");
    html.Cell(objective.text());
    html.Cell(ObjectiveValueText(objective.value(), objective.text()));
    html.Cell(objective.phase());
  }
  html.EndTable();
}

void AddPhases(const v1::RunResult& result, Html& html) {
  if (result.phases().empty()) return;
  html.Element("h2", "", "Phases");
  html.BeginTable({"phase", ">s", ">offered/s", ">done/s", ">rows/s", ">p50", ">p95", ">p99", ">p99.9",
                   ">max", ">errors", ">dropped"});
  for (const v1::PhaseResult& phase : result.phases()) {
    const v1::LatencySummary& response = phase.latency_us().response();
    html.BeginRow();
    html.Cell(absl::StrCat(phase.name(), phase.recorded() ? "" : " (not judged)"));
    html.Cell(absl::StrFormat("%.1f", phase.duration_s()));
    for (const double rate : {phase.offered_per_s(), phase.throughput_per_s(), phase.rows_per_s()})
      html.Cell(RateText(rate));
    for (const double us : {response.p50(), response.p95(), response.p99(), response.p99_9(), response.max()})
      html.Cell(response.count() == 0 ? "" : LatencyText(us));
    html.Cell(CountText(Sum(phase.errors())));
    html.Cell(CountText(phase.dropped()));
  }
  html.EndTable();
}

void AddSearches(const v1::RunResult& result, Html& html) {
  if (result.searches().empty()) return;
  html.Element("h2", "", "Capacity");
  html.BeginTable({"search", "objective", ">holds at/s", ">fails at/s", ""});
  for (const v1::SearchResult& search : result.searches()) {
    html.BeginRow();
    html.Cell(search.phase());
    html.Cell(search.objective());
    html.Cell(search.capacity_per_s() > 0 ? RateText(search.capacity_per_s()) : "none");
    html.Cell(search.failed_per_s() > 0 ? RateText(search.failed_per_s()) : "");
    html.Cell(search.complete() ? "" : "not completed");
  }
  html.EndTable();
}

std::string CheckOutcome(v1::CheckResult::Outcome outcome) {
  switch (outcome) {
    case v1::CheckResult::OUTCOME_PASSED:
      return "passed";
    case v1::CheckResult::OUTCOME_FAILED:
      return "failed";
    case v1::CheckResult::OUTCOME_EXPECTED:
      return "passed, as far as Citus promises it";
    case v1::CheckResult::OUTCOME_NOT_APPLICABLE:
      return "does not apply";
    default:
      return "indeterminate";
  }
}

void AddChecks(const v1::RunResult& result, Html& html) {
  if (result.checks().empty()) return;
  html.Element("h2", "", "Checks");
  html.BeginTable({"outcome", "check", "why", ">acknowledged", ">violations"});
  for (const v1::CheckResult& check : result.checks()) {
    const auto* const name = v1::Check_descriptor()->FindValueByNumber(check.check());
    const bool failed = check.outcome() == v1::CheckResult::OUTCOME_FAILED;
    html.BeginRow(failed ? "bad" : check.outcome() == v1::CheckResult::OUTCOME_PASSED ? "good" : "");
    html.Cell(CheckOutcome(check.outcome()));
    html.Cell(name == nullptr ? "?" : EnumText(*name));
    html.Cell(check.verdict());
    html.Cell(CountText(check.acknowledged()));
    html.Cell(CountText(check.violations()));
  }
  html.EndTable();
}

void AddFaults(const v1::RunResult& result, Html& html) {
  if (result.faults().empty()) return;
  html.Element("h2", "", "Faults on purpose");
  html.BeginTable(
      {"what", "phase", ">began at", ">over at", ">done/s before", ">lowest", ">p99 highest", ">errors", ""});
  for (const v1::FaultResult& fault : result.faults()) {
    html.BeginRow(fault.failure().empty() ? "" : "bad");
    html.Cell(fault.what());
    html.Cell(fault.phase());
    html.Cell(absl::StrFormat("%.1f s", fault.began_s()));
    html.Cell(Lasted(fault) ? absl::StrFormat("%.1f s", fault.ended_s()) : "");
    html.Cell(RateText(fault.throughput_before_per_s()));
    html.Cell(RateText(fault.throughput_lowest_per_s()));
    html.Cell(LatencyText(fault.p99_highest_us()));
    html.Cell(CountText(fault.errors()));
    html.Cell(fault.failure());
  }
  html.EndTable();
}

void AddAgents(const v1::RunResult& result, Html& html) {
  if (result.agents().empty()) return;
  html.Element("h2", "", "Agents");
  html.BeginTable({"agent", "host", ">done", ">share", ">CPU", ">busiest", ">lag p99", ">skew"});
  for (const v1::AgentResult& agent : result.agents()) {
    html.BeginRow(agent.lost() ? "bad" : "");
    html.Cell(absl::StrCat(agent.name(), agent.lost() ? " (lost)" : ""));
    html.Cell(agent.host());
    html.Cell(CountText(agent.transactions()));
    html.Cell(ShareText(agent.share()));
    html.Cell(absl::StrFormat("%.2f s", agent.cpu_s()));
    html.Cell(ShareText(agent.busiest_reactor()));
    html.Cell(LatencyText(agent.schedule_lag_p99_us()));
    html.Cell(LatencyText(agent.start_skew_us()));
  }
  html.EndTable();
  for (const v1::Loss& loss : result.losses()) {
    html.Element("p", "about",
                 absl::StrFormat("%s was lost %.1f s into %s: %s", loss.agent(), loss.noticed_s(),
                                 loss.phase(), loss.reason()));
  }
}

}  // namespace

std::string ResultPage(const v1::RunResult& result) {
  const v1::Run& run = result.run();
  Html html;
  html.Raw("<nav>").Link("/", "Runs").Raw("</nav>\n");
  html.Element("h1", "", run.plan().name());
  std::vector<std::string> about = {absl::StrCat("run ", run.id())};
  if (!run.started_at().empty()) about.push_back(absl::StrCat("started ", UtcText(run.started_at())));
  if (!run.server().postgresql_version().empty())
    about.push_back(absl::StrCat("PostgreSQL ", run.server().postgresql_version()));
  if (!run.server().citus_version().empty())
    about.push_back(absl::StrCat("Citus ", run.server().citus_version()));
  html.Raw("<p class=\"about\">").Text(absl::StrJoin(about, ", ")).Raw("; ");
  html.Link(absl::StrCat("/runs/", run.id(), ".json"), "as JSON").Raw("</p>\n");
  AddVerdict(result, html);
  AddObjectives(result, html);
  AddPhases(result, html);
  if (const std::string chart = ThroughputChart(result); !chart.empty()) {
    html.Element("h2", "", "Over time").Raw("<div class=\"wide\">").Raw(chart).Raw("</div>\n");
  }
  AddSearches(result, html);
  AddChecks(result, html);
  AddFaults(result, html);
  AddAgents(result, html);
  html.Element("h2", "", "The whole report").Element("pre", "", TextReport(result, /*color=*/false));
  return Html::Page(absl::StrCat(run.plan().name(), " - Trunkload"), 0, html);
}

}  // namespace trunkload

#include "controller/report/text.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/utf8.h"
#include "controller/report/checks_text.h"
#include "controller/report/database_text.h"
#include "controller/report/faults_text.h"
#include "controller/report/objective_text.h"
#include "controller/report/page.h"
#include "controller/report/sqlstate_names.h"
#include "controller/report/units.h"

namespace trunkload {
namespace {

// Further ones are left to the JSON.
constexpr int kAgentsShown = 20;

void AddVerdict(const v1::RunResult& result, Page& page) {
  const auto met = std::count_if(result.objectives().begin(), result.objectives().end(),
                                 [](const v1::ObjectiveResult& objective) { return objective.met(); });
  std::string objectives = "no objectives";
  if (result.objectives_size() > 0) {
    objectives = absl::StrCat(met, " of ", result.objectives_size(), " objectives met");
  }
  const bool good = result.verdict().valid() && met == result.objectives_size();
  std::string verdict = result.verdict().valid() ? "VALID" : "NOT VALID";
  if (result.run().cancelled()) verdict = absl::StrCat("CANCELLED, ", verdict);
  page.Line(absl::StrCat(page.Painted(good ? Paint::kGood : Paint::kBad, verdict), ", ", objectives));
  if (!result.verdict().valid()) page.Line("The figures below do not say what the database can do:");
  for (const std::string& reason : result.verdict().reasons()) page.Folded(absl::StrCat("- ", reason), "  ");
  for (const std::string& note : result.verdict().notes()) page.Folded(absl::StrCat("note: ", note), "  ");
}

void AddObjectives(const v1::RunResult& result, Page& page) {
  size_t width = 0;
  for (const v1::ObjectiveResult& objective : result.objectives())
    width = std::max(width, objective.text().size());
  for (const v1::ObjectiveResult& objective : result.objectives()) {
    std::string line =
        page.Painted(objective.met() ? Paint::kGood : Paint::kBad, objective.met() ? "  met   " : "  MISSED");
    absl::StrAppendFormat(&line, "  %-*s  %s", static_cast<int>(width), objective.text(),
                          ObjectiveValueText(objective.value(), objective.text()));
    if (!objective.phase().empty()) absl::StrAppend(&line, " in ", objective.phase());
    page.Line(line);
  }
}

void AddSearches(const v1::RunResult& result, Page& page) {
  for (const v1::SearchResult& search : result.searches()) {
    page.Line();
    std::string found = search.capacity_per_s() > 0
                            ? absl::StrCat(RateText(search.capacity_per_s()), "/s hold ", search.objective())
                            : absl::StrCat("no rate held ", search.objective());
    if (search.failed_per_s() > 0)
      absl::StrAppend(&found, ", ", RateText(search.failed_per_s()), "/s do not");
    if (!search.complete()) absl::StrAppend(&found, " (the search was not completed)");
    page.Folded(absl::StrCat("Capacity, ", search.phase(), ": ", found), "");
    page.Row("", {"rate/s", "value", "done", ""});
    for (const v1::SearchStep& step : search.steps()) {
      page.Row(step.phase().substr(search.phase().size() + 1),
               {RateText(step.rate_per_s()), ObjectiveValueText(step.value(), search.objective()),
                ShareText(step.done()), step.held() ? "held" : "did not"},
               step.held() ? Paint::kNone : Paint::kBad);
    }
  }
}

// A step of a search that did not become its result.
bool IsPassedStep(const v1::RunResult& result, const v1::PhaseResult& phase) {
  return !phase.recorded() && std::any_of(result.searches().begin(), result.searches().end(),
                                          [&phase](const v1::SearchResult& search) {
                                            return std::any_of(search.steps().begin(), search.steps().end(),
                                                               [&phase](const v1::SearchStep& step) {
                                                                 return step.phase() == phase.name();
                                                               });
                                          });
}

uint64_t Sum(const google::protobuf::Map<std::string, uint64_t>& errors) {
  uint64_t sum = 0;
  for (const auto& [state, count] : errors) sum += count;
  return sum;
}

void AddLatencies(const v1::Latencies& latencies, Page& page) {
  page.Row("", {"p50", "p90", "p95", "p99", "p99.9", "max", "mean", "stddev"});
  const auto add = [&page](const std::string& name, const v1::LatencySummary& of) {
    if (of.count() == 0) return;
    page.Row(name, {LatencyText(of.p50()), LatencyText(of.p90()), LatencyText(of.p95()),
                    LatencyText(of.p99()), LatencyText(of.p99_9()), LatencyText(of.max()),
                    LatencyText(of.mean()), LatencyText(of.stddev())});
    if (of.over_range() > 0)
      page.Line(absl::StrCat("    ", CountText(of.over_range()), " of them above 1 h"));
  };
  add("response", latencies.response());
  add("service", latencies.service());
  add("pool wait", latencies.pool_wait());
  add("send lag", latencies.send_lag());
  add("failed", latencies.failed());
}

void AddErrors(const std::string& what, const google::protobuf::Map<std::string, uint64_t>& errors,
               Page& page) {
  if (!errors.empty())
    page.Folded(absl::StrCat(what, ": ", ErrorsText({errors.begin(), errors.end()})), "  ");
}

// What came of transactions besides success and dropping; for PhaseResult and ScriptResult, which share these
// fields.
template <typename Result>
void AddOutcomes(const Result& result, Page& page) {
  if (result.late() > 0)
    page.Line(absl::StrCat("  late: ", CountText(result.late()), " above the phase's latency_limit"));
  if (result.retried() > 0) {
    const std::map<std::string, uint64_t> causes = {{"40001", result.retries() - result.deadlock_retries()},
                                                    {"40P01", result.deadlock_retries()}};
    page.Folded(absl::StrCat("retried: ", CountText(result.retried()), " transactions, ",
                             CountText(result.retries()), " retries, after ", ErrorsText(causes)),
                "  ");
  }
  AddErrors("errors", result.errors(), page);
  const std::map<std::string, std::string> messages(result.error_messages().begin(),
                                                    result.error_messages().end());
  for (const auto& [code, message] : messages) page.Folded(absl::StrCat(code, ": ", message), "    ");
}

void AddCommands(const v1::ScriptResult& script, Page& page) {
  if (script.commands().empty()) return;
  const auto row = [&page](const std::vector<std::string>& cells, const std::string& text) {
    std::string line = " ";
    for (const std::string& cell : cells) absl::StrAppendFormat(&line, "%*s", Page::kCellWidth, cell);
    absl::StrAppend(&line, "  ", text);
    page.Line(OneLine(line, Page::kColumns));
  };
  page.Line();
  row({"mean", "p50", "p99", "max", "failures"}, absl::StrCat("command of ", script.name()));
  for (const v1::CommandResult& command : script.commands()) {
    const v1::LatencySummary& latency = command.latency_us();
    if (latency.count() == 0 && command.failures() == 0) continue;
    row({LatencyText(latency.mean()), LatencyText(latency.p50()), LatencyText(latency.p99()),
         LatencyText(latency.max()), CountText(command.failures())},
        command.text());
  }
}

// A column of their own where there are any.
void AddSkipped(const v1::PhaseResult& phase, const std::string& cell, std::vector<std::string>& cells) {
  if (phase.skipped() > 0) cells.push_back(cell);
}

void AddScript(const v1::PhaseResult& phase, const v1::ScriptResult& script, Page& page) {
  const double seconds = phase.duration_s();
  const double offered_s = phase.offered_per_s() > 0 ? phase.offered() / phase.offered_per_s() : seconds;
  const auto rate = [](double count, double over_s) { return RateText(over_s > 0 ? count / over_s : 0); };
  std::vector<std::string> cells = {rate(script.offered(), offered_s), rate(script.transactions(), seconds),
                                    rate(script.rows(), seconds),      CountText(script.transactions()),
                                    CountText(script.rows()),          CountText(Sum(script.errors())),
                                    CountText(script.dropped())};
  AddSkipped(phase, CountText(script.skipped()), cells);
  page.Row(OneLine(script.name(), Page::kLabelWidth - 1), cells);
}

void AddPhase(const v1::PhaseResult& phase, const v1::Observation& observation, Page& page) {
  page.Line();
  page.Line(absl::StrFormat("Phase %s, %.1f s%s", phase.name(), phase.duration_s(),
                            phase.recorded() ? "" : " (warm-up, not judged)"),
            Paint::kHeading);
  std::vector<std::string> heads = {"offered/s", "done/s", "rows/s", "done", "rows", "errors", "dropped"};
  AddSkipped(phase, "skipped", heads);
  page.Row("", heads);
  std::vector<std::string> all = {RateText(phase.offered_per_s()), RateText(phase.throughput_per_s()),
                                  RateText(phase.rows_per_s()),    CountText(phase.transactions()),
                                  CountText(phase.rows()),         CountText(Sum(phase.errors())),
                                  CountText(phase.dropped())};
  AddSkipped(phase, CountText(phase.skipped()), all);
  page.Row("all", all);
  const bool several = phase.scripts_size() > 1;
  if (several) {
    for (const v1::ScriptResult& script : phase.scripts()) AddScript(phase, script, page);
  }
  AddOutcomes(phase, page);
  if (phase.aborted_clients() > 0) {
    page.Line(absl::StrCat("  clients that ended before the phase did: ", CountText(phase.aborted_clients())),
              Paint::kBad);
  }
  AddErrors("connecting failed", phase.connect_errors(), page);
  if (phase.connections_lost() > 0)
    page.Line(absl::StrCat("  connections lost: ", CountText(phase.connections_lost())));
  page.Line();
  AddLatencies(phase.latency_us(), page);
  if (!phase.recorded()) return;
  AddNodeWork(observation, phase, page);
  for (const v1::ScriptResult& script : phase.scripts()) {
    if (several) {
      page.Line();
      page.Line(absl::StrCat("  ", script.name()));
      AddOutcomes(script, page);
      AddLatencies(script.latency_us(), page);
    }
    AddCommands(script, page);
  }
}

/// `name` in the room of a row's label. Hosts' names differ where they begin, those of pods where they end:
/// both are kept.
std::string AgentText(const std::string& name) {
  constexpr size_t kRoom = Page::kLabelWidth - 5;
  constexpr size_t kBeginning = 5;
  constexpr absl::string_view kCut = "..";
  if (name.size() <= kRoom) return name;
  constexpr size_t kEnd = kRoom - kBeginning - kCut.size();
  return absl::StrCat(name.substr(0, kBeginning), kCut, name.substr(name.size() - kEnd));
}

void AddAgents(const v1::RunResult& result, Page& page) {
  if (result.agents().empty()) return;
  std::vector<const v1::AgentResult*> agents;
  for (const v1::AgentResult& agent : result.agents()) agents.push_back(&agent);
  // Where not all are shown, those that need a look are.
  std::stable_sort(agents.begin(), agents.end(), [](const v1::AgentResult* a, const v1::AgentResult* b) {
    if (a->lost() != b->lost()) return a->lost();
    // local-2 before local-10.
    return std::pair(a->name().size(), a->name()) < std::pair(b->name().size(), b->name());
  });
  page.Line();
  page.Line(result.agents_size() == 1 ? "1 agent" : absl::StrCat(result.agents_size(), " agents"),
            Paint::kHeading);
  page.Row("", {"share", "CPU", "busiest", "lag p99", "lag max", "waited", "skew", "+/-"});
  for (size_t i = 0; i < agents.size() && i < kAgentsShown; ++i) {
    const v1::AgentResult& agent = *agents[i];
    page.Row(absl::StrCat(AgentText(agent.name()), agent.lost() ? " LOST" : ""),
             {ShareText(agent.share()), absl::StrFormat("%.2f s", agent.cpu_s()),
              ShareText(agent.busiest_reactor()), LatencyText(agent.schedule_lag_p99_us()),
              LatencyText(agent.schedule_lag_max_us()), ShareText(agent.waited()),
              LatencyText(agent.start_skew_us()), LatencyText(agent.clock_uncertainty_us())},
             agent.lost() ? Paint::kBad : Paint::kNone);
  }
  if (agents.size() > kAgentsShown) {
    page.Line(absl::StrCat("  and ", agents.size() - kAgentsShown, " more: --json has them all"));
  }
}

}  // namespace

std::string TextReport(const v1::RunResult& result, bool color) {
  Page page(color);
  AddFailedChecks(result, page);
  AddVerdict(result, page);
  AddObjectives(result, page);
  page.Line();
  const v1::Run& run = result.run();
  std::vector<std::string> about = {absl::StrCat(run.plan().name(), ", run ", run.id())};
  if (!run.started_at().empty()) about.push_back(absl::StrCat("started ", run.started_at()));
  if (const std::string server = ServerText(run.server()); !server.empty()) about.push_back(server);
  page.Folded(absl::StrJoin(about, "; "), "");
  AddChecks(result, page);
  AddSearches(result, page);
  for (const v1::PhaseResult& phase : result.phases()) {
    if (!IsPassedStep(result, phase)) AddPhase(phase, result.observation(), page);
  }
  AddFaults(result, page);
  AddObservation(result, page);
  AddAgents(result, page);
  return page.Take();
}

}  // namespace trunkload

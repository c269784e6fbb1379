#include "controller/http/pages.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "controller/http/html.h"
#include "controller/report/live_line.h"
#include "controller/report/units.h"
#include "controller/run_outcome.h"

namespace trunkload {
namespace {

constexpr int kRunsReloadSeconds = 5;
constexpr int kProgressReloadSeconds = 2;
// Older ones are in `trunkload runs`.
constexpr size_t kMostRuns = 500;

std::string RunPath(const std::string& run_id) {
  return absl::StrCat("/runs/", run_id);
}

// Of a run's outcome in words.
absl::string_view ClassOf(absl::string_view outcome) {
  if (outcome == "valid") return "good";
  if (outcome == "under way" || outcome == "cancelled" || outcome == "interrupted") return "";
  return "bad";
}

void AddRun(const v1::RunSummary& run, Html& html) {
  const std::string outcome = RunOutcome(run);
  std::vector<std::string> more;
  if (!run.sweep().empty()) more.push_back(absl::StrCat("cell ", run.cell() + 1, " of ", run.sweep()));
  if (!run.reason().empty()) more.push_back(run.reason());
  html.BeginRow(more.empty() ? "" : "leads");
  html.RawCell(Html().Link(RunPath(run.run_id()), run.run_id()));
  html.Cell(UtcText(run.started_at()));
  html.RawCell(Html().Element("span", ClassOf(outcome), outcome));
  html.Cell(run.state() == v1::RunSummary::STATE_ENDED ? RateText(run.throughput_per_s()) : "");
  html.Cell(run.plan());
  if (more.empty()) return;
  html.BeginRow("reason");
  html.Raw("<td colspan=\"5\">").Text(absl::StrJoin(more, "; ")).Raw("</td>");
}

std::string AgentsText(size_t agents) {
  return agents == 1 ? "1 agent is connected" : absl::StrCat(agents, " agents are connected");
}

void AddFact(absl::string_view name, const std::string& value, Html& html) {
  html.Element("dt", "", name).Element("dd", "", value);
}

}  // namespace

std::string RunsPage(const std::vector<v1::RunSummary>& runs, const ControllerStatus& status) {
  const bool under_way = !status.run.run_id().empty();
  Html html;
  html.Element("h1", "", "Runs");
  html.Element("p", "about", absl::StrCat(AgentsText(status.agents), "."));
  const bool listed = std::any_of(runs.begin(), runs.end(), [&status](const v1::RunSummary& run) {
    return run.run_id() == status.run.run_id();
  });
  if (runs.empty() && !under_way) {
    html.Element("p", "", "No run was made yet.");
    return Html::Page("Runs - Trunkload", kRunsReloadSeconds, html);
  }
  html.BeginTable({"run", "started", "outcome", ">done/s", "plan"});
  if (under_way && !listed) {
    v1::RunSummary run = status.run;
    run.set_state(v1::RunSummary::STATE_UNDER_WAY);
    AddRun(run, html);
  }
  for (size_t i = 0; i < runs.size() && i < kMostRuns; ++i) AddRun(runs[i], html);
  html.EndTable();
  if (runs.size() > kMostRuns) {
    html.Element("p", "about",
                 absl::StrCat("and ", runs.size() - kMostRuns, " older ones: `trunkload runs` has them all"));
  }
  return Html::Page("Runs - Trunkload", under_way ? kRunsReloadSeconds : 0, html);
}

std::string ProgressPage(const ControllerStatus& status) {
  const v1::Progress& progress = status.progress;
  Html html;
  html.Raw("<nav>").Link("/", "Runs").Raw("</nav>\n");
  html.Element("h1", "", status.run.plan());
  html.Element("p", "about",
               absl::StrCat("run ", status.run.run_id(), ", started ", UtcText(status.run.started_at())));
  html.Raw("<div class=\"verdict\">").Element("p", "word", StageLine(progress));
  if (progress.duration_s() > 0) {
    html.Raw(absl::StrFormat("<progress max=\"%.1f\" value=\"%.1f\"></progress>\n", progress.duration_s(),
                             std::min(progress.elapsed_s(), progress.duration_s())));
  }
  html.Raw("</div>\n<dl>\n");
  AddFact("agents", absl::StrCat(progress.agents(), " of ", progress.agents_wanted()), html);
  if (!progress.phase().empty()) {
    AddFact("phase", progress.phase(), html);
    AddFact("elapsed",
            progress.duration_s() > 0
                ? absl::StrFormat("%.0f of %.0f s", progress.elapsed_s(), progress.duration_s())
                : absl::StrFormat("%.0f s", progress.elapsed_s()),
            html);
    AddFact("done/s", RateText(progress.throughput_per_s()), html);
    if (status.newest) {
      AddFact("response p50", LatencyText(status.newest->response_p50_us()), html);
      AddFact("response p99", LatencyText(status.newest->response_p99_us()), html);
      AddFact("response max", LatencyText(status.newest->response_max_us()), html);
    }
    AddFact("errors", CountText(progress.errors()), html);
    AddFact("dropped", CountText(progress.dropped()), html);
  } else if (progress.rows_to_load() > 0) {
    AddFact("rows loaded",
            absl::StrCat(CountText(progress.rows_loaded()), " of ", CountText(progress.rows_to_load())),
            html);
  }
  html.Raw("</dl>\n");
  for (const std::string& warning : progress.warnings()) {
    html.Element("p", "about", absl::StrCat("warning: ", warning));
  }
  return Html::Page(absl::StrCat(status.run.plan(), " - Trunkload"), kProgressReloadSeconds, html);
}

std::string NoResultPage(const v1::RunSummary& run) {
  const std::string outcome = RunOutcome(run);
  Html html;
  html.Raw("<nav>").Link("/", "Runs").Raw("</nav>\n");
  html.Element("h1", "", run.plan().empty() ? run.run_id() : run.plan());
  html.Element("p", "about", absl::StrCat("run ", run.run_id(), ", started ", UtcText(run.started_at())));
  html.Raw(absl::StrCat("<div class=\"verdict ", ClassOf(outcome), "\">")).Element("p", "word", outcome);
  if (!run.reason().empty()) html.Element("p", "", run.reason());
  html.Raw("</div>\n");
  return Html::Page(absl::StrCat(run.run_id(), " - Trunkload"), 0, html);
}

std::string ErrorPage(absl::string_view title, absl::string_view sentence) {
  Html html;
  html.Raw("<nav>").Link("/", "Runs").Raw("</nav>\n");
  html.Element("h1", "", title).Element("p", "", sentence);
  return Html::Page(absl::StrCat(title, " - Trunkload"), 0, html);
}

}  // namespace trunkload

// The commands about runs that were made or are under way: runs, report, cancel, prune.
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "controller/cli/command.h"
#include "controller/cli/data_dir.h"
#include "controller/cli/exit_status.h"
#include "controller/cli/kept_runs.h"
#include "controller/cli/output_file.h"
#include "controller/cli/run_screen.h"
#include "controller/cli/run_watch.h"
#include "controller/cli/transport_options.h"
#include "controller/control_client.h"
#include "controller/plan/plan_text.h"
#include "controller/report/json.h"
#include "controller/run_outcome.h"
#include "controller/store/run_store.h"
#include "controller/sweep/sweep_result.h"

namespace trunkload {
namespace {

void AddPlace(CLI::App& command, KeptRunsPlace& place) {
  CLI::Option* data_dir = command.add_option("--data-dir", place.data_dir, "Where runs are kept")
                              ->type_name("DIR")
                              ->capture_default_str();
  command.add_option("--controller", place.controller, "Ask the controller that serves there")
      ->type_name("HOST:PORT")
      ->excludes(data_dir);
  AddDialOptions(command, place.transport);
}

// INVALID_ARGUMENT where the controller may not be asked in this way.
absl::Status Settle(KeptRunsPlace& place) {
  if (!place.controller.empty()) return SettleDial(place.controller, place.transport);
  const Transport& said = place.transport;
  if (said.tls.empty() && said.tls_server_name.empty() && !said.insecure) return absl::OkStatus();
  return absl::InvalidArgumentError("--tls, --tls-server-name and --insecure go with --controller");
}

int ShowRuns(KeptRunsPlace& place) {
  if (const absl::Status status = Settle(place); !status.ok()) return ReportError(status);
  const absl::StatusOr<std::vector<v1::RunSummary>> runs = ListRuns(place);
  if (!runs.ok()) return ReportError(runs.status());
  std::cout << absl::StrFormat("%-22s %-20s %-17s %12s  %s\n", "RUN", "STARTED", "OUTCOME", "DONE/S", "PLAN");
  for (const v1::RunSummary& run : *runs) {
    const bool measured = run.state() == v1::RunSummary::STATE_ENDED;
    std::cout << absl::StrFormat(
        "%-22s %-20s %-17s %12s  %s\n", run.run_id(), run.started_at().substr(0, 19), RunOutcome(run),
        measured ? absl::StrFormat("%.1f", run.throughput_per_s()) : "-", run.plan());
    if (!run.sweep().empty()) std::cout << "  cell " << run.cell() + 1 << " of " << run.sweep() << '\n';
    if (!run.reason().empty()) std::cout << "  " << run.reason() << '\n';
  }
  return kExitOk;
}

absl::StatusOr<v1::RunResult> Follow(const KeptRunsPlace& place, const std::string& run_id,
                                     RunScreen& screen) {
  RunWatch watch;
  const absl::StatusOr<std::unique_ptr<ControlClient>> client =
      ControlClient::Open(place.controller, place.transport);
  if (!client.ok()) return client.status();
  std::thread caller([&client, &run_id, &watch] { (*client)->Follow(run_id, watch); });
  while (true) {
    RunWatch::Update update = watch.Next();
    if (const auto* progress = std::get_if<v1::Progress>(&update)) {
      screen.ShowProgress(*progress);
    } else if (auto* ended = std::get_if<RunWatch::Ended>(&update)) {
      caller.join();
      screen.Finish();
      return *std::move(ended);
    }
  }
}

absl::StatusOr<std::string> NewestResult(const RunStore& store) {
  const absl::StatusOr<std::vector<v1::RunSummary>> runs = store.List();
  if (!runs.ok()) return runs.status();
  for (const v1::RunSummary& run : *runs) {
    if (run.state() == v1::RunSummary::STATE_ENDED) return run.run_id();
  }
  return absl::NotFoundError(absl::StrCat("no run in ", store.path(), " has a result"));
}

int ReportSweep(const KeptRunsPlace& place, const std::string& sweep, const std::string& json) {
  const auto cells = CellsOf(place, sweep);
  if (!cells.ok()) return ReportError(cells.status());
  if (cells->empty())
    return ReportError(absl::NotFoundError(absl::StrCat("no cell of ", sweep, " has ended")));
  v1::Plan plan = cells->begin()->second->run().plan();
  plan.clear_cell();
  const v1::SweepResult result = MakeSweepResult(plan, sweep, *cells);
  RunScreen({/*quiet=*/false, json == "-"}).ShowResult(result);
  if (json.empty()) return kExitOk;
  const absl::Status status = WriteOutput(json, ToJson(result));
  return status.ok() ? kExitOk : ReportError(status);
}

int Report(KeptRunsPlace& place, const std::string& run_id, const std::string& json) {
  if (const absl::Status status = Settle(place); !status.ok()) return ReportError(status);
  if (absl::StartsWith(run_id, "sweep-")) return ReportSweep(place, run_id, json);
  RunScreen screen({/*quiet=*/false, json == "-"});
  absl::StatusOr<v1::RunResult> result;
  if (!place.controller.empty()) {
    result = Follow(place, run_id, screen);
  } else {
    const absl::StatusOr<std::unique_ptr<RunStore>> store = OpenStore(place);
    if (!store.ok()) return ReportError(store.status());
    const absl::StatusOr<std::string> wanted = run_id.empty() ? NewestResult(**store) : run_id;
    if (!wanted.ok()) return ReportError(wanted.status());
    result = (*store)->Result(*wanted);
  }
  if (!result.ok()) return ReportError(result.status());
  screen.ShowResult(*result);
  if (!json.empty()) {
    if (const absl::Status status = WriteOutput(json, ToJson(*result)); !status.ok())
      return ReportError(status);
  }
  return ExitStatusOf(*result);
}

int Cancel(KeptRunsPlace& place, const std::string& run_id) {
  if (const absl::Status status = Settle(place); !status.ok()) return ReportError(status);
  const absl::StatusOr<std::unique_ptr<ControlClient>> client =
      ControlClient::Open(place.controller, place.transport);
  const absl::Status status = client.ok() ? (*client)->CancelRun(run_id) : client.status();
  return status.ok() ? kExitOk : ReportError(status);
}

int Prune(const KeptRunsPlace& place, const std::string& older_than) {
  const absl::StatusOr<absl::Duration> age = ParseDuration(older_than);
  if (!age.ok())
    return ReportError(absl::InvalidArgumentError(absl::StrCat("--older-than: ", age.status().message())));
  const absl::StatusOr<std::unique_ptr<RunStore>> store = OpenStore(place);
  if (!store.ok()) return ReportError(store.status());
  const absl::StatusOr<int> pruned = (*store)->Prune(absl::Now() - *age);
  if (!pruned.ok()) return ReportError(pruned.status());
  std::cout << *pruned << (*pruned == 1 ? " run" : " runs") << " deleted from " << (*store)->path()
            << std::endl;
  return kExitOk;
}

}  // namespace

void AddRunsCommands(CLI::App& app, int& exit_status) {
  auto place = std::make_shared<KeptRunsPlace>();
  place->data_dir = DefaultDataDir();
  CLI::App* runs = app.add_subcommand("runs", "Lists the runs that were made, newest first.");
  AddPlace(*runs, *place);
  runs->callback([place, &exit_status] { exit_status = ShowRuns(*place); });

  CLI::App* report = app.add_subcommand(
      "report",
      "Shows the result of a run again; with --controller, follows one that is under way to its result.");
  auto run_id = std::make_shared<std::string>();
  auto json = std::make_shared<std::string>();
  report->add_option(
      "RUN", *run_id,
      "Its id, as `trunkload runs` shows it, or a sweep's; left out: the newest, or the one under way");
  report->add_option("--json", *json, "Write the result to this file too; - is standard output")
      ->type_name("FILE");
  AddPlace(*report, *place);
  report->footer("Exit status: as of the run.\n");
  report->callback([place, run_id, json, &exit_status] { exit_status = Report(*place, *run_id, *json); });

  CLI::App* cancel =
      app.add_subcommand("cancel", "Ends the run of a controller in order; its result still comes.");
  cancel->add_option("RUN", *run_id, "Its id; left out: the one under way");
  cancel->add_option("--controller", place->controller, "The controller that serves there")
      ->type_name("HOST:PORT")
      ->required();
  AddDialOptions(*cancel, place->transport);
  cancel->callback([place, run_id, &exit_status] { exit_status = Cancel(*place, *run_id); });

  CLI::App* prune =
      app.add_subcommand("prune", "Deletes runs that began long ago, except for those under way.");
  auto older_than = std::make_shared<std::string>();
  prune->add_option("--older-than", *older_than, "As in 720h")->type_name("DURATION")->required();
  prune->add_option("--data-dir", place->data_dir, "Where runs are kept")
      ->type_name("DIR")
      ->capture_default_str();
  prune->callback([place, older_than, &exit_status] { exit_status = Prune(*place, *older_than); });
}

}  // namespace trunkload

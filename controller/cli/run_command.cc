#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "controller/cli/command.h"
#include "controller/cli/data_dir.h"
#include "controller/cli/exit_status.h"
#include "controller/cli/output_file.h"
#include "controller/cli/plan_run.h"
#include "controller/cli/run_screen.h"
#include "controller/cli/stop_signals.h"
#include "controller/cli/sweep_run.h"
#include "controller/cli/target_password.h"
#include "controller/cli/transport_options.h"
#include "controller/plan/plan_loader.h"
#include "controller/plan/plan_text.h"
#include "controller/report/json.h"
#include "controller/sweep/sweep_cells.h"

namespace trunkload {
namespace {

constexpr absl::Duration kLongestWait = absl::Hours(8760);

struct RunArguments {
  std::string plan_file;
  PlanOverrides overrides;
  std::string target;
  uint32_t local = 1;
  std::string listen;
  std::string controller;
  Transport transport;
  uint32_t agents = 1;
  std::string wait = "60s";
  bool agents_given = false;
  bool allow_shell = false;
  bool allow_commands = false;
  std::string data_dir;
  std::string json;
  std::string resume;
  bool quiet = false;
};

int WriteJson(const std::string& file, const google::protobuf::Message& result, int status) {
  if (file.empty()) return status;
  const absl::Status written = WriteOutput(file, ToJson(result));
  if (written.ok()) return status;
  ReportError(written);
  return kExitCouldNotRun;
}

// Without the password of its target.
absl::StatusOr<v1::Plan> LoadOwnPlan(const RunArguments& arguments, const PlanOverrides& overrides) {
  absl::StatusOr<v1::Plan> plan = LoadPlan(arguments.plan_file, overrides);
  if (!plan.ok()) return plan;
  const bool children = arguments.listen.empty() && arguments.controller.empty();
  const absl::Status status = KeepPasswordHere(*plan->mutable_target()->mutable_conninfo(), children);
  if (!status.ok()) return status;
  return plan;
}

int RunCells(const RunArguments& arguments, v1::Plan plan, std::vector<SweepSetting> settings, RunPlace place,
             RunScreen& screen) {
  SweepJob job{.plan = std::move(plan),
               .settings = std::move(settings),
               .with = nullptr,
               .resume = arguments.resume,
               .kept = {}};
  job.with = [&arguments](const std::vector<std::string>& overrides) {
    PlanOverrides all = arguments.overrides;
    all.set.insert(all.set.end(), overrides.begin(), overrides.end());
    return LoadOwnPlan(arguments, all);
  };
  job.kept.data_dir = arguments.data_dir.empty() ? DefaultDataDir() : arguments.data_dir;
  job.kept.controller = arguments.controller;
  job.kept.transport = arguments.transport;
  int status = kExitOk;
  const absl::StatusOr<v1::SweepResult> result = RunSweep(job, std::move(place), screen, status);
  if (!result.ok()) return ReportError(result.status());
  screen.ShowResult(*result);
  return WriteJson(arguments.json, *result, status);
}

int Run(RunArguments arguments) {
  if (!arguments.target.empty()) arguments.overrides.target = arguments.target;
  absl::StatusOr<v1::Plan> plan = LoadOwnPlan(arguments, arguments.overrides);
  if (!plan.ok()) {
    ReportError(plan.status());
    return kExitUsage;
  }
  absl::StatusOr<std::vector<SweepSetting>> settings = SweepSettings(*plan);
  if (!settings.ok()) {
    ReportError(
        absl::InvalidArgumentError(absl::StrCat(arguments.plan_file, ": ", settings.status().message())));
    return kExitUsage;
  }
  if (settings->empty() && !arguments.resume.empty())
    return ReportError(absl::InvalidArgumentError("--resume: the plan has no sweep to go on with"));
  const absl::StatusOr<absl::Duration> wait = ParseDuration(arguments.wait);
  if (!wait.ok())
    return ReportError(absl::InvalidArgumentError(absl::StrCat("--wait: ", wait.status().message())));
  if (*wait < absl::Seconds(1) || *wait > kLongestWait) {
    return ReportError(absl::InvalidArgumentError(absl::StrCat(
        "--wait: ", arguments.wait, " is not between 1s and ", absl::FormatDuration(kLongestWait))));
  }
  if (!arguments.json.empty()) {
    if (const absl::Status status = CheckOutput(arguments.json); !status.ok()) return ReportError(status);
  }
  const bool embedded = arguments.controller.empty();
  if (arguments.agents_given && embedded && arguments.listen.empty()) {
    return ReportError(absl::InvalidArgumentError(
        "--agents goes with --listen or --controller; --local N starts N agents on this machine"));
  }
  if (absl::Status status = SettlePlace(arguments.listen, arguments.controller, arguments.transport);
      !status.ok())
    return ReportError(status);
  // Before there is any other thread.
  StopSignals::Block();
  RunPlace place{.local_agents = arguments.local,
                 .allow_shell = arguments.allow_shell,
                 .allow_commands = arguments.allow_commands,
                 .listen = arguments.listen,
                 .controller = arguments.controller,
                 .transport = arguments.transport,
                 .data_dir = arguments.data_dir,
                 .options = {},
                 .on_transactions = nullptr};
  place.options.agents = embedded && arguments.listen.empty() ? arguments.local : arguments.agents;
  place.options.wait = *wait;

  RunScreen screen({arguments.quiet, arguments.json == "-"});
  if (!settings->empty())
    return RunCells(arguments, *std::move(plan), *std::move(settings), std::move(place), screen);
  const absl::StatusOr<v1::RunResult> result = RunPlan(*std::move(plan), std::move(place), screen);
  if (!result.ok()) return ReportError(result.status());
  screen.ShowResult(*result);
  return WriteJson(arguments.json, *result, ExitStatusOf(*result));
}

}  // namespace

void AddRunCommand(CLI::App& app, int& exit_status) {
  CLI::App* run = app.add_subcommand(
      "run", "Runs a plan and reports. Without --local, --listen or --controller: --local 1.");
  auto arguments = std::make_shared<RunArguments>();
  run->add_option("PLAN", arguments->plan_file, "The plan, a YAML file")->required();
  CLI::Option* local = run->add_option("--local", arguments->local, "Start so many agents on this machine")
                           ->type_name("N")
                           ->check(CLI::Range(1, 1000))
                           ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  CLI::Option* listen = run->add_option("--listen", arguments->listen,
                                        "Wait here for agents from anywhere; beyond loopback with --tls")
                            ->type_name("HOST:PORT");
  CLI::Option* controller = run->add_option("--controller", arguments->controller,
                                            "Hand the plan to the controller that serves there")
                                ->type_name("HOST:PORT");
  CLI::Option* agents =
      run->add_option("--agents", arguments->agents,
                      "Begin when so many agents are there; with --listen or --controller [1]")
          ->type_name("N")
          ->check(CLI::Range(1, 100000));
  listen->excludes(local)->needs(agents);
  controller->excludes(local)->excludes(listen);
  agents->excludes(local);
  AddDialOptions(*run, arguments->transport);
  run->add_option("--wait", arguments->wait, "Give up when they are not there by then")
      ->type_name("DURATION")
      ->capture_default_str();
  run->add_flag("--allow-shell", arguments->allow_shell,
                "Let scripts run commands of the shell on this machine (\\shell, \\setshell); with --local")
      ->excludes(listen)
      ->excludes(controller);
  run->add_flag("--allow-commands", arguments->allow_commands,
                "Let the plan's faults run commands of the shell on this machine")
      ->excludes(controller);
  run->add_option("--target", arguments->target,
                  "A libpq connection string or URI in place of the plan's target")
      ->type_name("CONNINFO")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  run->add_option("--set", arguments->overrides.set,
                  "Override a field of the plan, as in fleet.pool.size=16; repeatable")
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  run->add_option("--data-dir", arguments->data_dir,
                  absl::StrCat("Where the run is kept [", DefaultDataDir(), "]"))
      ->type_name("DIR")
      ->excludes(controller);
  run->add_option("--json", arguments->json, "Write the result to this file too; - is standard output")
      ->type_name("FILE");
  run->add_option("--resume", arguments->resume, "Run what is left of a sweep that was interrupted")
      ->type_name("SWEEP");
  run->add_flag("--quiet", arguments->quiet, "Show errors only");
  run->footer(
      "Ctrl-C ends the run in order and still reports; a second one leaves at once.\n\n"
      "Examples:\n"
      "  trunkload run plans/insert-throughput.yaml --local 3 --set fleet.pool.size=16 --json result.json\n"
      "  trunkload run plans/insert-throughput.yaml --listen :7400 --agents 20 --wait 5m --tls "
      "pki/controller\n"
      "  trunkload run plans/insert-throughput.yaml --controller load.example.com:7400 --tls pki/me --agents "
      "20\n");
  run->callback([arguments, agents, &exit_status] {
    arguments->agents_given = agents->count() > 0;
    exit_status = Run(*arguments);
  });
}

}  // namespace trunkload

#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controller/cancellation.h"
#include "controller/checks/settlement.h"
#include "controller/cli/command.h"
#include "controller/cli/data_dir.h"
#include "controller/cli/exit_status.h"
#include "controller/cli/kept_runs.h"
#include "controller/cli/output_file.h"
#include "controller/cli/run_screen.h"
#include "controller/cli/stop_signals.h"
#include "controller/plan/plan_loader.h"
#include "controller/report/json.h"

namespace trunkload {
namespace {

struct CheckDataArguments {
  std::string plan_file;
  std::string run_id;
  PlanOverrides overrides;
  std::string target;
  std::string json;
  KeptRunsPlace place;
};

// The run as it was, with the checks as they are settled now.
absl::StatusOr<v1::RunResult> Settle(CheckDataArguments& arguments, const Cancellation& cancellation) {
  if (!arguments.target.empty()) arguments.overrides.target = arguments.target;
  // It says where the database is; what was run is kept with the run.
  const absl::StatusOr<v1::Plan> plan = LoadPlan(arguments.plan_file, arguments.overrides);
  if (!plan.ok()) return plan.status();
  const absl::StatusOr<std::unique_ptr<RunStore>> store = OpenStore(arguments.place);
  if (!store.ok()) return store.status();
  absl::StatusOr<v1::RunResult> result = (*store)->Result(arguments.run_id);
  if (!result.ok()) return result.status();
  if (result->run().plan().checks().empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "run ", arguments.run_id, " had no checks: name them in the plan (checks: [ledger]) and run it"));
  }
  const absl::StatusOr<v1::CheckRecord> record = (*store)->CheckRecord(arguments.run_id);
  if (!record.ok()) return record.status();
  absl::StatusOr<OperationRecord> operations = OperationRecord::FromProto(result->run().plan(), *record);
  if (!operations.ok()) return operations.status();
  SettlementJob job{result->run().plan(), arguments.run_id, *std::move(operations)};
  *job.plan.mutable_target() = plan->target();
  *job.plan.mutable_check_options()->mutable_settle_timeout() = plan->check_options().settle_timeout();
  absl::StatusOr<std::vector<v1::CheckResult>> checks = SettleChecks(job, cancellation);
  if (!checks.ok()) return checks.status();
  result->clear_checks();
  for (v1::CheckResult& check : *checks) *result->add_checks() = std::move(check);
  return result;
}

int CheckData(CheckDataArguments arguments) {
  StopSignals::Block();
  if (!arguments.json.empty()) {
    if (const absl::Status status = CheckOutput(arguments.json); !status.ok()) return ReportError(status);
  }
  Cancellation cancellation;
  absl::StatusOr<v1::RunResult> result;
  {
    const StopSignals signals([&cancellation](int) { cancellation.Cancel(); });
    result = Settle(arguments, cancellation);
  }
  if (!result.ok()) return ReportError(result.status());
  RunScreen({/*quiet=*/false, arguments.json == "-"}).ShowChecks(*result);
  if (!arguments.json.empty()) {
    if (const absl::Status status = WriteOutput(arguments.json, ToJson(*result)); !status.ok())
      return ReportError(status);
  }
  ExitStatus status = kExitOk;
  for (const v1::CheckResult& check : result->checks()) {
    if (check.outcome() == v1::CheckResult::OUTCOME_FAILED) return kExitCheckFailed;
    if (check.outcome() == v1::CheckResult::OUTCOME_INDETERMINATE) status = kExitNotValid;
  }
  return status;
}

}  // namespace

void AddCheckDataCommand(CLI::App& app, int& exit_status) {
  CLI::App* command = app.add_subcommand(
      "check-data",
      "Settles the checks of a run again, against the database as it is now: after a restore, a failover, an "
      "upgrade.");
  auto arguments = std::make_shared<CheckDataArguments>();
  arguments->place.data_dir = DefaultDataDir();
  command->add_option("PLAN", arguments->plan_file, "The plan, a YAML file: it says where the database is")
      ->required();
  command->add_option("RUN", arguments->run_id, "The run's id, as `trunkload runs` shows it")->required();
  command
      ->add_option("--target", arguments->target,
                   "A libpq connection string or URI in place of the plan's target")
      ->type_name("CONNINFO");
  command->add_option("--set", arguments->overrides.set, "Override a field of the plan; repeatable")
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command
      ->add_option("--json", arguments->json,
                   "Write the run's result with these checks to this file too; - is standard output")
      ->type_name("FILE");
  command->add_option("--data-dir", arguments->place.data_dir, "Where the run is kept")
      ->type_name("DIR")
      ->capture_default_str();
  command->footer(
      "Example:\n  trunkload check-data plans/insert-throughput.yaml 20260102-030405-1a2b\n\n"
      "Exit status: 0 all passed; 4 some could not be settled; 5 a check failed.\n");
  command->callback([arguments, &exit_status] { exit_status = CheckData(std::move(*arguments)); });
}

}  // namespace trunkload

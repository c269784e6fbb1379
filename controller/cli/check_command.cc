#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controller/capacity_search.h"
#include "controller/cli/command.h"
#include "controller/cli/exit_status.h"
#include "controller/plan/plan_loader.h"
#include "controller/planner.h"
#include "controller/report/plan_summary.h"
#include "controller/sweep/sweep_cells.h"

namespace trunkload {
namespace {

struct CheckArguments {
  std::string plan_file;
  PlanOverrides overrides;
  std::string target;
  uint32_t agents = 1;
};

int Check(CheckArguments arguments) {
  if (!arguments.target.empty()) arguments.overrides.target = arguments.target;
  const absl::StatusOr<v1::Plan> plan = LoadPlan(arguments.plan_file, arguments.overrides);
  if (!plan.ok()) {
    ReportError(plan.status());
    return kExitUsage;
  }
  std::vector<std::string> agents;
  for (uint32_t i = 1; i <= arguments.agents; ++i) agents.push_back(absl::StrCat("agent-", i));
  std::vector<SearchPhases> searches;
  const absl::StatusOr<std::vector<v1::Assignment>> assignments =
      PlanAssignments(ExpandSearches(*plan, searches), agents, "check");
  if (!assignments.ok()) return ReportError(assignments.status());
  const absl::StatusOr<std::vector<SweepSetting>> cells = SweepSettings(*plan);
  if (!cells.ok()) {
    return ReportError(
        absl::InvalidArgumentError(absl::StrCat(arguments.plan_file, ": ", cells.status().message())));
  }
  for (const SweepSetting& cell : *cells) {
    PlanOverrides overrides = arguments.overrides;
    overrides.set.insert(overrides.set.end(), cell.overrides.begin(), cell.overrides.end());
    const absl::StatusOr<v1::Plan> of_cell = LoadPlan(arguments.plan_file, overrides);
    if (!of_cell.ok()) return ReportError(of_cell.status());
  }
  std::cout << PlanSummary(*plan) << "\n" << AssignmentSummary(*assignments) << std::flush;
  return kExitOk;
}

}  // namespace

void AddCheckCommand(CLI::App& app, int& exit_status) {
  CLI::App* check = app.add_subcommand(
      "check", "Validates a plan and prints what each agent would be told; touches no database.");
  auto arguments = std::make_shared<CheckArguments>();
  check->add_option("PLAN", arguments->plan_file, "The plan, a YAML file")->required();
  check->add_option("--agents", arguments->agents, "For a fleet of so many agents")
      ->type_name("N")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  check
      ->add_option("--target", arguments->target,
                   "A libpq connection string or URI in place of the plan's target")
      ->type_name("CONNINFO");
  check->add_option("--set", arguments->overrides.set, "Override a field of the plan; repeatable")
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  check->footer(
      "Example:\n  trunkload check plans/insert-throughput.yaml --agents 3 --set "
      "phases.open.load.open.rate=5000/s\n");
  check->callback([arguments, &exit_status] { exit_status = Check(*arguments); });
}

}  // namespace trunkload

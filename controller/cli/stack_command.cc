#include <unistd.h>

#include <iostream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "controller/cli/command.h"
#include "controller/cli/exit_status.h"
#include "controller/cli/stop_signals.h"
#include "controller/stack/stack.h"

namespace trunkload {
namespace {

struct StackArguments {
  int workers = 2;
  std::string directory = Stack::DefaultDirectory();
  bool conninfo_only = false;
};

std::string About(const Stack::State& state) {
  const std::string postgresql = absl::StrCat("PostgreSQL ", state.postgresql_version);
  if (!state.citus_version.empty()) {
    return absl::StrCat(postgresql, " with Citus ", state.citus_version, ": a coordinator and ",
                        state.worker_ports.size(), state.worker_ports.size() == 1 ? " worker" : " workers",
                        " (ports ", absl::StrJoin(state.worker_ports, ", "), ")");
  }
  if (state.citus_installed)
    return absl::StrCat(postgresql, ", plain: without Citus's workers, as --workers 0 asks for");
  return absl::StrCat(
      postgresql,
      ", plain: Citus is not installed for it. To measure Citus, install its package for this "
      "version (https://www.citusdata.com/download), then `trunkload stack down` and up again");
}

void Print(const Stack::State& state, bool conninfo_only) {
  if (conninfo_only) {
    std::cout << state.conninfo << std::endl;
    return;
  }
  std::cout << "up: " << About(state) << "\n"
            << "use it with --target '" << state.conninfo << "'" << std::endl;
}

int Up(const StackArguments& arguments) {
  StopSignals::Block();
  Cancellation cancellation;
  const StopSignals signals([&cancellation](int) { cancellation.Cancel(); });
  const auto state = Stack(arguments.directory).Up(arguments.workers, cancellation);
  if (!state.ok()) return ReportError(state.status());
  Print(*state, arguments.conninfo_only);
  return kExitOk;
}

int Status(const StackArguments& arguments) {
  const auto state = Stack(arguments.directory).Status();
  if (!state.ok()) return ReportError(state.status());
  Print(*state, arguments.conninfo_only);
  return kExitOk;
}

int Down(const StackArguments& arguments) {
  const absl::Status status = Stack(arguments.directory).Down();
  return status.ok() ? kExitOk : ReportError(status);
}

}  // namespace

void AddStackCommand(CLI::App& app, int& exit_status) {
  CLI::App* stack = app.add_subcommand("stack", "A throwaway database on this machine to try plans on.");
  stack->require_subcommand(1);
  auto arguments = std::make_shared<StackArguments>();
  const auto add = [&](const char* name, const char* description, const char* example,
                       int (*run)(const StackArguments&)) {
    CLI::App* command = stack->add_subcommand(name, description);
    command->add_option("--dir", arguments->directory, "Where all of it lives")->capture_default_str();
    command->footer(absl::StrCat("Example:\n  ", example, "\n"));
    command->callback([arguments, run, &exit_status] { exit_status = run(*arguments); });
    return command;
  };
  CLI::App* up = add("up", "Starts it: PostgreSQL, with Citus where that is installed.",
                     "trunkload stack up --workers 2", Up);
  up->add_option("--workers", arguments->workers, "Workers of the Citus coordinator; 0 is plain PostgreSQL")
      ->check(CLI::Range(0, 32))
      ->capture_default_str();
  CLI::App* status = add("status", "Says whether it is up, and where; exit status 1 when it is not.",
                         "trunkload run PLAN --target \"$(trunkload stack status --conninfo)\"", Status);
  for (CLI::App* command : {up, status}) {
    command->add_flag("--conninfo", arguments->conninfo_only,
                      "Print the connection string only, for scripts");
  }
  add("down", "Stops it and removes all that it made.", "trunkload stack down", Down);
  stack->footer(
      "Example:\n  trunkload stack up && trunkload run PLAN --target \"$(trunkload stack status "
      "--conninfo)\"; trunkload stack down\n");
}

}  // namespace trunkload

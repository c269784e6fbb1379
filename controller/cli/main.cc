#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "common/file_limit.h"
#include "controller/cli/command.h"
#include "controller/cli/exit_status.h"
#include "controller/plan/conninfo.h"

namespace trunkload {
namespace {

constexpr char kPgbench[] = "pgbench";
constexpr char kExitStatuses[] =
    "Exit status: 0 valid and objectives met; 1 could not run; 2 wrong usage or a plan with mistakes;\n"
    "3 an objective was missed; 4 the run is not valid; 5 a check failed; 130 cancelled.\n";

int WrongUsage(const CLI::App& app, const std::string& what) {
  std::string command = "trunkload";
  for (const CLI::App* used : app.get_subcommands()) {
    command += " " + used->get_name();
    for (const CLI::App* nested : used->get_subcommands()) command += " " + nested->get_name();
  }
  std::cerr << "trunkload: " << what << "; see `" << command << " --help`" << std::endl;
  return kExitUsage;
}

// Names options, but shows nothing else: what follows a connection string that lacks its quotes may be a
// password.
std::string UnexpectedArguments(const std::vector<std::string>& arguments) {
  std::string options;
  for (const std::string& argument : arguments) {
    if (argument.starts_with("-")) options += " " + argument.substr(0, argument.find('='));
  }
  return options.empty() ? "arguments that are not expected; put a value with spaces in quotes"
                         : "no such option:" + options;
}

// The arguments after the program's name. Those that may hold a password are shown by `ps` no more.
std::vector<std::string> TakeArguments(int argc, char** argv) {
  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  for (int i = 1; i < argc; ++i) {
    if (MayHoldPassword(argv[i])) std::memset(argv[i], '*', std::strlen(argv[i]));
  }
  return arguments;
}

int Main(int argc, char** argv) {
  std::vector<std::string> arguments = TakeArguments(argc, argv);
  std::signal(SIGPIPE, SIG_IGN);
  // Debian's abseil looks for deadlocks whenever a lock is taken, gRPC's own included. That is for tests.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  RaiseFileLimit();
  // gRPC's own log repeats, less clearly, what our messages say.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);

  if (!arguments.empty() && arguments.front() == kPgbench) {
    arguments.erase(arguments.begin());
    return RunPgbenchCommand(arguments);
  }
  int exit_status = kExitOk;
  CLI::App app("Load-tests PostgreSQL and Citus the way a fleet of application servers would.", "trunkload");
  app.set_version_flag("--version", "trunkload " TRUNKLOAD_VERSION);
  app.require_subcommand(1);
  app.footer(std::string("Example:\n  trunkload run plans/insert-throughput.yaml --local 3\n\n") +
             kExitStatuses);
  AddRunCommand(app, exit_status);
  AddServeCommand(app, exit_status);
  AddRunsCommands(app, exit_status);
  AddCheckCommand(app, exit_status);
  AddCheckDataCommand(app, exit_status);
  AddHealthCommand(app, exit_status);
  AddStackCommand(app, exit_status);
  AddCertsCommand(app, exit_status);
  AddTokensCommand(app, exit_status);
  // For the list of commands only: see above.
  app.add_subcommand(kPgbench, "Runs pgbench's scripts on a fleet, with pgbench's own options");
  try {
    // It takes them from the end.
    std::reverse(arguments.begin(), arguments.end());
    app.parse(std::move(arguments));
  } catch (const CLI::Success& asked) {
    return app.exit(asked);  // --help and --version
  } catch (const CLI::ExtrasError&) {
    return WrongUsage(app, UnexpectedArguments(app.remaining(/*recurse=*/true)));
  } catch (const CLI::ParseError& error) {
    return WrongUsage(app, error.what());
  }
  return exit_status;
}

}  // namespace
}  // namespace trunkload

int main(int argc, char** argv) {
  return trunkload::Main(argc, argv);
}

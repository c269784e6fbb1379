#pragma once

#include <CLI/CLI.hpp>
#include <span>
#include <string>

namespace trunkload {

// Each adds one command to the command line. When the user names that command it is run while the line is
// parsed, and leaves its exit status.
void AddRunCommand(CLI::App& app, int& exit_status);
void AddServeCommand(CLI::App& app, int& exit_status);
void AddCertsCommand(CLI::App& app, int& exit_status);
void AddCheckCommand(CLI::App& app, int& exit_status);
void AddCheckDataCommand(CLI::App& app, int& exit_status);
void AddRunsCommands(CLI::App& app, int& exit_status);
void AddHealthCommand(CLI::App& app, int& exit_status);
void AddStackCommand(CLI::App& app, int& exit_status);
void AddTokensCommand(CLI::App& app, int& exit_status);

// `trunkload pgbench`, whose arguments are pgbench's own and are taken apart in its way; without the two
// words. Returns the exit status.
int RunPgbenchCommand(std::span<const std::string> arguments);

// The address that controllers listen on unless told otherwise.
inline constexpr char kDefaultListen[] = "127.0.0.1:7400";

}  // namespace trunkload

#include <iostream>
#include <memory>
#include <string>

#include "controller/cli/command.h"
#include "controller/cli/exit_status.h"
#include "controller/http/health.h"

namespace trunkload {
namespace {

constexpr char kDefaultUrl[] = "http://127.0.0.1:7480/healthz";

int Health(const std::string& url) {
  if (const absl::Status status = CheckHealth(url); !status.ok()) return ReportError(status);
  std::cout << "ok" << std::endl;
  return kExitOk;
}

}  // namespace

void AddHealthCommand(CLI::App& app, int& exit_status) {
  CLI::App* health =
      app.add_subcommand("health", "Asks a controller that serves with --http whether it is well.");
  auto url = std::make_shared<std::string>(kDefaultUrl);
  health->add_option("URL", *url, "Where its health is")->capture_default_str();
  health->footer(
      "Exit status: 0 it is; 1 it is not, or does not answer.\n\n"
      "Example:\n  trunkload health https://127.0.0.1:7480/healthz\n");
  health->callback([url, &exit_status] { exit_status = Health(*url); });
}

}  // namespace trunkload

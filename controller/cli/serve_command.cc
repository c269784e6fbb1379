#include <unistd.h>

#include <iostream>
#include <memory>
#include <string>

#include "common/clock.h"
#include "controller/cli/command.h"
#include "controller/cli/exit_status.h"
#include "controller/cli/stop_signals.h"
#include "controller/controller_server.h"
#include "controller/controller_thread.h"

namespace trunkload {
namespace {

int Serve(const std::string& listen) {
  const SystemClock clock;
  // Before there is any other thread.
  StopSignals::Block();
  ControllerThread controller(clock);
  auto server = ControllerServer::Listen(listen, clock, controller);
  if (!server.ok()) return ReportError(server.status());
  std::cerr << "listening on " << (*server)->address() << std::endl;

  Cancellation stop;
  StopSignals signals([&stop](int count) {
    if (count > 1) _exit(kExitCancelled);
    stop.Cancel();
  });
  stop.Wait();
  std::cerr << "stopping; once more to leave at once" << std::endl;
  controller.Stop();
  return kExitOk;
}

}  // namespace

void AddServeCommand(CLI::App& app, int& exit_status) {
  CLI::App* serve =
      app.add_subcommand("serve", "A controller that stays, and takes runs from other machines.");
  auto listen = std::make_shared<std::string>(kDefaultListen);
  serve
      ->add_option("--listen", *listen,
                   "HOST:PORT, or :PORT for every address of this machine; nothing is encrypted")
      ->capture_default_str();
  serve->footer(
      "SIGINT or SIGTERM ends a run under way in order, then the controller, with exit status 0.\n\n"
      "Example:\n  trunkload serve --listen :7400\n");
  serve->callback([listen, &exit_status] { exit_status = Serve(*listen); });
}

}  // namespace trunkload

#include <unistd.h>

#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/synchronization/notification.h"
#include "common/clock.h"
#include "controller/cli/command.h"
#include "controller/cli/data_dir.h"
#include "controller/cli/exit_status.h"
#include "controller/cli/stop_signals.h"
#include "controller/controller_server.h"
#include "controller/controller_thread.h"
#include "controller/store/run_store.h"

namespace trunkload {
namespace {

struct ServeArguments {
  std::string listen = kDefaultListen;
  std::string data_dir = DefaultDataDir();
};

// The run that was under way when the last controller of this directory was killed goes on.
absl::Status Resume(ControllerThread& controller, std::optional<RunSnapshot> snapshot) {
  if (!snapshot) return absl::OkStatus();
  std::cerr << "going on with run " << snapshot->run.run_id() << std::endl;
  absl::Notification resumed;
  absl::Status status;
  controller.ResumeRun(*std::move(snapshot), [&resumed, &status](const absl::Status& result) {
    status = result;
    resumed.Notify();
  });
  resumed.WaitForNotification();
  return status;
}

int Serve(const ServeArguments& arguments) {
  if (arguments.data_dir.empty()) {
    return ReportError(absl::InvalidArgumentError(
        "neither HOME nor XDG_DATA_HOME is set: name the place where runs are kept with --data-dir"));
  }
  const SystemClock clock;
  absl::StatusOr<std::unique_ptr<RunStore>> store = RunStore::Open(arguments.data_dir, /*resumable=*/true);
  if (!store.ok()) return ReportError(store.status());
  // Before there is any other thread.
  StopSignals::Block();
  absl::StatusOr<std::optional<RunSnapshot>> snapshot = (*store)->TakeOverInterrupted();
  if (!snapshot.ok()) return ReportError(snapshot.status());
  ControllerThread controller(clock, *std::move(store));
  // Before agents can come.
  if (absl::Status status = Resume(controller, *std::move(snapshot)); !status.ok()) {
    controller.Stop();
    return ReportError(status);
  }
  auto server = ControllerServer::Listen(arguments.listen, clock, controller);
  if (!server.ok()) {
    // What is to go on goes on with the next one that is started.
    _exit(ReportError(server.status()));
  }
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
  auto arguments = std::make_shared<ServeArguments>();
  serve
      ->add_option("--listen", arguments->listen,
                   "HOST:PORT, or :PORT for every address of this machine; nothing is encrypted")
      ->capture_default_str();
  serve
      ->add_option("--data-dir", arguments->data_dir,
                   "Where runs are kept; one that was under way when its controller was killed goes on")
      ->type_name("DIR")
      ->capture_default_str();
  serve->footer(
      "SIGINT or SIGTERM ends a run under way in order, then the controller, with exit status 0.\n\n"
      "Example:\n  trunkload serve --listen :7400 --data-dir /var/lib/trunkload\n");
  serve->callback([arguments, &exit_status] { exit_status = Serve(*arguments); });
}

}  // namespace trunkload

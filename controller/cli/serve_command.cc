#include <unistd.h>

#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/clock.h"
#include "controller/cli/command.h"
#include "controller/cli/data_dir.h"
#include "controller/cli/exit_status.h"
#include "controller/cli/stop_signals.h"
#include "controller/cli/transport_options.h"
#include "controller/controller_server.h"
#include "controller/controller_thread.h"
#include "controller/http/http_server.h"
#include "controller/store/run_store.h"

namespace trunkload {
namespace {

struct ServeArguments {
  std::string listen = kDefaultListen;
  Transport transport;
  std::string data_dir = DefaultDataDir();
  bool allow_commands = false;
  // A run under way is left to the next controller of the directory.
  bool hand_over = false;
  // Where the pages are; empty: nowhere.
  std::string http;
  std::string http_token_file;
};

absl::StatusOr<std::unique_ptr<HttpServer>> ServePages(const ServeArguments& arguments,
                                                       ControllerThread& controller) {
  auto pages = HttpServer::Listen({.address = arguments.http,
                                   .tls_dir = arguments.transport.tls,
                                   .token_file = arguments.http_token_file,
                                   .insecure = arguments.transport.insecure},
                                  controller);
  if (!pages.ok()) return pages;
  if (!(*pages)->warning().empty()) std::cerr << (*pages)->warning() << std::endl;
  std::cerr << "pages at " << (*pages)->url() << std::endl;
  return pages;
}

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

int Serve(ServeArguments& arguments) {
  if (const absl::Status status = SettleListen(arguments.listen, arguments.transport); !status.ok())
    return ReportError(status);
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
  const std::string store_path = (*store)->path();
  ControllerThread controller(clock, *std::move(store), arguments.allow_commands);
  // Before agents can come.
  if (absl::Status status = Resume(controller, *std::move(snapshot)); !status.ok()) {
    controller.Stop();
    return ReportError(status);
  }
  auto server =
      ControllerServer::Listen({arguments.listen, arguments.transport.tls, store_path}, clock, controller);
  if (!server.ok()) {
    // What is to go on goes on with the next one that is started.
    _exit(ReportError(server.status()));
  }
  std::unique_ptr<HttpServer> pages;
  if (!arguments.http.empty()) {
    auto served = ServePages(arguments, controller);
    if (!served.ok()) _exit(ReportError(served.status()));
    pages = *std::move(served);
  }
  std::cerr << "listening on " << (*server)->address() << std::endl;

  Cancellation stop;
  StopSignals signals([&stop](int count) {
    if (count > 1) _exit(kExitCancelled);
    stop.Cancel();
  });
  stop.Wait();
  // As where it is killed: what is on the disk is all that the next one needs, and agents wait for it.
  if (arguments.hand_over) {
    std::cerr << "leaving what is under way to the next controller of " << arguments.data_dir << std::endl;
    _exit(kExitOk);
  }
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
                   "HOST:PORT, or :PORT for every address of this machine, which takes --tls")
      ->capture_default_str();
  AddListenOptions(*serve, arguments->transport);
  serve
      ->add_option("--data-dir", arguments->data_dir,
                   "Where runs are kept; one that was under way when its controller was killed goes on")
      ->type_name("DIR")
      ->capture_default_str();
  serve->add_flag("--allow-commands", arguments->allow_commands,
                  "Let the faults of plans run commands of the shell on this machine, as this user");
  serve->add_flag("--hand-over", arguments->hand_over,
                  "SIGINT or SIGTERM leaves a run under way to the next controller of this directory");
  CLI::Option* http =
      serve
          ->add_option("--http", arguments->http,
                       absl::StrCat("Show the runs, metrics and health as pages there, HOST:PORT or :PORT [",
                                    kDefaultHttp, "]"))
          ->type_name("[ADDRESS]")
          ->expected(0, 1);
  serve
      ->add_option("--http-token-file", arguments->http_token_file,
                   "Who reads the pages has to show the first line of this file")
      ->type_name("FILE")
      ->needs(http);
  serve->footer(
      "SIGINT or SIGTERM ends a run under way in order, then the controller, with exit status 0.\n\n"
      "Example:\n  trunkload serve --listen :7400 --tls pki/controller --data-dir /var/lib/trunkload\n");
  serve->callback([arguments, http, &exit_status] {
    if (http->count() > 0 && arguments->http.empty()) arguments->http = kDefaultHttp;
    exit_status = Serve(*arguments);
  });
}

}  // namespace trunkload

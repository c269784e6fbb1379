// trunkload-agent: joins a controller's fleet and loads the database as it is told.
#include <sched.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/event_loop.h"
#include "agent/session.h"
#include "common/file_limit.h"
#include "common/random.h"

namespace trunkload {
namespace {

constexpr int kWrongUsage = 2;
constexpr int kCouldNotRun = 1;
// With --once, a controller that has not been reached for so long is given up.
constexpr absl::Duration kControllerStarts = absl::Seconds(30);

std::string HostName() {
  char name[256] = "";
  gethostname(name, sizeof(name) - 1);
  return name;
}

uint32_t UsableProcessors() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? static_cast<uint32_t>(CPU_COUNT(&set))
                                                      : std::thread::hardware_concurrency();
}

// SIGINT and SIGTERM are blocked in every thread and awaited by one, which tells the loop.
void WatchSignals(EventLoop& loop, bool& stop) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread([signals, &loop, &stop] {
    int signal;
    while (sigwait(&signals, &signal) == 0) loop.Post([&stop] { stop = true; });
  }).detach();
}

// Dials until told to stop: a controller that is not there yet, or not any more, is tried again with back-off
// and jitter.
int Serve(const SessionOptions& options, bool once) {
  const std::string& controller = options.controller;
  // The signals' thread outlives this function.
  static EventLoop loop;
  static bool stop = false;
  WatchSignals(loop, stop);
  Random random(static_cast<uint64_t>(getpid()) ^ static_cast<uint64_t>(absl::GetCurrentTimeNanos()));
  absl::Duration backoff = absl::Milliseconds(200);
  const absl::Time started = absl::Now();
  bool ever_joined = false;
  while (true) {
    const absl::Time dialled = absl::Now();
    const SessionEnd session = RunSession(options, loop, stop);
    const absl::Status& end = session.why;
    if (stop) return 0;
    ever_joined = ever_joined || session.joined;
    // A name that is taken may be this agent's own, of a connection that the controller has not yet missed.
    const bool refused =
        !session.joined && (absl::IsFailedPrecondition(end) || absl::IsInvalidArgument(end) ||
                            (absl::IsAlreadyExists(end) && !ever_joined));
    if (refused) {
      spdlog::error("the controller at {} refused this agent: {}", controller, std::string(end.message()));
      return kCouldNotRun;
    }
    if (once) {
      // The controller has gone, and with it what this agent was for. One that never was there may be about
      // to start.
      if (session.joined) return 0;
      if (absl::Now() - started > kControllerStarts) {
        spdlog::error("no controller at {}: {}", controller, std::string(end.message()));
        return kCouldNotRun;
      }
    }
    if (absl::Now() - dialled > absl::Seconds(10)) backoff = absl::Milliseconds(200);
    spdlog::info("out of the fleet of {} ({}); trying again", controller, std::string(end.message()));
    const absl::Time again = absl::Now() + backoff * (0.5 + random.Uniform());
    while (!stop && loop.RunOne(again)) {
    }
    if (stop) return 0;
    backoff = std::min(backoff * 2, absl::Seconds(5));
  }
}

int Main(int argc, char** argv) {
  CLI::App app(
      "Joins a controller's fleet and loads the database as it is told, until it is stopped.\n"
      "Database passwords come from libpq's own places on this machine.\n\n"
      "Example:\n  trunkload-agent --controller 10.0.0.5:7400 --label zone=eu-1");
  SessionOptions options;
  std::string name = absl::StrCat(HostName(), "-", getpid());
  std::vector<std::string> labels;
  bool once = false;
  app.add_option("--controller", options.controller, "Address of the controller, HOST:PORT")->required();
  app.add_option("--name", name, "Name in the fleet, unique there (default: host name and process id)");
  app.add_option("--label", labels, "KEY=VALUE, shown to the controller; may be repeated");
  app.add_flag("--once", once, "Exit when the controller has gone, instead of waiting for it to come back");
  app.add_flag(
      "--allow-shell", options.allow_shell,
      "Let scripts run commands of the shell on this machine (\\shell and \\setshell), which anybody who "
      "reaches the controller can then do");
  app.set_version_flag("--version", std::string("trunkload-agent " TRUNKLOAD_VERSION));
  v1::Hello& hello = options.hello;
  try {
    app.parse(argc, argv);
    for (const std::string& label : labels) {
      const size_t equals = label.find('=');
      if (equals == std::string::npos || equals == 0) {
        throw CLI::ValidationError("--label", "'" + label + "' is not of the form KEY=VALUE");
      }
      (*hello.mutable_labels())[label.substr(0, equals)] = label.substr(equals + 1);
    }
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kWrongUsage;
  }
  spdlog::set_default_logger(spdlog::stderr_color_mt("agent"));
  RaiseFileLimit();
  hello.set_protocol(1);
  hello.set_name(name);
  hello.set_version(TRUNKLOAD_VERSION);
  hello.set_host(HostName());
  hello.set_cpus(UsableProcessors());
  return Serve(options, once);
}

}  // namespace
}  // namespace trunkload

int main(int argc, char** argv) {
  return trunkload::Main(argc, argv);
}

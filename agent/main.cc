// trunkload-agent: joins a controller's fleet and loads the database as it is told.
#include <sched.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "agent/event_loop.h"
#include "agent/health_file.h"
#include "agent/keep_alive.h"
#include "agent/outbox.h"
#include "agent/reactor_load.h"
#include "agent/run.h"
#include "agent/session.h"
#include "common/clock.h"
#include "common/file_limit.h"
#include "common/random.h"
#include "common/tls/tls_diagnosis.h"
#include "common/tls/tls_folder.h"
#include "common/tls/transport.h"

namespace trunkload {
namespace {

constexpr int kWrongUsage = 2;
constexpr int kCouldNotRun = 1;
// With --once, a controller that has not been reached for so long is given up.
constexpr absl::Duration kControllerStarts = absl::Seconds(30);
// A controller that was started again finds its agents within this, and well within their lease.
constexpr absl::Duration kFirstBackOff = absl::Milliseconds(200);
constexpr absl::Duration kLongestBackOff = absl::Seconds(2);
// For the drain and for the controller to write down what was measured, after a signal to stop.
constexpr absl::Duration kGoodbye = absl::Seconds(4);
constexpr absl::Duration kDiagnosis = absl::Seconds(2);

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

struct AgentOptions {
  ControllerPlace controller;
  v1::Hello hello;
  bool allow_shell = false;  // scripts may run commands of the shell on this machine
  bool once = false;
  std::string health_file;  // see HealthFile
};

// The agent as a process: one run at a time, over as many sessions as it takes. Lives until the process ends,
// because its signals' thread does.
class Agent {
 public:
  explicit Agent(AgentOptions options)
      : options_(std::move(options)),
        run_(
            clock_, outbox_,
            [this](LoadEvents& events) { return std::make_unique<ReactorLoad>(loop_, events); },
            options_.allow_shell),
        health_file_(options_.health_file),
        random_(options_.hello.instance()) {}

  // The exit status.
  int Serve();

 private:
  // SIGINT and SIGTERM are blocked in every thread and awaited by one, which tells the loop. The second one
  // leaves at once.
  void WatchSignals();
  // Dials until told to stop: a controller that is not there yet, or not any more, is tried again with
  // back-off and jitter. The exit status.
  int Stay();
  // The load has ended and all it measured is on the controller's disk; or that takes too long.
  bool MayLeave() const;
  void Tick();
  bool Refused(const SessionEnd& session) const;
  // The loop goes on meanwhile.
  std::string WhyOf(const SessionEnd& session);
  void BackOff();

  const AgentOptions options_;
  const SystemClock clock_;
  EventLoop loop_;
  Outbox outbox_;
  Run run_;
  HealthFile health_file_;
  bool health_told_ = false;
  Random random_;
  std::atomic<bool> tick_posted_{false};
  bool stop_ = false;
  int64_t stopped_ns_ = 0;
  bool ever_joined_ = false;
  absl::Duration backoff_ = kFirstBackOff;
  // The last: its thread begins at once.
  KeepAlive keep_alive_{options_.hello.instance(), [this] {
                          if (!tick_posted_.exchange(true)) loop_.Post([this] { Tick(); });
                        }};
};

void Agent::WatchSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  std::thread([this, signals] {
    int signal;
    for (bool first = true; sigwait(&signals, &signal) == 0; first = false) {
      if (!first) _exit(kCouldNotRun);
      loop_.Post([this] {
        stop_ = true;
        stopped_ns_ = clock_.MonotonicNanos();
        run_.Leave();
      });
    }
  }).detach();
}

bool Agent::MayLeave() const {
  if (!stop_) return false;
  const bool told = !run_.active() && outbox_.empty();
  return told || clock_.MonotonicNanos() - stopped_ns_ > absl::ToInt64Nanoseconds(kGoodbye);
}

void Agent::Tick() {
  tick_posted_ = false;
  const int64_t confirmed_ns = keep_alive_.confirmed_ns();
  run_.CheckLease(confirmed_ns);
  const absl::Status touched = health_file_.OnConfirmed(confirmed_ns);
  if (!touched.ok() && !std::exchange(health_told_, true)) spdlog::warn("{}", std::string(touched.message()));
}

bool Agent::Refused(const SessionEnd& session) const {
  // A name that is taken may be this agent's own, of a process before this one that the controller has not
  // yet missed.
  const absl::Status& why = session.why;
  const bool of_this_start =
      absl::IsAlreadyExists(why) || absl::IsUnauthenticated(why) || absl::IsPermissionDenied(why);
  return !session.joined && (absl::IsFailedPrecondition(why) || absl::IsInvalidArgument(why) ||
                             (of_this_start && !ever_joined_));
}

std::string Agent::WhyOf(const SessionEnd& session) {
  std::string why(session.why.message());
  if (stop_ || session.joined || !absl::IsUnavailable(session.why)) return why;
  // A name may take long to be looked up.
  std::optional<std::string> found;
  std::thread diagnosis([this, &found] {
    std::string text = Diagnose(options_.controller.address, options_.controller.transport, kDiagnosis);
    loop_.Post([&found, text = std::move(text)] { found = text; });
  });
  while (!found) loop_.RunOne();
  diagnosis.join();
  return found->empty() ? why : *found;
}

// Between sessions, too, the load goes on, and its lease is watched.
void Agent::BackOff() {
  const int64_t until_ns =
      clock_.MonotonicNanos() + absl::ToInt64Nanoseconds(backoff_ * (0.5 + random_.Uniform()));
  // Ticks come several times a second.
  while (!stop_ && clock_.MonotonicNanos() < until_ns) loop_.RunOne();
  backoff_ = std::min(backoff_ * 2, kLongestBackOff);
}

int Agent::Serve() {
  WatchSignals();
  if (const absl::Status status = health_file_.Begin(); !status.ok()) {
    spdlog::error("{}", std::string(status.message()));
    return kCouldNotRun;
  }
  const int exit_status = Stay();
  health_file_.Remove();
  return exit_status;
}

int Agent::Stay() {
  const std::string& controller = options_.controller.address;
  const int64_t began_ns = clock_.MonotonicNanos();
  while (!stop_) {
    const SessionEnd session = RunSession(options_.controller, options_.hello,
                                          {loop_, outbox_, run_, keep_alive_}, [this] { return MayLeave(); });
    ever_joined_ = ever_joined_ || session.joined;
    const std::string why = WhyOf(session);
    if (stop_) break;
    if (Refused(session)) {
      spdlog::error("the controller at {} refused this agent: {}", controller, why);
      return kCouldNotRun;
    }
    if (options_.once) {
      // The controller has gone, and with it what this agent was for. One that never was there may be about
      // to start.
      if (session.joined) return 0;
      if (clock_.MonotonicNanos() - began_ns > absl::ToInt64Nanoseconds(kControllerStarts)) {
        spdlog::error("no controller at {}: {}", controller, why);
        return kCouldNotRun;
      }
    }
    if (session.joined) backoff_ = kFirstBackOff;
    spdlog::info("out of the fleet of {} ({}); trying again", controller, why);
    BackOff();
  }
  // Where something is left, nobody is there to take it.
  run_.Drop();
  return 0;
}

// What is wrong from the start. INVALID_ARGUMENT: with what was typed.
absl::Status CheckTransport(const ControllerPlace& controller) {
  const Transport& transport = controller.transport;
  if (absl::Status status = transport.CheckDial(controller.address); !status.ok()) return status;
  const bool has_token = !controller.token_file.empty() || !controller.token.empty();
  if (has_token && transport.tls.empty()) {
    return absl::InvalidArgumentError(
        "a join token is sent over TLS only: name a folder with the controller's ca.crt with --tls");
  }
  if (transport.insecure) spdlog::warn("{}", kInsecureWarning);
  if (transport.tls.empty()) return absl::OkStatus();
  const absl::StatusOr<TlsFolder::Material> material = TlsFolder(transport.tls).Read(absl::Now());
  if (!material.ok()) return material.status();
  if (!material->certificate.empty() || has_token) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("there is no tls.crt in ", transport.tls,
                   ": an agent needs a certificate, or a join token (--token-file)"));
}

// Before there is any other thread.
void BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

int CheckHealth(const std::string& file) {
  const absl::Status status = CheckHealthFile(file, SystemClock());
  if (status.ok()) return 0;
  spdlog::error("{}", std::string(status.message()));
  return kCouldNotRun;
}

uint64_t RandomInstance() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

int Main(int argc, char** argv) {
  // Debian's abseil looks for deadlocks whenever a lock is taken, gRPC's own included. That is for tests.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  CLI::App app(
      "Joins a controller's fleet and loads the database as it is told, until it is stopped.\n"
      "Database passwords come from libpq's own places on this machine.\n\n"
      "Example:\n  trunkload-agent --controller 10.0.0.5:7400 --tls pki/agent --label zone=eu-1");
  AgentOptions options;
  std::string name = absl::StrCat(HostName(), "-", getpid());
  std::vector<std::string> labels;
  std::string check_health;
  app.add_option("--controller", options.controller.address, "Address of the controller, HOST:PORT");
  Transport& transport = options.controller.transport;
  app.add_option(
         "--tls", transport.tls,
         "Encrypt, and show the certificate in this folder: ca.crt, tls.crt and tls.key, as `trunkload certs "
         "issue` makes them [$TRUNKLOAD_TLS]")
      ->type_name("DIR");
  app.add_option("--tls-server-name", transport.tls_server_name,
                 "The name in the controller's certificate, where it is not the HOST that is dialled")
      ->type_name("NAME");
  app.add_option("--token-file", options.controller.token_file,
                 "A file with a join token, as `trunkload tokens create` shows it: in place of a certificate "
                 "[$TRUNKLOAD_TOKEN is the token itself]")
      ->type_name("FILE");
  app.add_flag("--insecure", transport.insecure,
               "Plain text beyond this machine too: nothing is encrypted, nobody is checked");
  app.add_option("--name", name, "Name in the fleet, unique there (default: host name and process id)");
  app.add_option("--label", labels, "KEY=VALUE, shown to the controller; may be repeated");
  app.add_flag("--once", options.once,
               "Exit when the controller has gone, instead of waiting for it to come back");
  app.add_flag(
      "--allow-shell", options.allow_shell,
      "Let scripts run commands of the shell on this machine (\\shell and \\setshell), which anybody who "
      "reaches the controller can then do");
  app.add_option(
         "--health-file", options.health_file,
         "Touch FILE whenever the controller answers, for health checks; removed when the agent leaves")
      ->type_name("FILE")
      ->envname("TRUNKLOAD_HEALTH_FILE");
  app.add_option("--check-health", check_health,
                 "Join nothing: exit with 0 where FILE was touched in the last 10 s, with 1 where not")
      ->type_name("FILE");
  app.set_version_flag("--version", std::string("trunkload-agent " TRUNKLOAD_VERSION));
  v1::Hello& hello = options.hello;
  try {
    app.parse(argc, argv);
    if (check_health.empty() && options.controller.address.empty()) throw CLI::RequiredError("--controller");
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
  if (!check_health.empty()) return CheckHealth(check_health);
  transport.TakeEnvironment();
  const char* token = std::getenv("TRUNKLOAD_TOKEN");
  if (token != nullptr) options.controller.token = token;
  if (const absl::Status status = CheckTransport(options.controller); !status.ok()) {
    spdlog::error("{}", std::string(status.message()));
    return absl::IsInvalidArgument(status) ? kWrongUsage : kCouldNotRun;
  }
  RaiseFileLimit();
  hello.set_protocol(2);
  hello.set_instance(RandomInstance());
  hello.set_name(name);
  hello.set_version(TRUNKLOAD_VERSION);
  hello.set_host(HostName());
  hello.set_cpus(UsableProcessors());
  hello.set_most_open_files(FileLimit());
  BlockSignals();
  // Never destroyed: see the class.
  return (new Agent(std::move(options)))->Serve();
}

}  // namespace
}  // namespace trunkload

int main(int argc, char** argv) {
  return trunkload::Main(argc, argv);
}

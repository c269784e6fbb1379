#include "controller/faults/fault_injector.h"

#include <poll.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "common/duration.h"
#include "controller/citus/node_queries.h"
#include "controller/citus/sql_text.h"
#include "controller/database.h"
#include "controller/faults/damage.h"
#include "controller/faults/fault_command.h"
#include "controller/faults/repair_process.h"

namespace trunkload {
namespace {

constexpr absl::Duration kAnswerTimeout = absl::Seconds(10);

// How many there were.
std::string TerminateQuery(bool worker) {
  return absl::StrCat(
      "SELECT pg_catalog.count(pg_catalog.pg_terminate_backend(pid)) FROM pg_catalog.pg_stat_activity WHERE "
      "backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid() AND datname = "
      "pg_catalog.current_database() AND (application_name LIKE ",
      SqlLiteral(absl::StrCat(kAgentName, "%")),
      worker ? " OR application_name LIKE 'citus\\_internal%')" : ")");
}

}  // namespace

FaultInjector::FaultInjector(v1::Plan plan, Options options, Sink sink)
    : plan_(std::move(plan)), options_(std::move(options)), sink_(std::move(sink)) {
  absl::MutexLock lock(&mutex_);
  threads_.emplace_back([this] { FindNodes(); });
}

FaultInjector::~FaultInjector() {
  EndAll();
  std::vector<std::thread> threads;
  {
    absl::MutexLock lock(&mutex_);
    threads = std::move(threads_);
  }
  for (std::thread& thread : threads) thread.join();
}

void FaultInjector::Begin(int fault) {
  absl::MutexLock lock(&mutex_);
  threads_.emplace_back([this, fault] {
    const absl::Status status = CarryOut(fault);
    sink_({.fault = fault, .ended = true, .failure = std::string(status.message())});
  });
}

void FaultInjector::FindNodes() {
  absl::StatusOr<FaultNodes> nodes = AskForNodes();
  absl::MutexLock lock(&mutex_);
  nodes_ = std::move(nodes);
}

absl::StatusOr<FaultNodes> FaultInjector::AskForNodes() {
  absl::StatusOr<std::unique_ptr<Database>> database =
      Database::Connect(plan_.target(), ending_, {.application_name = kObserverName});
  if (!database.ok()) return database.status();
  return FindFaultNodes(**database);
}

absl::StatusOr<FaultNode> FaultInjector::NodeFor(const v1::Fault& fault) {
  {
    const auto known = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return nodes_.has_value(); };
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&known));
    if (nodes_->ok()) return NodeOf(fault, **nodes_);
  }
  // The target may have been out of reach for a moment.
  const absl::StatusOr<FaultNodes> nodes = AskForNodes();
  if (!nodes.ok()) return nodes.status();
  return NodeOf(fault, *nodes);
}

absl::Status FaultInjector::CarryOut(int number) {
  const v1::Fault& fault = plan_.faults(number);
  if (ending_.cancelled()) return absl::CancelledError("the load was over");
  if (fault.has_command()) {
    if (!options_.allow_commands)
      return absl::PermissionDeniedError("the controller was not started with --allow-commands");
    TellBegan(number);
    return RunFaultCommand(fault.command(), ending_);
  }
  const absl::StatusOr<FaultNode> node = NodeFor(fault);
  if (!node.ok()) return node.status();
  if (ending_.cancelled()) return absl::CancelledError("the load was over");
  return fault.has_terminate() ? Terminate(number, *node) : BreakFor(number, *node);
}

absl::Status FaultInjector::Terminate(int number, const FaultNode& node) {
  const std::string what = "end the sessions of the load";
  absl::StatusOr<std::unique_ptr<Database>> database =
      Database::Connect(plan_.target(), ending_, {.application_name = kObserverName, .server = node.server});
  if (!database.ok()) return database.status();
  const absl::StatusOr<std::string> count =
      (*database)->ReadValue(what, TerminateQuery(node.worker), kAnswerTimeout);
  if (!count.ok()) return count.status();
  if (*count == "0")
    return absl::NotFoundError(
        absl::StrCat("there was no session of the load: they are known by their "
                     "application_name, which begins with ",
                     kAgentName));
  TellBegan(number);
  return absl::OkStatus();
}

absl::Status FaultInjector::BreakFor(int number, const FaultNode& node) {
  const v1::Fault& fault = plan_.faults(number);
  const SystemClock clock;
  const absl::StatusOr<Damage> damage =
      PlanDamage(fault, node.address, absl::StrCat("trunkload ", options_.run_id, " fault ", number));
  if (!damage.ok()) return damage.status();
  // There before anything is broken.
  const absl::StatusOr<std::unique_ptr<RepairProcess>> repair = RepairProcess::Start(damage->repair);
  if (!repair.ok()) return repair.status();
  if (ending_.cancelled()) return absl::CancelledError("the load was over");
  TellBegan(number);
  const int64_t began_ns = clock.MonotonicNanos();
  const absl::Status broken = damage->inflict();
  if (broken.ok()) Wait(FromProto(fault.lasts()) - absl::Nanoseconds(clock.MonotonicNanos() - began_ns));
  const absl::Status repaired = (*repair)->Repair();
  if (!broken.ok()) return absl::UnavailableError(absl::StrCat("it could not be done: ", broken.message()));
  if (repaired.ok()) return repaired;
  return absl::UnavailableError(absl::StrCat("it could not be undone: ", repaired.message()));
}

void FaultInjector::Wait(absl::Duration time) {
  const SystemClock clock;
  const int64_t until_ns = clock.MonotonicNanos() + absl::ToInt64Nanoseconds(time);
  pollfd waiting{ending_.fd(), POLLIN, 0};
  int64_t left_ns;
  // In steps of a minute at most: poll counts in an int.
  while (!ending_.cancelled() && (left_ns = until_ns - clock.MonotonicNanos()) > 0) {
    poll(&waiting, 1, static_cast<int>(std::min<int64_t>((left_ns + 999'999) / 1'000'000, 60'000)));
  }
}

}  // namespace trunkload

#include "controller/preflight.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "controller/plan/fleet_connections.h"
#include "controller/plan/plan_text.h"

namespace trunkload {
namespace {

// Transactions a second, where the load is at its highest.
double HighestRate(const v1::OpenLoad& load) {
  double highest = load.rate();
  for (const v1::Stage& stage : load.stages()) highest = std::max({highest, stage.rate(), stage.ramp_to()});
  return highest;
}

}  // namespace

absl::Status CheckConnectionRoom(const v1::Plan& plan, const v1::ConnectionRoom& room) {
  const uint64_t wanted = FleetConnections(plan.fleet());
  if (room.pooled() || room.most() == 0 || wanted <= room.most()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the plan opens ", wanted, " connections, and the target takes at most ", room.most(),
      " from its role (max_connections less what is reserved, or a lower limit of the role, the database or "
      "Citus): lower fleet.pool.size or fleet.application_servers, raise that limit, or go through a "
      "pooler"));
}

bool UsesPreparedStatements(const v1::Plan& plan) {
  // In reconnect mode nothing is prepared ahead but once, and a text's statements live no longer than their
  // connection.
  if (plan.fleet().pool().mode() == v1::POOL_MODE_RECONNECT) return false;
  return std::any_of(plan.scripts().begin(), plan.scripts().end(), [](const v1::Script& script) {
    return script.query_mode() == v1::QUERY_MODE_PREPARED && script.builtin() != v1::BUILTIN_INSERT_COPY;
  });
}

absl::Status NoPreparedStatements(const v1::Plan& plan) {
  std::vector<std::string> names;
  for (const v1::Script& script : plan.scripts()) {
    if (script.query_mode() == v1::QUERY_MODE_PREPARED && script.builtin() != v1::BUILTIN_INSERT_COPY)
      names.push_back(script.name());
  }
  return absl::FailedPreconditionError(
      absl::StrCat("the target is a pooler that keeps no prepared statements from one transaction to the "
                   "next, as PgBouncer with "
                   "pool_mode transaction before 1.21, or with max_prepared_statements 0: set query_mode to "
                   "extended (or simple) for ",
                   absl::StrJoin(names, ", "), ", or have it pool sessions"));
}

bool SetsIsolation(const v1::Plan& plan) {
  return plan.target().isolation() != v1::ISOLATION_SERVER &&
         plan.target().isolation() != v1::ISOLATION_UNSPECIFIED;
}

absl::Status NoIsolation(const v1::Plan& plan) {
  const std::string level =
      EnumText(*v1::Isolation_descriptor()->FindValueByNumber(plan.target().isolation()));
  return absl::FailedPreconditionError(absl::StrCat(
      "target.isolation is ", level,
      ", and the target is a pooler that gives each transaction any of its sessions, as PgBouncer with "
      "pool_mode transaction: one connection's isolation level would become others'; have it pool sessions, "
      "go to the server itself, or leave target.isolation out and let scripts say BEGIN ISOLATION LEVEL"));
}

absl::Status CheckOpenFiles(const v1::Assignment& assignment, const v1::Hello& hello) {
  uint64_t connections = 0;
  for (const v1::ApplicationServer& server : assignment.application_servers())
    connections += server.connections();
  if (hello.most_open_files() == 0 || connections + kFilesBesideConnections <= hello.most_open_files())
    return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("agent ", hello.name(), " is to open ", connections, " connections and may have ",
                   hello.most_open_files(), " files open, of which it needs ", kFilesBesideConnections,
                   " itself: raise its limit (ulimit -n, LimitNOFILE=), or add agents"));
}

std::vector<std::string> PreflightWarnings(const v1::Plan& plan, const v1::ConnectionRoom& room) {
  std::vector<std::string> warnings;
  const uint64_t wanted = FleetConnections(plan.fleet());
  if (!room.pooled() && room.most() > 0 && wanted + room.in_use() > room.most()) {
    warnings.push_back(absl::StrCat("the plan opens ", wanted, " connections, but of the ", room.most(),
                                    " that the target takes from its role, others had ", room.in_use(),
                                    " before the run: some may be refused (SQLSTATE 53300)"));
  }
  const double round_trip_s = room.round_trip_us() / 1e6;
  for (const v1::Phase& phase : plan.phases()) {
    const double rate = HighestRate(phase.load().open());
    // However fast the server is.
    if (rate * round_trip_s <= static_cast<double>(wanted)) continue;
    warnings.push_back(absl::StrFormat(
        "phase %s is to start %.0f transactions a second, but %d connections can do no more than %.0f/s when "
        "each "
        "takes at least a round trip of %s (the controller's, to an empty query): raise fleet.pool.size or "
        "fleet.application_servers",
        phase.name(), rate, wanted, static_cast<double>(wanted) / round_trip_s,
        absl::FormatDuration(absl::Trunc(absl::Microseconds(room.round_trip_us()), absl::Microseconds(10)))));
  }
  return warnings;
}

}  // namespace trunkload

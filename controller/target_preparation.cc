#include "controller/target_preparation.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controller/checks/check_tables.h"
#include "controller/connection_room.h"
#include "controller/database.h"
#include "controller/faults/fault_nodes.h"
#include "controller/plan/conninfo.h"
#include "controller/preflight.h"
#include "controller/workload/set_up_steps.h"
#include "controller/workload/table_load.h"

namespace trunkload {
namespace {

constexpr absl::Duration kProbeTimeout = absl::Seconds(2);

// FAILED_PRECONDITION where connections are shared among hosts of which one has not got the tables that were
// made on another.
absl::Status CheckThatHostsHaveTables(const v1::Plan& plan, const Cancellation& cancellation) {
  const std::vector<std::string> tables = TablesOf(plan.setup());
  if (plan.target().load_balance_hosts() != v1::LOAD_BALANCE_HOSTS_ROUND_ROBIN || tables.empty())
    return absl::OkStatus();
  for (const std::string& conninfo : ConninfosByHost(plan.target().conninfo())) {
    v1::Target host;
    host.set_conninfo(conninfo);
    const absl::StatusOr<std::unique_ptr<Database>> database = Database::Connect(host, cancellation);
    if (absl::IsCancelled(database.status())) return database.status();
    // It is up to agents which hosts they can do without.
    if (!database.ok()) continue;
    const absl::StatusOr<std::string> table =
        (*database)->ReadValue(absl::StrCat("look for the table ", tables[0]),
                               absl::StrCat("SELECT pg_catalog.to_regclass('", tables[0], "')"));
    if (!table.ok()) return table.status();
    if (table->empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat("the host ", (*database)->server(), " has no table ", tables[0],
                       ": one that is not distributed is where it was made alone: set setup.distribution to "
                       "citus, or take target.load_balance_hosts out"));
    }
  }
  return absl::OkStatus();
}

absl::Status SetUpCheckTables(const v1::Plan& plan, const std::string& run_id, const v1::ServerInfo& info,
                              Database& database, TargetPreparation::OnTask& on_task) {
  std::vector<std::string> tables;
  for (const int check : plan.checks()) {
    for (std::string& table : TablesOf(static_cast<v1::Check>(check))) tables.push_back(std::move(table));
  }
  if (tables.empty()) return absl::OkStatus();
  const bool distributed =
      !info.citus_version().empty() && plan.setup().distribution() != v1::DISTRIBUTION_NONE;
  return database.SetUpTables(tables, CheckTablesTask(plan, run_id, distributed),
                              [&on_task](const std::string& name) { on_task(name); });
}

absl::StatusOr<v1::ServerInfo> Prepare(const v1::Plan& plan, const std::string& run_id,
                                       TargetPreparation::Part part, TargetPreparation::OnTask& on_task,
                                       const Cancellation& cancellation) {
  absl::StatusOr<std::unique_ptr<Database>> database = Database::Connect(plan.target(), cancellation);
  if (!database.ok()) return database.status();
  absl::StatusOr<v1::ServerInfo> info = (*database)->ReadServerInfo();
  if (!info.ok()) return info;
  const bool before = part == TargetPreparation::Part::kBeforeLoad;
  if (before) {
    // Not every server that can be loaded tells.
    const absl::StatusOr<v1::ConnectionRoom> room = ReadConnectionRoom(**database);
    if (room.ok()) {
      *info->mutable_connections() = *room;
      if (absl::Status status = CheckConnectionRoom(plan, *room); !status.ok()) return status;
      if (room->pooled() && SetsIsolation(plan)) {
        // What is not known to work would measure another isolation level than the report says.
        const absl::StatusOr<bool> kept = Database::KeepsSessions(plan.target(), cancellation, kProbeTimeout);
        if (absl::IsCancelled(kept.status())) return kept.status();
        if (!kept.ok() || !*kept) return NoIsolation(plan);
      }
      if (room->pooled() && UsesPreparedStatements(plan)) {
        // Where that can't be found out, agents will.
        const absl::StatusOr<bool> kept =
            Database::KeepsPreparedStatements(plan.target(), cancellation, kProbeTimeout);
        if (kept.ok() && !*kept) return NoPreparedStatements(plan);
      }
    }
  }
  if (before) {
    if (absl::Status status = CheckFaults(plan, **database); !status.ok()) return status;
    absl::Status status = SetUpCheckTables(plan, run_id, *info, **database, on_task);
    if (!status.ok()) return status;
  }
  if (!plan.has_setup()) return info;
  const auto tell = [&on_task](const std::string& name) { on_task(name); };
  absl::Status status;
  if (before) status = (*database)->SetUp(plan.setup(), *info, tell);
  if (before && status.ok()) status = CheckThatHostsHaveTables(plan, cancellation);
  const bool agents_load = before && AgentsLoad(plan);
  if (status.ok() && !agents_load) {
    status =
        (*database)->Finish(plan.setup(), *info, part == TargetPreparation::Part::kAfterSmoothLoad, tell);
  }
  if (!status.ok()) return status;
  return info;
}

}  // namespace

TargetPreparation::TargetPreparation(v1::Plan plan, std::string run_id, Part part, OnTask on_task, Done done)
    : thread_([this, plan = std::move(plan), run_id = std::move(run_id), part, on_task = std::move(on_task),
               done = std::move(done)]() mutable {
        done(Prepare(plan, run_id, part, on_task, cancellation_));
      }) {}

TargetPreparation::~TargetPreparation() {
  cancellation_.Cancel();
  thread_.join();
}

}  // namespace trunkload

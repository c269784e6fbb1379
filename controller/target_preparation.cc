#include "controller/target_preparation.h"

#include <memory>
#include <utility>

#include "controller/connection_room.h"
#include "controller/database.h"
#include "controller/preflight.h"
#include "controller/workload/table_load.h"

namespace trunkload {
namespace {

constexpr absl::Duration kProbeTimeout = absl::Seconds(2);

absl::StatusOr<v1::ServerInfo> Prepare(const v1::Plan& plan, TargetPreparation::Part part,
                                       TargetPreparation::OnTask& on_task, const Cancellation& cancellation) {
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
      if (room->pooled() && UsesPreparedStatements(plan)) {
        // Where that can't be found out, agents will.
        const absl::StatusOr<bool> kept =
            Database::KeepsPreparedStatements(plan.target(), cancellation, kProbeTimeout);
        if (kept.ok() && !*kept) return NoPreparedStatements(plan);
      }
    }
  }
  if (!plan.has_setup()) return info;
  const auto tell = [&on_task](const std::string& name) { on_task(name); };
  absl::Status status;
  if (before) status = (*database)->SetUp(plan.setup(), *info, tell);
  const bool agents_load = before && AgentsLoad(plan);
  if (status.ok() && !agents_load) {
    status =
        (*database)->Finish(plan.setup(), *info, part == TargetPreparation::Part::kAfterSmoothLoad, tell);
  }
  if (!status.ok()) return status;
  return info;
}

}  // namespace

TargetPreparation::TargetPreparation(v1::Plan plan, Part part, OnTask on_task, Done done)
    : thread_([this, plan = std::move(plan), part, on_task = std::move(on_task),
               done = std::move(done)]() mutable { done(Prepare(plan, part, on_task, cancellation_)); }) {}

TargetPreparation::~TargetPreparation() {
  cancellation_.Cancel();
  thread_.join();
}

}  // namespace trunkload

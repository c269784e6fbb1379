#include "controller/target_preparation.h"

#include <memory>
#include <utility>

#include "controller/database.h"

namespace trunkload {
namespace {

absl::StatusOr<v1::ServerInfo> Prepare(const v1::Plan& plan, const Cancellation& cancellation) {
  absl::StatusOr<std::unique_ptr<Database>> database = Database::Connect(plan.target(), cancellation);
  if (!database.ok()) return database.status();
  absl::StatusOr<v1::ServerInfo> info = (*database)->ReadServerInfo();
  if (info.ok() && plan.has_setup()) {
    if (absl::Status status = (*database)->SetUp(plan.setup(), *info); !status.ok()) return status;
  }
  return info;
}

}  // namespace

TargetPreparation::TargetPreparation(v1::Plan plan, Done done)
    : thread_([this, plan = std::move(plan), done = std::move(done)]() mutable {
        done(Prepare(plan, cancellation_));
      }) {}

TargetPreparation::~TargetPreparation() {
  cancellation_.Cancel();
  thread_.join();
}

}  // namespace trunkload

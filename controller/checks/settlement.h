#pragma once

#include <string>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "controller/cancellation.h"
#include "controller/operation_record.h"
#include "trunkload/v1/plan.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// What a run's checks come to.
struct SettlementJob {
  v1::Plan plan;
  std::string run_id;
  OperationRecord operations;
};

// Waits until the database has come to rest, and settles each check of the plan, in its order. What can't be
// found out is part of the results. Blocks, for about check_options.settle_timeout at most before the
// database is at rest. CANCELLED only.
absl::StatusOr<std::vector<v1::CheckResult>> SettleChecks(const SettlementJob& job,
                                                          const Cancellation& cancellation);

// A thread that does it.
class Settlement {
 public:
  // Called once, on that thread, also when it was cancelled.
  using Done = absl::AnyInvocable<void(absl::StatusOr<std::vector<v1::CheckResult>>)>;

  Settlement(SettlementJob job, Done done);
  // Cancels and waits for the end.
  ~Settlement();
  // Does not wait. Thread-safe.
  void Cancel() { cancellation_.Cancel(); }

 private:
  Cancellation cancellation_;
  std::thread thread_;
};

}  // namespace trunkload

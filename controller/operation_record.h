#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/ledger.h"
#include "controller/merger.h"
#include "trunkload/v1/ledger.pb.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// What agents wrote down of the operations of a run, over its phases: what its checks are settled by.
// Copyable; not thread-safe.
class OperationRecord {
 public:
  struct Script {
    Ledger ledger;
    v1::Findings findings;
  };

  // Those of one phase.
  void Add(const Merger& merger);

  // Indexed like the plan's; none before the first phase.
  const std::vector<Script>& scripts() const { return scripts_; }
  // Not all that was done is in it: an agent was lost, or intervals of one.
  bool incomplete() const { return incomplete_; }

  // By the names of the plan's scripts; those without operations are left out.
  v1::CheckRecord ToProto(const v1::Plan& plan) const;
  // INVALID_ARGUMENT where it is none of this plan's.
  static absl::StatusOr<OperationRecord> FromProto(const v1::Plan& plan, const v1::CheckRecord& record);

 private:
  std::vector<Script> scripts_;
  bool incomplete_ = false;
};

}  // namespace trunkload

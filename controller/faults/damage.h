#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// How a node is broken, and made whole again.
struct Damage {
  // Blocks; where it fails, it may have done a part.
  std::function<absl::Status()> inflict;
  // See RepairProcess.
  std::string repair;
};

// Of a fault that stops, kills, pauses or cuts off a node. `address`: the node's. `mark`: unique, tells its
// rules from all others. FAILED_PRECONDITION where it can't be done on this machine; nothing is broken yet.
// Blocks for moments.
absl::StatusOr<Damage> PlanDamage(const v1::Fault& fault, const std::string& address,
                                  const std::string& mark);

}  // namespace trunkload

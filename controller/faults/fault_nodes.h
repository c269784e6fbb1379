#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/database.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// A node that a fault may be of.
struct FaultNode {
  // HOST:PORT, as the coordinator names it; without Citus, as the target does.
  std::string address;
  // HOST:PORT to connect to in place of the target's; empty: the target leads to it.
  std::string server;
  bool worker = false;
};
// By label: "server", "coordinator", "worker 1".
using FaultNodes = std::map<std::string, FaultNode>;

// Asks the target.
absl::StatusOr<FaultNodes> FindFaultNodes(Database& target);
// FAILED_PRECONDITION where there is no such node.
absl::StatusOr<FaultNode> NodeOf(const v1::Fault& fault, const FaultNodes& nodes);
// FAILED_PRECONDITION where a fault of the plan can't be carried out, as far as can be known beforehand;
// nothing is broken for that.
absl::Status CheckFaults(const v1::Plan& plan, Database& target);

}  // namespace trunkload

#include "controller/faults/fault_nodes.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "controller/citus/cluster_nodes.h"
#include "controller/citus/node_label.h"
#include "controller/faults/damage.h"
#include "controller/plan/fault_text.h"
#include "controller/plan/plan_text.h"

namespace trunkload {
namespace {

absl::Status CheckFault(const v1::Fault& fault, const FaultNodes& nodes) {
  const absl::StatusOr<FaultNode> node = NodeOf(fault, nodes);
  if (!node.ok()) return node.status();
  return fault.has_terminate() ? absl::OkStatus() : PlanDamage(fault, node->address, /*mark=*/"").status();
}

}  // namespace

absl::StatusOr<FaultNodes> FindFaultNodes(Database& target) {
  absl::StatusOr<ClusterNodes> found = FindClusterNodes("find the database's nodes", target);
  if (!found.ok()) return found.status();
  LabelNodes(*found->nodes.mutable_nodes());
  FaultNodes nodes;
  for (int i = 0; i < found->nodes.nodes_size(); ++i) {
    const v1::DatabaseNode& node = found->nodes.nodes(i);
    nodes[node.label()] = {.address = node.name(),
                           .server = i > 0 || found->pooled ? node.name() : "",
                           .worker = node.role() == v1::DatabaseNode::ROLE_WORKER};
  }
  return nodes;
}

absl::StatusOr<FaultNode> NodeOf(const v1::Fault& fault, const FaultNodes& nodes) {
  const std::string label = NodeOfFault(fault);
  if (const auto found = nodes.find(label); found != nodes.end()) return found->second;
  std::vector<std::string> labels;
  for (const auto& [name, node] : nodes) labels.push_back(name);
  return absl::FailedPreconditionError(
      absl::StrCat("the database has no node ", QuotedText(label), "; it has ", absl::StrJoin(labels, ", ")));
}

absl::Status CheckFaults(const v1::Plan& plan, Database& target) {
  FaultNodes nodes;
  for (int i = 0; i < plan.faults_size(); ++i) {
    const v1::Fault& fault = plan.faults(i);
    if (fault.has_command()) continue;
    if (nodes.empty()) {
      absl::StatusOr<FaultNodes> found = FindFaultNodes(target);
      if (!found.ok()) return found.status();
      nodes = *std::move(found);
    }
    if (const absl::Status status = CheckFault(fault, nodes); !status.ok()) {
      return absl::FailedPreconditionError(
          absl::StrCat("faults.", i, ", ", FaultText(fault), ", can't be done: ", status.message()));
    }
  }
  return absl::OkStatus();
}

}  // namespace trunkload

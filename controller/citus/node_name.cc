#include "controller/citus/node_name.h"

#include "absl/strings/str_cat.h"

namespace trunkload {

std::string NodeName(const std::vector<v1::DatabaseNode>& nodes, uint32_t node) {
  if (node >= nodes.size()) return absl::StrCat("node ", node);
  const std::string& address = nodes[node].name();
  if (nodes[node].role() == v1::DatabaseNode::ROLE_SERVER) return absl::StrCat("the server (", address, ")");
  if (nodes[node].role() == v1::DatabaseNode::ROLE_COORDINATOR)
    return address.empty() ? "the coordinator" : absl::StrCat("the coordinator (", address, ")");
  int worker = 0;
  for (uint32_t i = 0; i <= node; ++i) {
    if (nodes[i].role() == v1::DatabaseNode::ROLE_WORKER) ++worker;
  }
  return absl::StrCat("worker ", worker, " (", address, ")");
}

}  // namespace trunkload

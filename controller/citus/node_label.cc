#include "controller/citus/node_label.h"

#include "absl/strings/str_cat.h"

namespace trunkload {

void LabelNodes(google::protobuf::RepeatedPtrField<v1::DatabaseNode>& nodes) {
  int workers = 0;
  for (v1::DatabaseNode& node : nodes) {
    node.set_label(node.role() == v1::DatabaseNode::ROLE_SERVER        ? "server"
                   : node.role() == v1::DatabaseNode::ROLE_COORDINATOR ? "coordinator"
                                                                       : absl::StrCat("worker ", ++workers));
  }
}

}  // namespace trunkload

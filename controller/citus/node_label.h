#pragma once

#include "google/protobuf/repeated_ptr_field.h"
#include "trunkload/v1/observation.pb.h"

namespace trunkload {

// Gives nodes the names that plans and reports know them by, in their order: "server", "coordinator", "worker
// 1".
void LabelNodes(google::protobuf::RepeatedPtrField<v1::DatabaseNode>& nodes);

}  // namespace trunkload

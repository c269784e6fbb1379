#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trunkload/v1/observation.pb.h"

namespace trunkload {

// What a node is called in sentences: "worker 2 (10.0.0.3:5432)"; workers are counted from 1, in the order of
// `nodes`.
std::string NodeName(const std::vector<v1::DatabaseNode>& nodes, uint32_t node);

}  // namespace trunkload

#pragma once

#include <vector>

#include "common/frequent_keys.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// Those that stand out, the most frequent first, without their shards: at most ten, each at least half a
// percent of all.
std::vector<v1::KeyFrequency> HotKeys(const FrequentKeys& keys);

}  // namespace trunkload

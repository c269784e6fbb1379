#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// INVALID_ARGUMENT, with what is wrong, where an agent can't have measured `interval`. `commands`: for each
// script, how many of its commands are measured; `recorded`: whether it is. Whether it is the interval's turn
// is the merger's to say.
absl::Status CheckInterval(const v1::Interval& interval, std::span<const size_t> commands,
                           const std::vector<bool>& recorded);

// The most bytes of what a server said to an error.
constexpr size_t kLongestErrorMessage = 200;

}  // namespace trunkload

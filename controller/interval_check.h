#pragma once

#include "absl/status/status.h"
#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// INVALID_ARGUMENT, with what is wrong, where an agent that runs `scripts` scripts can't have measured
// `interval`. Whether it is its turn is the merger's to say.
absl::Status CheckInterval(const v1::Interval& interval, int scripts);

}  // namespace trunkload

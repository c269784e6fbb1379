#pragma once

#include "absl/time/time.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// How long transactions come due or start in a phase of a valid plan: InfiniteDuration where only their
// number ends it and no schedule says how long that takes.
absl::Duration PlannedDuration(const v1::Phase& phase);

}  // namespace trunkload

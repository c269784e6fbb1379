#pragma once

#include "trunkload/v1/observation.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// What a server has counted between two readings: the statements that took the most time, the ones that were
// routed most often, and the tenants of the second reading that used the most CPU. Of what it has forgotten
// meanwhile nothing is known.
void AddTrackedWork(const v1::Observed::Tracked& before, const v1::Observed::Tracked& after,
                    v1::NodeWork& result);

}  // namespace trunkload

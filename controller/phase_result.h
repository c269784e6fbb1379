#pragma once

#include "controller/merger.h"
#include "trunkload/v1/plan.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// Scripts added up, but for what was measured of their commands.
Merger::Script Total(const Merger& merger);

v1::LatencySummary Summarise(const Histogram& histogram);

// What is reported of a phase in which no transaction came due or began after `seconds`; `total` is
// Total(merger).
v1::PhaseResult MakePhaseResult(const v1::Plan& plan, uint32_t phase, double seconds, const Merger& merger,
                                const Merger::Script& total);

}  // namespace trunkload

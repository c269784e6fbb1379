#pragma once

#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// Adds `more`, which covers the seconds after those of `sum` in the same phase, so that `sum` covers both:
// what it counts is the same as in the two apart, only coarser in time. Both must have passed
// Histogram::Check in each of their histograms. The number stays that of `sum`.
void MergeInterval(const v1::Interval& more, v1::Interval& sum);

}  // namespace trunkload

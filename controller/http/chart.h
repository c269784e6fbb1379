#pragma once

#include <string>

#include "trunkload/v1/result.pb.h"

namespace trunkload {

// Throughput and p99 of a run's phases, second by second, one below the other, as an <svg> that is styled by
// the page's style sheet. Seconds are put together where there are more than a screen has room for:
// throughput as their mean, p99 as the highest. Empty where fewer than two seconds were measured.
std::string ThroughputChart(const v1::RunResult& result);

}  // namespace trunkload

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/simulation/simulated_fleet.h"
#include "trunkload/v1/plan.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// A warm-up, a closed and an open phase, of ten seconds in all; and a closed and an open one of twenty.
v1::Plan ThreePhases(uint32_t application_servers);
v1::Plan TwoPhases(uint32_t application_servers);

// So many from `first` on; one seed when TRUNKLOAD_SEED is set: the way to replay a failure.
std::vector<uint64_t> Seeds(uint64_t count, uint64_t first = 1);
std::string Replay(uint64_t seed);

// Every figure of the result is the sum of what the intervals held.
void ExpectSums(const v1::RunResult& result, const std::vector<v1::Interval>& intervals);
// See SimulatedFleet::violations.
void ExpectNoViolations(const SimulatedFleet& fleet);
// No two agents ever start transactions for the same application server at the same time.
void ExpectNobodyTwice(const SimulatedFleet& fleet);

}  // namespace trunkload

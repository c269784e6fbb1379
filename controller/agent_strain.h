#pragma once

#include "common/histogram.h"
#include "trunkload/v1/checkpoint.pb.h"
#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// Arrivals that an agent's loop noticed so long after they were due are late: far beyond what a loop that has
// time for its work lags.
constexpr int64_t kNoticedLateNanos = 10'000'000;
// More late ones than this share would be seen in the p99 of what is reported; a few are what a busy machine
// does.
constexpr double kMostNoticedLate = 0.01;
// A reactor that hardly ever waits is what limits the throughput, and its latencies hold its own queue.
constexpr double kFullReactor = 0.95;
// A machine so busy is what limits the throughput where its agent has this part of it.
constexpr double kFullMachine = 0.95;
constexpr double kAgentsOwnDoing = 0.5;
// Share of the time that is worth a word.
constexpr double kMuchWaiting = 0.1;

// Whether the agent's own work is what its machine was full with.
bool FillsItsMachine(const v1::MachineUse& machine);

// Adds what an interval, which has passed CheckInterval, says of its agent. Slices from `planned_seconds` on
// are part of the drain, often very short, and left out of what is said of processors.
void AddStrain(const v1::Interval& interval, double planned_seconds, Histogram& scratch,
               v1::AgentStrain& strain);

}  // namespace trunkload

#pragma once

#include <string>

#include "trunkload/v1/control.pb.h"

namespace trunkload {

// The state of a run in one line of at most `columns`: what the fleet does, how long yet, rate, p99, errors,
// agents.
std::string LiveLine(const v1::Progress& progress, size_t columns);

// What a log should hold of it: the stage, the phase, and how many agents are left where some are not heard.
// Changes when a stage or phase begins, and with the agents.
std::string StageLine(const v1::Progress& progress);

}  // namespace trunkload

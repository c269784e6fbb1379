#pragma once

#include <string>

#include "trunkload/v1/result.pb.h"

namespace trunkload {

// The result of a run for a person at a terminal, in at most 100 columns: the verdict first, then the
// objectives, each phase, and the agents. With `color`, in ANSI colors where something needs attention.
std::string TextReport(const v1::RunResult& result, bool color);

}  // namespace trunkload

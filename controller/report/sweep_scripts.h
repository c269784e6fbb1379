#pragma once

#include "controller/report/page.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// For sweeps of several scripts, or of scripts whose commands are measured: each script in each cell.
void AddScripts(const v1::SweepResult& sweep, Page& page);
// For the same, what each value of a field does to each script.
void AddScriptEffects(const v1::SweepResult& sweep, Page& page);

// Two digits that matter.
std::string RatioText(double ratio);

}  // namespace trunkload

#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "trunkload/v1/plan.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// What came of a sweep: cells by their number, of those that were tried. `plan` has the sweep, no password,
// and was taken by SweepSettings. Pure.
v1::SweepResult MakeSweepResult(const v1::Plan& plan, const std::string& sweep,
                                const std::map<uint32_t, absl::StatusOr<v1::RunResult>>& cells);

}  // namespace trunkload

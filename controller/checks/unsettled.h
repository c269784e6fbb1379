#pragma once

#include <string>
#include <vector>

#include "trunkload/v1/plan.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// The result of a check that can't be settled now, and why: one sentence without its full stop.
v1::CheckResult Unsettled(v1::Check check, const std::string& why);
// Of all that the plan has.
std::vector<v1::CheckResult> Unsettled(const v1::Plan& plan, const std::string& why);

}  // namespace trunkload

#pragma once

#include <string>
#include <vector>

#include "trunkload/v1/fleet.pb.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// A valid plan in short, with its defaults filled in and no password.
std::string PlanSummary(const v1::Plan& plan);

// What each agent of a fleet would be told, a line or two each.
std::string AssignmentSummary(const std::vector<v1::Assignment>& assignments);

}  // namespace trunkload

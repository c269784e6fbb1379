#pragma once

#include <vector>

#include "controller/plan/field_rules.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// What is wrong with a plan's setup whose fields keep their rules.
std::vector<PlanMistake> CheckSetup(const v1::Setup& setup);

}  // namespace trunkload

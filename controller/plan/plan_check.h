#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "controller/plan/field_rules.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// Fills in what the plan leaves out and finds what is wrong with it; nothing where it can be run.
std::vector<PlanMistake> CompleteAndCheck(v1::Plan& plan);

// The same for a plan that came without a file: completed, or INVALID_ARGUMENT with one mistake a line.
absl::StatusOr<v1::Plan> ValidatePlan(v1::Plan plan);

// INVALID_ARGUMENT with one sentence a line, the first of them only where there are many.
absl::Status InvalidPlan(std::vector<std::string> sentences);

// INVALID_ARGUMENT where its target holds a password, with where to put that: no plan that leaves its process
// has one, and none that a controller runs.
absl::Status CheckHoldsNoPassword(const v1::Plan& plan);

// Without the passwords in it.
v1::Plan Redacted(v1::Plan plan);

}  // namespace trunkload

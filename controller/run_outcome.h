#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "trunkload/v1/control.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// How a run stands in one or two words, for people: "valid", "not valid", "objective missed", "check failed",
// "cancelled", "could not run", and for one that has not ended "under way" or "interrupted".
std::string RunOutcome(const v1::RunSummary& run);
// The same of one that has ended.
std::string RunOutcome(const v1::RunResult& result);
std::string RunOutcome(const absl::StatusOr<v1::RunResult>& result);

}  // namespace trunkload

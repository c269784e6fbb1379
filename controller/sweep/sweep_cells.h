#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

inline constexpr size_t kMostCells = 1000;

// One combination of a sweep's values.
struct SweepSetting {
  uint32_t number = 0;
  // By the names in the sweep.
  std::map<std::string, std::string> values;
  // As --set takes them.
  std::vector<std::string> overrides;
};

// All combinations of the plan's sweep, in the listed order; none where it has no sweep. `plan` is complete
// and valid. INVALID_ARGUMENT, with the name, where one is neither a field nor a variable, has no values, or
// one of them twice, or where there are too many combinations.
absl::StatusOr<std::vector<SweepSetting>> SweepSettings(const v1::Plan& plan);

// The numbers of so many cells, in the order in which they are run.
std::vector<uint32_t> SweepSequence(const v1::Plan& plan, size_t cells);

}  // namespace trunkload

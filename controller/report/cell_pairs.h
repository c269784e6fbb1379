#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// Two cells of a sweep that ran and differ in one field only. They belong to the sweep's result.
struct CellPair {
  const v1::CellResult* base;   // with the field's first value
  const v1::CellResult* other;  // with the one that is compared with it
};

// All pairs for one value of a field, in the order of cells.
std::vector<CellPair> PairsOf(const v1::SweepResult& sweep, const std::string& field,
                              const std::string& value);

// The median of the pairs' ratios that are above 0: a few that stood still for once, as deadlocks have it, do
// not count for more than the others. 0: there is none.
double MedianRatio(const std::vector<CellPair>& pairs,
                   absl::FunctionRef<double(const v1::CellResult& cell)> figure);

// Pairs by the value of another field, in the order in which the plan lists its values: by setup.distribution
// where it is swept, else by the one by which their ratios of throughput differ most. None where these don't
// differ much, or no other field tells them apart.
struct SplitPairs {
  std::string field;
  std::vector<std::pair<std::string, std::vector<CellPair>>> by_value;
};
std::optional<SplitPairs> Split(const v1::SweepResult& sweep, const std::string& field,
                                const std::vector<CellPair>& pairs);

}  // namespace trunkload

#pragma once

#include <cstdint>

#include "absl/strings/numbers.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// Rows of one transaction of an insert-…: 1, or the variable batch. 0 where that is no number.
inline uint32_t InsertRows(const v1::Script& script) {
  if (script.builtin() == v1::BUILTIN_INSERT_SINGLE) return 1;
  uint32_t rows = 0;
  const auto batch = script.variables().find("batch");
  return batch != script.variables().end() && absl::SimpleAtoi(batch->second, &rows) ? rows : 0;
}

}  // namespace trunkload

#pragma once

#include <cstdint>

#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// Keys first to last, both included.
struct KeyRange {
  uint64_t first = 0;
  uint64_t last = 0;

  uint64_t count() const { return last - first + 1; }
};

// Of a load with rows and rows_per_chunk above 0.
uint64_t ChunkCount(const v1::TableLoad& load);
// `chunk`: below ChunkCount.
KeyRange ChunkKeys(const v1::TableLoad& load, uint64_t chunk);

// Of workload pgbench, for each unit of its scale.
inline constexpr uint64_t kAccountsPerBranch = 100'000;
inline constexpr uint64_t kTellersPerBranch = 10;

}  // namespace trunkload

#pragma once

#include <cstdint>

#include "trunkload/v1/result.pb.h"

namespace trunkload {

// What came of transactions, in plain numbers.
struct LoadCounts {
  uint64_t offered = 0;
  uint64_t transactions = 0;
  uint64_t rows = 0;
  uint64_t errors = 0;
  uint64_t dropped = 0;

  LoadCounts& operator+=(const LoadCounts& more) {
    offered += more.offered;
    transactions += more.transactions;
    rows += more.rows;
    errors += more.errors;
    dropped += more.dropped;
    return *this;
  }
  static LoadCounts Of(const v1::PhaseResult& phase) {
    LoadCounts counts{.offered = phase.offered(),
                      .transactions = phase.transactions(),
                      .rows = phase.rows(),
                      .dropped = phase.dropped()};
    for (const auto& [code, count] : phase.errors()) counts.errors += count;
    return counts;
  }
};

}  // namespace trunkload

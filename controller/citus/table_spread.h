#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "trunkload/v1/observation.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// What is known of one relation over a run: counters are differences from its start to its end.
struct RelationWork {
  v1::Relation relation;
  bool known = false;
  uint64_t rows_written = 0;
  uint64_t scans = 0;
  uint64_t bytes = 0;  // at the end
  std::optional<uint64_t> rows;
};

// How one distributed table spreads over shards and nodes, measured and in words. `works` are the table's
// relations, the placements of its shards; nodes are named by `nodes`. `hot_keys`, most frequent first, are
// what agents say of the keys that they wrote.
v1::TableSpread MeasureSpread(const std::vector<RelationWork>& works,
                              const std::vector<v1::DatabaseNode>& nodes,
                              const std::vector<v1::KeyFrequency>& hot_keys);

}  // namespace trunkload

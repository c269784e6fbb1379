#include "common/table_chunks.h"

#include <algorithm>

namespace trunkload {

uint64_t ChunkCount(const v1::TableLoad& load) {
  return (load.rows() - 1) / load.rows_per_chunk() + 1;
}

KeyRange ChunkKeys(const v1::TableLoad& load, uint64_t chunk) {
  const uint64_t before = chunk * load.rows_per_chunk();
  return {before + 1, std::min(load.rows(), before + load.rows_per_chunk())};
}

}  // namespace trunkload

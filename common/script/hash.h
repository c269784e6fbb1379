#pragma once

#include <cstdint>

namespace trunkload {

// pgbench's hash functions of one integer.
int64_t HashFnv1a(int64_t value, uint64_t seed);
int64_t HashMurmur2(int64_t value, uint64_t seed);
// Where `value`, taken as unsigned, modulo `size` goes in a shuffle of 0 to size - 1 that the seed chooses.
// `size` must be above 0.
int64_t Permute(int64_t value, int64_t size, int64_t seed);

}  // namespace trunkload

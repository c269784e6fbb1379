#include "common/script/hash.h"

#include <bit>

#include "common/random.h"

namespace trunkload {
namespace {

// A one-to-one mapping of 0 to mask (2^bits - 1) onto itself: times an odd number, flipped bits, turned by
// one.
uint64_t Scramble(uint64_t value, uint64_t odd, uint64_t flips, uint64_t mask, int bits) {
  const uint64_t mixed = ((value * odd) ^ flips) & mask;
  return ((mixed << 1) & mask) | (mixed >> (bits - 1));
}

}  // namespace

// Fowler, Noll and Vo's hash, low byte first; the seed changes the offset basis.
int64_t HashFnv1a(int64_t value, uint64_t seed) {
  uint64_t hash = 0xcbf29ce484222325 ^ seed;
  auto rest = static_cast<uint64_t>(value);
  for (int byte = 0; byte < 8; ++byte, rest >>= 8) hash = (hash ^ (rest & 0xff)) * 0x100000001b3;
  return static_cast<int64_t>(hash);
}

// Appleby's MurmurHash2 for 64-bit platforms, of eight bytes.
int64_t HashMurmur2(int64_t value, uint64_t seed) {
  constexpr uint64_t kMultiplier = 0xc6a4a7935bd1e995;
  constexpr int kShift = 47;
  uint64_t block = static_cast<uint64_t>(value) * kMultiplier;
  block = (block ^ (block >> kShift)) * kMultiplier;
  uint64_t hash = ((seed ^ (8 * kMultiplier)) ^ block) * kMultiplier;
  hash = (hash ^ (hash >> kShift)) * kMultiplier;
  return static_cast<int64_t>(hash ^ (hash >> kShift));
}

int64_t Permute(int64_t value, int64_t size, int64_t seed) {
  if (size == 1) return 0;
  const auto count = static_cast<uint64_t>(size);
  // Below 0, a value counts as the unsigned one with the same bits.
  uint64_t place = static_cast<uint64_t>(value) % count;
  Random random(static_cast<uint64_t>(seed));
  // The largest power of two that is not above the size: scrambling its lower and its upper end in turn, and
  // turning the whole by a random offset, reaches every place.
  const int bits = 63 - std::countl_zero(count);
  const uint64_t mask = (uint64_t{1} << bits) - 1;
  for (int round = 0; round < 6; ++round) {
    uint64_t odd = (random.Next() & mask) | 1;
    uint64_t flips = random.Next() & mask;
    if (place <= mask) place = Scramble(place, odd, flips, mask, bits);
    odd = (random.Next() & mask) | 1;
    flips = random.Next() & mask;
    const uint64_t from_top = count - 1 - place;
    if (from_top <= mask) place = count - 1 - Scramble(from_top, odd, flips, mask, bits);
    place = (place + random.Between(0, count - 1)) % count;
  }
  return static_cast<int64_t>(place);
}

}  // namespace trunkload

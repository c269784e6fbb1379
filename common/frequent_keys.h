#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// Which keys come most often in a stream of them, in fixed memory: counters by Misra and Gries ("Finding
// repeated elements", 1982). Any key that is more than 1/257 of all has a counter; a counter may have missed
// up to undercount() of its key. Those of two streams add up to those of both. Copyable; not thread-safe.
class FrequentKeys {
 public:
  static constexpr size_t kCounters = 256;

  // Allocates the first time only.
  void Count(int64_t key) {
    ++counted_;
    Add(key, 1);
  }
  void Merge(const FrequentKeys& other);
  // Of counts that Check took.
  void Merge(const v1::KeyCounts& counts);
  // Keeps its memory.
  void Clear();

  uint64_t counted() const { return counted_; }
  uint64_t undercount() const { return undercount_; }
  struct Key {
    int64_t key;
    uint64_t count;
  };
  // The most frequent first.
  std::vector<Key> Keys() const;

  // Without keys that are fewer than one in 512.
  v1::KeyCounts ToProto() const;
  // INVALID_ARGUMENT where no FrequentKeys can be so.
  static absl::Status Check(const v1::KeyCounts& counts);

 private:
  void Add(int64_t key, uint64_t count);
  // The slot of the key, or the free one where it belongs.
  size_t Find(int64_t key) const;
  // Takes the lowest count off all counters.
  uint64_t Decrement();

  // Open addressing; a count of 0 is a free slot. Empty until the first key.
  std::vector<Key> slots_;
  // While counters are decremented.
  std::vector<Key> kept_;
  size_t used_ = 0;
  uint64_t counted_ = 0;
  uint64_t undercount_ = 0;
};

}  // namespace trunkload

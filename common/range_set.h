#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "google/protobuf/repeated_field.h"

namespace trunkload {

// A set of whole numbers from 1 to kHighest, as ranges: what grows one by one takes no room. Copyable; not
// thread-safe.
class RangeSet {
 public:
  static constexpr uint64_t kHighest = uint64_t{1} << 53;

  struct Range {
    uint64_t first;
    uint64_t last;
    friend bool operator==(const Range&, const Range&) = default;
  };

  // One that is there already changes nothing.
  void Add(uint64_t number) { Add(Range{number, number}); }
  void Add(Range range);
  // Those of the 64 numbers from 64 × block on whose bit is set, the lowest bit being the first number's.
  void AddBlock(uint64_t block, uint64_t bits);
  void Merge(const RangeSet& other);
  RangeSet Minus(const RangeSet& other) const;
  RangeSet And(const RangeSet& other) const { return Minus(Minus(other)); }
  // Keeps its memory.
  void Clear() { ranges_.clear(); }

  bool empty() const { return ranges_.empty(); }
  bool contains(uint64_t number) const;
  // All of it.
  bool Contains(const RangeSet& part) const;
  // How many numbers.
  uint64_t size() const;
  // Ascending, with a gap between each two.
  const std::vector<Range>& ranges() const { return ranges_; }

  // The pairs of ledger.proto.
  using Pairs = google::protobuf::RepeatedField<uint64_t>;
  void AddTo(Pairs& pairs) const;
  // INVALID_ARGUMENT where no set is written so.
  static absl::Status Check(const Pairs& pairs);
  // Of pairs that Check took.
  static RangeSet From(const Pairs& pairs);

 private:
  // Of a range that begins no earlier than the last one.
  void Append(Range range);

  std::vector<Range> ranges_;
};

}  // namespace trunkload

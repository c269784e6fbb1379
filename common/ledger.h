#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "common/range_set.h"
#include "trunkload/v1/ledger.pb.h"

namespace trunkload {

// What came of operations, one by one; see ledger.proto. Takes memory for each writer, and for each time that
// outcomes differ from one operation of a writer to the next, but none for those that are acknowledged in a
// row. Copyable; not thread-safe.
class Ledger {
 public:
  enum class Outcome : uint8_t { kAcknowledged, kRefused, kLost };

  struct Writer {
    RangeSet ended;
    // Of those.
    RangeSet refused;
    RangeSet lost;
  };

  // Allocates for a writer's first operation since it was made, and for those that are not acknowledged. Of
  // an operation that is told twice the outcomes add up; nobody tells one twice.
  void Record(uint64_t writer, uint64_t operation, Outcome outcome);
  // What writing it down took; below 0 where a sample was worth less than reading the clock.
  void AddCost(int64_t nanos) { cost_ns_ += nanos; }
  // Keeps its memory, for the same writers.
  void Clear();

  void Merge(const Ledger& other);
  // Of one that Check took.
  void Merge(const v1::Ledger& ledger);

  bool empty() const;
  // Those with operations, by their numbers.
  std::map<uint64_t, const Writer*> writers() const;
  // How many operations.
  uint64_t acknowledged() const;
  uint64_t refused() const;
  uint64_t lost() const;
  bool IsLost(uint64_t writer, uint64_t operation) const;
  // CPU time, estimated.
  uint64_t cost_ns() const { return cost_ns_ > 0 ? static_cast<uint64_t>(cost_ns_) : 0; }

  v1::Ledger ToProto() const;
  // INVALID_ARGUMENT where no Ledger can be so.
  static absl::Status Check(const v1::Ledger& ledger);

 private:
  Writer& Find(uint64_t writer);

  std::vector<Writer> writers_;
  // Index into it.
  absl::flat_hash_map<uint64_t, size_t> index_;
  int64_t cost_ns_ = 0;
};

// Adds up what scripts saw, as Ledger does what came of their operations.
void MergeFindings(const v1::Findings& more, v1::Findings& sum);
absl::Status CheckFindings(const v1::Findings& findings);
inline constexpr int kMostFindings = 8;

}  // namespace trunkload

#pragma once

#include <cstdint>
#include <list>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace trunkload {

// How often somebody at one address may try to get in and fail, before he has to wait. Remembers the newest
// kMostAddresses of those who failed. Not thread-safe.
class FailureLimit {
 public:
  static constexpr int kMostFailures = 20;                    // in a row at once
  static constexpr int64_t kNanosPerFailure = 1'000'000'000;  // then one more in each
  static constexpr size_t kMostAddresses = 4096;

  bool MayTry(absl::string_view address, int64_t now_ns) const;
  void OnFailure(absl::string_view address, int64_t now_ns);

 private:
  struct Entry {
    std::string address;
    // When nothing of what he did counts any more; grows with each failure.
    int64_t forgiven_ns;
  };
  // The one that failed last comes first.
  std::list<Entry> entries_;
  absl::flat_hash_map<std::string, std::list<Entry>::iterator> by_address_;
};

}  // namespace trunkload

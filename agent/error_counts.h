#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "google/protobuf/map.h"

namespace trunkload {

// Error codes that are no SQLSTATE.
inline constexpr std::string_view kPoolTimeout = "pool_timeout";
inline constexpr std::string_view kUnfinished = "unfinished";
// What the connection's end is called where the server gave no reason: connection_failure.
inline constexpr std::string_view kConnectionBroken = "08006";
// The server could not be reached: sqlclient_unable_to_establish_sqlconnection.
inline constexpr std::string_view kUnreachable = "08001";

// How often each error came, by its code of at most 15 characters; without allocating. The first 63 different
// codes are kept apart, further ones are counted together as "other". Not thread-safe.
class ErrorCounts {
 public:
  void Add(std::string_view code, uint64_t count = 1) {
    for (size_t i = 0; i < used_; ++i) {
      if (code == entries_[i].code) {
        entries_[i].count += count;
        return;
      }
    }
    if (used_ == entries_.size() - 1) code = "other";
    if (used_ == entries_.size()) {
      entries_.back().count += count;
      return;
    }
    Entry& entry = entries_[used_++];
    const size_t length = code.copy(entry.code, sizeof(entry.code) - 1);
    entry.code[length] = '\0';
    entry.count = count;
  }

  void Merge(const ErrorCounts& other) {
    for (size_t i = 0; i < other.used_; ++i) Add(other.entries_[i].code, other.entries_[i].count);
  }

  void Clear() { used_ = 0; }

  void AddTo(google::protobuf::Map<std::string, uint64_t>& map) const {
    for (size_t i = 0; i < used_; ++i) map[entries_[i].code] += entries_[i].count;
  }

 private:
  struct Entry {
    char code[16];
    uint64_t count;
  };
  std::array<Entry, 64> entries_;
  size_t used_ = 0;
};

}  // namespace trunkload

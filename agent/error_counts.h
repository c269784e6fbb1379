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
// \gset got no row, or more than one.
inline constexpr std::string_view kNotOneRow = "not_one_row";
// A script ended inside a transaction block, which was then rolled back.
inline constexpr std::string_view kInTransaction = "in_transaction";
// A script ended inside a pipeline, or uses pipelines as they can't be.
inline constexpr std::string_view kPipelineOpen = "pipeline_open";
// A command of the shell failed, or \setshell's printed no whole number.
inline constexpr std::string_view kShellFailed = "shell_failed";
// An expression of a script had no value.
inline constexpr std::string_view kScriptError = "script_error";
// SQLSTATEs after which a transaction may be tried again.
inline constexpr std::string_view kSerializationFailure = "40001";
inline constexpr std::string_view kDeadlockDetected = "40P01";
// What the connection's end is called where the server gave no reason: connection_failure.
inline constexpr std::string_view kConnectionBroken = "08006";
// The server could not be reached: sqlclient_unable_to_establish_sqlconnection.
inline constexpr std::string_view kUnreachable = "08001";
// What this machine lacks, and not the server: file descriptors, and ports to connect from.
inline constexpr std::string_view kTooManyFiles = "too_many_files";
inline constexpr std::string_view kNoFreePort = "no_free_port";

// How often each error came, by its code of at most 15 characters; without allocating. The first 63 different
// codes are kept apart, further ones are counted together as "other". Not thread-safe.
class ErrorCounts {
 public:
  // True where it is the first of its kind.
  bool Add(std::string_view code, uint64_t count = 1) {
    for (size_t i = 0; i < used_; ++i) {
      if (code == entries_[i].code) {
        entries_[i].count += count;
        return false;
      }
    }
    if (used_ == entries_.size() - 1) code = "other";
    if (used_ == entries_.size()) {
      entries_.back().count += count;
      return false;
    }
    Entry& entry = entries_[used_++];
    const size_t length = code.copy(entry.code, sizeof(entry.code) - 1);
    entry.code[length] = '\0';
    entry.count = count;
    return true;
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

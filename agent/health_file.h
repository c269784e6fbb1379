#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "common/clock.h"

namespace trunkload {

// A file that was touched lately for as long as the controller answers this agent's heartbeats: for the
// health checks of whatever started the agent. Not thread-safe; each call goes to the disk.
class HealthFile {
 public:
  // An empty path: there is no file, and nothing to do.
  explicit HealthFile(std::string path) : path_(std::move(path)) {}

  // Before the first heartbeat: that the file can be written, and that an agent before this one left none.
  // The error names it.
  absl::Status Begin() const;
  // Touches it where a heartbeat was answered that was sent at least a second after the last one touched for;
  // `confirmed_ns` is that of Lease.
  absl::Status OnConfirmed(int64_t confirmed_ns);
  void Remove() const;

 private:
  absl::Status Touch() const;

  const std::string path_;
  int64_t touched_for_ns_ = INT64_MIN;
};

// OK where the file was touched in the last 10 s; else why not, in a sentence.
absl::Status CheckHealthFile(const std::string& path, const Clock& clock);

}  // namespace trunkload

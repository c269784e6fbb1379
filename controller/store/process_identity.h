#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace trunkload {

// A process, so that no other is taken for it: not one of the same id later on, nor after a restart of the
// machine. Processes of different containers don't know each other by it.
struct ProcessIdentity {
  std::string boot_id;
  int64_t pid = 0;
  // Since the machine started, in clock ticks.
  int64_t start_ticks = 0;

  // UNAVAILABLE where /proc can't be read.
  static absl::StatusOr<ProcessIdentity> OfThisProcess();
  // Whether it is there and has not ended.
  bool IsAlive() const;

  friend bool operator==(const ProcessIdentity&, const ProcessIdentity&) = default;
};

}  // namespace trunkload

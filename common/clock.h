#pragma once

#include <cstdint>

namespace trunkload {

// The only source of now. Monotonic nanoseconds of an epoch of its own measure; wall time is for labels only.
// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Never goes back.
  virtual int64_t MonotonicNanos() const = 0;
  // Nanoseconds since 1970 in UTC; may jump.
  virtual int64_t WallNanos() const = 0;
};

// Final, so that a call through the concrete type costs no more than the system's own clock_gettime.
class SystemClock final : public Clock {
 public:
  int64_t MonotonicNanos() const override;
  int64_t WallNanos() const override;
};

// CPU time that the calling thread has used.
int64_t ThreadCpuNanos();

}  // namespace trunkload

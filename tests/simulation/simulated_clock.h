#pragma once

#include <cmath>
#include <cstdint>

#include "common/clock.h"
#include "tests/simulation/event_queue.h"

namespace trunkload {

// A clock that is off by an offset and runs fast (or slow) by a drift. Not thread-safe.
class SimulatedClock final : public Clock {
 public:
  SimulatedClock(const EventQueue& queue, int64_t offset_ns, double drift)
      : queue_(queue), offset_ns_(kEpochNanos + offset_ns), drift_(drift) {}

  int64_t MonotonicNanos() const override {
    return offset_ns_ + queue_.now_ns() + std::llround(static_cast<double>(queue_.now_ns()) * drift_);
  }
  int64_t WallNanos() const override { return kWallNanos + queue_.now_ns() + wall_jump_ns_; }
  // As when somebody sets it.
  void JumpWall(int64_t by_ns) { wall_jump_ns_ += by_ns; }

  // When, in simulated time, this clock shows `monotonic_ns`.
  int64_t TrueNanos(int64_t monotonic_ns) const {
    return std::llround(static_cast<double>(monotonic_ns - offset_ns_) / (1 + drift_));
  }

 private:
  // A machine has been up for a while, so that no offset makes a clock negative.
  static constexpr int64_t kEpochNanos = 1'000'000'000'000;
  static constexpr int64_t kWallNanos = 1'795'000'000'000'000'000;

  const EventQueue& queue_;
  int64_t offset_ns_;
  double drift_;
  int64_t wall_jump_ns_ = 0;
};

}  // namespace trunkload

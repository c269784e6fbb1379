#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <random>
#include <utility>

#include "tests/simulation/event_queue.h"

namespace trunkload {

struct NetworkOptions {
  int64_t delay_ns = 500'000;
  // Mean of what is added to the delay, exponentially distributed.
  int64_t jitter_ns = 200'000;
  // Of a segment: it comes again after a time-out, which doubles each time.
  double loss = 0;
};

// One direction of a TCP connection: what is sent arrives late, in order, or not at all once it is broken.
// Not thread-safe.
class SimulatedStream {
 public:
  SimulatedStream(EventQueue& queue, std::mt19937_64& random, const NetworkOptions& options)
      : queue_(queue), random_(random), options_(options) {}

  void Send(std::function<void()> deliver) {
    int64_t delay_ns = options_.delay_ns;
    if (options_.jitter_ns > 0) {
      std::exponential_distribution<double> jitter(1.0 / static_cast<double>(options_.jitter_ns));
      delay_ns += static_cast<int64_t>(jitter(random_));
    }
    constexpr int64_t kFirstTimeOutNanos = 200'000'000;
    std::bernoulli_distribution lost(options_.loss);
    for (int64_t time_out_ns = kFirstTimeOutNanos; lost(random_); time_out_ns *= 2) delay_ns += time_out_ns;
    newest_arrival_ns_ = std::max(newest_arrival_ns_, queue_.now_ns() + delay_ns);
    Deliver(newest_arrival_ns_, std::move(deliver));
  }
  // Nothing arrives before then: the network is cut in two.
  void Block(int64_t until_ns) { blocked_until_ns_ = std::max(blocked_until_ns_, until_ns); }
  void Break() { broken_ = true; }
  bool broken() const { return broken_; }

 private:
  void Deliver(int64_t at_ns, std::function<void()> deliver) {
    queue_.At(at_ns, [this, deliver = std::move(deliver)]() mutable {
      if (broken_) return;
      if (queue_.now_ns() < blocked_until_ns_) return Deliver(blocked_until_ns_, std::move(deliver));
      deliver();
    });
  }

  EventQueue& queue_;
  std::mt19937_64& random_;
  const NetworkOptions options_;
  int64_t newest_arrival_ns_ = 0;
  int64_t blocked_until_ns_ = 0;
  bool broken_ = false;
};

}  // namespace trunkload

#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>

namespace trunkload {

// For how long the agent may go on without its controller. What counts is when a heartbeat that was answered
// had been *sent*: the controller, which counts from its answer, never believes the lease over while this
// agent still loads. Instants are the agent's monotonic clock. Not thread-safe.
class Lease {
 public:
  // The number of the heartbeat that is sent now.
  uint64_t OnSent(int64_t now_ns) {
    on_their_way_.push_back(now_ns);
    return ++sent_;
  }
  // All before it count as answered too; a number that was not sent is passed over.
  void OnAnswered(uint64_t number) {
    if (number > sent_) return;
    while (!on_their_way_.empty() && sent_ - on_their_way_.size() < number) {
      confirmed_ns_ = std::max(confirmed_ns_, on_their_way_.front());
      on_their_way_.pop_front();
    }
  }
  // Heartbeats of the last stream are not answered any more; those of the next count from 1.
  void OnStreamEnded() {
    on_their_way_.clear();
    sent_ = 0;
  }
  // When the newest heartbeat that was answered had been sent; INT64_MIN: none was.
  int64_t confirmed_ns() const { return confirmed_ns_; }
  // Sent on this stream and not answered yet.
  size_t unanswered() const { return on_their_way_.size(); }

 private:
  uint64_t sent_ = 0;
  std::deque<int64_t> on_their_way_;
  int64_t confirmed_ns_ = INT64_MIN;
};

}  // namespace trunkload

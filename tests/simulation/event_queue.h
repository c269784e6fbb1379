#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <utility>

namespace trunkload {

// Simulated time: what is to happen when, in order; at the same instant in the order it was planned. Not
// thread-safe.
class EventQueue {
 public:
  int64_t now_ns() const { return now_ns_; }
  // INT64_MAX: nothing is planned.
  int64_t next_ns() const { return events_.empty() ? INT64_MAX : events_.begin()->first; }

  void At(int64_t time_ns, std::function<void()> event) {
    events_.emplace(time_ns < now_ns_ ? now_ns_ : time_ns, std::move(event));
  }
  void After(int64_t delay_ns, std::function<void()> event) { At(now_ns_ + delay_ns, std::move(event)); }

  void RunNext() {
    auto next = events_.extract(events_.begin());
    now_ns_ = next.key();
    next.mapped()();
  }
  // Up to an instant before which nothing is planned.
  void AdvanceTo(int64_t time_ns) { now_ns_ = time_ns < now_ns_ ? now_ns_ : time_ns; }

 private:
  int64_t now_ns_ = 0;
  std::multimap<int64_t, std::function<void()>> events_;
};

}  // namespace trunkload

#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace trunkload {

enum class TimerKind : uint8_t {
  kArrival,         // the next transaction of an open load is due
  kThink,           // a client goes on: its think time is over, or its last transaction failed
  kWake,            // a transaction's sleep is over
  kAcquireTimeout,  // the first in a pool's line may have waited too long
  kReconnect,       // a connection's back-off is over
  kConnectTimeout,  // a connection has been opening for too long
  kSlice,           // the recorder's slice ends
  kPhaseStart,
  kPhaseEnd,
  kDrainEnd,
};

struct Timer {
  int64_t at;
  TimerKind kind;
  uint32_t server = 0;  // index of the application server in its reactor
  uint32_t index = 0;   // of its client or connection
};

// What a reactor has to do later, the earliest first. Not thread-safe.
class TimerQueue {
 public:
  // Room for so many without allocating.
  void Reserve(size_t timers) { heap_.reserve(timers); }
  void Add(const Timer& timer) {
    heap_.push_back(timer);
    std::push_heap(heap_.begin(), heap_.end(), Later);
  }
  bool empty() const { return heap_.empty(); }
  const Timer& Earliest() const { return heap_.front(); }
  Timer TakeEarliest() {
    std::pop_heap(heap_.begin(), heap_.end(), Later);
    const Timer timer = heap_.back();
    heap_.pop_back();
    return timer;
  }
  template <typename Predicate>
  void RemoveIf(Predicate predicate) {
    std::erase_if(heap_, predicate);
    std::make_heap(heap_.begin(), heap_.end(), Later);
  }

 private:
  static bool Later(const Timer& a, const Timer& b) { return a.at > b.at; }

  std::vector<Timer> heap_;
};

}  // namespace trunkload

#pragma once

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"

namespace trunkload {

// When each agent was last heard, by the controller's monotonic clock. Thread-safe: heartbeats come in on
// threads of their own, which nothing that the controller is busy with holds up.
class Heartbeats {
 public:
  // From now on there is such an agent; by its Hello's instance.
  void Add(uint64_t instance, int64_t now_ns) {
    absl::MutexLock lock(&mutex_);
    int64_t& heard_ns = heard_ns_[instance];
    heard_ns = heard_ns > now_ns ? heard_ns : now_ns;
  }
  void Remove(uint64_t instance) {
    absl::MutexLock lock(&mutex_);
    heard_ns_.erase(instance);
  }
  // False where there is no such agent: its heartbeat must not be answered.
  bool OnHeartbeat(uint64_t instance, int64_t now_ns) {
    absl::MutexLock lock(&mutex_);
    const auto found = heard_ns_.find(instance);
    if (found == heard_ns_.end()) return false;
    found->second = now_ns;
    return true;
  }
  // Of one that there is.
  int64_t LastNanos(uint64_t instance) const {
    absl::MutexLock lock(&mutex_);
    return heard_ns_.at(instance);
  }

 private:
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<uint64_t, int64_t> heard_ns_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace trunkload

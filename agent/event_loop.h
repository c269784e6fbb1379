#pragma once

#include <deque>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"

namespace trunkload {

// What the agent's one deciding thread has to do, in order. Its length is bounded by those who post: a
// session has one message read and one written under way, a reactor a few slices. Post may be called from any
// thread.
class EventLoop {
 public:
  using Event = absl::AnyInvocable<void()>;

  void Post(Event event) {
    absl::MutexLock lock(&mutex_);
    events_.push_back(std::move(event));
  }

  // Waits for the next event and runs it; returns false once `until` has passed without one.
  bool RunOne(absl::Time until = absl::InfiniteFuture()) {
    Event event;
    {
      absl::MutexLock lock(&mutex_);
      const auto posted = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !events_.empty(); };
      if (!mutex_.AwaitWithDeadline(absl::Condition(&posted), until)) return false;
      event = std::move(events_.front());
      events_.pop_front();
    }
    event();
    return true;
  }

 private:
  absl::Mutex mutex_;
  std::deque<Event> events_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace trunkload

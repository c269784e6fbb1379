#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "controller/cancellation.h"

namespace trunkload {

// Lets connections in, each to a thread of its own, so many at a time. Where there is no room, the oldest one
// that has not yet asked for anything has to go; where all have, the new one. Many that say nothing, or say
// it slowly, so keep nobody out who asks at once. Thread-safe.
class ConnectionGate {
 public:
  // Called on the connection's thread; the descriptor does not block, and is closed afterwards. `asked`: to
  // be called when the connection's question is there.
  using OnConnection = std::function<void(int fd, absl::FunctionRef<void()> asked)>;

  // Takes the listening socket over.
  ConnectionGate(int listening_fd, size_t most, OnConnection on_connection);
  // Breaks off the connections that are there, and waits for their threads.
  ~ConnectionGate();

 private:
  struct Guest {
    int fd = -1;
    std::thread thread;
    bool asked = false;
  };

  void Accept();
  void JoinEnded() ABSL_LOCKS_EXCLUDED(mutex_);
  void LetIn(int fd) ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether there is room for one more, now or in a moment.
  bool MakeRoom() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Serve(uint64_t number, int fd) ABSL_LOCKS_EXCLUDED(mutex_);

  const int listening_fd_;
  const size_t most_;
  const OnConnection on_connection_;
  Cancellation stop_;
  absl::Mutex mutex_;
  // By their order.
  std::map<uint64_t, Guest> guests_ ABSL_GUARDED_BY(mutex_);
  // Of guests that have gone.
  std::vector<std::thread> ended_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_number_ ABSL_GUARDED_BY(mutex_) = 0;
  std::thread thread_;
};

}  // namespace trunkload

#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "common/host_port.h"

namespace trunkload {

// Listens for connections and hands them on, on a thread of its own. Those of whom nobody knows yet who they
// are, strangers, are so many at most, for so long: when there is no room, the oldest of the address that has
// the most makes some, so that whoever means well gets in between those that only hold connections open.
// gRPC's own listener stops for ever when the process has no file left. Thread-safe.
class Doorkeeper {
 public:
  struct Limits {
    size_t strangers = 1024;
    int64_t patience_ns = 30'000'000'000;
  };
  // UNAVAILABLE where the address can't be listened on: why, as a part of a sentence.
  static absl::StatusOr<std::unique_ptr<Doorkeeper>> Open(const HostPort& at, const Limits& limits);
  ~Doorkeeper();

  // The port that was taken.
  int port() const { return port_; }
  // Once. Whoever is called owns the connection `fd` from then on; `listener_fd` is what it came by.
  using Accepted = absl::AnyInvocable<void(int listener_fd, int fd)>;
  void Start(Accepted accepted);
  // Nothing is accepted any more. Blocks for a moment.
  void Stop();
  // Whoever is at the other end of this connection, by gRPC's name for it, is no stranger any more.
  void Admit(absl::string_view peer) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Stranger {
    int fd;  // of our own, of the same connection
    std::string peer;
    std::string address;
    int64_t since_ns;
  };
  using Strangers = std::list<Stranger>;

  explicit Doorkeeper(const Limits& limits);
  absl::Status Listen(const HostPort& at);
  void Work();
  void AcceptFrom(int listener) ABSL_LOCKS_EXCLUDED(mutex_);
  void Watch(int fd, std::string peer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // false: there is none.
  bool SendOneAway() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SendOldAway() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Forget(Strangers::iterator stranger) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnClosed(int fd) ABSL_LOCKS_EXCLUDED(mutex_);

  const Limits limits_;
  const SystemClock clock_;
  const int epoll_fd_;
  const int wake_fd_;
  int port_ = 0;
  std::vector<int> listeners_;
  Accepted accepted_;
  absl::Mutex mutex_;
  // The oldest first.
  Strangers strangers_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<int, Strangers::iterator> by_fd_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, Strangers::iterator> by_peer_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, size_t> by_address_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace trunkload

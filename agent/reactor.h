#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "agent/application_server.h"
#include "agent/recorder.h"
#include "agent/timer_queue.h"
#include "common/clock.h"
#include "trunkload/v1/fleet.pb.h"

struct epoll_event;

namespace trunkload {

// What a reactor tells its agent, from its own thread: must not block.
struct ReactorCallbacks {
  absl::AnyInvocable<void(uint32_t connections)> ready;
  absl::AnyInvocable<void(std::string reason)> failed;
  // A slice can be collected.
  absl::AnyInvocable<void()> slice;
  // The phase is over, its last slice can be collected.
  absl::AnyInvocable<void(int64_t started_ns)> phase_ended;
};

// One thread with one epoll set: application servers, their connections, timers, random numbers and recorder
// are its own. It shares a few commands and the recorder's collected slices with the agent, nothing else. The
// public functions may be called from any one thread.
class Reactor {
 public:
  // Emulates `servers` of the assignment, which must outlive it, as must `client_seeds` (see ClientSeeds).
  // Its thread starts at once. `lease_ends_ns` must outlive it too: see Load::RenewLease.
  Reactor(const v1::Assignment& assignment, const std::vector<const v1::ApplicationServer*>& servers,
          std::span<const uint64_t> client_seeds, const std::atomic<int64_t>& lease_ends_ns,
          ReactorCallbacks callbacks);
  // Drops what is under way and ends the thread.
  ~Reactor();

  // `from_ns`: when it begins here, where that is later than the phase's start.
  void StartPhase(uint32_t phase, int64_t start_ns, int64_t from_ns);
  void StartPhase(uint32_t phase, int64_t start_ns) { StartPhase(phase, start_ns, start_ns); }
  // See Load::StopPhase.
  void StopPhase(absl::Duration drain_timeout);
  Recorder& recorder() { return recorder_; }
  // In the kernel; known when `ready` was told.
  pid_t thread_id() const { return thread_id_; }

 private:
  struct Command {
    enum Kind { kStartPhase, kStopPhase } kind;
    uint32_t phase = 0;
    int64_t start_ns = 0;
    int64_t from_ns = 0;
    absl::Duration drain_timeout = absl::InfiniteDuration();
  };

  void Post(const Command& command);
  void Loop();
  void Wait();
  void Hint(const epoll_event& event, void (ApplicationServer::*hint)(uint32_t) const) const;
  void ArmTimer();
  void TakeCommands();
  void StopEarly(absl::Duration drain_timeout);
  void FireTimers();
  void BeginPhase(int64_t now);
  // `complete`: all that it was to start has been started.
  void EndPhase(int64_t now, bool complete = false);
  bool EveryClientHasEnded() const;
  void EndPhaseIfDrained();
  void TellWhenReady();

  const v1::Assignment& assignment_;
  const std::atomic<int64_t>& lease_ends_ns_;
  ReactorCallbacks callbacks_;
  const SystemClock clock_;
  const int epoll_fd_;
  const int wake_fd_;
  const int timer_fd_;
  int64_t armed_for_ = INT64_MAX;
  Scripts scripts_;
  Recorder recorder_;
  TimerQueue timers_;
  const Client::Parts client_parts_;
  const uint64_t log_seed_;
  std::vector<std::unique_ptr<ApplicationServer>> servers_;

  bool told_ready_ = false;
  bool failed_ = false;
  enum class PhaseState { kNone, kAhead, kRunning, kDraining } phase_state_ = PhaseState::kNone;
  uint32_t phase_ = 0;
  int64_t start_ns_ = 0;
  int64_t from_ns_ = 0;
  int64_t started_ns_ = 0;

  absl::Mutex mutex_;
  std::vector<Command> commands_ ABSL_GUARDED_BY(mutex_);
  std::atomic<bool> stop_{false};
  std::atomic<pid_t> thread_id_{0};
  std::thread thread_;
};

}  // namespace trunkload

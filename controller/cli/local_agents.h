#pragma once

#include <sys/types.h>

#include <csignal>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace trunkload {

// Agent processes on this machine, each in a process group of its own, so that a terminal's Ctrl-C reaches
// only us. An agent ends with its stream to the controller. Thread-safe.
class LocalAgents {
 public:
  // One sentence about an agent that ended before ExpectEnd, with its last words. On a thread of LocalAgents.
  using OnDeath = absl::AnyInvocable<void(const std::string& agent, const std::string& death)>;

  struct Options {
    uint32_t count = 1;
    std::string controller;    // HOST:PORT
    bool allow_shell = false;  // they may run commands of the shell
  };
  // Runs the trunkload-agent that stands beside this program, so many times.
  static absl::StatusOr<std::unique_ptr<LocalAgents>> Start(const Options& options, OnDeath on_death);
  // Asks those still there to end, and kills those that have not after a moment.
  ~LocalAgents();

  // From now on an agent that ends is no news.
  void ExpectEnd();
  void Kill() { Signal(SIGKILL); }

 private:
  struct Agent {
    std::string name;
    pid_t pid = 0;
    int pid_fd = -1;
    int output_fd = -1;
    std::string last_words;
    bool ended = false;
  };

  explicit LocalAgents(OnDeath on_death) : on_death_(std::move(on_death)) {}

  absl::Status Spawn(const std::string& program, const std::string& name, const Options& options);
  void Signal(int signal) ABSL_LOCKS_EXCLUDED(mutex_);
  void Watch();
  static void ReadLastWords(Agent& agent);
  void Reap(Agent& agent) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool AllEnded() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  OnDeath on_death_;
  absl::Mutex mutex_;
  std::vector<Agent> agents_ ABSL_GUARDED_BY(mutex_);
  bool end_expected_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread watcher_;
};

}  // namespace trunkload

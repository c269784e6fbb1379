#pragma once

#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "controller/run_follower.h"

namespace trunkload {

// Hands what happens in a run to a thread that may be slow, as a terminal is: the newest progress, notes in
// order, and at last the result. Thread-safe.
class RunWatch final : public RunFollower {
 public:
  // Something about the run for the person at the terminal.
  struct Note {
    std::string text;
    bool agent_died = false;
  };
  using Ended = absl::StatusOr<v1::RunResult>;
  using Update = std::variant<v1::Progress, Note, Ended>;

  using TransactionSink =
      absl::AnyInvocable<void(uint32_t agent, int64_t phase_start_us, const v1::TransactionLog& log)>;
  // Gets the transactions that are told one by one, on the thread that tells them.
  explicit RunWatch(TransactionSink sink = nullptr) : sink_(std::move(sink)) {}

  void OnProgress(const v1::Progress& progress) override;
  void OnTransactions(uint32_t agent, int64_t phase_start_us, const v1::TransactionLog& log) override {
    if (sink_ != nullptr) sink_(agent, phase_start_us, log);
  }
  void OnRunEnded(absl::StatusOr<v1::RunResult> result) override;
  void AddNote(Note note);

  // Blocks until there is something new. Ended is the last.
  Update Next();

 private:
  bool HasNext() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  TransactionSink sink_;
  absl::Mutex mutex_;
  std::optional<v1::Progress> progress_ ABSL_GUARDED_BY(mutex_);
  std::deque<Note> notes_ ABSL_GUARDED_BY(mutex_);
  std::optional<Ended> ended_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace trunkload

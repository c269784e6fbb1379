#pragma once

#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "controller/run_snapshot.h"
#include "controller/store/run_store.h"
#include "trunkload/v1/control.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// Keeps runs in a store, on a thread of its own: a slow disk delays acknowledgements, and nothing else.
// Without a store it keeps nothing, and says that all is well. Thread-safe; answers come on that thread, in
// order. Its line is as long as there are calls under way: one snapshot at a time, and a few questions of
// people.
class RunKeeper {
 public:
  using Done = absl::AnyInvocable<void(const absl::Status&)>;
  template <typename T>
  using Answer = absl::AnyInvocable<void(absl::StatusOr<T>)>;

  explicit RunKeeper(std::unique_ptr<RunStore> store);
  // After what it was asked to do.
  ~RunKeeper();

  void Save(RunSnapshot snapshot, Done done);
  // `run`: its id, plan and start, for one that could not run.
  void Finish(absl::StatusOr<v1::RunResult> result, v1::RunSummary run, Done done);
  void List(Answer<std::vector<v1::RunSummary>> answer);
  // NOT_FOUND and FAILED_PRECONDITION as RunStore has them.
  void Result(std::string run_id, Answer<v1::RunResult> answer);

 private:
  using Job = absl::AnyInvocable<void()>;

  void Post(Job job);
  void Work();

  // Of the thread alone.
  const std::unique_ptr<RunStore> store_;
  absl::Mutex mutex_;
  std::deque<Job> jobs_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace trunkload

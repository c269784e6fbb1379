#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/run_snapshot.h"
#include "controller/store/run_store.h"
#include "controller/task_thread.h"
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

  void Save(RunSnapshot snapshot, Done done);
  // Where that fails, check-data will say that there is none.
  void PutCheckRecord(std::string run_id, v1::CheckRecord record);
  // `run`: its id, plan and start, for one that could not run.
  void Finish(absl::StatusOr<v1::RunResult> result, v1::RunSummary run, Done done);
  void List(Answer<std::vector<v1::RunSummary>> answer);
  // NOT_FOUND and FAILED_PRECONDITION as RunStore has them.
  void Result(std::string run_id, Answer<v1::RunResult> answer);

 private:
  // Of the thread alone.
  const std::unique_ptr<RunStore> store_;
  // The last: what it was asked to do is done before anything else goes.
  TaskThread thread_;
};

}  // namespace trunkload

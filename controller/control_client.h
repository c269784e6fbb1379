#pragma once

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "controller/run_follower.h"
#include "trunkload/v1/control.grpc.pb.h"

namespace trunkload {

// A controller on another machine (or in another process), as the command line uses it. Thread-safe.
class ControlClient {
 public:
  explicit ControlClient(const std::string& address);

  // Runs a plan there and follows it to its end. Blocks; the follower is called on this thread. Once.
  void Run(const v1::RunRequest& request, RunFollower& follower);
  // Ends that run in order: its result still comes. Breaks the call off where no run was heard of yet.
  void Cancel();

 private:
  const std::string address_;
  std::unique_ptr<v1::ControlService::Stub> stub_;
  grpc::ClientContext context_;
  absl::Mutex mutex_;
  std::string run_id_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace trunkload

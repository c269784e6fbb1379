#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/tls/transport.h"
#include "controller/run_follower.h"
#include "trunkload/v1/control.grpc.pb.h"

namespace trunkload {

// A controller on another machine (or in another process), as the command line uses it. Thread-safe.
class ControlClient {
 public:
  // INVALID_ARGUMENT or FAILED_PRECONDITION where what there is for TLS can't be used. Nothing is dialled
  // yet.
  static absl::StatusOr<std::unique_ptr<ControlClient>> Open(const std::string& address,
                                                             const Transport& transport = {});

  // Runs a plan there and follows it to its end, also where the controller is killed on the way and started
  // again. Blocks; the follower is called on this thread. Once.
  void Run(const v1::RunRequest& request, RunFollower& follower);
  // Follows a run, whoever asked for it; without an id, the one under way.
  void Follow(const std::string& run_id, RunFollower& follower);
  absl::StatusOr<std::vector<v1::RunSummary>> ListRuns();
  // Ends a run in order; without an id, the one under way.
  absl::Status CancelRun(const std::string& run_id);
  // Ends that run in order: its result still comes. Breaks the call off where no run was heard of yet.
  void Cancel();

 private:
  ControlClient(const std::string& address, const Transport& transport)
      : address_(address), transport_(transport) {}
  // With what is in the TLS folder now.
  absl::Status Dial();
  std::shared_ptr<v1::ControlService::Stub> stub();

  // How an update stream has ended.
  struct Ending {
    absl::Status status;
    bool heard = false;
    std::optional<v1::RunResult> result;
  };
  Ending Read(grpc::ClientReader<v1::RunUpdate>& updates, RunFollower& follower);
  // The controller has gone in mid-run: it may come back with the run.
  Ending FollowAgain(Ending last, RunFollower& follower);
  void Tell(Ending ending, RunFollower& follower);
  absl::Status Describe(const absl::Status& status, bool heard) const;

  const std::string address_;
  const Transport transport_;
  grpc::ClientContext context_;
  absl::Mutex mutex_;
  std::shared_ptr<v1::ControlService::Stub> stub_ ABSL_GUARDED_BY(mutex_);
  std::string run_id_ ABSL_GUARDED_BY(mutex_);
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace trunkload

#include "controller/control_service.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/grpc_status.h"
#include "controller/plan/plan_check.h"
#include "controller/run_follower.h"

namespace trunkload {
namespace {

// One followed run. gRPC never calls back from within a Start... call, so that these are made with the mutex
// held.
class RunReactor final : public RunFollower, public grpc::ServerWriteReactor<v1::RunUpdate> {
 public:
  // `owner`: who asked for the run; without him, it is cancelled.
  RunReactor(ControllerThread& controller, bool owner) : controller_(controller), owner_(owner) {}

  // gRPC keeps this alive until OnDone, whoever else lets go of it.
  void Begin(std::shared_ptr<RunReactor> self, const v1::RunRequest& request, v1::Plan plan) {
    self_ = std::move(self);
    Controller::RunOptions options;
    if (request.agents() > 0) options.agents = request.agents();
    if (request.wait_s() > 0) options.wait = absl::Seconds(request.wait_s());
    controller_.StartRun(std::move(plan), options, self_);
  }

  void Follow(std::shared_ptr<RunReactor> self, const std::string& run_id) {
    self_ = std::move(self);
    controller_.FollowRun(run_id, self_);
  }

  // A caller that is slow to read gets the newest progress, not all of it.
  void OnProgress(const v1::Progress& progress) override {
    absl::MutexLock lock(&mutex_);
    *next_.emplace().mutable_progress() = progress;
    WriteNext();
  }

  void OnRunEnded(absl::StatusOr<v1::RunResult> result) override {
    absl::MutexLock lock(&mutex_);
    if (std::exchange(ended_, true)) return;
    status_ = result.status();
    if (result.ok()) *next_.emplace().mutable_result() = *std::move(result);
    WriteNext();
  }

  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    if (!ok) next_.reset();
    WriteNext();
  }

  // The caller has gone, and with it the run, if it is his. Its end comes through OnRunEnded all the same.
  void OnCancel() override {
    if (owner_) return controller_.CancelRun(this);
    controller_.StopFollowing(this);
    OnRunEnded(absl::CancelledError("nobody follows any more"));
  }

  void OnDone() override { self_.reset(); }

 private:
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_) return;
    if (next_) {
      writing_ = true;
      current_ = *std::exchange(next_, std::nullopt);
      StartWrite(&current_);
    } else if (ended_ && !std::exchange(finished_, true)) {
      Finish(ToGrpcStatus(status_));
    }
  }

  ControllerThread& controller_;
  const bool owner_;
  std::shared_ptr<RunReactor> self_;

  absl::Mutex mutex_;
  v1::RunUpdate current_ ABSL_GUARDED_BY(mutex_);
  std::optional<v1::RunUpdate> next_ ABSL_GUARDED_BY(mutex_);
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

class RefusedRun final : public grpc::ServerWriteReactor<v1::RunUpdate> {
 public:
  explicit RefusedRun(const absl::Status& why) { Finish(ToGrpcStatus(why)); }
  void OnDone() override { delete this; }
};

}  // namespace

grpc::ServerWriteReactor<v1::RunUpdate>* ControlService::Run(grpc::CallbackServerContext* context,
                                                             const v1::RunRequest* request) {
  if (absl::Status status = check_.Check(*context, Rpc::kRun); !status.ok()) return new RefusedRun(status);
  absl::StatusOr<v1::Plan> plan = ValidatePlan(request->plan());
  if (!plan.ok()) return new RefusedRun(plan.status());
  auto reactor = std::make_shared<RunReactor>(controller_, /*owner=*/true);
  reactor->Begin(reactor, *request, *std::move(plan));
  return reactor.get();
}

grpc::ServerWriteReactor<v1::RunUpdate>* ControlService::Follow(grpc::CallbackServerContext* context,
                                                                const v1::FollowRequest* request) {
  if (absl::Status status = check_.Check(*context, Rpc::kFollow); !status.ok()) return new RefusedRun(status);
  auto reactor = std::make_shared<RunReactor>(controller_, /*owner=*/false);
  reactor->Follow(reactor, request->run_id());
  return reactor.get();
}

grpc::ServerUnaryReactor* ControlService::ListRuns(grpc::CallbackServerContext* context,
                                                   const v1::ListRunsRequest* /*request*/,
                                                   v1::ListRunsReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (absl::Status status = check_.Check(*context, Rpc::kListRuns); !status.ok()) {
    reactor->Finish(ToGrpcStatus(status));
    return reactor;
  }
  controller_.ListRuns([reactor, reply](absl::StatusOr<std::vector<v1::RunSummary>> runs) {
    if (runs.ok()) *reply->mutable_runs() = {runs->begin(), runs->end()};
    reactor->Finish(ToGrpcStatus(runs.status()));
  });
  return reactor;
}

grpc::ServerUnaryReactor* ControlService::Cancel(grpc::CallbackServerContext* context,
                                                 const v1::CancelRequest* request,
                                                 v1::CancelReply* /*reply*/) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (absl::Status status = check_.Check(*context, Rpc::kCancel); !status.ok()) {
    reactor->Finish(ToGrpcStatus(status));
    return reactor;
  }
  controller_.CancelRun(request->run_id(),
                        [reactor](const absl::Status& status) { reactor->Finish(ToGrpcStatus(status)); });
  return reactor;
}

}  // namespace trunkload

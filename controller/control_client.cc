#include "controller/control_client.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/grpc_status.h"
#include "controller/controller_dial.h"

namespace trunkload {
namespace {

constexpr std::chrono::seconds kCancelTimeout{5};
// A controller that has gone in mid-run is waited for, as long as somebody takes to start it again.
constexpr absl::Duration kComesBack = absl::Minutes(2);
constexpr absl::Duration kBetweenCalls = absl::Seconds(1);

}  // namespace

absl::StatusOr<std::unique_ptr<ControlClient>> ControlClient::Open(const std::string& address,
                                                                   const Transport& transport) {
  std::unique_ptr<ControlClient> client(new ControlClient(address, transport));
  if (absl::Status status = client->Dial(); !status.ok()) return status;
  return client;
}

absl::Status ControlClient::Dial() {
  const absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = DialController(address_, transport_);
  if (!channel.ok()) return channel.status();
  absl::MutexLock lock(&mutex_);
  stub_ = v1::ControlService::NewStub(*channel);
  return absl::OkStatus();
}

std::shared_ptr<v1::ControlService::Stub> ControlClient::stub() {
  absl::MutexLock lock(&mutex_);
  return stub_;
}

ControlClient::Ending ControlClient::Read(grpc::ClientReader<v1::RunUpdate>& updates, RunFollower& follower) {
  Ending ending;
  v1::RunUpdate update;
  while (updates.Read(&update)) {
    ending.heard = true;
    if (update.has_result()) {
      ending.result = std::move(*update.mutable_result());
    } else if (update.has_progress()) {
      {
        absl::MutexLock lock(&mutex_);
        run_id_ = update.progress().run_id();
      }
      follower.OnProgress(update.progress());
    }
  }
  ending.status = FromGrpcStatus(updates.Finish());
  return ending;
}

void ControlClient::Run(const v1::RunRequest& request, RunFollower& follower) {
  Tell(FollowAgain(Read(*stub()->Run(&context_, request), follower), follower), follower);
}

void ControlClient::Follow(const std::string& run_id, RunFollower& follower) {
  v1::FollowRequest request;
  request.set_run_id(run_id);
  Tell(FollowAgain(Read(*stub()->Follow(&context_, request), follower), follower), follower);
}

ControlClient::Ending ControlClient::FollowAgain(Ending last, RunFollower& follower) {
  const absl::Time give_up = absl::Now() + kComesBack;
  while (absl::IsUnavailable(last.status) && last.heard && absl::Now() < give_up) {
    v1::FollowRequest request;
    {
      absl::MutexLock lock(&mutex_);
      if (cancelled_) return last;
      request.set_run_id(run_id_);
    }
    absl::SleepFor(kBetweenCalls);
    // Its certificate, or ours, may be a new one.
    if (absl::Status status = Dial(); !status.ok()) return {.status = std::move(status), .heard = true};
    grpc::ClientContext context;
    Ending next = Read(*stub()->Follow(&context, request), follower);
    if (absl::IsUnavailable(next.status) && !next.heard) continue;
    // It may be killed once more.
    if (absl::IsUnavailable(next.status)) return FollowAgain(std::move(next), follower);
    return next;
  }
  return last;
}

void ControlClient::Tell(Ending ending, RunFollower& follower) {
  if (ending.status.ok() && ending.result) {
    follower.OnRunEnded(*std::move(ending.result));
  } else if (ending.status.ok()) {
    follower.OnRunEnded(
        absl::InternalError(absl::StrCat("the controller at ", address_, " ended the run without a result")));
  } else {
    follower.OnRunEnded(Describe(ending.status, ending.heard));
  }
}

absl::Status ControlClient::Describe(const absl::Status& status, bool heard) const {
  if (heard && absl::IsUnavailable(status)) {
    return absl::UnavailableError(
        absl::StrCat("the controller at ", address_, " was lost in mid-run: ", status.message()));
  }
  return ExplainCall(status, address_, transport_);
}

absl::StatusOr<std::vector<v1::RunSummary>> ControlClient::ListRuns() {
  grpc::ClientContext context;
  v1::ListRunsReply reply;
  const absl::Status status = FromGrpcStatus(stub()->ListRuns(&context, v1::ListRunsRequest(), &reply));
  if (!status.ok()) return Describe(status, /*heard=*/false);
  return std::vector<v1::RunSummary>(reply.runs().begin(), reply.runs().end());
}

absl::Status ControlClient::CancelRun(const std::string& run_id) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCancelTimeout);
  v1::CancelRequest request;
  request.set_run_id(run_id);
  v1::CancelReply reply;
  const absl::Status status = FromGrpcStatus(stub()->Cancel(&context, request, &reply));
  return status.ok() ? status : Describe(status, /*heard=*/false);
}

void ControlClient::Cancel() {
  v1::CancelRequest request;
  {
    absl::MutexLock lock(&mutex_);
    cancelled_ = true;
    request.set_run_id(run_id_);
  }
  grpc::Status status = grpc::Status::CANCELLED;
  if (!request.run_id().empty()) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kCancelTimeout);
    v1::CancelReply reply;
    status = stub()->Cancel(&context, request, &reply);
  }
  // A run that is not there any more has just ended by itself: its result is on the way.
  if (!status.ok() && status.error_code() != grpc::StatusCode::NOT_FOUND) context_.TryCancel();
}

}  // namespace trunkload

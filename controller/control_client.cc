#include "controller/control_client.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/grpc_status.h"
#include "common/message_limits.h"

namespace trunkload {
namespace {

constexpr int kKeepaliveMs = 5'000;
constexpr std::chrono::seconds kCancelTimeout{5};

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // Proxies of the environment are for the web, not for a controller.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

ControlClient::ControlClient(const std::string& address)
    : address_(address), stub_(v1::ControlService::NewStub(MakeChannel(address))) {}

void ControlClient::Run(const v1::RunRequest& request, RunFollower& follower) {
  std::unique_ptr<grpc::ClientReader<v1::RunUpdate>> updates = stub_->Run(&context_, request);
  std::optional<v1::RunResult> result;
  v1::RunUpdate update;
  bool heard = false;
  while (updates->Read(&update)) {
    heard = true;
    if (update.has_result()) {
      result = std::move(*update.mutable_result());
    } else if (update.has_progress()) {
      {
        absl::MutexLock lock(&mutex_);
        run_id_ = update.progress().run_id();
      }
      follower.OnProgress(update.progress());
    }
  }
  const absl::Status status = FromGrpcStatus(updates->Finish());
  if (status.ok() && result) {
    follower.OnRunEnded(*std::move(result));
  } else if (status.ok()) {
    follower.OnRunEnded(
        absl::InternalError(absl::StrCat("the controller at ", address_, " ended the run without a result")));
  } else if (absl::IsUnavailable(status) && !heard) {
    follower.OnRunEnded(absl::UnavailableError(absl::StrCat(
        "no controller answers at ", address_, " (", status.message(),
        "); check the address, and that `trunkload serve` runs there and listens on more than 127.0.0.1")));
  } else if (absl::IsUnavailable(status)) {
    follower.OnRunEnded(absl::UnavailableError(
        absl::StrCat("the controller at ", address_, " was lost in mid-run: ", status.message())));
  } else {
    follower.OnRunEnded(status);
  }
}

void ControlClient::Cancel() {
  v1::CancelRequest request;
  {
    absl::MutexLock lock(&mutex_);
    request.set_run_id(run_id_);
  }
  grpc::Status status = grpc::Status::CANCELLED;
  if (!request.run_id().empty()) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kCancelTimeout);
    v1::CancelReply reply;
    status = stub_->Cancel(&context, request, &reply);
  }
  // A run that is not there any more has just ended by itself: its result is on the way.
  if (!status.ok() && status.error_code() != grpc::StatusCode::NOT_FOUND) context_.TryCancel();
}

}  // namespace trunkload

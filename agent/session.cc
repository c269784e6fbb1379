#include "agent/session.h"

#include <grpcpp/grpcpp.h>

#include <deque>
#include <fstream>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/grpc_status.h"
#include "common/message_limits.h"
#include "common/tls/grpc_credentials.h"
#include "common/tls/tls_folder.h"
#include "common/tls/token_metadata.h"
#include "trunkload/v1/fleet.grpc.pb.h"

namespace trunkload {
namespace {

constexpr int kKeepaliveMs = 10'000;
// A connection that is not there by then is dialled anew.
constexpr int kConnectMs = 2'000;

// gRPC's side of the stream. Its callbacks stamp the time and post to the loop; everything else runs on the
// loop's thread.
class Stream : public grpc::ClientBidiReactor<v1::AgentMessage, v1::ControllerMessage> {
 public:
  // `token`: a join token; empty: none.
  Stream(v1::FleetService::Stub& stub, const SessionParts& parts, std::string token)
      : stub_(stub), parts_(parts), token_(std::move(token)) {
    if (!token_.empty()) context_.AddMetadata(kTokenMetadata, token_);
    stub.async()->Join(&context_, this);
  }

  void Start(v1::Hello hello) {
    parts_.outbox.BeginStream();
    auto message = std::make_shared<v1::AgentMessage>();
    hello.set_unacknowledged(parts_.outbox.size());
    if (std::optional<v1::HeldRun> held = parts_.run.held()) *hello.mutable_held() = *std::move(held);
    *message->mutable_hello() = std::move(hello);
    direct_.push_back(std::move(message));
    StartRead(&incoming_);
    // Reads and writes are started from the loop, when none may be under way: until told otherwise, the call
    // stays.
    AddHold();
    WriteNext();
    StartCall();
  }

  void Cancel(const absl::Status& why) {
    if (left_.ok()) left_ = why;
    context_.TryCancel();
  }

  // To be called whenever there may be something in the outbox.
  void WriteNext() {
    if (closed_ || writing_ != nullptr) return;
    if (!direct_.empty()) {
      writing_ = std::move(direct_.front());
      direct_.pop_front();
    } else if (joined_) {
      // Not before the controller has let the agent in.
      writing_ = parts_.outbox.Next();
    }
    if (writing_ != nullptr) StartWrite(writing_.get());
  }

  const std::optional<absl::Status>& end() const { return end_; }
  bool joined() const { return joined_; }

 private:
  void OnWriteDone(bool ok) override {
    // Where writing failed the stream is about to end.
    if (!ok) return;
    parts_.loop.Post([this] {
      writing_.reset();
      WriteNext();
    });
  }

  void OnReadDone(bool ok) override {
    parts_.loop.Post([this, ok, received = clock_.MonotonicNanos()] {
      if (!ok) return StartNothingMore();
      if (!std::exchange(joined_, true)) parts_.keep_alive.Begin(stub_, token_);
      const absl::Status status = parts_.run.OnMessage(incoming_, received, [this](v1::AgentMessage reply) {
        direct_.push_back(std::make_shared<v1::AgentMessage>(std::move(reply)));
      });
      if (!status.ok()) {
        Cancel(status);
        return StartNothingMore();
      }
      StartRead(&incoming_);
    });
  }

  void OnDone(const grpc::Status& status) override {
    parts_.loop.Post([this, status = FromGrpcStatus(status)] { end_ = left_.ok() ? status : left_; });
  }

  // The last read has ended: gRPC may end the call.
  void StartNothingMore() {
    closed_ = true;
    RemoveHold();
  }

  v1::FleetService::Stub& stub_;
  const SessionParts parts_;
  const std::string token_;
  const SystemClock clock_;
  grpc::ClientContext context_;
  v1::ControllerMessage incoming_;
  // Of this stream alone; they go before what the outbox holds.
  std::deque<std::shared_ptr<const v1::AgentMessage>> direct_;
  std::shared_ptr<const v1::AgentMessage> writing_;
  bool joined_ = false;
  bool closed_ = false;
  absl::Status left_;
  std::optional<absl::Status> end_;
};

absl::StatusOr<std::shared_ptr<grpc::Channel>> Dial(const ControllerPlace& controller) {
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (const Transport& transport = controller.transport; !transport.tls.empty()) {
    const absl::StatusOr<TlsFolder::Material> material = TlsFolder(transport.tls).Read(absl::Now());
    // It may well be put right while we try again.
    if (!material.ok()) return absl::UnavailableError(material.status().message());
    credentials = ControllerCredentials(*material, transport.ServerName(controller.address));
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveMs);
  // However long it has nothing to say: a controller's machine that is gone is noticed by nothing else.
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // Proxies of the environment are for the web, not for a controller.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Each session dials for itself, and waits no longer than this for an answer.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectMs);
  return grpc::CreateCustomChannel(controller.address, credentials, arguments);
}

// Whoever has put it there may put another in its place.
absl::StatusOr<std::string> ReadToken(const ControllerPlace& controller) {
  // In plain text everybody on the way would have it.
  if (controller.transport.tls.empty()) return "";
  if (controller.token_file.empty()) return controller.token;
  std::ifstream file(controller.token_file);
  std::string token;
  if (file >> token) return token;
  return absl::UnavailableError(absl::StrCat("cannot read a join token from ", controller.token_file));
}

}  // namespace

SessionEnd RunSession(const ControllerPlace& controller, const v1::Hello& hello, const SessionParts& parts,
                      absl::AnyInvocable<bool()> may_end) {
  const absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = Dial(controller);
  if (!channel.ok()) return {channel.status()};
  const auto stub = v1::FleetService::NewStub(*channel);
  absl::StatusOr<std::string> token = ReadToken(controller);
  if (!token.ok()) return {token.status()};
  Stream stream(*stub, parts, *std::move(token));
  stream.Start(hello);
  while (!stream.end()) {
    parts.loop.RunOne();
    if (may_end()) stream.Cancel(absl::CancelledError("the agent was told to stop"));
    if (parts.keep_alive.broken()) stream.Cancel(absl::UnavailableError("heartbeats are not answered"));
    stream.WriteNext();
  }
  parts.keep_alive.End();
  return {*stream.end(), stream.joined()};
}

}  // namespace trunkload

#include "agent/session.h"

#include <grpcpp/grpcpp.h>

#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "common/grpc_status.h"
#include "common/message_limits.h"
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
  Stream(v1::FleetService::Stub& stub, const SessionParts& parts) : stub_(stub), parts_(parts) {
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
      if (!std::exchange(joined_, true)) parts_.keep_alive.Begin(stub_);
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

std::shared_ptr<grpc::Channel> Dial(const std::string& controller) {
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
  return grpc::CreateCustomChannel(controller, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

SessionEnd RunSession(const std::string& controller, const v1::Hello& hello, const SessionParts& parts,
                      absl::AnyInvocable<bool()> may_end) {
  const auto stub = v1::FleetService::NewStub(Dial(controller));
  Stream stream(*stub, parts);
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

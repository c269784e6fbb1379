#include "agent/session.h"

#include <grpcpp/grpcpp.h>

#include <deque>
#include <optional>
#include <utility>

#include "agent/reactor_load.h"
#include "agent/run.h"
#include "common/grpc_status.h"
#include "common/message_limits.h"
#include "trunkload/v1/fleet.grpc.pb.h"

namespace trunkload {
namespace {

// Messages that wait for the controller to take them, and their bytes. An interval a second: a controller
// that has taken none for so long is not coming back. Those that hold logs are larger.
constexpr size_t kMostUnsent = 1'000;
constexpr size_t kMostUnsentBytes = 512 << 20;
constexpr int kKeepaliveMs = 10'000;

// gRPC's side of the stream. Its callbacks stamp the time and post to the loop; everything else runs on the
// loop's thread.
class Stream : public grpc::ClientBidiReactor<v1::AgentMessage, v1::ControllerMessage> {
 public:
  Stream(v1::FleetService::Stub& stub, EventLoop& loop, bool allow_shell)
      : loop_(loop),
        run_(
            clock_, [this](v1::AgentMessage message) { Send(std::move(message)); },
            [this](LoadEvents& events) { return std::make_unique<ReactorLoad>(loop_, events); },
            allow_shell) {
    stub.async()->Join(&context_, this);
  }

  void Start(const v1::Hello& hello) {
    v1::AgentMessage message;
    *message.mutable_hello() = hello;
    Send(std::move(message));
    StartRead(&incoming_);
    // Reads and writes are started from the loop, when none may be under way: until told otherwise, the call
    // stays.
    AddHold();
    StartCall();
  }

  void Cancel() {
    run_.OnControllerLost();
    context_.TryCancel();
  }

  const std::optional<absl::Status>& end() const { return end_; }
  bool joined() const { return joined_; }

 private:
  void Send(v1::AgentMessage message) {
    if (closed_) return;
    unsent_bytes_ += message.ByteSizeLong();
    if (unsent_.size() >= kMostUnsent || unsent_bytes_ > kMostUnsentBytes) {
      // The load, which is in the middle of telling something, goes when the stream has ended.
      left_ = absl::ResourceExhaustedError("the controller does not take what this agent measures");
      context_.TryCancel();
      return;
    }
    unsent_.push_back(std::move(message));
    if (unsent_.size() == 1) StartWrite(&unsent_.front());
  }

  void OnWriteDone(bool ok) override {
    // Where writing failed the stream is about to end.
    if (!ok) return;
    loop_.Post([this] {
      unsent_bytes_ -= unsent_.front().ByteSizeLong();
      unsent_.pop_front();
      if (!closed_ && !unsent_.empty()) StartWrite(&unsent_.front());
    });
  }

  void OnReadDone(bool ok) override {
    loop_.Post([this, ok, received = clock_.MonotonicNanos()] {
      if (!ok) return StartNothingMore();
      joined_ = true;
      if (absl::Status status = run_.OnMessage(incoming_, received); !status.ok()) {
        left_ = status;
        Cancel();
        return StartNothingMore();
      }
      StartRead(&incoming_);
    });
  }

  void OnDone(const grpc::Status& status) override {
    loop_.Post([this, status = FromGrpcStatus(status)] {
      run_.OnControllerLost();
      end_ = left_.ok() ? status : left_;
    });
  }

  // The last read has ended: gRPC may end the call.
  void StartNothingMore() {
    closed_ = true;
    RemoveHold();
  }

  EventLoop& loop_;
  const SystemClock clock_;
  grpc::ClientContext context_;
  v1::ControllerMessage incoming_;
  std::deque<v1::AgentMessage> unsent_;  // the first is being written
  size_t unsent_bytes_ = 0;
  Run run_;
  bool joined_ = false;
  bool closed_ = false;
  absl::Status left_;
  std::optional<absl::Status> end_;
};

}  // namespace

SessionEnd RunSession(const SessionOptions& options, EventLoop& loop, const bool& stop) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveMs);
  // However long it has nothing to say: a controller's machine that is gone is noticed by nothing else.
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // Proxies of the environment are for the web, not for a controller.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  const auto stub = v1::FleetService::NewStub(
      grpc::CreateCustomChannel(options.controller, grpc::InsecureChannelCredentials(), arguments));
  Stream stream(*stub, loop, options.allow_shell);
  stream.Start(options.hello);
  bool cancelled = false;
  while (!stream.end()) {
    loop.RunOne();
    if (stop && !std::exchange(cancelled, true)) stream.Cancel();
  }
  return {stop ? absl::OkStatus() : *stream.end(), stream.joined()};
}

}  // namespace trunkload

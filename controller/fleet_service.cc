#include "controller/fleet_service.h"

#include <grpcpp/alarm.h>

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/grpc_status.h"
#include "controller/agent_stream.h"

namespace trunkload {
namespace {

// Messages that may wait for the controller before the stream stops reading, and with it the agent's sending.
constexpr size_t kReadAhead = 16;
// Messages that may wait for the agent. A run needs a dozen; an agent that has left so many untaken is
// stuck, and counts as one that left.
constexpr size_t kWriteLimit = 256;
// A stream whose first message is not there by then is ended.
constexpr std::chrono::seconds kFirstMessage{5};
// How many streams may be waiting for theirs.
constexpr int kMostSilent = 1000;

// An agent never ends its messages before the stream: what looks like it is a message that gRPC could not
// parse, or was larger than it takes, or another program.
absl::Status NoMoreMessages() {
  return absl::InvalidArgumentError("a message could not be read, or there were no more of them");
}

absl::Status SaysNothing() {
  return absl::DeadlineExceededError("nothing was said within 5 s");
}

// gRPC's callbacks come on its own threads and only put events into the controller's queue. gRPC never calls
// back from within a Start... call, so that these are made with the mutex held and stay in order.
class JoinReactor final : public AgentStream,
                          public grpc::ServerBidiReactor<v1::AgentMessage, v1::ControllerMessage> {
 public:
  // `token`: the join token that let it in, if one did. `silent`: how many streams have not said anything
  // yet, this one included.
  JoinReactor(grpc::CallbackServerContext& context, const FleetService::Parts& parts,
              std::optional<std::string> token, std::atomic<int>& silent)
      : context_(context),
        clock_(parts.clock),
        controller_(parts.controller),
        desk_(parts.desk),
        token_(std::move(token)),
        silent_(silent) {}

  // gRPC keeps this alive until OnDone, whoever else lets go of it.
  void Begin(std::shared_ptr<JoinReactor> self) {
    self_ = std::move(self);
    id_ = controller_.AddStream(self_);
    // The alarm keeps what it calls for as long as it is there itself.
    patience_.Set(std::chrono::system_clock::now() + kFirstMessage,
                  [weak = std::weak_ptr<JoinReactor>(self_)](bool over) {
                    if (const auto self = weak.lock(); over && self) self->OnPatienceOver();
                  });
    absl::MutexLock lock(&mutex_);
    StartReading();
  }

  void Send(const v1::ControllerMessage& message) override {
    absl::MutexLock lock(&mutex_);
    if (closing_) return;
    if (writes_.size() >= kWriteLimit) {
      Leave(absl::ResourceExhaustedError("the agent did not take its messages"));
      context_.TryCancel();
      return;
    }
    writes_.push_back(message);
    WriteNext();
  }

  void Close(const absl::Status& why) override {
    absl::MutexLock lock(&mutex_);
    CloseWith(why);
  }

  void OnMessageTaken() override {
    absl::MutexLock lock(&mutex_);
    --waiting_;
    StartReading();
  }

  void OnReadDone(bool ok) override {
    const int64_t received_ns = clock_.MonotonicNanos();
    absl::MutexLock lock(&mutex_);
    reading_ = false;
    if (!ok) {
      Leave(NoMoreMessages());
      return;
    }
    const bool first = Hear();
    if (!token_) return Forward(std::move(incoming_), received_ns);
    if (first) return Admit(received_ns);
    if (const absl::Status status = desk_.CheckMember(*token_, instance_); !status.ok()) return Leave(status);
    Forward(std::move(incoming_), received_ns);
  }

  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    writes_.pop_front();
    if (!ok) writes_.clear();
    WriteNext();
  }

  // The stream broke. Reading may be paused, so that no OnReadDone would tell.
  void OnCancel() override {
    absl::MutexLock lock(&mutex_);
    Leave(absl::CancelledError("the stream broke"));
  }

  void OnDone() override {
    {
      absl::MutexLock lock(&mutex_);
      Hear();
    }
    self_.reset();
  }

 private:
  // Nothing more has to be waited for. Whether that is new.
  bool Hear() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (std::exchange(heard_, true)) return false;
    --silent_;
    patience_.Cancel();
    return true;
  }

  void OnPatienceOver() {
    absl::MutexLock lock(&mutex_);
    if (!heard_) Leave(SaysNothing());
  }

  void Forward(v1::AgentMessage message, int64_t received_ns) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    ++waiting_;
    controller_.OnAgentMessage(id_, std::move(message), received_ns);
    StartReading();
  }

  // The token lets in the agent that says who it is. Nothing more is read until that is written down.
  void Admit(int64_t received_ns) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!incoming_.has_hello())
      return Leave(absl::FailedPreconditionError("the first message of an agent must be Hello"));
    instance_ = incoming_.hello().instance();
    auto hello = std::make_shared<v1::AgentMessage>(std::move(incoming_));
    desk_.Admit(*token_, instance_, [self = self_, hello, received_ns](const absl::Status& status) {
      absl::MutexLock lock(&self->mutex_);
      if (self->closing_) return;
      if (!status.ok()) return self->Leave(status);
      self->Forward(std::move(*hello), received_ns);
    });
  }

  void StartReading() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (reading_ || closing_ || waiting_ >= kReadAhead) return;
    reading_ = true;
    incoming_.Clear();
    StartRead(&incoming_);
  }

  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || finished_) return;
    if (!writes_.empty()) {
      writing_ = true;
      StartWrite(&writes_.front());
    } else if (closing_) {
      finished_ = true;
      Finish(ToGrpcStatus(why_));
    }
  }

  void CloseWith(const absl::Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (closing_) return;
    closing_ = true;
    why_ = why;
    WriteNext();
  }

  void Leave(const absl::Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!left_) controller_.OnStreamEnded(id_);
    left_ = true;
    CloseWith(why);
  }

  grpc::CallbackServerContext& context_;
  const Clock& clock_;
  ControllerThread& controller_;
  TokenDesk& desk_;
  const std::optional<std::string> token_;
  std::atomic<int>& silent_;
  StreamId id_ = 0;
  std::shared_ptr<JoinReactor> self_;
  grpc::Alarm patience_;

  absl::Mutex mutex_;
  v1::AgentMessage incoming_ ABSL_GUARDED_BY(mutex_);
  // The first is being written while writing_.
  std::deque<v1::ControllerMessage> writes_ ABSL_GUARDED_BY(mutex_);
  absl::Status why_ ABSL_GUARDED_BY(mutex_);
  uint64_t instance_ ABSL_GUARDED_BY(mutex_) = 0;
  bool heard_ ABSL_GUARDED_BY(mutex_) = false;
  size_t waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  bool left_ ABSL_GUARDED_BY(mutex_) = false;
};

// Answers each heartbeat at once, on gRPC's thread. Reads and writes take turns.
class KeepAliveReactor final : public grpc::ServerBidiReactor<v1::Heartbeat, v1::HeartbeatReply> {
 public:
  KeepAliveReactor(const FleetService::Parts& parts, std::optional<std::string> token)
      : clock_(parts.clock), controller_(parts.controller), desk_(parts.desk), token_(std::move(token)) {}

  void Begin(std::shared_ptr<KeepAliveReactor> self) {
    self_ = std::move(self);
    patience_.Set(std::chrono::system_clock::now() + kFirstMessage,
                  [weak = std::weak_ptr<KeepAliveReactor>(self_)](bool over) {
                    if (const auto self = weak.lock(); over && self) self->OnPatienceOver();
                  });
    StartRead(&heartbeat_);
  }

  void OnReadDone(bool ok) override {
    patience_.Cancel();
    absl::MutexLock lock(&mutex_);
    if (ended_) return;
    if (!ok) return End(ToGrpcStatus(NoMoreMessages()));
    silent_ = false;
    if (token_) {
      const absl::Status status = desk_.CheckMember(*token_, heartbeat_.instance());
      if (!status.ok()) return End(ToGrpcStatus(status));
    }
    if (!controller_.OnHeartbeat(heartbeat_.instance(), clock_.MonotonicNanos())) {
      return End({grpc::StatusCode::NOT_FOUND, "no such agent has joined: join anew"});
    }
    reply_.set_number(heartbeat_.number());
    StartWrite(&reply_);
  }

  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    if (!ok) return End(grpc::Status::OK);
    heartbeat_.Clear();
    StartRead(&heartbeat_);
  }

  void OnDone() override {
    patience_.Cancel();
    self_.reset();
  }

 private:
  void OnPatienceOver() {
    absl::MutexLock lock(&mutex_);
    if (silent_) End(ToGrpcStatus(SaysNothing()));
  }

  void End(const grpc::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!std::exchange(ended_, true)) Finish(status);
  }

  const Clock& clock_;
  ControllerThread& controller_;
  TokenDesk& desk_;
  const std::optional<std::string> token_;
  std::shared_ptr<KeepAliveReactor> self_;
  grpc::Alarm patience_;
  absl::Mutex mutex_;
  bool silent_ ABSL_GUARDED_BY(mutex_) = true;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  v1::Heartbeat heartbeat_;
  v1::HeartbeatReply reply_;
};

template <typename Request, typename Reply>
class RefusedStream final : public grpc::ServerBidiReactor<Request, Reply> {
 public:
  explicit RefusedStream(const absl::Status& why) { this->Finish(ToGrpcStatus(why)); }
  void OnDone() override { delete this; }
};

}  // namespace

grpc::ServerBidiReactor<v1::Heartbeat, v1::HeartbeatReply>* FleetService::KeepAlive(
    grpc::CallbackServerContext* context) {
  absl::StatusOr<std::optional<std::string>> token = parts_.check.CheckAgent(*context, Rpc::kKeepAlive);
  if (!token.ok()) return new RefusedStream<v1::Heartbeat, v1::HeartbeatReply>(token.status());
  auto reactor = std::make_shared<KeepAliveReactor>(parts_, *std::move(token));
  reactor->Begin(reactor);
  return reactor.get();
}

grpc::ServerBidiReactor<v1::AgentMessage, v1::ControllerMessage>* FleetService::Join(
    grpc::CallbackServerContext* context) {
  using Refused = RefusedStream<v1::AgentMessage, v1::ControllerMessage>;
  absl::StatusOr<std::optional<std::string>> token = parts_.check.CheckAgent(*context, Rpc::kJoin);
  if (!token.ok()) return new Refused(token.status());
  if (++silent_ > kMostSilent) {
    --silent_;
    return new Refused(
        absl::ResourceExhaustedError("too many agents are about to say who they are: try again"));
  }
  auto reactor = std::make_shared<JoinReactor>(*context, parts_, *std::move(token), silent_);
  reactor->Begin(reactor);
  return reactor.get();
}

}  // namespace trunkload

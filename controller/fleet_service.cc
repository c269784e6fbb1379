#include "controller/fleet_service.h"

#include <cstddef>
#include <deque>
#include <memory>
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

// An agent never ends its messages before the stream: what looks like it is a message that gRPC could not
// parse, or was larger than it takes, or another program.
absl::Status NoMoreMessages() {
  return absl::InvalidArgumentError("a message could not be read, or there were no more of them");
}

// gRPC's callbacks come on its own threads and only put events into the controller's queue. gRPC never calls
// back from within a Start... call, so that these are made with the mutex held and stay in order.
class JoinReactor final : public AgentStream,
                          public grpc::ServerBidiReactor<v1::AgentMessage, v1::ControllerMessage> {
 public:
  JoinReactor(grpc::CallbackServerContext& context, const Clock& clock, ControllerThread& controller)
      : context_(context), clock_(clock), controller_(controller) {}

  // gRPC keeps this alive until OnDone, whoever else lets go of it.
  void Begin(std::shared_ptr<JoinReactor> self) {
    self_ = std::move(self);
    id_ = controller_.AddStream(self_);
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
    ++waiting_;
    controller_.OnAgentMessage(id_, std::move(incoming_), received_ns);
    StartReading();
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

  void OnDone() override { self_.reset(); }

 private:
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
  StreamId id_ = 0;
  std::shared_ptr<JoinReactor> self_;

  absl::Mutex mutex_;
  v1::AgentMessage incoming_ ABSL_GUARDED_BY(mutex_);
  // The first is being written while writing_.
  std::deque<v1::ControllerMessage> writes_ ABSL_GUARDED_BY(mutex_);
  absl::Status why_ ABSL_GUARDED_BY(mutex_);
  size_t waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  bool left_ ABSL_GUARDED_BY(mutex_) = false;
};

// Answers each heartbeat at once, on gRPC's thread. Reads and writes take turns, so that nothing is shared.
class KeepAliveReactor final : public grpc::ServerBidiReactor<v1::Heartbeat, v1::HeartbeatReply> {
 public:
  KeepAliveReactor(const Clock& clock, ControllerThread& controller)
      : clock_(clock), controller_(controller) {
    StartRead(&heartbeat_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) return Finish(ToGrpcStatus(NoMoreMessages()));
    if (!controller_.OnHeartbeat(heartbeat_.instance(), clock_.MonotonicNanos())) {
      return Finish({grpc::StatusCode::NOT_FOUND, "no such agent has joined: join anew"});
    }
    reply_.set_number(heartbeat_.number());
    StartWrite(&reply_);
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    heartbeat_.Clear();
    StartRead(&heartbeat_);
  }

  void OnDone() override { delete this; }

 private:
  const Clock& clock_;
  ControllerThread& controller_;
  v1::Heartbeat heartbeat_;
  v1::HeartbeatReply reply_;
};

}  // namespace

grpc::ServerBidiReactor<v1::Heartbeat, v1::HeartbeatReply>* FleetService::KeepAlive(
    grpc::CallbackServerContext* /*context*/) {
  return new KeepAliveReactor(clock_, controller_);
}

grpc::ServerBidiReactor<v1::AgentMessage, v1::ControllerMessage>* FleetService::Join(
    grpc::CallbackServerContext* context) {
  auto reactor = std::make_shared<JoinReactor>(*context, clock_, controller_);
  reactor->Begin(reactor);
  return reactor.get();
}

}  // namespace trunkload

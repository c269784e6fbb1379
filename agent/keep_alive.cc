#include "agent/keep_alive.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <utility>

#include "common/tls/token_metadata.h"

namespace trunkload {
namespace {

constexpr int64_t kBeatNanos = 1'000'000'000;
constexpr std::chrono::milliseconds kTick{100};
// TCP tries a segment that was lost again ever more seldom: a new connection is through sooner once the
// network is back.
constexpr int64_t kUnansweredNanos = 3'000'000'000;

}  // namespace

// All fields are guarded by the mutex of the KeepAlive. gRPC never calls back from within a Start... call.
class KeepAlive::Stream : public grpc::ClientBidiReactor<v1::Heartbeat, v1::HeartbeatReply> {
 public:
  Stream(KeepAlive& of, v1::FleetService::Stub& stub, const std::string& token) : of_(of) {
    if (!token.empty()) context_.AddMetadata(kTokenMetadata, token);
    stub.async()->KeepAlive(&context_, this);
    StartRead(&reply_);
    // Heartbeats are written whenever they are due: until told otherwise, the call stays.
    AddHold();
    StartCall();
  }

  bool may_write() const { return !closing_ && !writing_; }
  bool closing() const { return closing_; }
  bool done() const { return done_; }
  void Write(uint64_t instance, uint64_t number) {
    writing_ = true;
    heartbeat_.set_instance(instance);
    heartbeat_.set_number(number);
    StartWrite(&heartbeat_);
  }
  void Cancel() { context_.TryCancel(); }

  void OnWriteDone(bool /*ok*/) override {
    const std::lock_guard lock(of_.mutex_);
    writing_ = false;
  }

  void OnReadDone(bool ok) override {
    const std::lock_guard lock(of_.mutex_);
    if (ok) {
      of_.lease_.OnAnswered(reply_.number());
      of_.unanswered_since_ns_ = of_.clock_.MonotonicNanos();
      StartRead(&reply_);
      return;
    }
    closing_ = true;
    RemoveHold();
  }

  void OnDone(const grpc::Status& /*status*/) override {
    const std::lock_guard lock(of_.mutex_);
    done_ = true;
    // With the mutex held: whoever waits may destroy this as soon as it is released.
    of_.changed_.notify_all();
  }

 private:
  KeepAlive& of_;
  grpc::ClientContext context_;
  v1::Heartbeat heartbeat_;
  v1::HeartbeatReply reply_;
  bool writing_ = false;
  bool closing_ = false;
  bool done_ = false;
};

KeepAlive::KeepAlive(uint64_t instance, absl::AnyInvocable<void()> on_tick)
    : instance_(instance), on_tick_(std::move(on_tick)), thread_([this] { Beat(); }) {}

KeepAlive::~KeepAlive() {
  End();
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void KeepAlive::Begin(v1::FleetService::Stub& stub, const std::string& token) {
  const std::lock_guard lock(mutex_);
  if (stream_) return;
  unanswered_since_ns_ = clock_.MonotonicNanos();
  last_beat_ns_ = 0;
  stream_ = std::make_unique<Stream>(*this, stub, token);
  changed_.notify_all();
}

void KeepAlive::End() {
  std::unique_lock lock(mutex_);
  if (!stream_) return;
  stream_->Cancel();
  changed_.wait(lock, [this] { return stream_->done(); });
  stream_.reset();
  lease_.OnStreamEnded();
}

int64_t KeepAlive::confirmed_ns() {
  const std::lock_guard lock(mutex_);
  return lease_.confirmed_ns();
}

bool KeepAlive::broken() {
  const std::lock_guard lock(mutex_);
  return stream_ &&
         (stream_->closing() ||
          (lease_.unanswered() > 0 && clock_.MonotonicNanos() - unanswered_since_ns_ > kUnansweredNanos));
}

void KeepAlive::Beat() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const int64_t now = clock_.MonotonicNanos();
    if (stream_ && stream_->may_write() && now - last_beat_ns_ >= kBeatNanos) {
      if (lease_.unanswered() == 0) unanswered_since_ns_ = now;
      last_beat_ns_ = now;
      stream_->Write(instance_, lease_.OnSent(now));
    }
    lock.unlock();
    on_tick_();
    lock.lock();
    changed_.wait_for(lock, kTick);
  }
}

}  // namespace trunkload

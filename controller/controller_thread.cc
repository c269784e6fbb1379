#include "controller/controller_thread.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace trunkload {

ControllerThread::ControllerThread(const Clock& clock)
    : clock_(clock), wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), controller_(clock, *this) {
  thread_ = std::thread([this] { Drive(); });
}

ControllerThread::~ControllerThread() {
  Post([this] { quit_ = true; });
  thread_.join();
  preparations_.clear();
  close(wake_fd_);
}

StreamId ControllerThread::AddStream(std::shared_ptr<AgentStream> stream) {
  StreamId id;
  {
    absl::MutexLock lock(&mutex_);
    id = ++last_stream_;
  }
  Post([this, id, stream = std::move(stream)]() mutable {
    if (stopping_) {
      stream->Close(absl::UnavailableError("the controller is stopping"));
      return;
    }
    streams_[id] = std::move(stream);
    controller_.OnStreamOpened(id);
  });
  return id;
}

void ControllerThread::OnAgentMessage(StreamId stream, v1::AgentMessage message, int64_t received_ns) {
  Post([this, stream, message = std::move(message), received_ns] {
    auto found = streams_.find(stream);
    if (found == streams_.end()) return;
    // The controller may disconnect the agent over this message.
    std::shared_ptr<AgentStream> from = found->second;
    controller_.OnAgentMessage(stream, message, received_ns);
    from->OnMessageTaken();
  });
}

void ControllerThread::OnStreamEnded(StreamId stream) {
  Post([this, stream] {
    if (streams_.erase(stream) > 0) controller_.OnStreamEnded(stream);
  });
}

void ControllerThread::StartRun(v1::Plan plan, Controller::RunOptions options,
                                std::shared_ptr<RunFollower> follower) {
  Post([this, plan = std::move(plan), options, follower = std::move(follower)]() mutable {
    if (stopping_) {
      follower->OnRunEnded(absl::UnavailableError("the controller is stopping"));
      return;
    }
    if (follower_) {
      follower->OnRunEnded(absl::ResourceExhaustedError(absl::StrCat(
          "the controller is busy with run ", run_id_, ": try again when that has ended, or cancel it")));
      return;
    }
    // Before StartRun, which may report progress at once.
    follower_ = std::move(follower);
    absl::StatusOr<std::string> id = controller_.StartRun(std::move(plan), options);
    if (!id.ok()) {
      std::exchange(follower_, nullptr)->OnRunEnded(id.status());
    } else if (follower_) {
      run_id_ = *std::move(id);
    }
  });
}

void ControllerThread::CancelRun(const RunFollower* follower) {
  Post([this, follower] {
    if (follower_.get() == follower) controller_.CancelRun();
  });
}

void ControllerThread::CancelRun(std::string run_id, absl::AnyInvocable<void(const absl::Status&)> done) {
  Post([this, run_id = std::move(run_id), done = std::move(done)]() mutable {
    if (!follower_ || run_id != run_id_) {
      done(absl::NotFoundError(absl::StrCat("no run ", run_id, " is under way")));
      return;
    }
    controller_.CancelRun();
    done(absl::OkStatus());
  });
}

void ControllerThread::Stop() {
  Post([this] {
    stopping_ = true;
    if (follower_) controller_.CancelRun();
    CloseStreamsWhenIdle();
  });
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&stopped_));
}

void ControllerThread::CloseStreamsWhenIdle() {
  if (!stopping_ || follower_) return;
  for (auto& [id, stream] : std::exchange(streams_, {})) {
    stream->Close(absl::UnavailableError("the controller has stopped"));
    controller_.OnStreamEnded(id);
  }
  absl::MutexLock lock(&mutex_);
  stopped_ = true;
}

void ControllerThread::Post(Event event) {
  bool was_empty;
  {
    absl::MutexLock lock(&mutex_);
    was_empty = events_.empty();
    events_.push_back(std::move(event));
  }
  if (was_empty) eventfd_write(wake_fd_, 1);
}

std::deque<ControllerThread::Event> ControllerThread::WaitForEvents() {
  // poll() measures its time-out by the monotonic clock, so that a jump of the wall clock delays no tick.
  int timeout_ms = -1;
  if (const int64_t next = controller_.NextTickNanos(); next != std::numeric_limits<int64_t>::max()) {
    const int64_t left_ns = std::max<int64_t>(0, next - clock_.MonotonicNanos());
    timeout_ms = static_cast<int>(std::min<int64_t>((left_ns + 999'999) / 1'000'000, 60'000));
  }
  pollfd waiting{wake_fd_, POLLIN, 0};
  poll(&waiting, 1, timeout_ms);
  eventfd_t value;
  eventfd_read(wake_fd_, &value);
  absl::MutexLock lock(&mutex_);
  return std::exchange(events_, {});
}

void ControllerThread::Drive() {
  while (!quit_) {
    for (Event& event : WaitForEvents()) {
      event();
      // Many waiting events must not hold back what is due by the clock.
      TickIfDue();
    }
    TickIfDue();
    CloseStreamsWhenIdle();
  }
}

void ControllerThread::TickIfDue() {
  // Asked for first: it may be the very moment of asking.
  const int64_t due_ns = controller_.NextTickNanos();
  if (clock_.MonotonicNanos() >= due_ns) controller_.OnTick();
}

void ControllerThread::Send(StreamId to, const v1::ControllerMessage& message) {
  if (auto stream = streams_.find(to); stream != streams_.end()) stream->second->Send(message);
}

void ControllerThread::Disconnect(StreamId stream, const absl::Status& why) {
  auto found = streams_.find(stream);
  if (found == streams_.end()) return;
  found->second->Close(why);
  streams_.erase(found);
}

void ControllerThread::Save(RunSnapshot /*snapshot*/) {
  Post([this] { controller_.OnSaved(absl::OkStatus()); });
}

void ControllerThread::PrepareTarget(const v1::Plan& plan) {
  Prepare(plan, TargetPreparation::Part::kBeforeLoad);
}

void ControllerThread::FinishTarget(const v1::Plan& plan, bool smoothly) {
  using Part = TargetPreparation::Part;
  Prepare(plan, smoothly ? Part::kAfterSmoothLoad : Part::kAfterLoad);
}

void ControllerThread::Prepare(const v1::Plan& plan, TargetPreparation::Part part) {
  const uint64_t number = ++last_preparation_;
  current_preparation_ = number;
  auto on_task = [this, number](const std::string& name) {
    Post([this, number, name] {
      if (current_preparation_ == number) controller_.OnTargetTask(name);
    });
  };
  auto done = [this, number](absl::StatusOr<v1::ServerInfo> info) {
    Post([this, number, info = std::move(info)]() mutable {
      preparations_.erase(number);
      if (current_preparation_ != number) return;
      current_preparation_ = 0;
      controller_.OnTargetPrepared(std::move(info));
    });
  };
  preparations_[number] =
      std::make_unique<TargetPreparation>(plan, part, std::move(on_task), std::move(done));
}

void ControllerThread::CancelPrepareTarget() {
  // What was given up may take a moment to end, and is dropped when it has.
  auto current = preparations_.find(std::exchange(current_preparation_, 0));
  if (current != preparations_.end()) current->second->Cancel();
}

void ControllerThread::OnProgress(const v1::Progress& progress) {
  if (follower_) follower_->OnProgress(progress);
}

void ControllerThread::OnTransactions(uint32_t agent, int64_t phase_start_us, const v1::TransactionLog& log) {
  if (follower_) follower_->OnTransactions(agent, phase_start_us, log);
}

void ControllerThread::OnRunEnded(absl::StatusOr<v1::RunResult> result) {
  run_id_.clear();
  if (auto follower = std::exchange(follower_, nullptr)) follower->OnRunEnded(std::move(result));
}

}  // namespace trunkload

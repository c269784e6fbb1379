#include "controller/controller_thread.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controller/run_outcome.h"

namespace trunkload {

namespace {

std::string BootId() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  file >> id;
  return id;
}

}  // namespace

ControllerThread::ControllerThread(const Clock& clock, std::unique_ptr<RunStore> store, bool allow_commands)
    : clock_(clock),
      allow_commands_(allow_commands),
      wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      keeper_(std::move(store)),
      controller_(clock, *this, BootId()) {
  thread_ = std::thread([this] { Drive(); });
}

ControllerThread::~ControllerThread() {
  Post([this] { quit_ = true; });
  thread_.join();
  preparations_.clear();
  settlement_.reset();
  injector_.reset();
  observer_.reset();
  if (ending_.joinable()) ending_.join();
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
    if (busy()) {
      follower->OnRunEnded(
          absl::ResourceExhaustedError(absl::StrCat("the controller is busy with run ", run_.run_id(),
                                                    ": try again when that has ended, or cancel it")));
      return;
    }
    if (absl::Status status = CheckCommands(plan); !status.ok()) {
      follower->OnRunEnded(std::move(status));
      return;
    }
    run_.set_plan(plan.name());
    run_.set_started_at(
        absl::FormatTime(absl::RFC3339_sec, absl::FromUnixNanos(clock_.WallNanos()), absl::UTCTimeZone()));
    // Before StartRun, which may report progress at once.
    follower_ = std::move(follower);
    absl::StatusOr<std::string> id = controller_.StartRun(std::move(plan), options);
    if (!id.ok()) {
      std::exchange(follower_, nullptr)->OnRunEnded(id.status());
    } else {
      run_.set_run_id(*std::move(id));
    }
  });
}

absl::Status ControllerThread::CheckCommands(const v1::Plan& plan) const {
  const bool any = std::any_of(plan.faults().begin(), plan.faults().end(),
                               [](const v1::Fault& fault) { return fault.has_command(); });
  if (allow_commands_ || !any) return absl::OkStatus();
  return absl::PermissionDeniedError(
      "the plan has a fault that runs a command on the controller's machine: start `trunkload run` or "
      "`trunkload "
      "serve` there with --allow-commands, if you trust the plan");
}

void ControllerThread::ResumeRun(RunSnapshot snapshot, RunKeeper::Done done) {
  Post([this, snapshot = std::move(snapshot), done = std::move(done)]() mutable {
    run_.set_plan(snapshot.run.plan().name());
    run_.set_started_at(absl::FormatTime(absl::RFC3339_sec, absl::FromUnixNanos(snapshot.run.began_wall_ns()),
                                         absl::UTCTimeZone()));
    absl::StatusOr<std::string> id = controller_.ResumeRun(std::move(snapshot));
    if (id.ok()) run_.set_run_id(*id);
    done(id.status());
  });
}

void ControllerThread::FollowRun(std::string run_id, std::shared_ptr<RunFollower> follower) {
  Post([this, run_id = std::move(run_id), follower = std::move(follower)]() mutable {
    if (busy() && (run_id.empty() || run_id == run_.run_id())) {
      more_followers_.push_back(std::move(follower));
    } else if (run_id.empty()) {
      follower->OnRunEnded(absl::NotFoundError("no run is under way"));
    } else {
      keeper_.Result(std::move(run_id),
                     [follower = std::move(follower)](absl::StatusOr<v1::RunResult> result) {
                       follower->OnRunEnded(std::move(result));
                     });
    }
  });
}

void ControllerThread::StopFollowing(const RunFollower* follower) {
  Post([this, follower] {
    std::erase_if(more_followers_, [follower](const auto& other) { return other.get() == follower; });
  });
}

void ControllerThread::Look(absl::AnyInvocable<void(ControllerStatus)> answer) {
  Post([this, answer = std::move(answer)]() mutable { answer(Status()); });
}

ControllerStatus ControllerThread::Status() {
  ControllerStatus status{.agents = controller_.agents(),
                          .run = run_,
                          .progress = progress_,
                          .newest = std::nullopt,
                          .counts = counted_,
                          .runs_ended = runs_ended_};
  if (const ActiveRun* const run = controller_.run(); run != nullptr) {
    seen_ = run->counts();
    status.newest = run->newest_second();
  }
  status.counts += seen_;
  return status;
}

void ControllerThread::OnAgentDied(std::string name) {
  Post([this, name = std::move(name)] { controller_.OnAgentDied(name); });
}

void ControllerThread::CancelRun(const RunFollower* follower) {
  Post([this, follower] {
    if (follower_.get() == follower) controller_.CancelRun();
  });
}

void ControllerThread::CancelRun(std::string run_id, absl::AnyInvocable<void(const absl::Status&)> done) {
  Post([this, run_id = std::move(run_id), done = std::move(done)]() mutable {
    if (run_id.empty() ? !busy() : run_id != run_.run_id()) {
      done(absl::NotFoundError(run_id.empty() ? "no run is under way"
                                              : absl::StrCat("no run ", run_id, " is under way")));
      return;
    }
    controller_.CancelRun();
    done(absl::OkStatus());
  });
}

void ControllerThread::Stop() {
  Post([this] {
    stopping_ = true;
    controller_.CancelRun();
    CloseStreamsWhenIdle();
  });
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&stopped_));
}

void ControllerThread::CloseStreamsWhenIdle() {
  if (!stopping_ || busy()) return;
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

void ControllerThread::Save(RunSnapshot snapshot) {
  keeper_.Save(std::move(snapshot),
               [this](const absl::Status& status) { Post([this, status] { controller_.OnSaved(status); }); });
}

void ControllerThread::PrepareTarget(const v1::Plan& plan, const std::string& run_id) {
  Prepare(plan, run_id, TargetPreparation::Part::kBeforeLoad);
}

void ControllerThread::FinishTarget(const v1::Plan& plan, bool smoothly) {
  using Part = TargetPreparation::Part;
  Prepare(plan, /*run_id=*/"", smoothly ? Part::kAfterSmoothLoad : Part::kAfterLoad);
}

void ControllerThread::Prepare(const v1::Plan& plan, const std::string& run_id,
                               TargetPreparation::Part part) {
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
      std::make_unique<TargetPreparation>(plan, run_id, part, std::move(on_task), std::move(done));
}

void ControllerThread::CancelPrepareTarget() {
  // What was given up may take a moment to end, and is dropped when it has.
  auto current = preparations_.find(std::exchange(current_preparation_, 0));
  if (current != preparations_.end()) current->second->Cancel();
}

void ControllerThread::StartObserving(const v1::Plan& plan) {
  StopObserving();
  const uint64_t number = ++last_observer_;
  observer_ = std::make_unique<Observer>(plan, [this, number](v1::Observed observed) {
    Post([this, number, observed = std::move(observed)]() mutable {
      if (observer_ && last_observer_ == number) controller_.OnObserved(std::move(observed));
    });
  });
}

void ControllerThread::ReadDatabase(bool tracked) {
  if (observer_) observer_->Read(tracked);
}

void ControllerThread::ReadDatabaseLast(const std::vector<int64_t>& keys) {
  if (observer_) observer_->ReadLast(keys);
}

void ControllerThread::StopObserving() {
  if (!observer_) return;
  // A server that does not answer may hold it up for a moment.
  observer_->Cancel();
  if (ending_.joinable()) ending_.join();
  ending_ = std::thread([ending = std::move(observer_)]() mutable { ending.reset(); });
}

void ControllerThread::SettleChecks(const v1::Plan& plan, const std::string& run_id,
                                    const OperationRecord& operations) {
  const uint64_t number = ++last_settlement_;
  current_settlement_ = number;
  auto done = [this, number](absl::StatusOr<std::vector<v1::CheckResult>> results) {
    Post([this, number, results = std::move(results)]() mutable {
      if (current_settlement_ != number) return;
      current_settlement_ = 0;
      if (results.ok()) controller_.OnChecksSettled(*std::move(results));
    });
  };
  settlement_ = std::make_unique<Settlement>(SettlementJob{plan, run_id, operations}, std::move(done));
}

void ControllerThread::CancelSettling() {
  current_settlement_ = 0;
  if (settlement_) settlement_->Cancel();
}

void ControllerThread::KeepCheckRecord(const std::string& run_id, v1::CheckRecord record) {
  keeper_.PutCheckRecord(run_id, std::move(record));
}

void ControllerThread::PrepareFaults(const v1::Plan& plan, const std::string& run_id) {
  const uint64_t number = ++last_injector_;
  injector_ = std::make_unique<FaultInjector>(
      plan, FaultInjector::Options{.run_id = run_id, .allow_commands = allow_commands_},
      [this, number](FaultInjector::Event event) {
        Post([this, number, event = std::move(event)] {
          if (!injector_ || last_injector_ != number) return;
          if (event.ended) {
            controller_.OnFaultEnded(event.fault, event.failure);
          } else {
            controller_.OnFaultBegan(event.fault);
          }
        });
      });
}

void ControllerThread::BeginFault(int fault) {
  injector_->Begin(fault);
}

void ControllerThread::EndFaults() {
  injector_->EndAll();
}

void ControllerThread::OnProgress(const v1::Progress& progress) {
  progress_ = progress;
  if (follower_) follower_->OnProgress(progress);
  for (const auto& follower : more_followers_) follower->OnProgress(progress);
}

void ControllerThread::OnTransactions(uint32_t agent, int64_t phase_start_us, const v1::TransactionLog& log) {
  if (follower_) follower_->OnTransactions(agent, phase_start_us, log);
}

void ControllerThread::OnRunEnded(absl::StatusOr<v1::RunResult> result) {
  injector_.reset();
  if (result.ok()) {
    seen_ = LoadCounts();
    for (const v1::PhaseResult& phase : result->phases()) counted_ += LoadCounts::Of(phase);
  }
  counted_ += std::exchange(seen_, LoadCounts());
  ++runs_ended_[RunOutcome(result)];
  // Whoever is told that it has ended finds it in the store.
  absl::StatusOr<v1::RunResult> kept = result;
  keeper_.Finish(
      std::move(kept), run_, [this, result = std::move(result)](const absl::Status& status) mutable {
        Post([this, status, result = std::move(result)]() mutable {
          if (!status.ok() && result.ok()) {
            result->mutable_verdict()->add_notes(absl::StrCat("this result is not kept: ", status.message()));
          }
          EndRun(result);
        });
      });
}

void ControllerThread::EndRun(const absl::StatusOr<v1::RunResult>& result) {
  run_.Clear();
  progress_.Clear();
  if (const auto follower = std::exchange(follower_, nullptr)) follower->OnRunEnded(result);
  for (const auto& follower : std::exchange(more_followers_, {})) follower->OnRunEnded(result);
}

}  // namespace trunkload

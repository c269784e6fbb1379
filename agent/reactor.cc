#include "agent/reactor.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "common/duration.h"

namespace trunkload {
namespace {

constexpr int kEventsAtOnce = 256;
// Tells the draws of what is logged from all others of the same seed.
constexpr uint64_t kLogStream = 0x6c6f6773;

bool BelongsToPhase(const Timer& timer) {
  switch (timer.kind) {
    case TimerKind::kWake:  // its transaction goes on in the drain
    case TimerKind::kReconnect:
    case TimerKind::kConnectTimeout:
    case TimerKind::kAcquireTimeout:
      return false;
    default:
      return true;
  }
}

}  // namespace

Reactor::Reactor(const v1::Assignment& assignment, const std::vector<const v1::ApplicationServer*>& servers,
                 std::span<const uint64_t> client_seeds, const std::atomic<int64_t>& lease_ends_ns,
                 ReactorCallbacks callbacks)
    : assignment_(assignment),
      lease_ends_ns_(lease_ends_ns),
      callbacks_(std::move(callbacks)),
      epoll_fd_(epoll_create1(EPOLL_CLOEXEC)),
      wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      timer_fd_(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)),
      scripts_(assignment),
      recorder_(scripts_.measured_commands()),
      client_parts_{scripts_.names(), clock_, recorder_, epoll_fd_, client_seeds},
      log_seed_(servers.empty() ? 0 : MixSeed(servers.front()->seed(), kLogStream)) {
  const ReactorParts parts{assignment_, clock_, epoll_fd_, recorder_, timers_, scripts_, client_parts_};
  size_t timers = 16;
  for (const v1::ApplicationServer* server : servers) {
    servers_.push_back(
        std::make_unique<ApplicationServer>(parts, *server, static_cast<uint32_t>(servers_.size())));
    // Of each connection one for its back-off, one for its opening and one for its transaction's sleep; of
    // each client its think time; two of its own.
    uint32_t clients = 0;
    for (const v1::PhaseShare& share : server->shares()) clients = std::max(clients, share.clients());
    timers += clients + 3 * servers_.back()->connections() + 2;
  }
  timers_.Reserve(timers);
  epoll_event command{.events = EPOLLIN,
                      .data = {.u64 = EventTag{EventTag::kReactor, EventTag::kCommand}.data()}};
  epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &command);
  epoll_event timer{.events = EPOLLIN | EPOLLET,
                    .data = {.u64 = EventTag{EventTag::kReactor, EventTag::kTimer}.data()}};
  epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, timer_fd_, &timer);
  thread_ = std::thread([this] { Loop(); });
}

Reactor::~Reactor() {
  stop_.store(true, std::memory_order_release);
  eventfd_write(wake_fd_, 1);
  thread_.join();
  servers_.clear();
  close(timer_fd_);
  close(wake_fd_);
  close(epoll_fd_);
}

void Reactor::StartPhase(uint32_t phase, int64_t start_ns, int64_t from_ns) {
  Post({.kind = Command::kStartPhase, .phase = phase, .start_ns = start_ns, .from_ns = from_ns});
}

void Reactor::StopPhase(absl::Duration drain_timeout) {
  Post({.kind = Command::kStopPhase, .drain_timeout = drain_timeout});
}

void Reactor::Post(const Command& command) {
  {
    absl::MutexLock lock(&mutex_);
    commands_.push_back(command);
  }
  eventfd_write(wake_fd_, 1);
}

void Reactor::Loop() {
  thread_id_ = gettid();
  for (auto& server : servers_) server->Open();
  TellWhenReady();
  while (!stop_.load(std::memory_order_acquire)) {
    FireTimers();
    // Loading may fail at any time.
    if (!told_ready_ || assignment_.has_load()) TellWhenReady();
    // Before it sleeps: nothing may wake it again.
    const bool in_phase = phase_state_ == PhaseState::kRunning || phase_state_ == PhaseState::kDraining;
    if (in_phase && !failed_) EndPhaseIfDrained();
    Wait();
  }
}

void Reactor::Wait() {
  ArmTimer();
  epoll_event events[kEventsAtOnce];
  const int count = epoll_wait(epoll_fd_, events, kEventsAtOnce, /*timeout=*/-1);
  for (int i = 0; i < count; ++i) {
    if (i + 4 < count) Hint(events[i + 4], &ApplicationServer::OnEventsSoon);
    if (i + 2 < count) Hint(events[i + 2], &ApplicationServer::OnEventsNext);
    const EventTag tag = EventTag::Of(events[i].data.u64);
    if (tag.server != EventTag::kReactor) [[likely]] {
      servers_[tag.server]->OnEvents(tag.connection, events[i].events);
    } else if (tag.connection == EventTag::kTimer) {
      armed_for_ = INT64_MAX;
    } else {
      TakeCommands();
    }
  }
}

void Reactor::Hint(const epoll_event& event, void (ApplicationServer::*hint)(uint32_t) const) const {
  const EventTag tag = EventTag::Of(event.data.u64);
  if (tag.server != EventTag::kReactor) [[likely]]
    (*servers_[tag.server].*hint)(tag.connection);
}

// One timer of the kernel's stays set over many waits: setting one for each wait, and taking it back when
// something else ends it, costs a virtual machine more than all the rest of a wake-up.
void Reactor::ArmTimer() {
  // One that was set for an earlier instant, and removed since, wakes the thread for nothing: rare.
  if (timers_.empty() || timers_.Earliest().at >= armed_for_) return;
  armed_for_ = timers_.Earliest().at;
  const itimerspec at{.it_interval = {},
                      .it_value = {armed_for_ / 1'000'000'000, armed_for_ % 1'000'000'000}};
  timerfd_settime(timer_fd_, TFD_TIMER_ABSTIME, &at, nullptr);
}

void Reactor::TakeCommands() {
  eventfd_t ignored;
  eventfd_read(wake_fd_, &ignored);
  std::vector<Command> commands;
  {
    absl::MutexLock lock(&mutex_);
    commands.swap(commands_);
  }
  for (const Command& command : commands) {
    if (command.kind == Command::kStartPhase) {
      phase_state_ = PhaseState::kAhead;
      phase_ = command.phase;
      start_ns_ = command.start_ns;
      from_ns_ = command.from_ns;
      timers_.Add({from_ns_, TimerKind::kPhaseStart});
    } else {
      StopEarly(command.drain_timeout);
    }
  }
}

void Reactor::StopEarly(absl::Duration drain_timeout) {
  if (phase_state_ == PhaseState::kNone) return;
  const int64_t now = clock_.MonotonicNanos();
  if (phase_state_ == PhaseState::kAhead) {
    timers_.RemoveIf([](const Timer& timer) { return timer.kind == TimerKind::kPhaseStart; });
    // Nothing starts.
    phase_state_ = PhaseState::kRunning;
    started_ns_ = start_ns_;
    recorder_.Start(start_ns_, Recorder::Wishes(), from_ns_);
  }
  EndPhase(now);
  if (drain_timeout == absl::InfiniteDuration()) return;
  // Beside the one of the phase's own limit, of which nothing is left when this one is over.
  timers_.Add({now + absl::ToInt64Nanoseconds(drain_timeout), TimerKind::kDrainEnd});
}

void Reactor::FireTimers() {
  // Then it is the connections' turn, however many are late.
  constexpr int kTimersAtOnce = 64;
  for (int fired = 0; fired < kTimersAtOnce && !timers_.empty(); ++fired) {
    const int64_t now = clock_.MonotonicNanos();
    if (now >= lease_ends_ns_.load(std::memory_order_relaxed) && phase_state_ == PhaseState::kRunning)
        [[unlikely]]
      StopEarly(absl::ZeroDuration());
    if (timers_.Earliest().at > now) return;
    const Timer timer = timers_.TakeEarliest();
    switch (timer.kind) {
      case TimerKind::kSlice: {
        const int64_t end = recorder_.slice_end();
        recorder_.RollIfDue(now);
        timers_.Add({recorder_.slice_end(), TimerKind::kSlice});
        // A transaction may have ended the slice before its timer did.
        if (end != recorder_.slice_end() || timer.at < end) callbacks_.slice();
        break;
      }
      case TimerKind::kPhaseStart:
        BeginPhase(now);
        break;
      case TimerKind::kPhaseEnd:
        EndPhase(now);
        break;
      case TimerKind::kDrainEnd:
        for (auto& server : servers_) server->GiveUp();
        EndPhaseIfDrained();
        break;
      default:
        servers_[timer.server]->OnTimer(timer, now);
    }
  }
}

void Reactor::BeginPhase(int64_t now) {
  phase_state_ = PhaseState::kRunning;
  started_ns_ = now;
  const v1::Phase& phase = assignment_.phases(static_cast<int>(phase_));
  Recorder::Wishes wishes;
  if (phase.has_latency_limit()) {
    wishes.latency_limit_ns = absl::ToInt64Nanoseconds(FromProto(phase.latency_limit()));
  }
  wishes.log_sampling = phase.log_sampling();
  wishes.log_seed = MixSeed(log_seed_, phase_);
  recorder_.Start(start_ns_, wishes, from_ns_);
  timers_.Add({recorder_.slice_end(), TimerKind::kSlice});
  if (phase.has_duration()) {
    timers_.Add({start_ns_ + absl::ToInt64Nanoseconds(FromProto(phase.duration())), TimerKind::kPhaseEnd});
  }
  for (auto& server : servers_) server->StartPhase(phase_, start_ns_, from_ns_);
}

void Reactor::EndPhase(int64_t now, bool complete) {
  if (phase_state_ != PhaseState::kRunning) return;
  phase_state_ = PhaseState::kDraining;
  timers_.RemoveIf(
      [](const Timer& timer) { return BelongsToPhase(timer) && timer.kind != TimerKind::kSlice; });
  for (auto& server : servers_) server->StopStarting(/*may_retry=*/complete);
  const v1::Phase& phase = assignment_.phases(static_cast<int>(phase_));
  timers_.Add({now + absl::ToInt64Nanoseconds(FromProto(phase.drain_timeout())), TimerKind::kDrainEnd});
}

bool Reactor::EveryClientHasEnded() const {
  uint32_t live = 0;
  bool lost = false;
  for (const auto& server : servers_) {
    live += server->live_clients();
    lost = lost || server->lost_clients();
  }
  return lost && live == 0;
}

void Reactor::EndPhaseIfDrained() {
  const auto all = [this](auto predicate) {
    return std::all_of(servers_.begin(), servers_.end(), predicate);
  };
  if (phase_state_ == PhaseState::kRunning) {
    const bool by_time = assignment_.phases(static_cast<int>(phase_)).has_duration();
    if (!(by_time ? EveryClientHasEnded() : all([](const auto& server) { return server->all_started(); }))) {
      return;
    }
    EndPhase(clock_.MonotonicNanos(), /*complete=*/!by_time);
  }
  if (!all([](const auto& server) { return server->drained(); })) return;
  phase_state_ = PhaseState::kNone;
  // The sleep of a transaction that was given up is over, too.
  timers_.RemoveIf(
      [](const Timer& timer) { return BelongsToPhase(timer) || timer.kind == TimerKind::kWake; });
  recorder_.Finish(clock_.MonotonicNanos());
  callbacks_.phase_ended(started_ns_);
}

void Reactor::TellWhenReady() {
  if (failed_) return;
  uint32_t connections = 0;
  for (const auto& server : servers_) {
    if (!server->failure().empty()) {
      failed_ = true;
      callbacks_.failed(server->failure());
      return;
    }
    if (!server->ready()) return;
    connections += server->connections();
  }
  if (std::exchange(told_ready_, true)) return;
  callbacks_.ready(connections);
}

}  // namespace trunkload

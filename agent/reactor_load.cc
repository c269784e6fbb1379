#include "agent/reactor_load.h"

#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "agent/client_seeds.h"

namespace trunkload {
namespace {

int64_t ProcessCpuNanos() {
  rusage used;
  getrusage(RUSAGE_SELF, &used);
  const auto nanos = [](const timeval& time) {
    return time.tv_sec * int64_t{1'000'000'000} + time.tv_usec * 1000;
  };
  return nanos(used.ru_utime) + nanos(used.ru_stime);
}

}  // namespace

ReactorLoad::ReactorLoad(EventLoop& loop, LoadEvents& events) : loop_(loop), events_(events) {}

ReactorLoad::~ReactorLoad() {
  Close();
}

template <typename Function>
void ReactorLoad::OnLoop(Function function) {
  loop_.Post([open = std::weak_ptr<bool>(open_), function = std::move(function)]() mutable {
    if (open.lock() != nullptr) function();
  });
}

void ReactorLoad::Open(const v1::Assignment& assignment) {
  assignment_ = assignment;
  client_seeds_ = ClientSeeds(assignment_);
  open_ = std::make_shared<bool>(true);
  const auto reactors = static_cast<size_t>(
      std::clamp<int64_t>(assignment_.threads(), 1, std::max(1, assignment_.application_servers_size())));
  std::vector<std::vector<const v1::ApplicationServer*>> servers(reactors);
  for (int i = 0; i < assignment_.application_servers_size(); ++i) {
    servers[static_cast<size_t>(i) % reactors].push_back(&assignment_.application_servers(i));
  }
  opening_since_ns_ = clock_.MonotonicNanos();
  for (const auto& share : servers) {
    ReactorCallbacks callbacks;
    // The reactors' threads only post; open_ is set before the first of them starts, and never changed while
    // one runs.
    callbacks.ready = [this](uint32_t connections) {
      OnLoop([this, connections] {
        connections_ += connections;
        if (++ready_ < members_.size() || failed_) return;
        events_.OnLoadReady(connections_, static_cast<uint64_t>(clock_.MonotonicNanos() - opening_since_ns_));
      });
    };
    callbacks.failed = [this](std::string reason) {
      OnLoop([this, reason = std::move(reason)] {
        if (!std::exchange(failed_, true)) events_.OnLoadFailed(reason);
      });
    };
    callbacks.slice = [this] { OnLoop([this] { CollectSlices(); }); };
    callbacks.phase_ended = [this, index = members_.size()](int64_t started_ns) {
      OnLoop([this, index, started_ns] {
        started_ns_ = std::max(started_ns_, started_ns);
        members_[index].ended = true;
        ++ended_;
        CollectSlices();
        if (ended_ < members_.size()) return;
        v1::PhaseEnded ended;
        ended.set_phase(phase_);
        ended.set_intervals(intervals_);
        ended.set_started_ns(started_ns_);
        ended.set_cpu_ns(static_cast<uint64_t>(ProcessCpuNanos() - cpu_at_start_ns_));
        events_.OnPhaseEnded(ended);
      });
    };
    members_.push_back({std::make_unique<Reactor>(assignment_, share, client_seeds_, std::move(callbacks))});
  }
  pending_ = std::make_unique<Slice>(members_.front().reactor->recorder().commands_of_scripts());
}

void ReactorLoad::StartPhase(uint32_t phase, int64_t start_ns) {
  phase_ = phase;
  ended_ = 0;
  started_ns_ = INT64_MIN;
  intervals_ = 0;
  pending_through_ = -1;
  cpu_at_start_ns_ = ProcessCpuNanos();
  for (Member& member : members_) {
    member.covered = -1;
    member.ended = false;
    member.reactor->StartPhase(phase, start_ns);
  }
}

void ReactorLoad::StopPhase() {
  for (Member& member : members_) member.reactor->StopPhase();
}

void ReactorLoad::Close() {
  // The threads end first, so that none of them posts while open_ goes.
  members_.clear();
  open_.reset();
}

void ReactorLoad::CollectSlices() {
  while (CollectOne()) {
  }
}

// Takes one slice from each reactor that is behind. An interval is complete when all have reached the same
// second; one in which the phase has ended, and which has no more to give, is waited for no longer.
bool ReactorLoad::CollectOne() {
  bool collected = false;
  for (Member& member : members_) {
    if (pending_through_ >= 0 && member.covered >= pending_through_) continue;
    std::unique_ptr<Slice> slice = member.reactor->recorder().Collect();
    if (slice == nullptr) continue;
    if (pending_through_ < 0) pending_->first_second = slice->first_second;
    pending_->first_second = std::min(pending_->first_second, slice->first_second);
    member.covered = slice->last_second;
    pending_through_ = std::max<int64_t>(pending_through_, slice->last_second);
    pending_->Merge(*slice);
    member.reactor->recorder().Recycle(std::move(slice));
    collected = true;
  }
  const bool level = std::all_of(members_.begin(), members_.end(), [&](const Member& member) {
    return member.covered >= pending_through_ || (member.ended && !collected);
  });
  if (pending_through_ < 0 || !level) return collected;
  SendInterval();
  return true;
}

void ReactorLoad::SendInterval() {
  pending_->last_second = static_cast<uint32_t>(pending_through_);
  events_.OnInterval(pending_->ToInterval(phase_, intervals_++));
  pending_->Clear();
  pending_through_ = -1;
}

}  // namespace trunkload

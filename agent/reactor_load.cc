#include "agent/reactor_load.h"

#include <algorithm>
#include <utility>

#include "agent/client_seeds.h"

namespace trunkload {
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
  reactors_ = static_cast<size_t>(
      std::clamp<int64_t>(assignment_.threads(), 1, std::max(1, assignment_.application_servers_size())));
  std::vector<std::vector<const v1::ApplicationServer*>> servers(reactors_);
  for (int i = 0; i < assignment_.application_servers_size(); ++i) {
    servers[static_cast<size_t>(i) % reactors_].push_back(&assignment_.application_servers(i));
  }
  opening_since_ns_ = clock_.MonotonicNanos();
  for (const auto& share : servers) StartReactor(members_.emplace_back(), share, client_seeds_);
  pending_ = std::make_unique<Slice>(members_.front().reactor->recorder().commands_of_scripts());
}

void ReactorLoad::StartReactor(Member& member, const std::vector<const v1::ApplicationServer*>& servers,
                               std::span<const uint64_t> client_seeds) {
  ReactorCallbacks callbacks;
  // The reactors' threads only post; open_ is set before the first of them starts, and never changed while
  // one runs.
  callbacks.ready = [this, &member](uint32_t connections) {
    OnLoop([this, &member, connections] { OnReactorReady(member, connections); });
  };
  callbacks.failed = [this, &member](std::string reason) {
    OnLoop([this, &member, reason = std::move(reason)] { OnReactorFailed(member, reason); });
  };
  callbacks.slice = [this] { OnLoop([this] { CollectSlices(); }); };
  callbacks.phase_ended = [this, &member](int64_t started_ns) {
    OnLoop([this, &member, started_ns] { OnReactorEnded(member, started_ns); });
  };
  member.reactor =
      std::make_unique<Reactor>(assignment_, servers, client_seeds, lease_ends_ns_, std::move(callbacks));
}

void ReactorLoad::OnReactorReady(Member& member, uint32_t connections) {
  if (!member.taken_over) {
    connections_ += connections;
    if (++ready_ < reactors_ || failed_) return;
    events_.OnLoadReady(connections_, static_cast<uint64_t>(clock_.MonotonicNanos() - opening_since_ns_));
    return;
  }
  // It begins with the next phase where this one is about to end.
  if (!phase_under_way_ || stopping_) return;
  const int64_t from_ns = std::max(start_ns_, clock_.MonotonicNanos());
  member.in_phase = true;
  member.ended = false;
  // Its first second may have been sent without it already: it is not waited for before the next.
  member.covered = (from_ns - start_ns_) / Recorder::kSliceNanos - 1;
  machine_.AddThread(member.reactor->thread_id());
  member.reactor->StartPhase(phase_, start_ns_, from_ns);
  TellTakenOver(member, from_ns, "");
}

void ReactorLoad::OnReactorFailed(Member& member, const std::string& reason) {
  if (!member.taken_over) {
    if (!std::exchange(failed_, true)) events_.OnLoadFailed(reason);
    return;
  }
  // The load that was there before goes on.
  member.reactor.reset();
  TellTakenOver(member, 0, reason);
  if (std::exchange(member.in_phase, false)) EndPhaseIfAllHave();
}

void ReactorLoad::TellTakenOver(const Member& member, int64_t from_ns, const std::string& failure) {
  v1::TakenOver taken_over;
  taken_over.set_phase(phase_);
  taken_over.set_from_ns(from_ns);
  taken_over.set_failure(failure);
  for (const v1::ApplicationServer& server : member.servers)
    taken_over.add_application_servers(server.number());
  events_.OnTakenOver(taken_over);
}

void ReactorLoad::OnReactorEnded(Member& member, int64_t started_ns) {
  if (!member.taken_over) started_ns_ = std::max(started_ns_, started_ns);
  member.ended = true;
  CollectSlices();
  EndPhaseIfAllHave();
}

void ReactorLoad::EndPhaseIfAllHave() {
  const auto ended = [](const Member& member) { return !member.in_phase || member.ended; };
  if (!phase_under_way_ || !std::all_of(members_.begin(), members_.end(), ended)) return;
  CollectSlices();
  phase_under_way_ = false;
  v1::PhaseEnded phase_ended;
  phase_ended.set_phase(phase_);
  phase_ended.set_intervals(intervals_);
  phase_ended.set_started_ns(started_ns_);
  phase_ended.set_cpu_ns(static_cast<uint64_t>(ProcessCpuNanos() - cpu_at_start_ns_));
  // The last: it may close this load.
  events_.OnPhaseEnded(phase_ended);
}

void ReactorLoad::StartPhase(uint32_t phase, int64_t start_ns) {
  phase_ = phase;
  start_ns_ = start_ns;
  phase_under_way_ = true;
  stopping_ = false;
  started_ns_ = INT64_MIN;
  intervals_ = 0;
  pending_through_ = -1;
  cpu_at_start_ns_ = ProcessCpuNanos();
  std::vector<pid_t> threads;
  for (Member& member : members_) {
    if (member.reactor != nullptr) threads.push_back(member.reactor->thread_id());
  }
  machine_.Start(clock_.MonotonicNanos(), std::move(threads));
  for (Member& member : members_) {
    member.covered = -1;
    member.ended = false;
    member.in_phase = member.reactor != nullptr;
    if (member.in_phase) member.reactor->StartPhase(phase, start_ns);
  }
}

void ReactorLoad::StopPhase(absl::Duration drain_timeout) {
  stopping_ = true;
  for (Member& member : members_) {
    if (member.in_phase) member.reactor->StopPhase(drain_timeout);
  }
}

void ReactorLoad::TakeOver(const std::vector<v1::ApplicationServer>& servers) {
  Member& member = members_.emplace_back();
  member.taken_over = true;
  member.servers = servers;
  v1::Assignment described = assignment_;
  described.mutable_application_servers()->Clear();
  std::vector<const v1::ApplicationServer*> pointers;
  for (const v1::ApplicationServer& server : member.servers) {
    pointers.push_back(&server);
    *described.add_application_servers() = server;
  }
  member.client_seeds = ClientSeeds(described);
  StartReactor(member, pointers, member.client_seeds);
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
    if (!member.in_phase || (pending_through_ >= 0 && member.covered >= pending_through_)) continue;
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
    return !member.in_phase || member.covered >= pending_through_ || (member.ended && !collected);
  });
  if (pending_through_ < 0 || !level) return collected;
  SendInterval();
  return true;
}

void ReactorLoad::SendInterval() {
  pending_->last_second = static_cast<uint32_t>(pending_through_);
  v1::Interval interval = pending_->ToInterval(phase_, intervals_++);
  if (std::optional<v1::MachineUse> use = machine_.Take(clock_.MonotonicNanos())) {
    *interval.mutable_machine() = *std::move(use);
  }
  events_.OnInterval(std::move(interval));
  pending_->Clear();
  pending_through_ = -1;
}

}  // namespace trunkload

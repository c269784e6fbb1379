#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "agent/event_loop.h"
#include "agent/load.h"
#include "agent/machine_watch.h"
#include "agent/reactor.h"
#include "agent/slice.h"
#include "common/clock.h"

namespace trunkload {

// The load of this agent: its application servers spread over reactors, and their slices added up to
// intervals. Belongs to the thread of the event loop.
class ReactorLoad final : public Load {
 public:
  ReactorLoad(EventLoop& loop, LoadEvents& events);
  ~ReactorLoad() override;

  void Open(const v1::Assignment& assignment) override;
  void ChangePhase(uint32_t phase, const v1::Phase& described) override {
    // Reactors look at it when it begins, which they are told after this.
    *assignment_.mutable_phases(static_cast<int>(phase)) = described;
  }
  void StartPhase(uint32_t phase, int64_t start_ns) override;
  void StopPhase(absl::Duration drain_timeout) override;
  void TakeOver(const std::vector<v1::ApplicationServer>& servers) override;
  void RenewLease(int64_t ends_ns) override { lease_ends_ns_.store(ends_ns, std::memory_order_relaxed); }
  void Close() override;

 private:
  struct Member {
    std::unique_ptr<Reactor> reactor;
    bool in_phase = false;
    int64_t covered = -1;  // the last second of the phase that was collected from it
    bool ended = false;    // the phase has ended there: nothing comes after what it has now
    // Of application servers that were taken over within a phase: what they need beside the assignment.
    bool taken_over = false;
    std::vector<v1::ApplicationServer> servers;
    std::vector<uint64_t> client_seeds;
  };

  // Runs on the loop what a reactor tells from its thread, unless this load has been closed by then.
  template <typename Function>
  void OnLoop(Function function);
  void StartReactor(Member& member, const std::vector<const v1::ApplicationServer*>& servers,
                    std::span<const uint64_t> client_seeds);
  void OnReactorReady(Member& member, uint32_t connections);
  void OnReactorFailed(Member& member, const std::string& reason);
  void OnReactorEnded(Member& member, int64_t started_ns);
  void TellTakenOver(const Member& member, int64_t from_ns, const std::string& failure);
  void EndPhaseIfAllHave();
  void CollectSlices();
  bool CollectOne();
  void SendInterval();

  EventLoop& loop_;
  LoadEvents& events_;
  const SystemClock clock_;
  v1::Assignment assignment_;
  std::vector<uint64_t> client_seeds_;
  // Stays where it is: reactors' callbacks refer to it.
  std::deque<Member> members_;
  // Gone once closed: events still in the loop look at it first.
  std::shared_ptr<bool> open_;

  // Looked at by the reactors' threads.
  std::atomic<int64_t> lease_ends_ns_{INT64_MAX};
  bool failed_ = false;
  // Of the assignment's, without those that were taken over.
  size_t reactors_ = 0;
  size_t ready_ = 0;
  uint32_t connections_ = 0;
  int64_t opening_since_ns_ = 0;
  bool phase_under_way_ = false;
  bool stopping_ = false;
  uint32_t phase_ = 0;
  int64_t start_ns_ = 0;
  int64_t started_ns_ = 0;
  int64_t cpu_at_start_ns_ = 0;
  MachineWatch machine_;
  uint64_t intervals_ = 0;
  std::unique_ptr<Slice> pending_;
  int64_t pending_through_ = -1;
};

}  // namespace trunkload

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "agent/load.h"
#include "agent/outbox.h"
#include "common/clock.h"
#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// The agent's side of the protocol in fleet.proto, without its transport: answers the controller's messages
// and drives the load. It outlives the streams to the controller: a load goes on while there is none, until
// its lease ends. At most one run at a time; free for the next after EndRun. Not thread-safe.
class Run : public LoadEvents {
 public:
  // What is of the stream alone; everything else goes into the outbox.
  using Reply = absl::AnyInvocable<void(v1::AgentMessage)>;
  using MakeLoad = absl::AnyInvocable<std::unique_ptr<Load>(LoadEvents&)>;

  // How long transactions under way may still take where the load is to end at once.
  static constexpr absl::Duration kShortDrain = absl::Seconds(1);

  // `allow_shell`: scripts may run commands of the shell on this machine.
  Run(const Clock& clock, Outbox& outbox, MakeLoad make_load, bool allow_shell = false);
  ~Run() override;

  // An error where the controller broke the protocol: the stream should be closed with it.
  absl::Status OnMessage(const v1::ControllerMessage& message, int64_t received_ns, Reply reply);
  // What Hello says of it; none where there is nothing to be said.
  std::optional<v1::HeldRun> held() const;

  // To be called several times a second. `confirmed_ns`: Lease::confirmed_ns. Stops the load whose lease has
  // ended, and keeps what it measured in the outbox.
  void CheckLease(int64_t confirmed_ns);
  // The agent was told to stop: the load ends, and Leaving is the last message in the outbox.
  void Leave();
  // Drops the load at once, and all it has not told yet.
  void Drop();
  bool active() const { return load_ != nullptr && !closed_; }

  void OnLoadReady(uint32_t connections, uint64_t connecting_ns) override;
  void OnLoadFailed(const std::string& reason) override;
  void OnInterval(v1::Interval interval) override;
  void OnPhaseEnded(const v1::PhaseEnded& ended) override;
  void OnTakenOver(const v1::TakenOver& taken_over) override;

 private:
  absl::Status OnAssignment(const v1::Assignment& assignment, int64_t received_ns);
  absl::Status OnStartPhase(const v1::StartPhase& start);
  absl::Status OnTakeOver(const v1::TakeOver& take_over);
  // Ends the load before its time: at once, where no phase is under way.
  void Cut(v1::PhaseEnded::Cut why);
  void TellLeaving();
  void Tell(v1::AgentMessage message) { outbox_.Add(std::move(message)); }

  const Clock& clock_;
  Outbox& outbox_;
  MakeLoad make_load_;
  const bool allow_shell_;
  std::unique_ptr<Load> load_;
  // Of the assignment; changed by TakeOver.
  v1::Assignment assignment_;
  int64_t assigned_ns_ = 0;
  int64_t lease_ends_ns_ = INT64_MAX;
  int phases_started_ = 0;
  int64_t start_ns_ = 0;
  bool ready_ = false;
  bool phase_under_way_ = false;
  bool failed_ = false;
  bool leaving_ = false;
  // The load has ended, and is there only because it may be the caller.
  bool closed_ = false;
  // The load ends with the phase under way.
  v1::PhaseEnded::Cut cut_ = v1::PhaseEnded::CUT_UNSPECIFIED;
};

}  // namespace trunkload

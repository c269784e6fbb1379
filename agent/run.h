#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "agent/load.h"
#include "common/clock.h"
#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// The agent's side of the protocol in fleet.proto, without its transport: answers the controller's messages
// and drives the load. At most one run at a time; free for the next after EndRun. Not thread-safe.
class Run : public LoadEvents {
 public:
  using Send = absl::AnyInvocable<void(v1::AgentMessage)>;
  using MakeLoad = absl::AnyInvocable<std::unique_ptr<Load>(LoadEvents&)>;

  // `allow_shell`: scripts may run commands of the shell on this machine.
  Run(const Clock& clock, Send send, MakeLoad make_load, bool allow_shell = false);
  ~Run() override;

  // An error where the controller broke the protocol: the stream should be closed with it.
  absl::Status OnMessage(const v1::ControllerMessage& message, int64_t received_ns);
  // The stream has gone: stops the load at once.
  void OnControllerLost();
  bool active() const { return load_ != nullptr; }

  void OnLoadReady(uint32_t connections, uint64_t connecting_ns) override;
  void OnLoadFailed(const std::string& reason) override;
  void OnInterval(v1::Interval interval) override;
  void OnPhaseEnded(const v1::PhaseEnded& ended) override;

 private:
  absl::Status OnAssignment(const v1::Assignment& assignment);
  absl::Status OnStartPhase(const v1::StartPhase& start);

  const Clock& clock_;
  Send send_;
  MakeLoad make_load_;
  const bool allow_shell_;
  std::unique_ptr<Load> load_;
  std::string run_id_;
  int phases_ = 0;
  int next_phase_ = 0;
  bool phase_under_way_ = false;
  bool failed_ = false;
};

}  // namespace trunkload

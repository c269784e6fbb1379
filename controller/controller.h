#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "controller/active_run.h"
#include "controller/controller_outside.h"
#include "controller/fleet.h"
#include "trunkload/v1/fleet.pb.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// The controller of a fleet: who is in it, and at most one run at a time. It touches no thread, socket or
// clock but the one given; events come in by calls, and what follows from them goes out through
// ControllerOutside. Not thread-safe: one thread drives it.
class Controller {
 public:
  struct RunOptions {
    uint32_t agents = 1;  // wait for so many; more may be there, and all of them take part
    absl::Duration wait = absl::Seconds(60);  // DEADLINE_EXCEEDED when too few have come by then
  };

  // `boot_id`: of the machine's start; see Instant in checkpoint.proto.
  Controller(const Clock& clock, ControllerOutside& outside, std::string boot_id = "");

  // `plan` must be valid (plan/plan_loader.h), but may have no phases: then only its tables are set up.
  // INVALID_ARGUMENT where its target holds a password.
  // RESOURCE_EXHAUSTED while a run is under way. The run's id on success.
  absl::StatusOr<std::string> StartRun(v1::Plan plan, const RunOptions& options);
  // Goes on with a run that another controller left. DATA_LOSS where the snapshot does not fit together,
  // RESOURCE_EXHAUSTED while a run is under way. The run's id on success.
  absl::StatusOr<std::string> ResumeRun(RunSnapshot snapshot);
  // Ends the run in order: no new transactions, a drain, a result that says so. Without effect when no run is
  // under way.
  void CancelRun();

  // A stream was opened; its first message must be Hello.
  void OnStreamOpened(StreamId stream);
  // `received_ns`: the clock given above, read as soon as the message was there. An agent that breaks the
  // protocol is disconnected, and counts as lost.
  void OnAgentMessage(StreamId stream, const v1::AgentMessage& message, int64_t received_ns);
  // It broke: the agent may come back over another.
  void OnStreamEnded(StreamId stream);
  // The process of that name has ended, that is certain.
  void OnAgentDied(const std::string& name);
  // Thread-safe, as long as this controller is there.
  Heartbeats& heartbeats() { return fleet_.heartbeats(); }
  // A task of preparing or finishing the target's tables has begun: a SetUpStep's name.
  void OnTargetTask(const std::string& name);
  void OnTargetPrepared(absl::StatusOr<v1::ServerInfo> info);
  // Something was seen of the database; its place on the timeline is filled in here.
  void OnObserved(v1::Observed observed);
  // The answer to ControllerOutside::SettleChecks.
  void OnChecksSettled(std::vector<v1::CheckResult> checks);
  // The answers to ControllerOutside::BeginFault. `failure`: why it could not be done, or undone; empty: it
  // was.
  void OnFaultBegan(int fault);
  void OnFaultEnded(int fault, const std::string& failure);
  // The answer to ControllerOutside::Save.
  void OnSaved(const absl::Status& status);

  // That are connected.
  size_t agents() const { return fleet_.joined_agents().size(); }
  // The run under way; null: none.
  const ActiveRun* run() const { return run_.get(); }

  // To be called once the clock has reached NextTickNanos(), for time-outs and progress. INT64_MAX: nothing
  // is waited for.
  void OnTick();
  int64_t NextTickNanos() const;

 private:
  absl::Status OnMessage(StreamId stream, const v1::AgentMessage& message, int64_t received_ns);
  absl::Status OnHello(StreamId stream, const v1::Hello& hello);
  // Of the messages that bear a sequence number.
  absl::Status OnSequenced(AgentId agent, const v1::AgentMessage& message);
  void Acknowledge(AgentId agent);
  void Drop(AgentId agent, const absl::Status& why);
  void FindSilent();
  // A controller that was kept from running for a while has not heard agents that were there.
  void ForgiveIfStalled();
  void FinishIfEnded();

  const Clock& clock_;
  ControllerOutside& outside_;
  const std::string boot_id_;
  Fleet fleet_;
  int64_t last_tick_ns_;
  std::unique_ptr<ActiveRun> run_;
};

}  // namespace trunkload

#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "trunkload/v1/control.pb.h"
#include "trunkload/v1/fleet.pb.h"
#include "trunkload/v1/plan.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// One stream of an agent; never used again, so that a late message of a stream that broke can't be taken for
// another's.
using AgentId = uint64_t;

// What the controller asks of the world around it: gRPC and libpq in the program, a model of them in
// simulations. Called on the thread that drives the controller; nothing here blocks or calls back into it.
class ControllerOutside {
 public:
  virtual ~ControllerOutside() = default;
  // Messages to one agent arrive in order. Dropped in silence where its stream has broken: OnAgentLeft says
  // so.
  virtual void Send(AgentId to, const v1::ControllerMessage& message) = 0;
  // Ends the agent's stream. OnAgentLeft is not called for it any more.
  virtual void Disconnect(AgentId agent, const absl::Status& why) = 0;
  // Connects to the plan's target and makes its tables, on a thread of its own; the answer comes through
  // Controller::OnTargetPrepared.
  virtual void PrepareTarget(const v1::Plan& plan) = 0;
  // The same once agents have loaded their rows: finishes the tables. `smoothly`: the server has answered for
  // every row, and no connection broke on the way.
  virtual void FinishTarget(const v1::Plan& plan, bool smoothly) = 0;
  // Gives either up: no answer comes.
  virtual void CancelPrepareTarget() = 0;
  virtual void OnProgress(const v1::Progress& progress) = 0;
  // Where the phase asks for transactions one by one: see RunFollower.
  virtual void OnTransactions(uint32_t /*agent*/, int64_t /*phase_start_us*/,
                              const v1::TransactionLog& /*log*/) {}
  // The run has ended, with its result or with why it could not run. Once for each run that StartRun
  // accepted.
  virtual void OnRunEnded(absl::StatusOr<v1::RunResult> result) = 0;
};

// The controller of a fleet: who is in it, and at most one run at a time. It touches no thread, socket or
// clock but the one given; events come in by calls, and what follows from them goes out through
// ControllerOutside. Not thread-safe: one thread drives it.
class Controller {
 public:
  struct RunOptions {
    uint32_t agents = 1;  // wait for so many; more may be there, and all of them take part
    absl::Duration wait = absl::Seconds(60);  // DEADLINE_EXCEEDED when too few have come by then
  };

  Controller(const Clock& clock, ControllerOutside& outside);
  ~Controller();

  // `plan` must be valid (plan/plan_loader.h), but may have no phases: then only its tables are set up.
  // RESOURCE_EXHAUSTED while a run is under way. The run's id on success.
  absl::StatusOr<std::string> StartRun(v1::Plan plan, const RunOptions& options);
  // Ends the run in order: no new transactions, a drain, a result that says so. Without effect when no run is
  // under way.
  void CancelRun();

  // A stream was opened; its first message must be Hello.
  void OnAgentConnected(AgentId agent);
  // `received_ns`: the clock given above, read as soon as the message was there. An agent that breaks the
  // protocol is disconnected, and counts as lost.
  void OnAgentMessage(AgentId agent, const v1::AgentMessage& message, int64_t received_ns);
  void OnAgentLeft(AgentId agent);
  // A task of preparing or finishing the target's tables has begun: a SetUpStep's name.
  void OnTargetTask(const std::string& name);
  void OnTargetPrepared(absl::StatusOr<v1::ServerInfo> info);

  // To be called once the clock has reached NextTickNanos(), for time-outs and progress. INT64_MAX: nothing
  // is waited for.
  void OnTick();
  int64_t NextTickNanos() const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace trunkload

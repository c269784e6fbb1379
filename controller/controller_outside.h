#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/run_snapshot.h"
#include "trunkload/v1/control.pb.h"
#include "trunkload/v1/fleet.pb.h"
#include "trunkload/v1/ledger.pb.h"
#include "trunkload/v1/plan.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

class OperationRecord;

// One stream of an agent; never used again, so that a late message of a stream that broke can't be taken for
// another's.
using StreamId = uint64_t;
// One process of an agent, over however many streams.
using AgentId = uint64_t;

// What the controller asks of the world around it: gRPC and libpq in the program, a model of them in
// simulations. Called on the thread that drives the controller; nothing here blocks or calls back into it.
class ControllerOutside {
 public:
  virtual ~ControllerOutside() = default;
  // Messages over one stream arrive in order. Dropped in silence where it has broken: OnStreamEnded says so.
  virtual void Send(StreamId to, const v1::ControllerMessage& message) = 0;
  // Ends the stream. OnStreamEnded is not called for it any more.
  virtual void Disconnect(StreamId stream, const absl::Status& why) = 0;
  // Connects to the plan's target and makes its tables, on a thread of its own; the answer comes through
  // Controller::OnTargetPrepared.
  virtual void PrepareTarget(const v1::Plan& plan, const std::string& run_id) = 0;
  // The same once agents have loaded their rows: finishes the tables. `smoothly`: the server has answered for
  // every row, and no connection broke on the way.
  virtual void FinishTarget(const v1::Plan& plan, bool smoothly) = 0;
  // Gives either up: no answer comes.
  virtual void CancelPrepareTarget() = 0;
  // Has the database watched, on threads of its own, until StopObserving; all that is seen comes through
  // Controller::OnObserved.
  virtual void StartObserving(const v1::Plan& /*plan*/) {}
  // Every node is to be read now. `tracked`: see Phase.observed, of the phase that follows.
  virtual void ReadDatabase(bool /*tracked*/) {}
  // The same, once they stand still, with the rows they hold, and the shards that these keys are in.
  virtual void ReadDatabaseLast(const std::vector<int64_t>& /*keys*/) {}
  virtual void StopObserving() {}
  // Settles the plan's checks by what agents wrote down, on a thread of its own; the answer comes through
  // Controller::OnChecksSettled, and none after CancelSettling.
  virtual void SettleChecks(const v1::Plan& /*plan*/, const std::string& /*run_id*/,
                            const OperationRecord& /*operations*/) {}
  virtual void CancelSettling() {}
  // Keeps what the checks of the run are settled by, for later, as long as its result.
  virtual void KeepCheckRecord(const std::string& /*run_id*/, v1::CheckRecord /*record*/) {}
  // The plan's faults may begin from now on.
  virtual void PrepareFaults(const v1::Plan& /*plan*/, const std::string& /*run_id*/) {}
  // Begins one, by its index in the plan; the answers come through Controller::OnFaultBegan and OnFaultEnded,
  // the latter always.
  virtual void BeginFault(int /*fault*/) {}
  // What is broken is made whole at once; none begins any more.
  virtual void EndFaults() {}
  // Writes it to disk; the answer comes through Controller::OnSaved. One at a time.
  virtual void Save(RunSnapshot snapshot) = 0;
  virtual void OnProgress(const v1::Progress& progress) = 0;
  // Where the phase asks for transactions one by one: see RunFollower.
  virtual void OnTransactions(uint32_t /*agent*/, int64_t /*phase_start_us*/,
                              const v1::TransactionLog& /*log*/) {}
  // The run has ended, with its result or with why it could not run. Once for each run that StartRun
  // accepted.
  virtual void OnRunEnded(absl::StatusOr<v1::RunResult> result) = 0;
};

}  // namespace trunkload

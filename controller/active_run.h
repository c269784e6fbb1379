#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "controller/citus/observation.h"
#include "controller/controller_outside.h"
#include "controller/faults/run_faults.h"
#include "controller/fleet.h"
#include "controller/merger.h"
#include "controller/parts.h"
#include "controller/phase_records.h"
#include "controller/run_result_builder.h"
#include "controller/run_searches.h"
#include "controller/run_snapshot.h"
#include "controller/run_state.h"
#include "trunkload/v1/fleet.pb.h"
#include "trunkload/v1/plan.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// The run that a controller has under way: hands what happens to its RunState, carries out what follows from
// that, and adds up what agents report. Not thread-safe: belongs to its controller.
class ActiveRun {
 public:
  struct Identity {
    std::string id;
    // By the clock below.
    int64_t began_ns;
    int64_t began_wall_ns;
  };
  struct Surroundings {
    const Clock& clock;
    ControllerOutside& outside;
    Fleet& fleet;
    // Of the machine's start; see Instant in checkpoint.proto.
    const std::string& boot_id;
  };
  // `plan` is valid, and fits `agents` agents, for which it waits so long.
  ActiveRun(const Identity& identity, v1::Plan plan, uint32_t agents, absl::Duration wait,
            const Surroundings& surroundings);
  // Goes on with a run that another controller left, as of its last snapshot; its agents go into the fleet,
  // as away. DATA_LOSS where the snapshot does not fit together.
  static absl::StatusOr<std::unique_ptr<ActiveRun>> Restore(RunSnapshot snapshot,
                                                            const Surroundings& surroundings);

  const std::string& id() const { return id_; }
  // What it heard of such an agent is part of the snapshots: a message is to be acknowledged once it is on
  // disk. Something was heard of such an agent.
  void Touch() { dirty_ = true; }
  bool TakesPart(AgentId agent) const { return state_.TakesPart(agent); }
  bool Remembers(AgentId agent) const { return numbers_.contains(agent); }
  // Once the run has ended, its result or why it could not run; none until then. Nothing of what is below
  // has an effect after that.
  const std::optional<absl::StatusOr<v1::RunResult>>& outcome() const { return outcome_; }

  // Of all its phases so far.
  LoadCounts counts() const;
  // Of the phase under way: the newest second that is complete.
  std::optional<v1::SeriesPoint> newest_second() const;

  void Cancel();
  // Each of them of an agent that is in the fleet. An error: it broke the protocol.
  // `held`: what it holds of this run; null: nothing. `more_to_come`: of what it has done.
  absl::Status OnAgentJoined(AgentId agent, const v1::HeldRun* held, bool more_to_come);
  absl::Status OnReady(AgentId agent, const v1::Ready& ready);
  absl::Status OnFailed(AgentId agent, const v1::Failed& failed);
  absl::Status OnClockReply(AgentId agent);
  absl::Status OnInterval(AgentId agent, const v1::Interval& interval);
  absl::Status OnPhaseEnded(AgentId agent, const v1::PhaseEnded& ended);
  absl::Status OnTakenOver(AgentId agent, const v1::TakenOver& taken_over);
  // It was told to stop, and has stopped.
  void OnAgentLeaving(AgentId agent);
  // It was not heard for a while; it may load until the lease that was last renewed then ends.
  void OnAgentSilent(AgentId agent, int64_t last_heard_ns);
  // It loads no more.
  void OnAgentGone(AgentId agent, std::string why);
  // A snapshot is on disk, or is not.
  void OnSaved(const absl::Status& status);
  // See Controller.
  void OnTargetTask(const std::string& name);
  void OnTargetPrepared(absl::StatusOr<v1::ServerInfo> info);
  void OnObserved(v1::Observed observed);
  void OnChecksSettled(std::vector<v1::CheckResult> checks);
  void OnFaultBegan(int fault);
  void OnFaultEnded(int fault, const std::string& failure);
  // The controller was kept from running.
  void OnStalled() { Apply(RunState::Stalled{}).IgnoreError(); }
  void OnTick();
  int64_t NextTickNanos() const;

 private:
  // What an agent of an earlier run says of that one, before EndRun has reached it, is no fault of its.
  bool IsTold(AgentId agent, const std::string& run_id) const {
    return state_.TakesPart(agent) && id_ == run_id;
  }
  void TakeAgentsIn();
  // Bears the labels that the plan asks for.
  bool Fits(const v1::Hello& hello) const;
  void Send(AgentId agent, const v1::ControllerMessage& message);
  // Sends again what an agent that came back has not got.
  absl::Status CatchUp(AgentId agent, const v1::HeldRun* held, bool more_to_come);
  // Takes part, or again.
  void Admit(AgentId agent);
  void Assign(AgentId agent);
  // The same application servers, as another generation of them.
  void AssignAnew(AgentId agent);
  void SendStart(AgentId agent);
  void SendStop(AgentId agent);
  double ShareOf(AgentId agent, uint32_t phase) const;
  void SendTakeOver(AgentId agent);
  Parts::Servers Remaining(AgentId agent, Parts::Servers servers) const;
  // Has what happened written down, if anything has since the last time.
  void SaveIfDue();
  RunSnapshot TakeSnapshot();
  v1::RunCheckpoint Checkpoint() const;
  void TellTransactions(AgentId agent, const v1::TransactionLog& log);

  // Hands an event to the run's state and carries out what follows.
  absl::Status Apply(RunState::Event event);
  void Do(const RunState::PrepareTarget&);
  void Do(const RunState::CancelPrepareTarget&) { outside_.CancelPrepareTarget(); }
  void Do(const RunState::AssignLoad&);
  void Do(const RunState::StartLoad& command);
  void Do(const RunState::FinishTarget&);
  void Do(const RunState::AssignAll&);
  void Do(const RunState::Reassign& command);
  void Do(const RunState::TakeOver& command);
  void Do(const RunState::ReadDatabase& command);
  void Do(const RunState::ReadClocks&);
  void Do(const RunState::StartPlanned& command);
  void Do(const RunState::StartPhase& command);
  void Do(const RunState::StopPhase& command);
  void Do(const RunState::ClosePhase& command);
  void Do(const RunState::SettleChecks&);
  void Do(const RunState::LoseAgent& command);
  void Do(const RunState::EndRun& command);
  void Do(const RunState::Finish& command);

  // See PlanAssignments.
  // FAILED_PRECONDITION where the plan can't be dealt out to them, or one of them can't do its part.
  absl::Status CheckAssignments(const std::vector<AgentId>& agents) const;
  std::vector<std::string> GroupsOf(const std::vector<AgentId>& agents) const;
  std::vector<std::string> NamesOf(const std::vector<AgentId>& agents) const;
  void EndStep();
  uint64_t RowsLoaded() const;
  void SendProgress();
  void DescribePhase(const Merger& merger, v1::Progress& progress) const;

  // Faults may begin now, or soon.
  bool FaultsMayBegin() const;
  RunFaults::Phase FaultPhase() const { return {state_.phase(), state_.start_ns()}; }
  void AnnounceFaults();
  void BeginDueFaults();
  void EndFaults();

  OperationRecord Operations() const;

  absl::Status Restore(RunSnapshot snapshot);

  const std::string id_;
  const int64_t began_wall_ns_;
  // By the clock below.
  int64_t began_ns_;
  const absl::Duration wait_;
  // As it was asked for; and with the steps of its searches in their place, as it is run.
  const v1::Plan asked_;
  v1::Plan plan_;
  RunSearches searches_;
  RunFaults faults_;
  const std::string& boot_id_;
  const Clock& clock_;
  ControllerOutside& outside_;
  Fleet& fleet_;
  RunState state_;
  RunResultBuilder result_;
  std::optional<absl::StatusOr<v1::RunResult>> outcome_;
  // The run has ended, but for faults that are still being undone.
  std::optional<RunState::Finish> finish_;
  // Raised while commands are carried out.
  std::deque<RunState::Event> events_;
  // Agents that were there before the run are taken in at the next tick, so that nothing ends inside
  // StartRun.
  bool agents_taken_in_ = false;
  PhaseRecords phases_;
  // Of rows that are loaded.
  std::optional<Merger> load_merger_;
  // Those that ever took part, by the order in which they did: the scripts' variable agent_id.
  std::map<AgentId, uint32_t> numbers_;
  std::map<AgentId, v1::Hello> hellos_;
  // Of assignments: they count up over all agents, so that what one says of an earlier one is told apart.
  struct Versions {
    uint32_t newest = 0;
    uint32_t assigned = 0;  // of the assignment itself, without what was taken over after it
  };
  std::map<AgentId, Versions> versions_;
  // Hold an assignment that is not on disk: are assigned to anew before the next phase.
  std::set<AgentId> forgotten_;
  uint32_t last_version_ = 0;
  Parts parts_;
  // Back in the phase under way, but without knowing that it began: are told when their clocks are known.
  std::set<AgentId> to_start_;
  // Which loss in the result is whose, where others may yet take over.
  std::map<AgentId, size_t> loss_of_;
  // To be told what they take over once it is on disk, and those for which that is under way.
  std::set<AgentId> to_take_over_;
  std::set<AgentId> being_saved_;
  // Application servers that were given to another agent within the phase, which has not said that it
  // emulates them; and those that were lost with them, one after the other.
  std::map<uint32_t, std::set<AgentId>> taking_over_;
  std::map<AgentId, double> connecting_us_;
  int64_t stopped_ns_ = INT64_MAX;
  bool dirty_ = true;
  bool saving_ = false;
  bool save_soon_ = false;
  // The state waits for a snapshot of now; the one that is being written is.
  bool save_asked_ = false;
  bool save_answers_ = false;
  int64_t next_save_ns_ = 0;
  // In the snapshot that is being written.
  std::map<AgentId, uint64_t> sequences_;
  size_t faults_being_saved_ = 0;
  int64_t next_progress_ns_;
  // How tables are set up; the last step may be under way, since then. 0: it has ended.
  std::vector<v1::SetUpStep> set_up_;
  int64_t step_began_ns_ = 0;
  v1::ServerInfo server_;
  Observation observation_;
  // What checks came to; empty until they are settled.
  std::vector<v1::CheckResult> checks_;
  // What agents load, and that as the plan that they are assigned to.
  std::optional<v1::TableLoad> load_;
  v1::Plan load_plan_;
};

}  // namespace trunkload
